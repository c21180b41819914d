import hashlib
import re

import httpx
import pytest

from shared.ui.assets import STATIC, static_path, version

LISTED = re.compile(r"^\| (\S+) \|.*\| ([0-9a-f]{64}) \|$", re.MULTILINE)


def test_files_of_others_are_as_their_source_gave_them() -> None:
    listed = LISTED.findall((STATIC / "SOURCES.md").read_text(encoding="utf-8"))
    ours = {"ui.css", "maillon.js", "favicon.svg", "SOURCES.md"}
    there = {f.relative_to(STATIC).as_posix() for f in STATIC.rglob("*") if f.is_file()}
    assert {name for name, _ in listed} == there - ours
    assert [name for name, digest in listed if hashlib.sha256((STATIC / name).read_bytes()).hexdigest() != digest] == []


def test_the_style_sheet_stays_small() -> None:
    assert (STATIC / "ui.css").stat().st_size <= 25_000


async def test_an_address_of_today_is_kept_for_a_year(program: httpx.AsyncClient) -> None:
    answer = await program.get(static_path("/sheet", "ui.css"))
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "public, max-age=31536000, immutable")
    assert answer.headers["content-type"] == "text/css; charset=utf-8"
    assert answer.content == (STATIC / "ui.css").read_bytes()


async def test_an_older_address_gets_todays_file_and_is_not_kept(program: httpx.AsyncClient) -> None:
    answer = await program.get("/sheet/static/0123456789ab/fonts/OFL.txt")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache")


@pytest.mark.parametrize("name", ["nothing.css", "%2e%2e/pages.py", "..%2Fpages.py", "SOURCES.md", ""])
async def test_nothing_else_is_served(program: httpx.AsyncClient, name: str) -> None:
    assert (await program.get(f"/sheet/static/{version()}/{name}")).status_code == 404


def test_a_page_cannot_name_a_file_that_is_not_there() -> None:
    with pytest.raises(LookupError):
        static_path("/sheet", "ui2.css")

"""The gateway before small services of the test's own: whole paths, one origin, and a plain page for one that is down."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Page

from deploy.local import gateway
from deploy.local.ports import free_ports
from deploy.local.supervisor import Supervisor
from tests.support.browser import bare_tab, browser, faults, tab
from tests.support.platform import new_folder, until

__all__ = ["bare_tab", "browser", "tab"]

PEOPLE = {"Accept": "text/html,application/xhtml+xml"}


class Echo:
    """A service that tells what reached it, and can be away."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._server: asyncio.Server | None = None

    async def up(self) -> None:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", self.port)

    async def down(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next((int(line.split(":")[1]) for line in head.splitlines() if line.lower().startswith("content-length")), 0)
        if "/early/" in head.splitlines()[0]:  # answers at the first line and hangs up, whatever is still on its way
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            writer.transport.abort()
            return
        await reader.readexactly(length)
        body = f"{head}{length} bytes".encode()
        if "/half/" in head.splitlines()[0]:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
            await writer.drain()
            writer.close()
            return
        strict = b"Content-Security-Policy: default-src 'none'; sandbox\r\nReferrer-Policy: no-referrer\r\n"
        own = strict if "/own/" in head.splitlines()[0] else b""
        writer.write(b"HTTP/1.1 200 OK\r\nServer: secret/1.0\r\n" + own + b"Connection: close\r\n")
        writer.write(f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()


async def _status(client: httpx.AsyncClient, path: str, wanted: int) -> bool:
    try:
        return (await client.get(path)).status_code == wanted
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def folder() -> Path:
    return new_folder("gateway-")


@pytest.fixture(scope="module")
def log(folder: Path) -> Path:
    return folder / "log"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def site(folder: Path, log: Path) -> AsyncIterator[tuple[httpx.AsyncClient, dict[str, Echo]]]:
    names = ("intake", "certs", "distribution")
    async with AsyncExitStack() as running:
        running.callback(shutil.rmtree, folder, ignore_errors=True)
        ports = running.enter_context(free_ports("gateway", *names))
        services = {name: Echo(ports[name]) for name in names}
        for name in ("intake", "certs"):
            await services[name].up()
            running.push_async_callback(services[name].down)
        supervisor = Supervisor(folder / "pids", lambda _: None)
        running.push_async_callback(supervisor.close)
        told = {name: ports[name] for name in names}
        await supervisor.start(gateway.program(port=ports["gateway"], services=told, folder=folder / "gateway", log=log))
        client = await running.enter_async_context(httpx.AsyncClient(base_url=f"http://127.0.0.1:{ports['gateway']}"))
        await until(lambda: _status(client, "/certs/", 200))
        yield client, services


async def test_paths_arrive_whole(site: tuple[httpx.AsyncClient, dict[str, Echo]]) -> None:
    client, _ = site
    answer = await client.get("/intake/dons/42?x=1", headers={"X-Forwarded-For": "203.0.113.7"})
    assert answer.status_code == 200
    assert answer.text.startswith("GET /intake/dons/42?x=1 HTTP/1.1")
    assert "X-Forwarded-Prefix: /intake" in answer.text
    assert "X-Forwarded-Host: 127.0.0.1" in answer.text
    assert "203.0.113.7" not in answer.text


async def test_the_front_door_leads_to_the_questions(site: tuple[httpx.AsyncClient, dict[str, Echo]]) -> None:
    client, _ = site
    answer = await client.get("/")
    assert (answer.status_code, answer.headers["location"]) == (302, "/intake/")


async def test_every_answer_carries_the_same_guards(site: tuple[httpx.AsyncClient, dict[str, Echo]]) -> None:
    client, _ = site
    for path in ("/", "/intake/", "/distribution/", "/nowhere", "/gateway/ui.css"):
        headers = (await client.get(path)).headers
        assert headers["content-security-policy"].startswith("default-src 'self';"), path
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert "server" not in headers
        assert "via" not in headers


async def test_a_stricter_page_keeps_its_own_guards(site: tuple[httpx.AsyncClient, dict[str, Echo]]) -> None:
    """An original of a report may run nothing. A page's address leaves the site in no case; its forms keep their origin."""
    client, _ = site
    headers = (await client.get("/intake/own/")).headers
    assert headers.get_list("referrer-policy") == ["same-origin"]
    assert headers.get_list("content-security-policy") == ["default-src 'none'; sandbox"]


async def test_one_broken_request_takes_nothing_away_from_the_others(site: tuple[httpx.AsyncClient, dict[str, Echo]]) -> None:
    """Whether who broke off still gets an answer is chance (its body meets a closed door); whoever else asks always does."""
    client, _ = site
    for _ in range(3):
        async with httpx.AsyncClient(base_url=client.base_url) as broken:
            with contextlib.suppress(httpx.TransportError):
                await broken.post("/intake/early/", content=b"0" * 5_000_000)
        assert (await client.get("/intake/")).status_code == 200


async def test_its_log_tells_no_secret_address(site: tuple[httpx.AsyncClient, dict[str, Echo]], log: Path) -> None:
    client, _ = site
    with pytest.raises(httpx.RemoteProtocolError):
        await client.get("/intake/half/suivi/a-secret-link?droit=a-secret-right", headers={"Referer": "/a-secret-page"})
    await until(lambda: _written(log, "aborting with incomplete response"))
    assert "a-secret" not in text_of(log)


def text_of(log: Path) -> str:
    return log.read_text(encoding="utf-8")


async def _written(log: Path, words: str) -> bool:
    return words in text_of(log)


async def test_a_service_that_is_down_gives_a_page_that_says_what_to_do(site: tuple[httpx.AsyncClient, dict[str, Echo]]) -> None:
    client, _ = site
    for answer in (
        await client.get("/distribution/caisse", headers=PEOPLE),
        await client.post("/distribution/caisse", data={"a": "b"}),
    ):
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["retry-after"] == "5"
        assert "La partie de la distribution ne répond pas en ce moment" in answer.text
        assert "Attendez une minute, puis rechargez cette page." in answer.text
        assert "$" not in answer.text
    assert (await client.get("/intake/")).status_code == 200


async def test_a_program_gets_a_stable_code(site: tuple[httpx.AsyncClient, dict[str, Echo]]) -> None:
    client, _ = site
    answer = await client.put("/distribution/needs/1", json={}, headers={"Accept": "application/json"})
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "service_unavailable"


async def test_a_service_that_dies_and_returns(site: tuple[httpx.AsyncClient, dict[str, Echo]]) -> None:
    client, services = site
    await services["certs"].down()
    assert (await client.get("/certs/")).status_code == 503
    assert (await client.get("/intake/")).status_code == 200
    await services["certs"].up()
    await until(lambda: _status(client, "/certs/", 200), 5)


@pytest.mark.parametrize(("size", "status"), [(20 * 1024 * 1024, 200), (20 * 1024 * 1024 + 1, 413)])
async def test_a_body_has_a_limit(site: tuple[httpx.AsyncClient, dict[str, Echo]], size: int, status: int) -> None:
    client, _ = site
    answer = await client.post("/intake/files", content=b"0" * size, headers=PEOPLE)
    assert answer.status_code == status
    assert ("Ce fichier est trop gros" in answer.text) == (status == 413)


async def test_an_address_that_leads_nowhere(site: tuple[httpx.AsyncClient, dict[str, Echo]]) -> None:
    client, _ = site
    for path in ("/nowhere", "/gateway/nothing", "/gateway/../caddy.json", "/intakes/"):
        answer = await client.get(path)
        assert answer.status_code == 404, path
        assert "Cette page n’existe pas" in answer.text


@pytest.mark.browser
@pytest.mark.parametrize("path", ["/distribution/", "/nowhere"])
async def test_its_own_pages_are_sound(site: tuple[httpx.AsyncClient, dict[str, Echo]], tab: Page, path: str) -> None:
    client, _ = site
    found = await faults(tab, f"{str(client.base_url).rstrip('/')}{path}")
    assert [line for line in found if "status of 503" not in line] == []


def test_the_page_speaks_without_script_or_inline_style(tmp_path: Path) -> None:
    gateway.write_site(tmp_path)
    for page in (tmp_path / "site" / "gateway").glob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert "<script" not in text
        assert "style=" not in text

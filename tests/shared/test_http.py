"""What every service's app answers, whoever asks: a small app, without broker or database."""

import re
from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI, Form, HTTPException, Request, Response
from pydantic import BaseModel, Field

from shared import trace
from shared.errors import Coded, Malformed, NotYet, Outage, Refused
from shared.http import LARGEST_BODY, ORDINARY_BODY, At, build_app

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ERRORS: dict[str, Exception] = {
    "refused": Refused("voucher_spent", sale="s-1"),
    "not_yet": NotYet("device_unknown"),
    "malformed": Malformed("bad_siret", field="siret"),
    "half": Malformed("bad_name", name="\ud800"),
    "outage": Outage("database"),
    "bug": RuntimeError("hunter2 in a traceback is nobody's business"),
    "forbidden": HTTPException(403, "not yours", headers={"X-Why": "role"}),
    "moved": HTTPException(303, headers={"Location": "/elsewhere"}),
}


class Answer(BaseModel):
    """What the small app takes."""

    count: int = Field(ge=1)
    ratio: float = Field(1.0, allow_inf_nan=False)


class Ready:
    """Whether the small app says that it is."""

    now = True


def small_app() -> FastAPI:
    app = build_app("small", lambda: {"ready": Ready.now, "waiting_cells": [] if Ready.now else ["ara"]}, ("/small/files/",))

    @app.get("/small/trace")
    async def traced() -> str | None:
        return trace.CURRENT.get()

    @app.get("/small/fails/{how}")
    async def fails(how: str) -> None:
        raise ERRORS[how]

    @app.get("/small/desk")
    async def at_desk(_: At) -> None:
        """Needs a service that has started."""

    @app.put("/small/answers")
    async def put(answer: Answer) -> int:
        return answer.count

    @app.put("/small/form")
    async def fill(name: Annotated[str, Form()] = "") -> str:
        return name

    @app.put("/small/files/{name}")
    async def keep(name: str, request: Request) -> int:
        return len(await request.body()) if name else 0

    @app.get("/small/kept")
    async def kept(response: Response) -> None:
        response.headers["Cache-Control"] = "max-age=60"

    return app


@pytest_asyncio.fixture(loop_scope="session")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(small_app(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://small") as found:
        yield found


def assert_problem(response: httpx.Response, status: int, code: str, detail: dict[str, Any] | None = None) -> None:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    found = response.json()
    expected = {"type": f"urn:maillon:problem:{code}", "title": code.replace("_", " "), "status": status, "code": code}
    assert {name: found[name] for name in expected} == expected
    if detail is not None:
        assert found["detail"] == detail


@pytest.mark.parametrize(
    ("how", "status", "code", "detail"),
    [
        ("refused", 409, "voucher_spent", {"sale": "s-1"}),
        ("not_yet", 404, "device_unknown", {}),
        ("malformed", 422, "bad_siret", {"field": "siret"}),
        ("outage", 503, "database", {}),
        ("bug", 500, "bug", {}),
        ("forbidden", 403, "http_403", {"text": "not yours"}),
    ],
)
async def test_each_kind_of_error_has_its_status_and_its_code(
    client: httpx.AsyncClient, how: str, status: int, code: str, detail: dict[str, Any]
) -> None:
    response = await client.get(f"/small/fails/{how}")
    assert_problem(response, status, code, detail)
    assert response.headers.get("retry-after") == ("2" if how == "outage" else None)
    assert response.headers.get("x-why") == ("role" if how == "forbidden" else None)
    assert "hunter2" not in response.text


def test_all_four_kinds_are_tried() -> None:
    assert {type(error) for error in ERRORS.values() if isinstance(error, Coded)} == {Refused, NotYet, Malformed, Outage}


async def test_what_does_not_exist_is_a_problem_too(client: httpx.AsyncClient) -> None:
    assert_problem(await client.get("/small/nowhere"), 404, "http_404", {"text": "Not Found"})
    response = await client.delete("/small/answers")
    assert_problem(response, 405, "http_405", {"text": "Method Not Allowed"})
    assert response.headers["allow"] == "PUT"


async def test_a_redirect_stays_one(client: httpx.AsyncClient) -> None:
    response = await client.get("/small/fails/moved")
    assert (response.status_code, response.headers["location"], response.content) == (303, "/elsewhere", b"")


async def test_a_body_that_breaks_its_contract_is_told_where(client: httpx.AsyncClient) -> None:
    response = await client.put("/small/answers", json={"count": 0})
    assert_problem(response, 422, "contract")
    assert [(f["where"], f["why"]) for f in response.json()["detail"]["faults"]] == [("/count", "greater_than_equal")]
    assert_problem(await client.put("/small/answers", content="{", headers={"content-type": "application/json"}), 422, "contract")
    nan = await client.put("/small/answers", content='{"count": 1, "ratio": NaN}', headers={"content-type": "application/json"})
    assert_problem(nan, 422, "contract")


async def test_a_body_too_large_is_not_read(client: httpx.AsyncClient) -> None:
    for path, most in (("/small/answers", ORDINARY_BODY), ("/small/files/one", LARGEST_BODY)):
        headers = {"content-type": "application/json", "content-length": str(most + 1)}
        response = await client.put(path, content=b"{}", headers=headers)
        assert_problem(response, 413, "too_large", {"largest_bytes": most})


async def pieces(size: int, sent: list[int]) -> AsyncIterator[bytes]:
    """A body that does not say how long it is."""
    for start in range(0, size, 65_536):
        sent.append(start)
        yield b" " * min(65_536, size - start)


@pytest.mark.parametrize("path", ["/small/answers", "/small/form"])
async def test_a_body_is_counted_as_it_comes_and_not_as_it_was_announced(client: httpx.AsyncClient, path: str) -> None:
    kind = "application/json" if path == "/small/answers" else "application/x-www-form-urlencoded"
    response = await client.put(path, content=pieces(ORDINARY_BODY + 1, []), headers={"content-type": kind})
    assert_problem(response, 413, "too_large", {"largest_bytes": ORDINARY_BODY})
    fits = await client.put("/small/files/one", content=pieces(ORDINARY_BODY + 1, []))
    assert (fits.status_code, fits.json()) == (200, ORDINARY_BODY + 1)


async def test_who_is_still_sending_is_heard_out_before_the_answer(client: httpx.AsyncClient) -> None:
    """Cut off, a sender hears nothing of the answer, and a gateway holds the service for broken."""
    sent: list[int] = []
    response = await client.put("/small/fails/refused", content=pieces(5 * 65_536, sent))
    assert_problem(response, 405, "http_405")
    assert len(sent) == 5


async def test_nothing_is_kept_on_the_way_unless_it_says_so(client: httpx.AsyncClient) -> None:
    assert (await client.get("/small/trace")).headers["cache-control"] == "no-store"
    assert (await client.get("/small/kept")).headers["cache-control"] == "max-age=60"


async def test_half_a_character_comes_back_as_a_question_mark(client: httpx.AsyncClient) -> None:
    response = await client.get("/small/fails/half")
    assert_problem(response, 422, "bad_name", {"name": "?"})


async def test_before_the_start_is_over_a_request_is_told_to_come_again(client: httpx.AsyncClient) -> None:
    response = await client.get("/small/desk")
    assert_problem(response, 503, "starting")
    assert response.headers["retry-after"] == "2"


async def test_a_trace_goes_on_and_one_is_begun_where_there_is_none(client: httpx.AsyncClient) -> None:
    kept = (await client.get("/small/trace", headers={"traceparent": TRACEPARENT})).json()
    assert kept.split("-")[1] == TRACEPARENT.split("-")[1]
    assert kept.split("-")[2] != TRACEPARENT.split("-")[2], "a step of its own"
    made = [(await client.get("/small/trace", headers=h)).json() for h in ({}, {}, {"traceparent": "00-nonsense"})]
    assert all(re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", m) for m in made)
    assert len({m.split("-")[1] for m in (*made, kept)}) == 4


async def test_health_readiness_and_metrics(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await client.get("/health")).json() == {"status": "alive"}
    response = await client.get("/ready")
    assert (response.status_code, response.json()) == (200, {"ready": True, "waiting_cells": []})
    monkeypatch.setattr(Ready, "now", False)
    response = await client.get("/ready")
    assert (response.status_code, response.json()) == (503, {"ready": False, "waiting_cells": ["ara"]})
    assert (await client.get("/health")).status_code == 200, "alive, though not ready: nobody must restart it for that"
    await client.get("/small/fails/refused")
    scraped = await client.get("/metrics")
    assert scraped.headers["content-type"].startswith("text/plain")
    assert re.search(r'^maillon_http_seconds_count\{method="GET",status="4xx"\} [1-9]', scraped.text, re.MULTILINE)
    assert re.search(r"^maillon_outbox_events \d", scraped.text, re.MULTILINE)

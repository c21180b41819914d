"""HTTP: one app a service, problem+json, health, readiness, metrics, trace context."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from contextlib import suppress
from typing import Annotated, Any

import structlog
from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from typing_extensions import override

from shared import metrics, trace
from shared.desk import Desk
from shared.errors import Coded, Malformed, NotYet, Outage, Refused
from shared.log import log

LARGEST_BODY = 20 * 1024 * 1024
"""Bytes of a body where a service takes files (`Service.files`)."""
ORDINARY_BODY = 256 * 1024
"""Bytes of any other body: it is read before anyone knows who sent it."""
PATIENCE_S = 5.0
"""How long a sender that already has its answer is heard out."""


async def desk(request: Request) -> Desk:
    """Give the process's desk. Raises Outage("starting") before the service has caught up."""
    found: Desk | None = getattr(request.app.state, "desk", None)
    if found is None:
        raise Outage("starting")
    return found


At = Annotated[Desk, Depends(desk)]


class TooLarge(HTTPException):
    """More came than is taken here. An HTTPException, since others that rise while a body is read are taken for one that is malformed."""

    def __init__(self, most: int) -> None:
        super().__init__(413)
        self.most = most


class Problem(JSONResponse):
    """JSON of what others sent us: half a character (a lone surrogate) must not make the answer fail."""

    media_type = "application/problem+json"

    @override
    def render(self, content: Any) -> bytes:
        return json.dumps(content, ensure_ascii=False, allow_nan=False, default=str).encode("utf-8", "replace")


def problem(
    status: int, code: str, detail: MutableMapping[str, Any] | None = None, headers: dict[str, str] | None = None
) -> JSONResponse:
    """Answer as RFC 9457 says; `code` is stable, `detail` plain JSON."""
    content = {
        "type": f"urn:maillon:problem:{code}",
        "title": code.replace("_", " "),
        "status": status,
        "code": code,
        "detail": detail or {},
    }
    return Problem(content, status, headers)


STATUS: dict[type[Coded], int] = {Refused: 409, NotYet: 404, Malformed: 422, Outage: 503}


def build_app(title: str, ready: Callable[[], dict[str, Any]], files: Sequence[str] = (), **options: Any) -> FastAPI:
    """Make the app with what every service has. `ready` gives `{"ready": bool, …}`; `files`: the beginnings of paths that take files."""
    app = FastAPI(title=title, openapi_url=f"/{title}/openapi.json", docs_url=None, redoc_url=None, **options)

    async def coded(_: Request, error: Exception) -> Response:
        assert isinstance(error, Coded)  # noqa: S101 for the type checker: registered for Coded alone
        status = STATUS[type(error)]
        return problem(status, error.code, dict(error.detail), {"Retry-After": "2"} if status == 503 else None)

    async def invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 for the type checker
        faults = [{"where": "/" + "/".join(map(str, e["loc"][1:])), "why": e["type"], "text": e["msg"]} for e in error.errors()]
        return problem(422, "contract", {"faults": faults[:50]})

    async def known(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 for the type checker
        if error.status_code < 400:  # a redirect is no problem
            return Response(None, error.status_code, dict(error.headers or {}))
        return problem(error.status_code, f"http_{error.status_code}", {"text": str(error.detail)}, dict(error.headers or {}))

    async def too_large(_: Request, error: Exception) -> Response:
        assert isinstance(error, TooLarge)  # noqa: S101 for the type checker
        return problem(413, "too_large", {"largest_bytes": error.most})

    async def bug(_: Request, error: Exception) -> Response:
        log.error("bug", exc_info=error)
        return problem(500, "bug")

    for kind in STATUS:
        app.add_exception_handler(kind, coded)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, known)
    app.add_exception_handler(TooLarge, too_large)
    app.add_exception_handler(Exception, bug)

    @app.get("/health", include_in_schema=False)
    async def health() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/ready", include_in_schema=False)
    async def readiness() -> JSONResponse:
        found = ready()
        return JSONResponse(found, 200 if found["ready"] else 503)

    @app.get("/metrics", include_in_schema=False)
    async def scraped() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    app.add_middleware(Edge, files=tuple(files))
    return app


class Body:
    """A body on its way in, counted as it comes: its headers may promise anything.

    It is heard out before the answer goes: a sender that is cut off hears nothing, and a gateway holds us for broken.
    """

    def __init__(self, receive: Receive, headers: Mapping[str, str], most: int) -> None:
        self.receive, self.most, self.size = receive, most, 0
        self.announced = int(headers.get("content-length") or 0)
        self.more = self.announced > 0 or "transfer-encoding" in headers

    async def read(self) -> Message:
        """Give the next piece. Raises TooLarge with the one that is too much, or at once where too much is announced."""
        if self.announced > self.most:
            raise TooLarge(self.most)
        message = await self.receive()
        self.size += len(message.get("body", b""))
        self.more = message.get("more_body", False)
        if self.size > self.most:
            raise TooLarge(self.most)
        return message

    async def hear_out(self) -> None:
        """Read what is still coming and keep nothing of it."""
        self.most = 2 * LARGEST_BODY
        with suppress(TimeoutError, TooLarge):
            async with asyncio.timeout(PATIENCE_S):
                while self.more:
                    await self.read()


class Edge:
    """Outermost: trace context, time of each request, a limit to bodies."""

    def __init__(self, app: ASGIApp, files: tuple[str, ...] = ()) -> None:
        self.app = app
        self.files = files

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        traceparent = trace.child(headers.get("traceparent"))
        trace.CURRENT.set(traceparent)
        structlog.contextvars.bind_contextvars(trace=trace.trace_id(traceparent))
        most = LARGEST_BODY if scope["path"].startswith(self.files) else ORDINARY_BODY
        body = Body(receive, headers, most)
        started, status = time.perf_counter(), 0

        async def told(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if not any(name.lower() == b"cache-control" for name, _ in message["headers"]):
                    message["headers"] = [*message["headers"], (b"cache-control", b"no-store")]
                await body.hear_out()
            await send(message)

        try:
            return await self.app(scope, body.read, told)
        finally:
            metrics.REQUESTS.labels(scope["method"], f"{status // 100}xx").observe(time.perf_counter() - started)

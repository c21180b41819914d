"""The small site of this folder: asked in the process by a client, or served on a free loopback port for the browser."""

import asyncio
import socket
from collections.abc import AsyncIterator

import httpx
import pytest_asyncio
from granian.constants import Interfaces
from granian.server.embed import Server

from tests.support.browser import bare_tab, browser, tab
from tests.ui.site import Clock, build

__all__ = ["bare_tab", "browser", "tab"]

BROWSER = {"accept": "text/html", "sec-fetch-site": "same-origin"}


@pytest_asyncio.fixture(loop_scope="session")
async def clock() -> Clock:
    return Clock()


@pytest_asyncio.fixture(loop_scope="session")
async def person(clock: Clock) -> AsyncIterator[httpx.AsyncClient]:
    """A browser's client: asks for HTML, and says that pages of this site send its forms."""
    inside = httpx.ASGITransport(build(clock), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=inside, base_url="http://test", headers=BROWSER) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="session")
async def program(clock: Clock) -> AsyncIterator[httpx.AsyncClient]:
    """A program's client: neither asks for HTML nor says where it comes from."""
    inside = httpx.ASGITransport(build(clock), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=inside, base_url="http://test") as client:
        yield client


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def site() -> AsyncIterator[str]:
    """Address of the served site."""
    port = _free_port()
    server = Server(build(Clock()), port=port, interface=Interfaces.ASGI, websockets=False, log_enabled=False)
    serving = asyncio.create_task(server.serve())
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        for _ in range(100):
            try:
                await client.get("/sheet/story")
                break
            except httpx.ConnectError:
                await asyncio.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    server.stop()  # type: ignore[no-untyped-call]
    await serving

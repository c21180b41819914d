"""A program that asks by HTTP and knows what it knows: done, refused, or not known."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Self

import httpx

from tests.faults.ledger import Outcome

ANSWER_S = 6.0


@dataclass(slots=True)
class Caller:
    """`async with Caller(origin) as caller`."""

    origin: str
    _exit: AsyncExitStack = field(default_factory=AsyncExitStack)
    _http: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        limits = httpx.Limits(max_connections=60, max_keepalive_connections=20)
        self._http = await self._exit.enter_async_context(
            httpx.AsyncClient(base_url=self.origin, timeout=ANSWER_S, limits=limits, headers={"Accept": "application/json"})
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._exit.aclose()

    async def ask(
        self, method: str, path: str, headers: Mapping[str, str], *, json: object = None, content: bytes | None = None
    ) -> tuple[Outcome, Any]:
        """One request. A 5xx says nothing about what was done: also the gateway's own, for a connection that broke in the middle."""
        assert self._http is not None
        try:
            answer = await self._http.request(method, path, headers=dict(headers), json=json, content=content)
        except httpx.HTTPError:
            return "unknown", None
        if answer.status_code >= 500:
            return "unknown", None
        if answer.status_code >= 400:
            return "refused", answer.text
        return "ok", answer.json()

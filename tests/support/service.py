"""A service at work in the test's own process, on the real broker and database, through the real wiring."""

import asyncio
import base64
import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import httpx
import yaml
from granian.constants import Interfaces
from granian.server.embed import Server

from deploy.local.platform import Platform
from shared.audit import fold_check
from shared.desk import Desk
from shared.events.base import Event
from shared.kafka.admin import Admin, NewTopic
from shared.kafka.wire import Access, Sender
from shared.run import Running, Service, assemble
from shared.settings import Settings
from tests.support.platform import until

S = TypeVar("S", bound=Settings)
STAFF_CODE = "code-de-test"
CONTACT = "01 99 00 00 00, bonjour@maillon.example"
CELLS = {"regions": ["ara", "idf", "naq", "hdf"], "refurbishers": ["trira", "bocage", "ares"]}


@dataclass(frozen=True, slots=True)
class Ground:
    """What services of one test share: broker, a prefix that sets its topics apart, a folder, secrets, the cells."""

    platform: Platform
    prefix: str
    folder: Path
    cells: Mapping[str, Sequence[str]] = field(default_factory=lambda: CELLS)
    session_secret: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    vault_key: str = field(default_factory=lambda: base64.b64encode(os.urandom(32)).decode())

    @property
    def access(self) -> Access:
        p = self.platform
        return Access(p.kafka_bootstrap, p.kafka_admin_user, p.kafka_admin_password, prefix=self.prefix)

    def settings(self, kind: type[S], service: str, database_url: str, **more: object) -> S:
        """Settings of `service` on this ground; it comes to the broker as admin."""
        cells_file = self.folder / "cells.yaml"
        cells_file.write_text(yaml.safe_dump({k: list(v) for k, v in self.cells.items()}))
        values: dict[str, object] = {
            "service": service,
            "database_url": database_url,
            "kafka_bootstrap": self.platform.kafka_bootstrap,
            "kafka_user": self.platform.kafka_admin_user,
            "kafka_password": self.platform.kafka_admin_password,
            "topic_prefix": self.prefix,
            "cells_file": cells_file,
            "http_port": free_port(),
            "public_url": "http://127.0.0.1",
            "contact": CONTACT,
            "session_secret": self.session_secret,
            "staff_code": STAFF_CODE,
            "vault_key": self.vault_key,
            "data_dir": self.folder / service,
            "log_format": "console",
        }
        return kind.model_validate(values | more)

    async def make_topics(self, families: Mapping[str, str], partitions: int = 2) -> None:
        """Make the topics of `families` (name -> kind of cell) for all cells."""
        names = [f"{self.prefix}{family}.{cell}" for family, kind in families.items() for cell in self.cells[kind]]
        p = self.platform
        async with Admin(p.kafka_bootstrap, p.kafka_admin_user, p.kafka_admin_password) as admin:
            await admin.create_topics([NewTopic(name=name, partitions=partitions, config={}) for name in names])


@dataclass(slots=True)
class Site:
    """A running service."""

    url: str
    running: Running
    service: Service

    @property
    def desk(self) -> Desk:
        assert self.running.desk is not None
        return self.running.desk

    def client(self, *, staff: bool = False, browser: bool = False) -> httpx.AsyncClient:
        """An HTTP client; a browser accepts HTML and says that its forms come from our own pages."""
        headers = {"Authorization": f"Bearer {STAFF_CODE}"} if staff else {}
        if browser:
            headers |= {"Accept": "text/html", "Sec-Fetch-Site": "same-origin", "Origin": self.url}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=20)

    async def differences(self) -> list[str]:
        """Where rows are not what their events say. Empty, always."""
        return [str(d) async for d in fold_check(self.desk.pool, self.desk.aggregates)]

    async def until(self, holds: Callable[[], object], timeout_s: float = 15) -> None:
        """Wait until an async or plain condition holds."""
        await until(holds, timeout_s)


def free_port() -> int:
    """A port of this machine that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def running(build: Callable[[S], Service], settings: S) -> AsyncIterator[Site]:
    """Serve on a free port until the block ends; topics must be there. At the end rows must be what their events say."""
    service = build(settings)
    app, at_work = assemble(service)
    server = Server(
        app, address="127.0.0.1", port=settings.http_port, interface=Interfaces.ASGI, websockets=False, log_enabled=False
    )
    task = asyncio.create_task(server.serve())
    site = Site(f"http://127.0.0.1:{settings.http_port}", at_work, service)
    try:
        await until(lambda: task.done() or at_work.readiness()["ready"], 30)
        if task.done():
            task.result()
        yield site
        assert await site.differences() == []
    finally:
        server.stop()  # type: ignore[no-untyped-call]  # granian has no types here
        await task


async def with_topics(ground: Ground, service: Service) -> None:
    """Make the topics that a service hears and tells."""
    await ground.make_topics({**service.hears, **service.tells})


@dataclass(slots=True)
class Publisher:
    """Speaks as another service would: numbers each stream itself."""

    ground: Ground
    source: str = "/maillon/test"
    versions: dict[UUID, int] = field(default_factory=dict)

    async def tell(self, topic: str, stream: UUID, *events: Event, at: datetime | None = None) -> None:
        """Publish `events` as the next ones of `stream`."""
        rows = []
        for event in events:
            self.versions[stream] = self.versions.get(stream, 0) + 1
            rows.append(self.row(stream, self.versions[stream], event, at))
        await self.send(topic, rows)

    def row(self, stream: UUID, version: int, event: Event, at: datetime | None = None) -> dict[str, object]:
        """One event as the relay would read it."""
        return {
            "stream": stream,
            "version": version,
            "type": event.type,
            "at": at or datetime.now(UTC),
            "trace": None,
            "data": event.model_dump_json(),
        }

    async def send(self, topic: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Send rows as they are: repeats, gaps and all."""
        sender = Sender(self.ground.access, self.source)
        try:
            await sender.send(topic, rows)
        finally:
            await sender.stop()

    async def raw(self, topic: str, key: bytes | None, value: bytes, headers: Mapping[str, str]) -> None:
        """Send any bytes at all."""
        sender = Sender(self.ground.access, self.source)
        try:
            await sender.put(topic, [(key, value, [(k, v.encode()) for k, v in headers.items()])])
        finally:
            await sender.stop()

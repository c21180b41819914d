"""A service as a process: what it is made of (`Service`), how it starts, serves and stops (`run`).

Start: wait for Postgres, migrate, take in what our own topics know more than we do, then relay, cells, jobs and pages.
Stop (SIGTERM): no new requests, each cell ends its batch, what is recorded is sent, connections close. A kill at any moment
loses nothing: what is not committed is read again, what is not sent is sent at the next start.
"""

import asyncio
import base64
import gc
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
from fastapi import APIRouter, FastAPI
from granian.constants import Interfaces
from granian.errors import FatalError
from granian.server.embed import Server
from pydantic import ValidationError

from shared import log as logging
from shared.aggregate import Aggregates
from shared.cell import Cell
from shared.consumer import Consumer, Outside, Reactions
from shared.db import AWAY as DATABASE_AWAY
from shared.db import CLASH, connect, sessions_are_ours
from shared.desk import Desk
from shared.errors import Outage
from shared.history import take_in
from shared.http import build_app
from shared.jobs import Job, keep_running
from shared.kafka.admin import BrokerAway, WrongCredentials, check_login
from shared.kafka.reader import read_on
from shared.kafka.wire import AWAY as BROKER_AWAY
from shared.kafka.wire import Access, Sender
from shared.log import log
from shared.migrate import migrate
from shared.outbox import Relay
from shared.settings import S, Settings, chosen, read_cells, served
from shared.ui import Access as Doors
from shared.ui import Pages, mount_static, show_problems
from shared.vault import Vault
from shared.watch import watch


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What a service is made of: wiring only, nothing has happened yet."""

    settings: Settings
    aggregates: Aggregates
    reactions: Reactions = field(default_factory=dict)
    hears: Mapping[str, str] = field(default_factory=dict)
    """Families of topics and the kind of their cells, such as `{"intake.donations": "regions"}`."""
    tells: Mapping[str, str] = field(default_factory=dict)
    routers: Sequence[APIRouter] = ()
    files: Sequence[str] = ()
    """The beginnings of paths that take files: bodies of up to 20 MiB. Elsewhere 256 KiB is the most."""
    jobs: Sequence[Job] = ()
    outside: Outside | None = None
    migrations: Path | None = None
    pages: Pages | None = None
    doors: Doors | None = None
    state: Mapping[str, Any] = field(default_factory=dict)
    """Put on `app.state` and `desk.state`, for the service's own dependencies and jobs."""
    background: Sequence[Callable[[Desk], Awaitable[None]]] = ()
    """Views and the like: run for the life of the process, outside readiness."""


@dataclass(slots=True)
class Running:
    """A service at work."""

    service: Service
    tasks: list["asyncio.Task[None]"] = field(default_factory=list)
    cells: list[Cell] = field(default_factory=list)
    relay: Relay | None = None
    desk: Desk | None = None

    def readiness(self) -> dict[str, Any]:
        """Say whether all cells have joined and what stands still."""
        waiting = sorted(cell.name for cell in self.cells if not cell.joined.is_set())
        halted = {cell.name: cell.halted for cell in self.cells if cell.halted}
        sends = sorted(self.relay.held) if self.relay else []
        return {"ready": self.desk is not None and not waiting, "waiting_cells": waiting, "stopped_cells": halted, "sends": sends}

    async def start(self, app: FastAPI) -> None:
        """Bring everything up, in order."""
        settings = self.service.settings
        url = settings.database_url.get_secret_value()
        pool = await connect(url, name=settings.service)
        await patiently(lambda: sessions_are_ours(pool))
        await patiently(lambda: migrate(pool, self.service.migrations))
        access = Access(
            settings.kafka_bootstrap,
            settings.kafka_user,
            settings.kafka_password.get_secret_value(),
            settings.kafka_ca_file,
            settings.topic_prefix,
        )
        names = read_cells(settings.cells_file)
        await known_to_the_broker(access)
        await patiently(lambda: self.catch_up(pool, access, names))
        sender = Sender(access, f"/maillon/{settings.service}")
        told = sorted({cell for kind in self.service.tells.values() for cell in names[kind]})
        self.relay = Relay(url, sender.send, chosen(settings.cells, told))
        desk = Desk(
            settings=settings,
            pool=pool,
            aggregates=self.service.aggregates,
            sender=sender,
            committed=self.relay.wake.set,
            state=self.service.state,
            keys=await open_vault(settings, pool),
        )
        self.cells = self.build_cells(pool, access, names, self.relay.wake.set)
        self.tasks = [
            asyncio.create_task(self.relay.run(), name="relay"),
            *(asyncio.create_task(cell.run(), name=f"cell {cell.name}") for cell in self.cells),
            *(asyncio.create_task(keep_running(job, desk, url), name=f"job {job.name}") for job in self.service.jobs),
            asyncio.create_task(watched(watch, desk), name="watch"),
            *(asyncio.create_task(watched(view, desk), name="view") for view in self.service.background),
        ]
        self.desk = app.state.desk = desk
        log.info("started", cells=[cell.name for cell in self.cells])

    async def catch_up(self, pool: "asyncpg.Pool[asyncpg.Record]", access: Access, names: Mapping[str, Sequence[str]]) -> None:
        topics = [f"{family}.{cell}" for family, kind in self.service.tells.items() for cell in names[kind]]
        if topics:
            rows = await pool.fetch("SELECT topic, partition, next FROM sent")
            starts = {(r["topic"], r["partition"]): r["next"] for r in rows}
            if found := await take_in(pool, self.service.aggregates, read_on(access, starts, topics)):
                log.warning("took_in", events=found, why="our own topics knew more than our database: an older back-up?")

    def build_cells(
        self,
        pool: "asyncpg.Pool[asyncpg.Record]",
        access: Access,
        names: Mapping[str, Sequence[str]],
        committed: Callable[[], None],
    ) -> list[Cell]:
        service, settings = self.service, self.service.settings
        topics: dict[str, list[str]] = {}
        for family, kind in service.hears.items():
            for cell in names[kind]:
                topics.setdefault(cell, []).append(f"{family}.{cell}")
        if not topics:
            return []
        consumer = Consumer(pool, service.aggregates, service.reactions, service.outside, committed)
        chosen = served(settings.cells, list(topics))
        return [Cell(name, settings.service, settings.replica, topics[name], consumer, access) for name in chosen]

    async def stop(self) -> None:
        """Let batches end and what is recorded be sent, then close everything."""
        for cell in self.cells:
            cell.stopping.set()
        ending = [task for task in self.tasks if task.get_name().startswith("cell ")]
        if ending:
            await asyncio.wait(ending, timeout=10)
        if self.relay is not None and self.desk is not None:
            with suppress(*DATABASE_AWAY):
                async with asyncio.timeout(3):
                    while await self.relay.behind(self.desk.pool):  # noqa: ASYNC110 asked of Postgres
                        await asyncio.sleep(0.02)
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        if self.desk is not None:
            await self.desk.sender.stop()
            pools = [self.desk.pool, *([self.desk.keys.keys] if self.desk.keys else [])]
            for pool in pools:
                with suppress(Exception):
                    async with asyncio.timeout(3):
                        await pool.close()


async def known_to_the_broker(access: Access, patience_s: float = 5.0) -> None:
    """Wait while the broker is away. A password that it refuses is said, not waited for, but for the moment in which it starts."""
    refused = 0.0
    while access.ca_file is None:  # over TLS the first real connection tells
        try:
            await check_login(access.bootstrap, access.user, access.password)
        except WrongCredentials:
            refused += 0.25
            if refused > patience_s:
                raise
        except BrokerAway as error:
            log.warning("start_waits", error=str(error), again_in_s=0.25)
        else:
            return
        await asyncio.sleep(0.25)


async def patiently(attempt: Callable[[], Awaitable[object]]) -> None:
    """Do what a start needs, as soon as what it needs is there. Wrong credentials and our own mistakes are not waited for."""
    wait_s = 0.1
    while True:
        try:
            await attempt()
            return
        except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InsufficientPrivilegeError, asyncpg.PostgresSyntaxError):
            raise
        except (
            *DATABASE_AWAY,
            *BROKER_AWAY,
            *CLASH,
            asyncpg.UniqueViolationError,
        ) as error:  # the last two: another start did the same
            log.warning("start_waits", error=repr(error)[:300], again_in_s=wait_s)
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, 1.0)


async def watched(view: Callable[[Desk], Awaitable[None]], desk: Desk) -> None:
    """Keep a view running; it may fail without the service failing."""
    while True:
        try:
            await view(desk)
        except Outage as error:
            log.warning("view_waits", view=view.__name__, error=error.code)
        except Exception:  # noqa: BLE001 a view may fail without the service failing
            log.exception("view_failed", view=view.__name__)
        await asyncio.sleep(5)


async def open_vault(settings: Settings, own: "asyncpg.Pool[asyncpg.Record]") -> Vault | None:
    """Open the keys' database where the settings name one."""
    if settings.keys_database_url is None or settings.vault_key is None:
        return None
    keys = await connect(settings.keys_database_url.get_secret_value(), name=f"{settings.service} vault", largest=4)
    vault = Vault(keys, base64.b64decode(settings.vault_key.get_secret_value()))
    await patiently(lambda: vault.prepare(own))
    return vault


def assemble(service: Service) -> tuple[FastAPI, Running]:
    """Make the app of a service; its lifespan starts and stops everything else."""
    running = Running(service)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        try:
            try:
                await running.start(app)
            except Exception as error:  # the server below says only that it could not start
                log.critical("start_failed", error=f"{type(error).__name__}: {error}")
                raise
            yield
        finally:
            await running.stop()

    app = build_app(service.settings.service, running.readiness, service.files, lifespan=lifespan)
    for name, value in service.state.items():
        setattr(app.state, name, value)
    if service.pages is not None:
        mount_static(app, service.pages.prefix)
    if service.doors is not None:
        service.doors.install(app)
    for router in service.routers:
        app.include_router(router)
    if service.pages is not None:
        service.pages.reached_by(service.settings.contact)
        show_problems(app, service.pages)
    return app, running


def run(build: Callable[[S], Service], kind: type[S]) -> None:
    """Run a service until SIGTERM or SIGINT. Exits 1 with one clear line when it may not start (settings, password, changed migration)."""
    import uvloop

    try:
        settings = kind()  # filled from the environment
    except ValidationError as error:
        wrong = "; ".join(
            f"MAILLON_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors(include_input=False)
        )
        sys.exit(f"{kind.__name__}: {wrong}")
    logging.configure(settings.log_format, service=settings.service, replica=settings.replica)
    os.nice(settings.nice)
    app, _ = assemble(build(settings))
    # a thread that reads a large report keeps the loop waiting for so long at each turn, not for 5 ms
    sys.setswitchinterval(0.001)
    gc.freeze()  # what was imported stays: looking through it for garbage took 110 ms each time, and every cell waited
    try:
        uvloop.run(serve(app, settings))
    except FatalError:
        sys.exit(1)  # why stands in the log, one line


async def serve(app: FastAPI, settings: Settings) -> None:
    """Serve in this loop, in one process; SIGTERM lets requests under way end."""
    server = Server(
        app, address=settings.http_host, port=settings.http_port, interface=Interfaces.ASGI, websockets=False, log_enabled=False
    )
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, server.stop)
    await server.serve()

"""Where the simulation takes the place of the world: names that the kernel's modules look up, for the time of a block."""

import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncpg

import shared.log
from shared import crash, db, desk, run
from shared.kafka import reader, wire
from shared.kafka.admin import BrokerAway
from tests.simulation.broker import Broker
from tests.simulation.clients import Consumer, Producer
from tests.simulation.clock import ACTOR, Killed, Loop
from tests.simulation.connection import Connection, Pool, connected
from tests.simulation.database import Database

Trace = list[tuple[float, str, str, object]]


@dataclass(slots=True)
class Stage:
    """One world, as the code under it sees it."""

    loop: Loop
    database: Database
    broker: Broker
    cells: Mapping[str, Sequence[str]]
    trace: Trace = field(default_factory=list)
    points: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Where a process is to die: name of the process -> named moment, and how many passages are left."""
    producers: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)
    """What the kernel said of itself that it should never have to say."""

    def note(self, what: str, about: object = "") -> None:
        actor = ACTOR.get()
        self.trace.append((self.loop.now, actor.name if actor else "world", what, about))

    def pass_point(self, name: str) -> None:
        """Die at a named moment, when it is that process's turn."""
        actor = ACTOR.get()
        if actor is None:
            return
        if actor.dead:
            raise Killed(name)
        moment, left = self.points.get(actor.name, ("", 0))
        if moment == name:
            self.points[actor.name] = (moment, left - 1)
            if left <= 1:
                del self.points[actor.name]
                self.note("killed at", name)
                actor.kill()
                raise Killed(name)


_STAGE: list[Stage] = []


class Clock(datetime):
    """The date of the world that plays."""

    @classmethod
    def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]  # a plain one, as everywhere
        return _STAGE[-1].loop.moment().astimezone(tz)


def monotonic() -> float:
    return _STAGE[-1].loop.now


class Listener:
    """The kernel's log: into the trace. A failure that it cannot explain is kept for the judge."""

    def said(self, event: str, **about: object) -> None:
        stage = _STAGE[-1]
        stage.note(event, tuple(sorted((k, str(v)) for k, v in about.items() if k != "exc_info")))

    debug = info = warning = error = critical = said

    def exception(self, event: str, **about: object) -> None:
        self.said(event, **about)
        error = sys.exception()
        where = traceback.extract_tb(error.__traceback__) if error else []
        last = next((f"{frame.name}:{frame.lineno}" for frame in reversed(where) if "/shared/" in frame.filename), "")
        _STAGE[-1].failures.append((event, f"{error!r} at {last}"))


def pass_point(name: str) -> None:
    _STAGE[-1].pass_point(name)


async def check_login(*_: object) -> None:
    if not _STAGE[-1].broker.up:
        raise BrokerAway("no broker")


def produce(**options: Any) -> Producer:
    stage = _STAGE[-1]
    stage.producers += 1
    return Producer(stage.broker, stage.producers, options)


def consume(**options: Any) -> Consumer:
    return Consumer(_STAGE[-1].broker, options)


async def create_pool(_url: str, *, server_settings: Mapping[str, str], max_size: int, **_: object) -> Pool:
    pool = Pool(_STAGE[-1].database, server_settings, max_size)
    pool.idle.append(await connected(pool.database, pool.settings))
    return pool


async def connect(_url: str, *, server_settings: Mapping[str, str], **_: object) -> Connection:
    return await connected(_STAGE[-1].database, server_settings)


def kernel() -> list[Any]:
    return [module for name, module in sys.modules.items() if name.startswith("shared.") and module is not None]


def places() -> list[tuple[Any, str, object]]:
    """Say what is put where."""
    listener = Listener()
    found: list[tuple[Any, str, object]] = [
        (asyncpg, "create_pool", create_pool),
        (asyncpg, "connect", connect),
        (wire, "AIOKafkaProducer", produce),
        (reader, "AIOKafkaConsumer", consume),
        (crash, "point", pass_point),
        (run, "check_login", check_login),
        (run, "read_cells", lambda _file: _STAGE[-1].cells),
        (db, "datetime", Clock),
        (desk, "datetime", Clock),
    ]
    for module in kernel():
        if getattr(module, "monotonic", None) is time.monotonic:
            found.append((module, "monotonic", monotonic))
        if getattr(module, "log", None) is shared.log.log:
            found.append((module, "log", listener))
    return found


_PLACES: list[tuple[Any, str, object]] = []


@contextmanager
def installed(stage: Stage) -> Iterator[None]:
    """Let the kernel play on `stage`."""
    if not _PLACES:
        _PLACES.extend(places())
    before = [(module, name, getattr(module, name)) for module, name, _ in _PLACES]
    for module, name, stand_in in _PLACES:
        setattr(module, name, stand_in)
    _STAGE.append(stage)
    try:
        yield
    finally:
        _STAGE.pop()
        for module, name, value in before:
            setattr(module, name, value)

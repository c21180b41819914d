"""A service small enough to see through: it adds up what it hears, for each stream, and tells the sums."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, assert_never
from uuid import UUID

from shared.aggregate import Aggregate
from shared.consumer import Outside, Reactions
from shared.errors import NotYet, Refused
from shared.events.base import Event, stream_id
from shared.message import Message
from shared.rows import Rows
from shared.run import Service
from shared.settings import Settings

MIGRATIONS = Path(__file__).parent / "migrations"


class Told(Event):
    """Heard: `amount` for the counter `name`; `needs` names a counter that must have been opened before."""

    type: ClassVar[str] = "test.told.v1"

    name: str
    amount: int
    needs: str | None = None
    careless: bool = False
    """Its effect is not guarded by its cause: only the kernel stands between a repeat and a second effect."""


class Asked(Event):
    """Heard from outside: the same, wants an answer."""

    type: ClassVar[str] = "test.asked.v1"

    name: str
    amount: int
    needs: str | None = None


class Added(Event):
    """Told: the sum as it now is."""

    type: ClassVar[str] = "test.added.v1"

    cell: str
    amount: int
    total: int
    cause: str = ""
    """What it was added for: after a restore the same message comes again, and must not count again."""


class Answered(Event):
    """Told: what became of an outsider's message."""

    type: ClassVar[str] = "test.answered.v1"

    cell: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Add:
    id: UUID
    cell: str
    amount: int
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Require:
    id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    id: UUID
    cell: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    cell: str = ""
    total: int = 0
    causes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    cell: str = ""
    code: str | None = None


def decide(counter: Counter, command: Add | Require) -> Sequence[Added]:
    match command:
        case Require():
            if not counter.cell:
                raise NotYet("counter_unknown")
            return []
        case Add(cause=cause) if cause and cause in counter.causes:
            return []
        case Add(amount=13):
            raise Refused("unlucky")
        case Add(amount=666):
            raise KeyError("a bug in a rule")
        case Add(cell=cell, amount=amount, cause=cause):
            return [Added(cell=cell, amount=amount, total=counter.total + amount, cause=cause)]
        case _:
            assert_never(command)


def evolve(counter: Counter, event: Added) -> Counter:
    return replace(counter, cell=event.cell, total=event.total, causes=(*counter.causes, event.cause))


def decide_reply(reply: Reply, command: Answer) -> Sequence[Answered]:
    return [] if reply.code else [Answered(cell=command.cell, code=command.code)]


def evolve_reply(reply: Reply, event: Answered) -> Reply:
    return replace(reply, cell=event.cell, code=event.code)


COUNTERS = Rows("counters", Counter)
REPLIES = Rows("replies", Reply)
COUNTER = Aggregate(
    name="counter",
    events=(Added,),
    new=Counter(),
    decide=decide,
    evolve=evolve,
    topic=lambda c: f"test.sums.{c.cell}",
    rows=COUNTERS,
)
REPLY = Aggregate(
    name="reply",
    events=(Answered,),
    new=Reply(),
    decide=decide_reply,
    evolve=evolve_reply,
    topic=lambda r: f"test.replies.{r.cell}",
    rows=REPLIES,
)


def counter_id(name: str) -> UUID:
    return stream_id("counter", name)


HELD_UP: list[asyncio.Event] = []
"""While this has an entry, what a batch set aside is not durable before that event."""


async def settled() -> None:
    for event in HELD_UP:
        await event.wait()


DISK_FULL: list[int] = []
"""As often as this has entries, the reaction to `disk` meets a full disk."""


def on_told(message: Message, event: Told | Asked) -> Sequence[Add | Require]:
    if event.name == "bug":
        raise KeyError("a bug in a reaction")
    if event.name == "disk" and DISK_FULL:
        raise OSError(DISK_FULL.pop(), "No space left on device")
    cause = "" if isinstance(event, Told) and event.careless else f"{message.stream}/{message.version}"
    needed = [Require(id=counter_id(event.needs))] if event.needs else []
    return [*needed, Add(id=counter_id(event.name), cell=message.cell, amount=event.amount, cause=cause)]


def on_asked(message: Message, event: Asked) -> Sequence[Add | Require | Answer]:
    return [*on_told(message, event), Answer(id=reply_id(message), cell=message.cell, code="accepted")]


def reply_id(message: Message) -> UUID:
    return stream_id("reply", message.stream)


def reject(message: Message, error: Exception) -> Sequence[Answer]:
    code = getattr(error, "code", type(error).__name__)
    if message.headers.get("ce_id") == "unanswerable":
        raise KeyError("a bug in an answer")
    if code == "id_reused":
        return [Answer(id=stream_id("reply", message.topic, message.partition, message.offset), cell=message.cell, code=code)]
    return [Answer(id=reply_id(message), cell=message.cell, code=code)]


AGGREGATES = {Add: COUNTER, Require: COUNTER, Answer: REPLY}
REACTIONS: Reactions = {Told: on_told}
OUTSIDE = Outside(family="test.asked", reactions={Asked: on_asked}, reject=reject, settled=settled)


def build(settings: Settings) -> Service:
    return Service(
        settings=settings,
        aggregates=AGGREGATES,
        reactions=REACTIONS,
        hears={"test.told": "regions", "test.asked": "regions"},
        tells={"test.sums": "regions", "test.replies": "regions"},
        outside=OUTSIDE,
        migrations=MIGRATIONS,
    )

"""Commands in, events out, many at a time: the one path by which state changes.

    Work.load            one query per kind of aggregate, however many commands
      work.carry_out     decide and evolve, in memory: a refusal has written nothing
    work.save            events for ever (events), events until sent (outbox), and the state they made

HTTP brings one command, Kafka a batch of thousands: the same code, the same rules. Always within REPEATABLE READ: what is
decided rests on one moment, and a second writer fails and decides again.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from shared.db import Tx
from shared.errors import Refused
from shared.events.base import Event

LARGEST = 500_000
"""Bytes of one event. Above the broker's limit it would stop the relay for ever, so it is refused before it exists."""

PIECE = 500
"""Rows written by one statement: making its arguments keeps the loop, and with it every other cell of the process."""


class Command(Protocol):
    """What someone wants to happen to the aggregate `id`."""

    @property
    def id(self) -> UUID: ...


@dataclass(frozen=True, slots=True)
class Versioned:
    """A state, and the number of events that made it."""

    state: Any
    version: int = 0


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event with its place in its aggregate's history, and the topic it goes to: none for what only this service needs."""

    stream: UUID
    version: int
    topic: str | None
    event: Event
    data: str
    trace: str | None = None


class States(Protocol):
    """Where the states of one kind of aggregate live (`shared.rows.Rows`, or a service's own where one row does not do)."""

    async def load(self, tx: Tx, ids: Sequence[UUID]) -> Mapping[UUID, Versioned]:
        """Fetch those of `ids` that are known."""

    async def save(self, tx: Tx, states: Mapping[UUID, Versioned]) -> None:
        """Write each as it now is."""

    async def page(self, tx: Tx, after: UUID, limit: int) -> Mapping[UUID, int]:
        """Give ids after `after` with their versions, in order, for the fold check."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Aggregate:
    """Pure rules (`decide`, `evolve`) and where their state lives (`rows`). Its `events` belong to it alone."""

    name: str
    events: tuple[type[Event], ...]
    new: Any
    decide: Callable[[Any, Any], Sequence[Event]]
    evolve: Callable[[Any, Any], Any]
    topic: Callable[[Any], str | None]
    rows: States


Aggregates = Mapping[type, Aggregate]
"""Which aggregate takes which type of command: the table of contents of a service."""


@dataclass(slots=True)
class Work:
    """The aggregates that some commands are about, as they are and as the commands make them."""

    aggregates: Aggregates
    states: dict[UUID, Versioned] = field(default_factory=dict)
    loaded: set[UUID] = field(default_factory=set)
    recorded: list[Recorded] = field(default_factory=list)
    touched: dict[UUID, Aggregate] = field(default_factory=dict)

    async def load(self, tx: Tx, commands: Iterable[Command]) -> None:
        """Fetch every aggregate that `commands` name and that is not here yet."""
        wanted: defaultdict[Aggregate, set[UUID]] = defaultdict(set)
        for command in commands:
            if command.id not in self.loaded:
                wanted[self.aggregates[type(command)]].add(command.id)
        for aggregate, ids in wanted.items():
            self.states |= await aggregate.rows.load(tx, list(ids))
            self.loaded |= ids

    def carry_out(self, commands: Iterable[Command], trace: str | None = None) -> list[Recorded]:
        """Carry out all of `commands`, in order, or none of them. Raises Refused at the first that a rule forbids."""
        states: dict[UUID, Versioned] = {}
        recorded: list[Recorded] = []
        touched: dict[UUID, Aggregate] = {}
        for command in commands:
            aggregate = self.aggregates[type(command)]
            if command.id not in self.loaded:
                raise AssertionError(f"{command.id} was not loaded: its state would be taken for new")
            now = states.get(command.id) or self.states.get(command.id) or Versioned(aggregate.new)
            for event in aggregate.decide(now.state, command):
                before, now = now, Versioned(aggregate.evolve(now.state, event), now.version + 1)
                recorded.append(record(aggregate, command.id, before, now, event, trace))
                touched[command.id] = aggregate
            states[command.id] = now
        self.states.update(states)
        self.touched.update(touched)
        self.recorded.extend(recorded)
        return recorded

    async def save(self, tx: Tx) -> None:
        """Write what happened and what it made. Two writers of one stream: the later one fails, and is tried again."""
        if not self.recorded:
            return
        rows = sorted(self.recorded, key=lambda r: (r.stream.int, r.version))
        for n in range(0, len(rows), PIECE):
            await insert(tx, rows[n : n + PIECE], outbox=True)
        changed: defaultdict[Aggregate, dict[UUID, Versioned]] = defaultdict(dict)
        for stream, aggregate in self.touched.items():
            changed[aggregate][stream] = self.states[stream]
        for aggregate, states in sorted(changed.items(), key=lambda pair: pair[0].name):
            ids = sorted(states, key=lambda i: i.int)
            for n in range(0, len(ids), PIECE):
                await aggregate.rows.save(tx, {i: states[i] for i in ids[n : n + PIECE]})


def record(aggregate: Aggregate, stream: UUID, before: Versioned, now: Versioned, event: Event, trace: str | None) -> Recorded:
    """Give the event its place and its topic. A stream that would change its topic is a bug, an event too large is refused."""
    topic, data = aggregate.topic(now.state), event.model_dump_json()
    if before.version and aggregate.topic(before.state) != topic:
        raise AssertionError(f"{stream} moves from {aggregate.topic(before.state)} to {topic}: end it, start another")
    if type(event) not in aggregate.events:
        raise AssertionError(f"{type(event).__name__} is not among the events of {aggregate.name}: it could not be folded")
    if len(data) > LARGEST or len(data.encode()) > LARGEST:
        raise Refused("event_too_large", bytes=len(data.encode()), largest=LARGEST)
    return Recorded(stream, now.version, topic, event, data, trace)


async def insert(tx: Tx, recorded: Iterable[Recorded], *, outbox: bool) -> None:
    """Keep events for ever; those with a topic also until they are sent. In order of stream and version: no ring of waiting writers."""
    rows = sorted(recorded, key=lambda r: (r.stream.int, r.version))
    await tx.connection.execute(
        """
        WITH kept AS (
            INSERT INTO events (stream, version, type, topic, at, trace, data)
            SELECT s, v, t, o, $7, r, d
            FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::text[], $6::json[]) AS _(s, v, t, o, r, d)
            RETURNING topic, seq
        )
        INSERT INTO outbox (topic, seq) SELECT topic, seq FROM kept WHERE topic IS NOT NULL AND $8
        """,
        [r.stream for r in rows],
        [r.version for r in rows],
        [r.event.type for r in rows],
        [r.topic for r in rows],
        [r.trace or tx.trace for r in rows],
        [r.data for r in rows],
        tx.now,
        outbox,
    )

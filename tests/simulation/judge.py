"""What must hold of a history, by name: some at every commit, the rest when all is healed and quiet."""

from collections import Counter as Count
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from tests.shared.counter import Added, Answered, Told, counter_id
from tests.simulation.broker import Broker, Record
from tests.simulation.database import Database, Session, Tables, Transaction
from tests.simulation.plan import Line, Plan
from tests.simulation.schema import Key

ONCE = "each message has its effect once"
ORDER = "effects of a stream come in its order"
POSITIONS = "positions are what publishers published"
FOLD = "rows are what events say"
PUBLISHED = "what is on the wire is what happened, and all of it"
NUMBERS = "a number is never given twice"
RECEIPTS = "an outsider gets exactly one answer"
PARKED = "nothing is set aside but for its own fault, and nothing that has one is let through"
FORKS = "two histories of one stream are found"
BACKWARDS = "what is dealt with is never forgotten without a restore"
ONE_RELAY = "one relay a cell"
ONE_MOMENT = "what is decided rests on the moment in which it is written"
ANSWERED = "what was answered with yes is there"
NO_SURPRISE = "the kernel meets nothing that it cannot explain"
QUIET = "once healed, all is dealt with and sent"

Place = tuple[UUID, str, int]


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that broke, and the first thing that shows it."""

    invariant: str
    what: str


@dataclass(slots=True)
class Expected:
    """How a plan ends when every promise is kept."""

    done: list[Line] = field(default_factory=list)
    parked: dict[Place, set[str]] = field(default_factory=dict)
    positions: dict[tuple[UUID, str], int] = field(default_factory=dict)

    @classmethod
    def of(cls, plan: Plan) -> "Expected":
        found = cls()
        streams: defaultdict[tuple[UUID, str], list[Line]] = defaultdict(list)
        for line in plan.lines:
            streams[line.stream, line.topic].append(line)
        opened: set[str] = set()
        at = dict.fromkeys(streams, 0)
        moved = True
        while moved:
            moved = False
            for place, lines in streams.items():
                while at[place] < len(lines) and lines[at[place]].poison is None:
                    event = lines[at[place]].event
                    assert isinstance(event, Told)
                    if event.needs is not None and event.needs not in opened:
                        break
                    opened.add(event.name)
                    found.done.append(lines[at[place]])
                    at[place] += 1
                    moved = True
        for place, lines in streams.items():
            found.positions[place] = at[place]
            for n, line in enumerate(lines[at[place] :]):
                why = {line.poison or "early"} if n == 0 else {"blocked", "gap"}
                found.parked[line.stream, line.topic, line.version] = why
        return found


@dataclass(slots=True)
class Judge:
    """Watches a history, and judges its end."""

    plan: Plan
    database: Database
    broker: Broker
    expected: Expected
    violations: list[Violation] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    """What became of each request: ok, unknown; none yet is unknown too."""
    unsure: set[str] = field(default_factory=set)
    """Requests whose effect a restore may have taken."""
    skipped: set[Place] = field(default_factory=set)

    def say(self, invariant: str, what: str) -> None:
        self.violations.append(Violation(invariant, what))

    def watch(self) -> None:
        """Look at each commit, each clash and each relay."""
        self.database.committing = self.commit
        self.database.clashing = self.clash
        self.database.relaying = self.relay

    def commit(self, tx: Transaction, after: Tables) -> None:
        for table, column in (("cursor", "next"), ("seen", "version"), ("sent", "next")):
            for key in tx.changes.get(table, ()):
                was, now = self.database.tables.get(table, {}).get(key), after[table].get(key)
                if was is not None and (now is None or now[column] < was[column]):
                    self.say(BACKWARDS, f"{table} of {key} went from {was[column]} to {now and now[column]}")

    def clash(self, tx: Transaction, table: str, key: Key) -> None:
        if table == "events" and key in tx.base.get(table, {}):
            self.say(ONE_MOMENT, f"number {key[1]} of {key[0]} was given although its own moment shows it taken")

    def relay(self, session: Session, cells: Collection[str]) -> None:
        for cell in cells:
            if self.database.advisory.get(("relay", cell)) is not session:
                self.say(ONE_RELAY, f"{session.actor.name if session.actor else '-'} sends for {cell} without its lock")

    def answered(self, cause: str) -> None:
        """Somebody was told yes: it must be there at this moment."""
        self.answers[cause] = "ok"
        if self.caused()[cause] != 1:
            self.say(ANSWERED, f"{cause} was answered with yes, and is not there")

    def caused(self) -> "Count[str]":
        return Count(Added.model_validate_json(r["data"]).cause for r in self.database.rows("events") if r["type"] == Added.type)

    def is_quiet(self) -> bool:
        """Tell whether everything that was told is dealt with and everything made is sent."""
        cursor, ends = self.database.tables.get("cursor", {}), self.broker.ends()
        read = all(
            cursor.get((tp.topic, tp.partition), {}).get("next", 0) == end
            for tp, end in ends.items()
            if tp.topic.startswith(("test.told", "test.asked"))
        )
        return read and not self.database.rows("outbox")

    def end(self) -> Iterator[Violation]:
        """Judge the end of a history."""
        yield from self.effects()
        yield from self.set_aside()
        yield from self.positions()
        yield from self.wire()
        yield from self.receipts()
        yield from self.requests()

    def effects(self) -> Iterator[Violation]:
        """One effect for each message, in order."""
        found: defaultdict[tuple[str, UUID], list[int]] = defaultdict(list)
        careless: Count[tuple[UUID, int]] = Count()
        totals: Count[UUID] = Count()
        for row in self.database.rows("events"):
            if row["type"] == Added.type:
                event = Added.model_validate_json(row["data"])
                found[event.cause, row["stream"]].append(row["version"])
                totals[row["stream"]] += event.amount
                if not event.cause:
                    careless[row["stream"], event.amount] += 1
        wanted: Count[tuple[UUID, int]] = Count()
        last: dict[tuple[UUID, str, UUID], int] = {}
        for line in self.expected.done:
            event_told = line.event
            assert isinstance(event_told, Told)
            counter = counter_id(event_told.name)
            if event_told.careless:
                wanted[counter, event_told.amount] += 1
                continue
            effects = found.pop((f"{line.stream}/{line.version}", counter), [])
            if len(effects) != 1:
                yield Violation(ONCE, f"message {line.version} of {line.stream} in {line.topic} has {len(effects)} effects")
                continue
            place = (line.stream, line.topic, counter)
            if effects[0] <= last.get(place, 0):
                yield Violation(ORDER, f"message {line.version} of {line.stream} had its effect before the one before it")
            last[place] = effects[0]
        if wanted != careless:
            more, less = dict(careless - wanted), dict(wanted - careless)
            yield Violation(ONCE, f"effects without a guard of their own: {more} too many, {less} missing")
        others = {c for c, _ in found if c and not c.startswith("request ") and not self.asked(c)}
        if others:
            yield Violation(ONCE, f"effects that nothing explains: {sorted(others)[:3]}")
        rows = {row["id"]: row["total"] for row in self.database.rows("counters")}
        if rows != dict(totals):
            yield Violation(FOLD, f"totals {rows} where events say {dict(totals)}")

    def asked(self, cause: str) -> bool:
        """Tell whether a cause is an outsider's message (their numbers are judged by their answers)."""
        return cause.endswith("/1") and not any(cause == f"{line.stream}/{line.version}" for line in self.plan.lines)

    def set_aside(self) -> Iterator[Violation]:
        there: dict[Place, str] = {}
        for row in self.database.rows("parked"):
            place = (row["stream"], row["topic"], row["version"])
            if row["why"] == "fork":
                continue
            there[place] = row["why"]
            if row["why"] not in self.expected.parked.get(place, set()):
                yield Violation(PARKED, f"{place} is set aside: {row['why']}, {row['reason']}")
        for place, why in self.expected.parked.items():
            if place not in there:
                yield Violation(PARKED, f"{place} should be set aside: {sorted(why)}")

    def positions(self) -> Iterator[Violation]:
        seen = {(row["stream"], row["topic"]): row for row in self.database.rows("seen")}
        for place, version in self.expected.positions.items():
            at = seen.pop(place, None)
            if (at["version"] if at else 0) != version:
                yield Violation(POSITIONS, f"{place} stands at {at and at['version']}, told and dealt with are {version}")
            first = min((v for s, t, v in self.expected.parked if (s, t) == place), default=None)
            if at and at["parked_from"] != first:
                yield Violation(POSITIONS, f"{place} is said to wait from {at['parked_from']}, it waits from {first}")
        for place, row in seen.items():
            if not place[1].startswith("test.asked.") or row["version"] != 1:
                yield Violation(POSITIONS, f"{place} stands at {row['version']}, nobody told it")

    def wire(self) -> Iterator[Violation]:
        """Every event with a topic is there, in order, with its bytes; nothing else is."""
        events = {(r["topic"], r["stream"], r["version"]): r["data"] for r in self.database.rows("events")}
        last: dict[tuple[str, UUID], int] = {}
        there: dict[tuple[str, UUID, int], bytes] = {}
        for record in self.broker.records(t for t in self.broker.topics if t.startswith(("test.sums", "test.replies"))):
            place = position(record)
            topic, stream, version = place
            if there.setdefault(place, record.value) != record.value:
                yield Violation(NUMBERS, f"number {version} of {stream} went out twice, with other bytes")
            if version > last.get((topic, stream), 0) + 1:
                yield Violation(PUBLISHED, f"number {version} of {stream} went out before the one before it")
            last[topic, stream] = max(version, last.get((topic, stream), 0))
            if place not in events:
                yield Violation(PUBLISHED, f"number {version} of {stream} is on {topic} and never happened")
            elif events[place].encode() != record.value:
                yield Violation(NUMBERS, f"number {version} of {stream} is another on the wire")
        for place in events:
            if place[0] and place not in there:
                yield Violation(PUBLISHED, f"number {place[2]} of {place[1]} never came to {place[0]}")

    def receipts(self) -> Iterator[Violation]:
        codes = Count(
            Answered.model_validate_json(r["data"]).code for r in self.database.rows("events") if r["type"] == Answered.type
        )
        wanted = Count(ask.answer for ask in self.plan.asks)
        if codes != wanted:
            yield Violation(RECEIPTS, f"answers {dict(codes)}, there should be {dict(wanted)}")

    def requests(self) -> Iterator[Violation]:
        found = self.caused()
        for request in self.plan.requests:
            there, told = found[request.cause], self.answers.get(request.cause, "unknown")
            if there > 1:
                yield Violation(ONCE, f"{request.cause} has {there} effects")
            if told == "ok" and there != 1 and request.cause not in self.unsure:
                yield Violation(ANSWERED, f"{request.cause} was answered with yes, and is gone")

    def about_to_restore(self, before: Mapping[Key, Any]) -> None:
        """Note which requests a restore may undo: their events are neither in the back-up nor on the wire."""
        wire = {position(r)[1:] for t in self.broker.topics if t.startswith("test.sums") for r in self.broker.records([t])}
        for key, row in self.database.tables.get("events", {}).items():
            if key not in before and key not in wire and row["type"] == Added.type:
                self.unsure.add(Added.model_validate_json(row["data"]).cause)


def position(record: Record) -> tuple[str, UUID, int]:
    headers = dict(record.headers)
    return record.topic, UUID(headers["ce_subject"].decode()), int(headers["ce_streamversion"])

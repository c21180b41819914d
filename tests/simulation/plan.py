"""What happens in one history, drawn from its seed: who tells what and when, and what goes wrong meanwhile."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal
from uuid import UUID, uuid5

from shared import crash
from shared.events.base import Event
from tests.shared.counter import Asked, Told
from tests.simulation.broker import Told as Bytes

NAMES = UUID(int=0x5EED)
SOURCE = b"/maillon/test"
FaultKind = Literal[
    "kill",
    "kill at point",
    "freeze",
    "expel",
    "stop",
    "broker crash",
    "database crash",
    "lose session",
    "lose acks",
    "slow",
    "replay",
    "restore",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One message of a stream, and what is to become of it."""

    stream: UUID
    topic: str
    version: int
    event: Event
    poison: str | None = None
    """Why it is set aside for people; None: it has its effect."""
    value: bytes | None = None

    @property
    def bytes(self) -> Bytes:
        key = str(self.stream).encode()
        value = self.value if self.value is not None else self.event.model_dump_json().encode()
        headers = [
            ("ce_id", str(uuid5(self.stream, str(self.version))).encode()),
            ("ce_source", SOURCE),
            ("ce_type", self.event.type.encode()),
            ("ce_subject", key),
            ("ce_streamversion", str(self.version).encode()),
        ]
        return key, value, tuple(headers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """An outsider's message, and the answer that it must get."""

    topic: str
    name: str
    event: Asked
    answer: str
    value: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] | None = None

    @property
    def bytes(self) -> Bytes:
        value = self.value if self.value is not None else self.event.model_dump_json().encode()
        usual = (("ce_id", self.name.encode()), ("ce_source", b"partner"), ("ce_type", Asked.type.encode()))
        return self.name.encode(), value, self.headers if self.headers is not None else usual


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A command that somebody gives over HTTP."""

    at: float
    process: int
    cell: str
    name: str
    amount: int
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something goes wrong."""

    at: float
    kind: FaultKind
    process: int = 0
    seconds: float = 0.0
    number: int = 0
    word: str = ""


@dataclass(slots=True, kw_only=True)
class Plan:
    """A whole history, before it happens."""

    seed: int
    processes: int
    cells: tuple[str, ...]
    partitions: int
    lines: list[Line] = field(default_factory=list)
    asks: list[Ask] = field(default_factory=list)
    told: list[tuple[float, str, Bytes]] = field(default_factory=list)
    """When, on which topic, what: repeats, gaps and all."""
    forks: list[Line] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    lasts: float = 1.5
    restores: bool = False
    split: bool = False
    """One of the cells has a process of its own."""
    sender_timeout_s: float = 2.0


class Draft:
    """Draws a plan."""

    def __init__(self, seed: int) -> None:
        self.chance = chance = random.Random(seed)  # noqa: S311 repeatable, no secret
        self.plan = Plan(
            seed=seed,
            processes=chance.choices([1, 2, 3], [40, 48, 12])[0],
            cells=("ara",) if chance.random() < 0.7 else ("ara", "idf"),
            partitions=chance.choice([1, 2]),
            restores=chance.random() < 0.15,
            sender_timeout_s=chance.choice([0.4, 1.0, 3.0]),
        )
        self.plan.split = self.plan.processes > 1 and len(self.plan.cells) > 1 and seed % 2 == 0
        self.doors: list[str] = []
        self.count = 0

    def drawn(self) -> Plan:
        plan, chance = self.plan, self.chance
        plan.lasts = 0.6 + chance.random() * 1.4
        for _ in range(chance.randint(2, 5)):
            self.stream()
        if chance.random() < 0.15 and len(plan.cells) == 2:
            self.twin()
        for _ in range(chance.choice([0, 0, 1, 2, 4])):
            self.ask()
        for n in range(chance.choice([0, 0, 1, 3, 6])):
            self.request(n)
        self.go_wrong()
        self.pair()
        plan.told.sort(key=lambda told: told[0])
        return plan

    def when(self) -> float:
        return self.chance.random() * self.plan.lasts * 0.8

    def uuid(self) -> UUID:
        return UUID(int=self.chance.getrandbits(128), version=4)

    def stream(self) -> None:
        """A stream of one to six messages, told in order but for what this draw makes of it."""
        cell = self.chance.choice(self.plan.cells)
        hot = self.chance.random() < 0.6
        name = f"{cell} hot" if hot else f"{cell} {len(self.plan.lines)}"
        stream, topic = self.uuid(), f"test.told.{cell}"
        careless = not self.plan.restores and self.chance.random() < 0.7
        lines = []
        poisoned = False
        for version in range(1, self.chance.choice([1, 2, 3, 4, 6]) + 1):
            line = self.line(stream, topic, version, name, careless)
            poisoned = poisoned or line.poison is not None
            lines.append(line)
        if not poisoned and not hot and lines[0].event.needs is None:  # type: ignore[attr-defined]
            self.doors.append(name)
        self.plan.lines += lines
        self.tell(lines)

    def line(self, stream: UUID, topic: str, version: int, name: str, careless: bool) -> Line:
        draw, amount = self.chance.random(), self.chance.choice([1, 2, 3, 5])
        needs = self.chance.choice(self.doors) if self.doors and draw > 0.85 else None
        event, poison, value = Told(name=name, amount=amount, careless=careless, needs=needs), None, None
        if draw < 0.02:
            event, poison = Told(name=name, amount=13), "refused"
        elif draw < 0.035:
            event, poison = Told(name=name, amount=666), "bug"
        elif draw < 0.05:
            event, poison = Told(name="bug", amount=1), "bug"
        elif draw < 0.07:
            event, poison = Told(name=f"{topic} limit {stream} {version}", amount=4242), "unstorable"
        elif draw < 0.08:
            event, poison = Told(name=f"{topic} huge {stream} {version}", amount=2**70), "unstorable"
        elif draw < 0.1:
            poison, value = "malformed", b"{"
        elif draw < 0.12:
            event, poison = Told(name=name, amount=1, needs="nobody opens this"), "early"
        return Line(stream=stream, topic=topic, version=version, event=event, poison=poison, value=value)

    def tell(self, lines: Sequence[Line]) -> None:
        """Put the messages of a stream in time: mostly in order, some again, some late, some with a second history."""
        plan, chance = self.plan, self.chance
        at = sorted(self.when() for _ in lines)
        if chance.random() < 0.5:
            at = [at[0]] * len(lines)
        order = list(lines)
        late = len(lines) > 1 and chance.random() < 0.2
        if late:
            moved = order.pop(chance.randrange(len(order) - 1))
            order.append(moved)
        for when, line in zip(at, order, strict=True):
            plan.told.append((when, line.topic, line.bytes))
            if chance.random() < 0.15:
                plan.told.append((when + chance.random() * 0.5, line.topic, line.bytes))
        if not late and chance.random() < 0.06 and not any(line.poison for line in lines):
            self.fork(lines, at)

    def fork(self, lines: Sequence[Line], at: Sequence[float]) -> None:
        """Let the last number come again with other bytes, after all else of its stream."""
        last = lines[-1]
        other = Line(
            stream=last.stream,
            topic=last.topic,
            version=last.version,
            event=Told(name="another history", amount=1),
            poison="fork",
        )
        self.plan.forks.append(other)
        self.plan.told.append((at[-1] + 0.51, other.topic, other.bytes))

    def twin(self) -> None:
        """Somebody else speaks on another topic under the same stream's name."""
        first = self.plan.lines[0]
        topic = next(f"test.told.{cell}" for cell in self.plan.cells if f"test.told.{cell}" != first.topic)
        cell = topic.rpartition(".")[2]
        lines = [
            Line(stream=first.stream, topic=topic, version=v, event=Told(name=f"{cell} twin", amount=1, careless=False))
            for v in (1, 2)
        ]
        self.plan.lines += lines
        self.tell(lines)

    def ask(self) -> None:
        """An outsider's message; at times again, at times with other bytes under its id, at times no message at all."""
        chance, plan = self.chance, self.plan
        cell = chance.choice(plan.cells)
        topic, name, draw = f"test.asked.{cell}", f"ask {len(plan.asks)}", chance.random()
        needs = chance.choice(self.doors) if self.doors and draw > 0.8 else None
        event = Asked(name=f"{cell} asked", amount=chance.choice([1, 2]), needs=needs)
        ask = Ask(topic=topic, name=name, event=event, answer="accepted")
        if draw < 0.1:
            ask = Ask(topic=topic, name=name, event=Asked(name=f"{cell} asked", amount=13), answer="unlucky")
        elif draw < 0.2:
            ask = Ask(topic=topic, name=name, event=event, value=b"{", answer="contract")
        elif draw < 0.25:
            ask = Ask(topic=topic, name=name, event=event, headers=(("ce_source", b"partner"),), answer="missing_ce_id")
        elif draw < 0.3:
            ask = Ask(topic=topic, name=name, event=Asked(name=f"{cell} limit {name}", amount=4242), answer="CheckViolationError")
        plan.asks.append(ask)
        when = self.when()
        plan.told.append((when, topic, ask.bytes))
        if ask.headers is None and chance.random() < 0.3:
            plan.told.append((when + chance.random() * 0.4, topic, ask.bytes))
        if ask.headers is None and needs is None and chance.random() < 0.15:
            again = Ask(topic=topic, name=name, event=Asked(name=f"{cell} asked", amount=5), answer="id_reused")
            plan.asks.append(again)
            plan.told.append((when + 0.41, topic, again.bytes))

    def request(self, number: int) -> None:
        cell = self.chance.choice(self.plan.cells)
        self.plan.requests.append(
            Request(
                at=0.2 + self.when(),
                process=self.chance.randrange(self.plan.processes),
                cell=cell,
                name=f"{cell} hot",
                amount=self.chance.choice([1, 2]),
                cause=f"request {number}",
            )
        )

    def pair(self) -> None:
        """Let every second request come right behind the one before it, for the same thing: two who want it at once."""
        requests = self.plan.requests
        for n in range(1, len(requests), 2):
            first = requests[n - 1]
            requests[n] = replace(requests[n], at=first.at + 0.001, cell=first.cell, name=first.name)

    def go_wrong(self) -> None:
        """Draw the faults."""
        plan, chance = self.plan, self.chance
        kinds: list[FaultKind] = [
            "kill", "kill at point", "kill at point", "freeze", "freeze", "expel", "expel", "stop",
            "broker crash", "database crash", "lose session", "lose acks", "slow", "replay",
        ]  # fmt: skip
        for _ in range(chance.choice([0, 1, 1, 2, 2, 3, 4])):
            plan.faults.append(self.fault(chance.choice(kinds)))
        if plan.restores:
            plan.faults.append(Fault(at=plan.lasts * (0.4 + 0.4 * chance.random()), kind="restore", seconds=chance.random()))

    def fault(self, kind: FaultKind) -> Fault:
        chance = self.chance
        word = chance.choice(crash.POINTS) if kind == "kill at point" else chance.choice(self.plan.cells)
        seconds = 0.02 + chance.random() ** 3 * (14.0 if kind == "freeze" and chance.random() < 0.1 else 1.0)
        return Fault(
            at=0.05 + self.when(),
            kind=kind,
            process=chance.randrange(self.plan.processes),
            seconds=seconds,
            number=chance.randint(1, 200 if kind == "kill" else 3),
            word=word,
        )

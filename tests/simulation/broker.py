"""A broker in memory: partitions with a leader that is ahead of its followers, and consumer groups that rebalance as a whole.

Three replicas are told in two numbers: how far the leader has written, and how far all have (`high`). Readers see up to `high`; a
leader that dies takes with it some of what lies above, so what was acknowledged without waiting for the others may be lost.
"""

import asyncio
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError

from tests.simulation.clock import Actor, Loop, alive
from tests.simulation.database import arrive


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A message where it lies."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes
    headers: Sequence[tuple[str, bytes]]
    timestamp: int
    batch: tuple[int, int] | None = None
    """Who sent it and the number of its batch, where its producer numbers them."""


Told = tuple[bytes | None, bytes, Sequence[tuple[str, bytes]]]


@dataclass(slots=True, eq=False)
class Partition:
    """One log."""

    log: list[Record] = field(default_factory=list)
    high: int = 0
    acknowledging: list[tuple[int, "asyncio.Future[None]"]] = field(default_factory=list)


class Member(Protocol):
    """What a group knows of those in it."""

    actor: Actor | None

    def called(self) -> None: ...
    def fenced(self) -> None: ...


@dataclass(slots=True, eq=False)
class Group:
    """A consumer group: joins stop everybody, a member that comes back under its name takes over where it was."""

    broker: "Broker"
    topics: Sequence[str]
    members: dict[str, Member] = field(default_factory=dict)
    assigned: dict[str, list[TopicPartition]] = field(default_factory=dict)
    joining: dict[str, "asyncio.Future[list[TopicPartition]]"] = field(default_factory=dict)
    rebalancing: bool = False
    turn: int = 0
    offsets: dict[TopicPartition, int] = field(default_factory=dict)

    async def join(self, name: str, member: Member) -> list[TopicPartition]:
        """Come in, and wait for one's share."""
        await self.broker.trip()
        before = self.members.get(name)
        if before is not None and before is not member:
            self.broker.loop.after(self.broker.chance.random() * 0.2, before.fenced)
        self.members[name] = member
        if before is not None and before is not member and not self.rebalancing and name in self.assigned:
            return self.assigned[name]
        self.joining[name] = mine = self.broker.loop.create_future()
        if self.rebalancing:
            self.complete()
        else:
            self.rebalance()
        share: list[TopicPartition] = await mine
        alive()
        return share

    def rebalance(self) -> None:
        """Call everybody to join again; who does not come in time is out."""
        if self.rebalancing:
            return
        self.rebalancing = True
        self.turn += 1
        broker = self.broker
        for name, member in self.members.items():
            if name not in self.joining:
                broker.loop.after(0.005 + broker.chance.random() * 0.1, member.called)
        broker.loop.after(broker.patience_s, self.complete, self.turn)
        self.complete()

    def complete(self, late: int = 0) -> None:
        """End a rebalance when all are there, or when turn `late` has taken too long."""
        if not self.rebalancing or late not in {0, self.turn}:
            return
        if late:
            self.members = {name: m for name, m in self.members.items() if name in self.joining}
        if not self.joining or any(name not in self.joining for name in self.members):
            if late:
                self.rebalancing = False
            return
        places = [TopicPartition(t, n) for t in self.topics for n in range(len(self.broker.topics[t]))]
        names = sorted(self.members)
        turn = self.broker.chance.randrange(len(names))
        self.assigned = {name: places[(n + turn) % len(names) :: len(names)] for n, name in enumerate(names)}
        joining, self.joining, self.rebalancing = self.joining, {}, False
        for name, future in joining.items():
            if not future.done():
                future.set_result(self.assigned.get(name, []))

    def expel(self, name: str, member: Member | None = None) -> None:
        """Take a member for dead. It learns of it at its next heartbeat, and works on until then."""
        found = self.members.get(name)
        if found is None or (member is not None and found is not member):
            return
        del self.members[name]
        self.assigned.pop(name, None)
        if (waiting := self.joining.pop(name, None)) is not None:
            waiting.set_exception(KafkaConnectionError("unknown member"))
        self.broker.loop.after(0.02 + self.broker.chance.random() * 0.4, found.called)
        if self.members:
            self.rebalance()
            self.complete()


@dataclass(slots=True, eq=False)
class Broker:
    """The cluster."""

    loop: Loop
    chance: random.Random
    epoch_s: float
    topics: dict[str, list[Partition]] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    up: bool = True
    waiting: list["asyncio.Future[None]"] = field(default_factory=list)
    patience_s: float = 1.5
    """How long it waits for a member that says nothing. Ten times less than real ones: short histories."""
    losing_acks: float = 0.0
    """How likely an acknowledgement does not come through."""
    slow: float = 1.0

    def delay(self) -> float:
        draw = self.chance.random()
        return (0.0005 + 0.003 * draw if draw < 0.93 else 0.06 * (draw - 0.9) * 10) * self.slow

    async def trip(self) -> None:
        """Ask and hear back. Raises KafkaConnectionError while nobody is there."""
        alive()
        arrived = self.loop.create_future()
        self.loop.call_later(self.delay(), arrive, arrived)
        await arrived
        alive()
        if not self.up:
            raise KafkaConnectionError("no broker")

    def create(self, topic: str, partitions: int) -> None:
        self.topics[topic] = [Partition() for _ in range(partitions)]

    def append(self, place: TopicPartition, messages: Iterable[Told], batch: tuple[int, int] | None = None) -> tuple[int, int]:
        """Write at the leader. Gives where it begins and ends; a numbered batch that is there already is not written again."""
        partition = self.topics[place.topic][place.partition]
        told = list(messages)
        if batch is not None:
            for record in partition.log:
                if record.batch == batch:
                    return record.offset, record.offset + len(told)
        first = len(partition.log)
        timestamp = int((self.epoch_s + self.loop.now) * 1000)
        for offset, (key, value, headers) in enumerate(told, first):
            partition.log.append(
                Record(
                    topic=place.topic,
                    partition=place.partition,
                    offset=offset,
                    key=key,
                    value=value,
                    headers=headers,
                    timestamp=timestamp,
                    batch=batch,
                )
            )
        slow = 0.001 + 0.03 * self.chance.random() ** 3
        self.loop.after(slow, self.replicate, partition, first + len(told))
        return first, first + len(told)

    def replicate(self, partition: Partition, end: int) -> None:
        """Let the followers have what the leader had a moment ago."""
        end = min(end, len(partition.log))
        if not self.up or end <= partition.high:
            return
        partition.high = end
        for needed, future in partition.acknowledging:
            if needed <= end:
                arrive(future)
        partition.acknowledging = [(n, f) for n, f in partition.acknowledging if n > end]
        self.wake()

    def wake(self) -> None:
        waiting, self.waiting = self.waiting, []
        for future in waiting:
            arrive(future)

    def crash(self) -> None:
        """The leaders die: nobody is there for a while, and some of what only they had is gone."""
        self.up = False
        for partitions in self.topics.values():
            for partition in partitions:
                del partition.log[self.chance.randint(partition.high, len(partition.log)) :]
                partition.acknowledging.clear()

    def restart(self) -> None:
        """Followers lead: what they have is what counts."""
        self.up = True
        for partitions in self.topics.values():
            for partition in partitions:
                self.replicate(partition, len(partition.log))
        self.wake()

    def gone(self, actor: Actor) -> None:
        """A process is no more: its seats are kept for it for a while."""
        for group in self.groups.values():
            for name, member in list(group.members.items()):
                if member.actor is actor:
                    self.loop.after(self.patience_s, group.expel, name, member)

    def records(self, topics: Iterable[str]) -> list[Record]:
        """All that readers may see."""
        return [r for topic in topics for partition in self.topics[topic] for r in partition.log[: partition.high]]

    def ends(self) -> Mapping[TopicPartition, int]:
        return {TopicPartition(t, n): p.high for t, partitions in self.topics.items() for n, p in enumerate(partitions)}

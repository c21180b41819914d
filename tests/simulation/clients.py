"""Stand-ins for what the kernel takes from aiokafka: a producer and a consumer, with the part of their inside that it touches."""

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaConnectionError, UnknownError

from tests.simulation.broker import Broker, Group, Record, Told
from tests.simulation.clock import ACTOR, Actor, alive
from tests.simulation.database import arrive

BACK_OFF_S = 0.1
LARGEST_BATCH = 128 * 1024
RETRY_AFTER_S = 0.25
"""When a request without an answer is sent again: far sooner than real clients do, for short histories."""


class Metadata(NamedTuple):
    """Where a message lies."""

    partition: int
    offset: int


@dataclass(slots=True)
class Batch:
    """Messages that go together, or not at all."""

    messages: list[Told] = field(default_factory=list)
    weight: int = 0
    done: "asyncio.Future[Metadata] | None" = None

    def append(
        self, *, timestamp: int | None, key: bytes | None, value: bytes, headers: Sequence[tuple[str, bytes]]
    ) -> object | None:
        """Take one more; None when there is no room for it. Times are the broker's."""
        if timestamp is not None:
            raise NotImplementedError("times of messages")
        size = len(key or b"") + len(value) + sum(len(k) + len(v) for k, v in headers)
        if self.messages and self.weight + size > LARGEST_BATCH:
            return None
        self.messages.append((key, value, tuple(headers)))
        self.weight += size
        return self

    def close(self) -> None:
        """Nothing: who closes it appends no more."""

    def record_count(self) -> int:
        return len(self.messages)


@dataclass(slots=True)
class Line:
    """What waits for one partition; one batch of it is under way at a time."""

    waiting: deque[Batch] = field(default_factory=deque)
    batch: Batch | None = None
    number: int = 0
    tries: int = 0
    pumping: bool = False


class Inside:
    """`producer.client`, `producer._sender`, `consumer._client`."""

    def __init__(self, owner: "Producer | Consumer") -> None:
        self.owner = owner

    async def add_topic(self, _topic: str) -> None:
        alive()

    async def force_metadata_update(self) -> None:
        await self.owner.broker.trip()

    async def close(self) -> None:
        alive()
        self.owner.closed = True


class Producer:
    """AIOKafkaProducer as the kernel uses it."""

    def __init__(self, broker: Broker, number: int, options: Mapping[str, Any]) -> None:
        self.broker, self.number = broker, number
        self.all, self.idempotent = options["acks"] in {"all", -1}, bool(options.get("enable_idempotence"))
        self.linger_s = float(options.get("linger_ms", 0)) / 1000
        self.lines: dict[TopicPartition, Line] = {}
        self.closed = False
        self.client = self._sender = Inside(self)
        self.context = copy_context()
        self.empty: list[asyncio.Future[None]] = []

    async def start(self) -> None:
        await self.broker.trip()

    async def partitions_for(self, topic: str) -> set[int]:
        alive()
        return set(range(len(self.broker.topics[topic])))

    def create_batch(self) -> Batch:
        return Batch()

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> "asyncio.Future[Metadata]":
        """Put a batch in its partition's line."""
        alive()
        if self.closed:
            raise KafkaConnectionError("producer is closed")
        place = TopicPartition(topic, partition)
        line = self.lines.setdefault(place, Line())
        future: asyncio.Future[Metadata] = self.broker.loop.create_future()
        batch.done = future
        line.waiting.append(batch)
        if not line.pumping:
            line.pumping = True
            self.broker.loop.call_later(self.linger_s, self.pump, place, line, context=self.context)
        return future

    def pump(self, place: TopicPartition, line: Line) -> None:
        """Send the next batch, or the last one again."""
        if self.closed:
            return
        if line.batch is None:
            if not line.waiting:
                line.pumping = False
                self.flushed()
                return
            line.batch = line.waiting.popleft()
            line.number += 1
            line.tries = 0
        line.tries += 1
        loop, this = self.broker.loop, (line.number, line.tries)
        again = loop.call_later(RETRY_AFTER_S, self.retry, place, line, this, context=self.context)
        loop.after(self.broker.delay(), self.arrived, place, line, this, again)

    def retry(self, place: TopicPartition, line: Line, this: tuple[int, int]) -> None:
        if line.batch is not None and (line.number, line.tries) == this:
            self.pump(place, line)

    def arrived(self, place: TopicPartition, line: Line, this: tuple[int, int], again: Any) -> None:
        """The broker has the request, whatever became of who sent it."""
        broker, loop = self.broker, self.broker.loop
        if not broker.up:
            return
        batch = (self.number, line.number) if self.idempotent else None
        if this[0] != line.number or line.batch is None:
            return
        first, end = broker.append(place, line.batch.messages, batch)
        lost = broker.chance.random() < broker.losing_acks

        def answer(_: object = None) -> None:
            if not lost:
                loop.call_at(loop.now + broker.delay(), self.acknowledged, place, line, this, first, again, context=self.context)

        partition = broker.topics[place.topic][place.partition]
        if not self.all or partition.high >= end:
            answer()
        else:
            replicated = loop.create_future()
            replicated.add_done_callback(answer, context=loop.outside)
            partition.acknowledging.append((end, replicated))

    def acknowledged(self, place: TopicPartition, line: Line, this: tuple[int, int], first: int, again: Any) -> None:
        if line.number != this[0] or line.batch is None:
            return
        again.cancel()
        done, line.batch = line.batch.done, None
        if done is not None and not done.done():
            done.set_result(Metadata(place.partition, first))
        self.pump(place, line)

    def flushed(self) -> None:
        if not any(line.batch is not None or line.waiting for line in self.lines.values()):
            for future in self.empty:
                arrive(future)

    async def stop(self) -> None:
        """Flush, then close."""
        alive()
        if any(line.batch is not None or line.waiting for line in self.lines.values()):
            future = self.broker.loop.create_future()
            self.empty.append(future)
            await future
        self.closed = True


class Consumer:
    """AIOKafkaConsumer as the kernel uses it."""

    def __init__(self, broker: Broker, options: Mapping[str, Any]) -> None:
        self.broker = broker
        self.group_name, self.name = options.get("group_id"), options.get("group_instance_id")
        self.actor: Actor | None = ACTOR.get()
        self.assignment: list[TopicPartition] = []
        self.at: dict[TopicPartition, int] = {}
        self.paused: set[TopicPartition] = set()
        self.failed: Exception | None = None
        self.closed = False
        self.again = asyncio.Event()
        self.joined = broker.loop.create_future()
        self._client = Inside(self)
        self.group: Group | None = None
        self.listener: Any = None
        self.coordinating: asyncio.Task[None] | None = None

    def subscribe(self, topics: Sequence[str], *, listener: Any) -> None:
        self.listener = listener
        self.group = self.broker.groups.setdefault(str(self.group_name), Group(self.broker, sorted(topics)))

    def assign(self, places: Iterable[TopicPartition]) -> None:
        self.assignment = list(places)
        self.at = dict.fromkeys(self.assignment, 0)

    async def start(self) -> None:
        await self.broker.trip()
        if self.group is not None:
            self.coordinating = asyncio.create_task(self.coordinate(self.group))
            await self.joined

    async def coordinate(self, group: Group) -> None:
        """Join, and again whenever the group is called together."""
        while not self.closed:
            self.again.clear()
            if self.assignment:
                await self.listener.on_partitions_revoked(set(self.assignment))
                self.assignment = []
            try:
                places = await group.join(str(self.name), self)
            except KafkaConnectionError:
                await asyncio.sleep(BACK_OFF_S)
                continue
            self.at = {tp: group.offsets.get(tp, 0) for tp in places}
            self.assignment = list(places)
            await self.listener.on_partitions_assigned(set(places))
            if not self.joined.done():
                self.joined.set_result(None)
            await self.again.wait()

    def called(self) -> None:
        self.again.set()

    def fenced(self) -> None:
        self.failed = UnknownError()
        if self.coordinating is not None:
            self.coordinating.cancel()

    async def stop(self) -> None:
        """Go without a word, as members with a name of their own do: their seat is kept for a while."""
        alive()
        self.closed = True
        if self.coordinating is not None:
            self.coordinating.cancel()
        if self.group is not None:
            self.broker.loop.after(self.broker.patience_s, self.group.expel, str(self.name), self)

    async def getmany(
        self, *_places: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[Record]]:
        loop = self.broker.loop
        ends = loop.time() + timeout_ms / 1000
        await self.pause_for(self.broker.delay())
        while True:
            alive()
            if self.failed is not None:
                raise self.failed
            found = self.take(max_records or 500)
            left = ends - loop.time()
            if found or left <= 0:
                return found
            await self.pause_for(left, until_more=True)

    async def pause_for(self, seconds: float, *, until_more: bool = False) -> None:
        future = self.broker.loop.create_future()
        timer = self.broker.loop.call_later(seconds, arrive, future)
        if until_more:
            self.broker.waiting.append(future)
        await future
        timer.cancel()

    def take(self, most: int) -> dict[TopicPartition, list[Record]]:
        """Give of each partition some of what is there: how much is chance."""
        found: dict[TopicPartition, list[Record]] = {}
        if not self.broker.up:
            return found
        chance = self.broker.chance
        for place in self.assignment:
            partition = self.broker.topics[place.topic][place.partition]
            at = self.at[place]
            there = min(partition.high - at, most)
            if there <= 0 or place in self.paused or chance.random() < 0.15:
                continue
            count = there if chance.random() < 0.6 else chance.randint(1, there)
            found[place] = partition.log[at : at + count]
            self.at[place] = at + count
        return found

    def seek(self, place: TopicPartition, offset: int) -> None:
        if place not in self.assignment:
            raise IllegalStateError(f"{place} is not assigned")
        self.at[place] = offset

    async def position(self, place: TopicPartition) -> int:
        alive()
        return self.at[place]

    async def beginning_offsets(self, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        await self.broker.trip()
        return dict.fromkeys(places, 0)

    async def end_offsets(self, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        await self.broker.trip()
        ends = self.broker.ends()
        return {place: ends[place] for place in places}

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        await self.broker.trip()
        if self.group is None or self.group.members.get(str(self.name)) is not self or self.group.rebalancing:
            raise CommitFailedError
        self.group.offsets.update(offsets)

    def highwater(self, place: TopicPartition) -> int | None:
        partition = self.broker.topics[place.topic][place.partition]
        return int(partition.high)

    def pause(self, *places: TopicPartition) -> None:
        self.paused.update(places)

    def partitions_for_topic(self, topic: str) -> set[int]:
        return set(range(len(self.broker.topics.get(topic, []))))

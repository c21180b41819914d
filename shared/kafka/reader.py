"""Messages read from Kafka: from where Postgres says, within bounds, and past what the client library cannot read."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from shared.errors import Outage
from shared.kafka.wire import LARGEST_REQUEST, Access, decode, unreadable
from shared.log import log
from shared.message import Message
from shared.turns import in_turn

BATCH_MESSAGES = 2_000
BATCH_BYTES = 8 * 1024 * 1024

Positions = Callable[[Sequence[tuple[str, int]]], Awaitable[Mapping[tuple[str, int], int]]]
"""Where to go on in each partition, by the database."""


class MadeAgain(Exception):
    """A topic ends before the place to which it was read: it is not that topic any more, and what it holds would be passed over."""


class Reader(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Batches of messages of some topics, from where Postgres says. Kafka's own offsets only feed tools that show lag."""

    def __init__(
        self,
        access: Access,
        topics: Sequence[str],
        group: str,
        instance: str,
        positions: Positions,
        outside: Callable[[str], bool],
    ) -> None:
        self.positions = positions
        self.outside = outside
        self.topics = [access.prefix + topic for topic in topics]
        self.prefix = access.prefix
        self.ready: set[TopicPartition] = set()
        self.at: dict[TopicPartition, int] = {}
        self.failed: BaseException | None = None
        self.busy = asyncio.Lock()
        self.consumer = AIOKafkaConsumer(
            **access.options(),
            group_id=access.prefix + group,
            group_instance_id=access.prefix + instance,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=30_000,
            heartbeat_interval_ms=5_000,
            fetch_max_wait_ms=500,  # longer is cheaper when idle, but a partition left out of a fetch waits that long (aiokafka)
            fetch_max_bytes=BATCH_BYTES,
            max_partition_fetch_bytes=4 * LARGEST_REQUEST,  # a batch has a cost of its own, which few large messages share
            max_poll_records=BATCH_MESSAGES,
        )

    async def start(self) -> None:
        """Join the group; returns when partitions are assigned. Raises what `AWAY` names."""
        self.consumer.subscribe(self.topics, listener=self)
        await self.consumer.start()

    async def stop(self) -> None:
        """Leave."""
        with suppress(Exception):
            async with asyncio.timeout(5):
                await self.consumer.stop()

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Let the batch under way end: what is taken from us is then dealt with, not half done."""
        self.ready -= set(revoked)
        with suppress(TimeoutError):
            async with asyncio.timeout(20), self.busy:
                pass

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Go where the database says, whatever Kafka remembers. aiokafka swallows what is raised here, so it is kept for the loop."""
        try:
            places = list(assigned)
            names = {tp: (tp.topic.removeprefix(self.prefix), tp.partition) for tp in places}
            known = await self.positions(list(names.values()))
            fresh = [tp for tp in places if names[tp] not in known]
            begin = await self.consumer.beginning_offsets(fresh) if fresh else {}
            ends = await self.consumer.end_offsets(places)
            for tp in places:
                self.at[tp] = known.get(names[tp], begin.get(tp, 0))
                if self.at[tp] > ends[tp]:
                    raise MadeAgain(
                        f"{tp.topic} {tp.partition} ends at {ends[tp]}, was read to {self.at[tp]}: `maillon cursors forget`"
                    )
                self.consumer.seek(tp, self.at[tp])
            self.ready = set(places)
        except Exception as error:  # noqa: BLE001 raised again by the loop that reads
            self.failed = error

    async def batches(self) -> AsyncIterator[list[Message]]:
        """Give batches of at most 2,000 messages or 8 MiB, in the order of each partition; an empty one when nothing came for a moment."""
        while True:
            if self.failed is not None:
                raise self.failed
            try:
                found = await self.consumer.getmany(timeout_ms=200, max_records=BATCH_MESSAGES)
            except UnicodeDecodeError:
                yield await self.around_the_unreadable()
                continue
            batch: list[Message] = []
            weight = 0
            for tp, records in found.items():
                if tp not in self.ready:
                    continue
                if records[0].offset < self.at[tp]:
                    raise Outage(
                        "went_back", topic=tp.topic
                    )  # aiokafka found the topic shorter and began anew: join again and look
                topic = tp.topic.removeprefix(self.prefix)
                async for record in in_turn(records):
                    message = decode(record, topic, outside=self.outside(topic))
                    size = len(message.value) + sum(map(len, message.headers.values()))
                    if batch and weight + size > BATCH_BYTES:
                        yield batch
                        batch, weight = [], 0
                    batch.append(message)
                    weight += size
                self.at[tp] = records[-1].offset + 1
            yield batch

    async def around_the_unreadable(self) -> list[Message]:
        """Go on where a header's name is no UTF-8: aiokafka cannot give any message of such a batch from there on.

        What can be read is read one by one; each of the others becomes a Message with a fault, so that it is answered or parked.
        """
        batch: list[Message] = []
        for tp in self.ready:  # what getmany had taken of the other partitions before it failed is taken again
            self.consumer.seek(tp, self.at[tp])
        for tp in self.ready:
            topic = tp.topic.removeprefix(self.prefix)
            try:
                while len(batch) < BATCH_MESSAGES:
                    async with asyncio.timeout(1):
                        batch.append(decode(await self.consumer.getone(tp), topic, outside=self.outside(topic)))
            except TimeoutError:
                pass  # nothing more there for now
            except UnicodeDecodeError:
                first = await self.consumer.position(tp)
                past = await self.readable_from(tp, first)
                log.error("unreadable_headers", topic=topic, partition=tp.partition, first=first, messages=past - first)
                batch += [unreadable(topic, tp.partition, offset) for offset in range(first, past)]
                self.consumer.seek(tp, past)
            self.at[tp] = await self.consumer.position(tp)
        return batch

    async def readable_from(self, tp: TopicPartition, bad: int) -> int:
        """Find the first offset after `bad` that can be read, by halves: all of one batch from `bad` on is unreadable."""
        fine = (await self.consumer.end_offsets([tp]))[tp]
        while fine - bad > 1:
            middle = (bad + fine) // 2
            self.consumer.seek(tp, middle)
            try:
                async with asyncio.timeout(10):
                    await self.consumer.getone(tp)
                fine = middle
            except UnicodeDecodeError:
                bad = middle
        return int(fine)

    async def tell(self, batch: Sequence[Message]) -> None:
        """Commit Kafka's offsets, for lag tools only: losing this costs nothing."""
        ends: dict[TopicPartition, int] = {}
        for message in batch:
            ends[TopicPartition(self.prefix + message.topic, message.partition)] = message.offset + 1
        with suppress(CommitFailedError, IllegalStateError, KafkaError):
            await self.consumer.commit({tp: end for tp, end in ends.items() if tp in self.ready})

    def lag(self) -> int:
        """Count what the broker has for us and was not given out yet, as far as it has told us."""
        return sum(max(0, (self.consumer.highwater(tp) or 0) - self.at[tp]) for tp in self.ready)


async def read_on(access: Access, starts: Mapping[tuple[str, int], int], topics: Sequence[str]) -> AsyncIterator[Message]:
    """Give what stands in `topics` from `starts` (0 where unknown) up to their ends of this moment, outside any group."""
    consumer = AIOKafkaConsumer(
        **access.options(),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=2 * LARGEST_REQUEST,
    )
    await consumer.start()
    try:
        places = [
            TopicPartition(t, p) for t in (access.prefix + name for name in topics) for p in sorted(await partitions(consumer, t))
        ]
        if not places:
            return
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        begins = await consumer.beginning_offsets(places)
        at = {tp: max(starts.get((tp.topic.removeprefix(access.prefix), tp.partition), 0), begins[tp]) for tp in places}
        at = {tp: begins[tp] if start > ends[tp] else start for tp, start in at.items()}  # made again: all of it may be news
        left = {tp for tp in places if at[tp] < ends[tp]}
        for tp in places:
            consumer.seek(tp, at[tp])
            if tp not in left:
                consumer.pause(tp)
        while left:
            for tp, records in (await consumer.getmany(timeout_ms=1_000)).items():
                for record in records:
                    if record.offset < ends[tp]:
                        yield decode(record, tp.topic.removeprefix(access.prefix), outside=False)
                if await consumer.position(tp) >= ends[tp]:
                    left.discard(tp)
                    consumer.pause(tp)
    finally:
        await consumer.stop()


async def partitions(consumer: AIOKafkaConsumer, topic: str) -> set[int]:
    """Give the partitions of a topic. Raises Outage("topic_missing") when the broker has none: `maillon topics apply` makes it."""
    for _ in range(20):
        found = consumer.partitions_for_topic(topic)
        if found:
            return set(found)
        await consumer._client.force_metadata_update()  # noqa: SLF001 aiokafka offers no public way
        consumer._client.add_topic(topic)  # noqa: SLF001
        await asyncio.sleep(0.05)
    log.warning("topic_missing", topic=topic)
    raise Outage("topic_missing", topic=topic)

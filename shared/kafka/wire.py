"""Messages in and out of Kafka: CloudEvents in binary mode, a reader that starts where Postgres says, a sender that waits for all acks."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from shared.db import Row
from shared.errors import Outage
from shared.events.base import stream_id
from shared.log import log
from shared.message import Message

AWAY = (KafkaError, OSError, TimeoutError, Outage)
"""The broker, or the way to it, is away: wait and try again."""
LARGEST_REQUEST = 1_048_576
BATCH_MESSAGES = 2_000
BATCH_BYTES = 8 * 1024 * 1024
MOST_HEADERS = 64
LONGEST_HEADER = 4_096


@dataclass(frozen=True, slots=True)
class Access:
    """Where the broker is and as whom we come. With `ca_file` the way there is TLS."""

    bootstrap: str
    user: str
    password: str = field(repr=False)
    ca_file: Path | None = None
    prefix: str = ""
    """Before the name of each topic and group on the wire only: several installations on one broker do not meet."""

    def options(self) -> dict[str, Any]:
        """Give the options that every client takes."""
        return {
            "bootstrap_servers": self.bootstrap,
            "security_protocol": "SASL_SSL" if self.ca_file else "SASL_PLAINTEXT",
            "ssl_context": ssl.create_default_context(cafile=str(self.ca_file)) if self.ca_file else None,
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": self.user,
            "sasl_plain_password": self.password,
        }


def clean(value: bytes | None) -> str:
    """Make text of a header: no NUL (Postgres has none), no endless line."""
    return (value or b"")[:LONGEST_HEADER].decode("utf-8", "replace").replace("\x00", "\ufffd")


def place(key: bytes | None, headers: Mapping[str, str]) -> tuple[str | None, UUID | None, int]:
    """Read (fault, stream, number) of one of our own events: the key must be the stream, or its order would be chance."""
    try:
        stream, version = UUID(headers.get("ce_subject", "")), int(headers.get("ce_streamversion", ""))
    except ValueError:
        return "missing_position", None, 1
    if key != str(stream).encode():
        return "wrong_key", None, 1
    if not 0 < version < 2**31:
        return "bad_ce_streamversion", None, 1
    return None, stream, version


def decode(record: Any, topic: str, *, outside: bool) -> Message:
    """Make a Message of what came. What is wrong with its envelope is noted in `fault`: the message still has a place of its own."""
    headers = {str(k).replace("\x00", "\ufffd")[:LONGEST_HEADER]: clean(v) for k, v in record.headers[:MOST_HEADERS]}
    time, fault = datetime.fromtimestamp(max(record.timestamp or 0, 0) / 1000, UTC), None
    stream, version = None, 1
    if told := headers.get("ce_time"):
        try:
            time = datetime.fromisoformat(told).astimezone(UTC)
        except (ValueError, OverflowError):
            fault = "bad_ce_time"
    missing = next((name for name in ("ce_id", "ce_source", "ce_type") if not headers.get(name)), None)
    if missing is not None:
        fault = f"missing_{missing}"
    elif outside:
        stream = stream_id("message", topic, headers["ce_source"], headers["ce_id"])
    else:
        fault, stream, version = place(record.key, headers) if fault is None else (fault, None, 1)
    if stream is None:
        stream = stream_id("message", topic, record.partition, record.offset)
    return Message(
        topic=topic,
        partition=record.partition,
        offset=record.offset,
        stream=stream,
        version=version,
        type=headers.get("ce_type", ""),
        time=time,
        headers=headers,
        value=record.value or b"",
        key=record.key,
        fault=fault,
    )


def unreadable(topic: str, partition: int, offset: int) -> Message:
    """Stand for a message that the client library cannot read at all."""
    now = datetime.now(UTC)
    return Message(
        topic, partition, offset, stream_id("message", topic, partition, offset), 1, "", now, {}, b"", None, "unreadable_headers"
    )


def envelope(row: Row, source: str) -> list[tuple[str, bytes]]:
    """Give the headers of one of our events, of a row of `events`. The same event has the same id, however often it is sent."""
    headers = {
        "ce_specversion": "1.0",
        "ce_id": str(uuid5(row["stream"], str(row["version"]))),
        "ce_source": source,
        "ce_type": row["type"],
        "ce_subject": str(row["stream"]),
        "ce_time": row["at"].isoformat(),
        "ce_streamversion": str(row["version"]),
        "content-type": "application/json",
    }
    if row["trace"]:
        headers["traceparent"] = row["trace"]
    return [(name, value.encode()) for name, value in headers.items()]


@dataclass(slots=True)
class Sender:
    """Sends and waits for the acknowledgement of every in-sync replica. After an unknown outcome it starts afresh."""

    access: Access
    source: str
    timeout_s: float = 15.0
    producer: AIOKafkaProducer | None = None
    starting: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def started(self) -> AIOKafkaProducer:
        """Give a producer that is connected. Raises Outage("broker") while it cannot be."""
        async with self.starting:
            if self.producer is None:
                producer = AIOKafkaProducer(
                    **self.access.options(),
                    acks="all",
                    enable_idempotence=True,
                    linger_ms=2,
                    max_batch_size=128 * 1024,
                    max_request_size=LARGEST_REQUEST,
                    request_timeout_ms=10_000,
                )
                try:
                    await producer.start()
                except AWAY as error:
                    with suppress(Exception):
                        await producer.stop()
                    raise Outage("broker", cause=str(error)) from error
                self.producer = producer
            return self.producer

    async def send(self, topic: str, rows: Sequence[Row]) -> dict[int, int]:
        """Send events of one topic, in order. Returns the next offset of each partition, when all are acknowledged."""
        return await self.put(
            topic, [(str(row["stream"]).encode(), row["data"].encode(), envelope(row, self.source)) for row in rows]
        )

    async def put(self, topic: str, messages: Iterable[tuple[bytes | None, bytes, list[tuple[str, bytes]]]]) -> dict[int, int]:
        """Send (key, value, headers) in order and wait for all acks. After a time-out the outcome is unknown: send the same again."""
        producer = await self.started()
        try:
            async with asyncio.timeout(self.timeout_s):
                acks = [
                    await producer.send(self.access.prefix + topic, value, key=key, headers=headers)
                    for key, value, headers in messages
                ]
                done = await asyncio.gather(*acks)
        except TimeoutError:
            await self.forget(producer)
            raise
        ends: dict[int, int] = {}
        for meta in done:
            ends[meta.partition] = max(ends.get(meta.partition, 0), meta.offset + 1)
        return ends

    async def forget(self, producer: AIOKafkaProducer) -> None:
        """Drop a producer with sends of unknown outcome in it: what it still holds would come again behind newer events."""
        if self.producer is producer:
            self.producer = None
        with suppress(Exception, asyncio.CancelledError):
            async with asyncio.timeout(1):
                await producer.stop()

    async def stop(self) -> None:
        """Flush and close."""
        if self.producer is not None:
            with suppress(Exception):
                async with asyncio.timeout(5):
                    await self.producer.stop()
            self.producer = None


Positions = Callable[[Sequence[tuple[str, int]]], Awaitable[Mapping[tuple[str, int], int]]]
"""Where to go on in each partition, by the database."""


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
            max_partition_fetch_bytes=2 * LARGEST_REQUEST,
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
            for tp in places:
                self.at[tp] = known.get(names[tp], begin.get(tp, 0))
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
                topic = tp.topic.removeprefix(self.prefix)
                for record in records:
                    message = decode(record, topic, outside=self.outside(topic))
                    size = len(message.value) + sum(len(v) for v in message.headers.values())
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
        """Count what the broker has for us and we have not fetched, as far as we were told."""
        total = 0
        for tp in self.ready:
            with suppress(Exception):
                end, at = self.consumer.highwater(tp), self.consumer.last_stable_offset(tp)
                total += max(0, (end or 0) - (at or end or 0))
        return total


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
        left = {tp for tp in places if at[tp] < ends[tp]}
        for tp in places:
            consumer.seek(tp, min(at[tp], ends[tp]))
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

"""Messages in and out of Kafka: CloudEvents in binary mode, a reader that starts where Postgres says, a sender that waits for all acks."""

import asyncio
import ssl
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha1
from pathlib import Path
from random import randrange
from time import monotonic
from typing import Any
from uuid import UUID

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError
from aiokafka.partitioner import murmur2
from aiokafka.producer.message_accumulator import BatchBuilder
from asyncpg.pgproto.pgproto import UUID as QuickUUID  # noqa: N811 the one of Postgres's rows: read, hashed and written in C

from shared.db import Row
from shared.errors import Outage
from shared.events.base import stream_id
from shared.message import Message
from shared.turns import in_turn

AWAY = (KafkaError, OSError, TimeoutError, Outage)
"""The broker, or the way to it, is away: wait and try again."""
LARGEST_REQUEST = 1_048_576
MOST_HEADERS = 64
LONGEST_HEADER = 4_096
ATTRIBUTES = ("specversion", "id", "source", "type", "subject", "time", "streamversion")
SPECVERSION, JSON = ("ce_specversion", b"1.0"), ("content-type", b"application/json")
PLAIN = frozenset({"content-type", "traceparent", *(f"ce_{name}" for name in ATTRIBUTES)})
"""Names of headers that need no cleaning."""


Outgoing = tuple[bytes | None, bytes, list[tuple[str, bytes]]]
"""Key, value and headers of a message."""


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
    text = (value or b"")[:LONGEST_HEADER].decode("utf-8", "replace")
    return text.replace("\x00", "\ufffd") if "\x00" in text else text


def place(key: bytes | None, headers: Mapping[str, str]) -> tuple[str | None, UUID | None, int]:
    """Read (fault, stream, number) of one of our own events: the key must be the stream, or its order would be chance."""
    try:
        stream, version = QuickUUID(headers.get("ce_subject", "")), int(headers.get("ce_streamversion", ""))
    except ValueError:
        return "missing_position", None, 1
    if key != str(stream).encode():
        return "wrong_key", None, 1
    if not 0 < version < 2**31:
        return "bad_ce_streamversion", None, 1
    return None, stream, version


def decode(record: Any, topic: str, *, outside: bool) -> Message:
    """Make a Message of what came. What is wrong with its envelope is noted in `fault`: the message still has a place of its own."""
    told = record.headers[: MOST_HEADERS - 1]
    headers = {k if k in PLAIN else clean(k.encode(errors="replace")): clean(v) for k, v in told}
    time, fault = datetime.fromtimestamp(max(record.timestamp or 0, 0) / 1000, UTC), None
    if outside:  # over whatever stood there: `ce_time` is a claim, this is not
        headers["arrived"] = time.isoformat()
    stream, version = None, 1
    if said := headers.get("ce_time"):
        try:
            time = datetime.fromisoformat(said).astimezone(UTC)
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


def event_id(stream: UUID, version: int) -> bytes:
    """Give `uuid5(stream, str(version))` as text, without the two objects on the way to it."""
    made = bytearray(sha1(stream.bytes + b"%d" % version, usedforsecurity=False).digest()[:16])
    made[6], made[8] = made[6] & 0x0F | 0x50, made[8] & 0x3F | 0x80
    text = made.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}".encode()


def envelope(row: Row, source: str) -> list[tuple[str, bytes]]:
    """Give the headers of one of our events, of a row of `events`. The same event has the same id, however often it is sent."""
    headers = [
        SPECVERSION,
        ("ce_id", event_id(row["stream"], row["version"])),
        ("ce_source", source.encode()),
        ("ce_type", row["type"].encode()),
        ("ce_subject", str(row["stream"]).encode()),
        ("ce_time", row["at"].isoformat().encode()),
        ("ce_streamversion", str(row["version"]).encode()),
        JSON,
    ]
    if row["trace"]:
        headers.append(("traceparent", row["trace"].encode()))
    return headers


@lru_cache(maxsize=100_000)
def partition_of(key: bytes, partitions: int) -> int:
    """Say where Kafka's own clients put this key. Remembered: a stream's events follow each other, and murmur2 is Python here."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)


async def deliver(producer: AIOKafkaProducer, topic: str, partitions: int, messages: Iterable[Outgoing]) -> dict[int, int]:
    """Hand over all messages, in order within a partition, and wait for all acks. Returns the next offset of each partition.

    Whole batches are handed over: a future for each message would cost more than all the rest of sending.
    """
    open_batches: dict[int, BatchBuilder] = {}
    handed: list[tuple[int, int, Awaitable[Any]]] = []

    async def hand_over(partition: int) -> None:
        batch = open_batches.pop(partition)
        batch.close()
        while True:
            try:
                handed.append((partition, batch.record_count(), await producer.send_batch(batch, topic, partition=partition)))
                return
            except (
                KafkaTimeoutError
            ):  # the batch before it has not left yet: its partition is held up, and this one keeps its turn
                continue

    async for key, value, headers in in_turn(messages):
        size = len(key or b"") + len(value) + sum(len(k) + len(v) for k, v in headers)
        if size > LARGEST_REQUEST - 1_000:
            raise MessageSizeTooLargeError(
                f"{size} bytes with its headers, and a request to the broker may have {LARGEST_REQUEST}"
            )
        partition = randrange(partitions) if key is None else partition_of(key, partitions)  # noqa: S311 spreads, hides nothing
        while True:
            batch = open_batches.get(partition) or open_batches.setdefault(partition, producer.create_batch())
            if batch.append(timestamp=None, key=key, value=value, headers=headers) is not None:
                break
            await hand_over(partition)
    for partition in list(open_batches):
        await hand_over(partition)
    ends: dict[int, int] = {}
    for partition, count, ack in handed:
        ends[partition] = max(ends.get(partition, 0), (await ack).offset + count)
    return ends


@dataclass(slots=True)
class Sender:
    """Sends and waits for the acknowledgement of every in-sync replica. After an unknown outcome it starts afresh."""

    access: Access
    source: str
    timeout_s: float = 15.0
    producer: AIOKafkaProducer | None = None
    acked: float = 0.0
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
            topic, ((str(row["stream"]).encode(), row["data"].encode(), envelope(row, self.source)) for row in rows)
        )

    async def put(self, topic: str, messages: Iterable[Outgoing]) -> dict[int, int]:
        """Send (key, value, headers) in order and wait for all acks. After a time-out the outcome is unknown: send the same again.

        A topic that the broker holds up is waited for while others go on: its messages stay in line, once. Only where nothing at all
        was acknowledged for `timeout_s` is the producer itself taken for stuck.
        """
        producer, name = await self.started(), self.access.prefix + topic
        async with asyncio.timeout(self.timeout_s):  # nothing is sent yet: whatever fails here is this topic's own
            await producer.client.add_topic(name)  # or the next look at another topic makes aiokafka forget this one's leader
            partitions = len(await producer.partitions_for(name))
        began, done = monotonic(), asyncio.create_task(deliver(producer, name, partitions, messages))
        try:
            while not (await asyncio.wait([done], timeout=min(1.0, self.timeout_s)))[0]:
                if self.producer is not producer:
                    raise TimeoutError("the producer was replaced")
                if monotonic() - max(began, self.acked) > self.timeout_s:
                    await self.forget(producer)
                    raise TimeoutError("nothing was acknowledged")
            ends = done.result()
        finally:
            done.cancel()
        self.acked = monotonic()
        return ends

    async def forget(self, producer: AIOKafkaProducer) -> None:
        """Drop a producer with sends of unknown outcome in it: what it still holds would come again behind newer events."""
        if self.producer is producer:
            self.producer = None
        with suppress(Exception):
            async with asyncio.timeout(1):
                await producer.stop()
                return
        for close in (producer._sender.close, producer.client.close):  # noqa: SLF001 what `stop` leaves at work where its flush does not end
            with suppress(Exception):
                async with asyncio.timeout(1):
                    await close()

    async def stop(self) -> None:
        """Flush and close."""
        if self.producer is not None:
            with suppress(Exception):
                async with asyncio.timeout(5):
                    await self.producer.stop()
            self.producer = None

"""Cells of one process: what a flood, poison or a very long message of one costs the others.

CPU of the loop's own thread is compared with CPU of the same work, and orders with orders: a busy machine changes neither.
"""

import asyncio
import gc
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.consumer import Consumer
from shared.db import connect
from shared.kafka.wire import Sender
from shared.message import Message
from shared.migrate import migrate
from tests.shared.counter import AGGREGATES, MIGRATIONS, Asked, Told
from tests.support.platform import until
from tests.support.service import Ground, Site

NOW = datetime(2026, 11, 25, tzinfo=UTC)


@pytest.fixture(autouse=True)
def no_search_for_garbage() -> Iterator[None]:
    """The test's own process holds far more than a service: a search through it would be taken for the kernel's doing."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def told(topic: str, count: int, *, value: bytes | None = None) -> list[Message]:
    """First messages of as many streams."""
    streams = [uuid4() for _ in range(count)]
    data = [value or Told(name=f"{topic} {stream}", amount=1).model_dump_json().encode() for stream in streams]
    return [Message(topic, 0, n, streams[n], 1, Told.type, NOW, {}, data[n]) for n in range(count)]


@asynccontextmanager
async def turns() -> AsyncIterator[list[float]]:
    """CPU that the loop's thread took between one turn of somebody else and the next, in seconds."""
    took: list[float] = []

    async def somebody_else() -> None:
        last = time.thread_time()
        while True:
            await asyncio.sleep(0.0005)
            now = time.thread_time()
            took.append(now - last)
            last = now

    task = asyncio.create_task(somebody_else())
    await asyncio.sleep(0.01)
    took.clear()
    try:
        yield took
    finally:
        task.cancel()


async def test_a_batch_of_thousands_lets_the_others_go_on_within_it(consumer: Consumer) -> None:
    await consumer.process(told("test.told.ara", 50))
    batch = told("test.told.ara", 4_000)
    async with turns() as took:
        await consumer.process(batch)
    work = sum(turn for turn in took if turn > 0.001)
    assert max(took) < work / 8, f"one turn took {max(took):.3f} s of {work:.3f} s"


async def test_a_message_that_is_long_to_read_is_read_beside_the_loop(database: str) -> None:
    def read(_: Message, __: Told) -> list[object]:
        return [0 for n in range(3_000_000) if n < 0]

    pool = await connect(database, name="test")
    await migrate(pool, MIGRATIONS)
    consumer = Consumer(pool, AGGREGATES, {Told: read})  # type: ignore[dict-item]
    (message,) = told("test.told.ara", 1, value=json.dumps({"name": "x" * 100_000, "amount": 1}).encode())
    began = time.thread_time()
    consumer.commands(message)
    alone = time.thread_time() - began
    async with turns() as took:
        await consumer.process([message])
    await pool.close()
    assert max(took) < alone / 4


async def test_a_small_batch_waits_for_no_more_than_two_large_ones(consumer: Consumer) -> None:
    """Ten cells are flooded, the pool has eight connections, and an eleventh cell has one message."""
    ended: list[str] = []

    async def deal(name: str, count: int) -> None:
        await consumer.process(told(f"test.told.{name}", count))
        ended.append(name)

    tasks = [asyncio.create_task(deal(f"loud{n}", 1_000)) for n in range(10)]
    await until(lambda: consumer.pool.get_size() - consumer.pool.get_idle_size() >= 2, 10)
    await asyncio.sleep(0.1)  # where nothing holds the others back, they have all connections by now
    before = len(ended)
    await asyncio.gather(*tasks, asyncio.create_task(deal("quiet", 1)))
    assert before < 8, "some are still to come"
    assert ended.index("quiet") - before <= 2, ended


async def publish(ground: Ground, topic: str, bodies: list[bytes], mark: str) -> None:
    sender = Sender(ground.access, "/maillon/test", timeout_s=60)
    try:
        for n in range(0, len(bodies), 1_000):
            await sender.put(
                topic,
                [
                    (None, body, [("ce_id", f"{mark}{n + i}".encode()), ("ce_source", b"p"), ("ce_type", Asked.type.encode())])
                    for i, body in enumerate(bodies[n : n + 1_000])
                ],
            )
    finally:
        await sender.stop()


def asked(name: str, amount: int = 1) -> bytes:
    return Asked(name=name, amount=amount).model_dump_json().encode()


class Neighbour:
    """A partner of `idf` that asks, waits for its receipt, and asks again."""

    def __init__(self, ground: Ground, sender: Sender, receipts: AIOKafkaConsumer) -> None:
        self.ground, self.sender, self.receipts, self.number = ground, sender, receipts, 0

    async def asks(self) -> str:
        """Ask once; returns what the receipt says."""
        self.number += 1
        headers = [("ce_id", f"q{self.number}".encode()), ("ce_source", b"q"), ("ce_type", Asked.type.encode())]
        await self.sender.put("test.asked.idf", [(None, asked(f"q{self.number}"), headers)])
        async with asyncio.timeout(60):
            return str(json.loads((await self.receipts.getone()).value)["code"])


@asynccontextmanager
async def neighbour(ground: Ground) -> AsyncIterator[Neighbour]:
    sender = Sender(ground.access, "/maillon/test")
    receipts = AIOKafkaConsumer(**ground.access.options(), group_id=None, auto_offset_reset="earliest")
    await receipts.start()
    try:
        receipts.assign([TopicPartition(f"{ground.prefix}test.replies.idf", p) for p in range(2)])
        yield Neighbour(ground, sender, receipts)
    finally:
        await asyncio.gather(sender.stop(), receipts.stop())


async def test_one_cell_flooded_and_poisoned_keeps_no_receipt_from_another(counter: Site, ground: Ground) -> None:
    """What is asked after the flood is answered within it, again and again. How fast, beside a quiet time, is for `make bench` to say."""
    flood = [asked(f"a{n}") for n in range(9_000)] + [b"\x00 no JSON", b"{}", asked("unlucky", 13)] * 500

    async def read() -> int:
        query = "SELECT coalesce(sum(next), 0)::int FROM cursor WHERE topic = 'test.asked.ara'"
        return int(await counter.desk.pool.fetchval(query))

    async with neighbour(ground) as quiet:
        assert await quiet.asks() == "accepted"
        publishing = asyncio.create_task(publish(ground, "test.asked.ara", flood, "a"))
        await until(read, 30)
        within = 0
        while await read() < len(flood):
            assert await quiet.asks() == "accepted"
            within += 1
        await publishing
    assert within >= 2, "behind the flood, not within it"
    codes = await counter.desk.pool.fetch(
        "SELECT code, count(*)::int FROM replies WHERE cell = 'ara' GROUP BY code ORDER BY code"
    )
    assert [tuple(row) for row in codes] == [("accepted", 9_000), ("contract", 1_000), ("unlucky", 500)]

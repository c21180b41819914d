"""What one batch may hold: the same message twice and again, in any order, whatever it waits for."""

from datetime import UTC, datetime
from itertools import permutations
from uuid import UUID, uuid4

import pytest

from shared.consumer import Consumer
from shared.message import Message
from tests.shared.counter import Told

NOW = datetime(2026, 11, 26, tzinfo=UTC)


def message(stream: UUID, version: int, offset: int, *, needs: str | None = None) -> Message:
    value = Told(name="a", amount=version, needs=needs).model_dump_json().encode()
    return Message("test.told.ara", 0, offset, stream, version, Told.type, NOW, {}, value)


async def parked(consumer: Consumer) -> list[tuple[int, str]]:
    return [(row["version"], row["why"]) for row in await consumer.pool.fetch("SELECT version, why FROM parked ORDER BY version")]


@pytest.mark.parametrize("order", list(permutations((2, 2, 3))))
async def test_what_waits_may_come_twice_in_one_batch(consumer: Consumer, order: tuple[int, ...]) -> None:
    """Neither number 1 nor what the second needs is here yet; when they are, each has its effect once."""
    stream = uuid4()
    await consumer.process([message(stream, version, n) for n, version in enumerate(order)])
    await consumer.process([message(stream, version, 3 + n) for n, version in enumerate(order)])
    assert [version for version, _ in await parked(consumer)] == [2, 3]
    await consumer.process([message(stream, 1, 9)])
    while await consumer.release(["test.told.ara"]):
        pass
    assert await parked(consumer) == []
    assert await consumer.pool.fetchval("SELECT total FROM counters") == 6


async def test_what_is_early_may_come_twice_in_the_batch_after(consumer: Consumer) -> None:
    stream = uuid4()
    await consumer.process([message(stream, 1, 0, needs="door")])
    assert await parked(consumer) == [(1, "early")]
    await consumer.process([message(stream, 1, 1, needs="door"), message(stream, 1, 2, needs="door"), message(stream, 2, 3)])
    assert [version for version, _ in await parked(consumer)] == [1, 2]

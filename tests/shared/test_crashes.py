"""Killed anywhere, frozen, or doubled: what was told has its effect once, and what was made is sent."""

import asyncio
import random
import signal
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest

from shared import crash
from shared.db import transaction
from shared.history import consumed, fold_check, published
from shared.kafka.reader import read_on
from shared.message import Message
from shared.settings import Settings
from tests.shared.counter import AGGREGATES, Told
from tests.support.platform import until
from tests.support.process import process, with_values
from tests.support.service import Ground, Publisher, free_port

TOPICS = ("test.told.ara", "test.told.idf")
SUMS = ("test.sums.ara", "test.sums.idf")


class Ledger:
    """What was told, and the check that each of it has one effect."""

    def __init__(self, ground: Ground, url: str) -> None:
        self.ground, self.url = ground, url
        self.publisher = Publisher(ground)
        self.streams: dict[UUID, tuple[str, str]] = {}
        self.expected: dict[str, int] = {}

    async def tell(self, count: int, *, seed: int, streams: int = 20) -> None:
        """Tell `count` more messages, spread over streams, in each topic in order."""
        chance = random.Random(seed)  # noqa: S311 repeatable, no secret
        while len(self.streams) < streams:
            self.streams[uuid4()] = (chance.choice(TOPICS), f"n{len(self.streams)}")
        rows: dict[str, list[dict[str, object]]] = {topic: [] for topic in TOPICS}
        for _ in range(count):
            stream = chance.choice(list(self.streams))
            topic, name = self.streams[stream]
            amount = chance.choice([1, 2, 3, 5])
            version = self.publisher.versions[stream] = self.publisher.versions.get(stream, 0) + 1
            rows[topic].append(self.publisher.row(stream, version, Told(name=name, amount=amount)))
            self.expected[name] = self.expected.get(name, 0) + amount
        for topic, told in rows.items():
            await self.publisher.send(topic, told)

    async def totals(self) -> int:
        connection = await asyncpg.connect(self.url, timeout=5)
        try:
            return int(await connection.fetchval("SELECT coalesce(sum(total), 0) FROM counters"))
        except asyncpg.UndefinedTableError:
            return 0
        finally:
            await connection.close()

    async def settled(self, timeout_s: float = 40) -> None:
        """Wait until all is dealt with and sent."""

        async def done() -> bool:
            return await self.totals() >= sum(self.expected.values()) and await self.unsent() == 0

        await until(done, timeout_s)

    async def unsent(self) -> int:
        connection = await asyncpg.connect(self.url, timeout=5)
        try:
            return int(await connection.fetchval("SELECT count(*) FROM outbox"))
        finally:
            await connection.close()

    async def judge(self) -> None:
        """One effect each, nothing parked, rows as events say, positions as published, and on the wire every number of each stream."""
        pool = await asyncpg.create_pool(self.url, min_size=1, max_size=2)
        try:
            rows = await pool.fetch("SELECT total, version FROM counters ORDER BY total")
            assert sum(r["total"] for r in rows) == sum(self.expected.values())
            assert sum(r["version"] for r in rows) == sum(self.publisher.versions.values())
            assert await pool.fetchval("SELECT count(*) FROM parked") == 0
            assert [d async for d in fold_check(pool, AGGREGATES)] == []
            async with transaction(pool) as tx:
                seen = await consumed(tx)
                told = await published(tx)
            assert sum(n for _, n in seen.values()) == sum(self.publisher.versions.values())
            assert on_the_wire([m async for m in read_on(self.ground.access, {}, SUMS)]) == told
        finally:
            await pool.close()


def on_the_wire(messages: Sequence[Message]) -> dict[str, tuple[int, int]]:
    """Streams and sum of last numbers per topic, as a consumer that checks numbers would see them: repeats allowed, holes not."""
    last: dict[tuple[str, UUID], int] = {}
    for m in messages:
        at = (m.topic, m.stream)
        assert m.version <= last.get(at, 0) + 1, f"a hole before {m.version} in {at}"
        last[at] = max(last.get(at, 0), m.version)
    found: dict[str, tuple[int, int]] = {}
    for (topic, _), version in last.items():
        streams, numbers = found.get(topic, (0, 0))
        found[topic] = (streams + 1, numbers + version)
    return dict(sorted(found.items()))


@pytest.mark.parametrize("point", crash.POINTS)
async def test_killed_at_a_named_moment_it_goes_on_as_if_nothing_had_been(
    settings: Settings, ground: Ground, tmp_path: Path, point: str
) -> None:
    ledger = Ledger(ground, settings.database_url.get_secret_value())
    flag = tmp_path / "crashed"
    async with process("tests.shared", settings, tmp_path / "log", start=False) as service:
        await service.start(MAILLON_CRASH_AT=f"{point}:2:{flag}")
        await service.ready()
        for turn in range(6):
            await ledger.tell(50, seed=turn)
            await asyncio.sleep(0.1)
        assert await service.ended() == -signal.SIGKILL
        assert flag.exists()
        await service.start()
        await ledger.settled()
        await ledger.judge()


async def test_two_owners_of_the_same_cells_and_a_frozen_one_do_each_thing_once(
    settings: Settings, ground: Ground, tmp_path: Path
) -> None:
    """A zombie and its successor (same group, other replica), and a third that was frozen in the middle and wakes up late."""
    ledger = Ledger(ground, settings.database_url.get_secret_value())
    second = with_values(settings, replica="1", http_port=free_port())
    third = with_values(settings, replica="2", http_port=free_port())
    async with (
        process("tests.shared", settings, tmp_path / "log0") as a,
        process("tests.shared", second, tmp_path / "log1") as b,
        process("tests.shared", third, tmp_path / "log2") as c,
    ):
        await asyncio.gather(a.ready(), b.ready(), c.ready())
        for turn in range(10):
            await ledger.tell(100, seed=turn)
            if turn == 3:
                a.signal(signal.SIGSTOP)
            if turn == 5:
                await b.kill()
            if turn == 6:
                await b.start()
            await asyncio.sleep(0.2)
        a.signal(signal.SIGCONT)
        await ledger.settled(60)
        await ledger.judge()

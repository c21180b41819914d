"""What was told to the counter service, and the check that each of it has one effect."""

import random
from collections.abc import Sequence
from uuid import UUID, uuid4

import asyncpg

from shared.audit import consumed, fold_check, published
from shared.db import transaction
from shared.kafka.reader import read_on
from shared.message import Message
from tests.shared.counter import AGGREGATES, Told
from tests.support.platform import until
from tests.support.service import Ground, Publisher

TOPICS = ("test.told.ara", "test.told.idf")
SUMS = ("test.sums.ara", "test.sums.idf")


class Ledger:
    """`careless`: nothing but the kernel's positions stands between a repeat and a second effect."""

    def __init__(self, ground: Ground, url: str, *, careless: bool = False) -> None:
        self.ground, self.url, self.careless = ground, url, careless
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
            rows[topic].append(self.publisher.row(stream, version, Told(name=name, amount=amount, careless=self.careless)))
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

    async def read(self) -> int:
        """How many messages lie before the cursors. Each is one of a stream without gaps: this is what `dealt_with` counts too."""
        return await self.asked("SELECT coalesce(sum(next), 0) FROM cursor")

    async def dealt_with(self) -> int:
        return await self.asked("SELECT coalesce(sum(version), 0) FROM seen")

    async def unsent(self) -> int:
        return await self.asked("SELECT count(*) FROM outbox")

    async def asked(self, query: str) -> int:
        connection = await asyncpg.connect(self.url, timeout=5)
        try:
            return int(await connection.fetchval(query))
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

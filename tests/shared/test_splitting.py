"""A busy cell gets a process of its own and comes back, while traffic runs: nothing is lost, nothing is done twice."""

import asyncio
import json
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from shared.kafka.reader import read_on
from shared.kafka.wire import Sender
from shared.settings import Settings
from tests.shared.counter import Asked
from tests.shared.ledger import SUMS, Ledger, on_the_wire
from tests.support.platform import until
from tests.support.process import process, with_values
from tests.support.service import Ground, free_port

ASKED, REPLIES = ("test.asked.ara", "test.asked.idf"), ("test.replies.ara", "test.replies.idf")
PATIENCE_S = 170
"""Five starts of a process follow each other here, and a busy machine takes its time over each."""


class Traffic:
    """Two publishers who never pause: a service that counts its streams, and partners who want a receipt of each message."""

    def __init__(self, ground: Ground, url: str) -> None:
        self.ledger, self.ground = Ledger(ground, url), ground
        self.asked, self.over = 0, asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Publish until the block ends."""
        task = asyncio.create_task(self.run())
        try:
            yield
        finally:
            self.over.set()
            await task

    async def run(self) -> None:
        sender, turn = Sender(self.ground.access, "/maillon/test"), 0
        try:
            while not self.over.is_set():
                await self.ledger.tell(20, seed=turn)
                for topic in ASKED:
                    await sender.put(topic, [self.message(topic, self.asked + n) for n in range(5)])
                self.asked += 5
                turn += 1
                await asyncio.sleep(0.1)
        finally:
            await sender.stop()

    def message(self, topic: str, n: int) -> tuple[None, bytes, list[tuple[str, bytes]]]:
        body = Asked(name=f"{topic}{n}", amount=1).model_dump_json().encode()
        return None, body, [("ce_id", f"{n}".encode()), ("ce_source", b"p"), ("ce_type", Asked.type.encode())]

    @property
    def total(self) -> int:
        return sum(self.ledger.expected.values()) + len(ASKED) * self.asked

    async def settled(self) -> None:
        """Wait until all is dealt with and sent."""

        async def done() -> bool:
            return await self.ledger.totals() >= self.total and await self.ledger.unsent() == 0

        await until(done, 60)

    async def judge(self) -> None:
        """Sums and positions as published; one receipt for each message; on the wire every number of each stream."""
        connection = await asyncpg.connect(self.ledger.url)
        try:
            assert await self.ledger.totals() == self.total
            assert await connection.fetchval("SELECT count(*) FROM parked") == 0
            rows = await connection.fetch("SELECT topic, sum(version)::int AS n FROM seen GROUP BY topic")
            versions = Counter(dict.fromkeys(ASKED, self.asked))
            for stream, version in self.ledger.publisher.versions.items():
                versions[self.ledger.streams[stream][0]] += version
            assert {row["topic"]: row["n"] for row in rows} == dict(versions)
            events = await connection.fetch("SELECT topic, count(*)::int AS n FROM events GROUP BY topic")
        finally:
            await connection.close()
        sums = [m async for m in read_on(self.ground.access, {}, SUMS)]
        replies = [m async for m in read_on(self.ground.access, {}, REPLIES)]
        on_the_wire(sums)
        sent = {(m.topic, m.stream, m.version) for m in [*sums, *replies]}
        assert Counter(topic for topic, _, _ in sent) == {row["topic"]: row["n"] for row in events}
        assert {m.version for m in replies} == {1}
        assert len({m.stream for m in replies}) == len(ASKED) * self.asked
        assert {json.loads(m.value)["code"] for m in replies} == {"accepted"}


@pytest.mark.timeout(600)
async def test_a_cell_split_off_and_merged_back_under_traffic_loses_and_repeats_nothing(
    settings: Settings, ground: Ground, tmp_path: Path
) -> None:
    """The order of docs/ops/cells.md: first the process that takes over, then the one that gives up."""
    split = with_values(settings, cells="ara", replica="ara", http_port=free_port(), nice=15)
    rest = with_values(settings, cells="*,!ara")
    traffic = Traffic(ground, settings.database_url.get_secret_value())
    async with (
        process("tests.shared", settings, tmp_path / "all") as everything,
        process("tests.shared", split, tmp_path / "split", start=False) as own,
        process("tests.shared", rest, tmp_path / "rest", start=False) as others,
    ):
        await everything.ready(PATIENCE_S)
        async with traffic.running():
            await until(lambda: traffic.asked >= 20, 60)
            await own.start()
            await own.ready(PATIENCE_S)
            assert os.getpriority(os.PRIO_PROCESS, own.pid) >= 15, "it stands back"
            assert await everything.stop() == 0
            await others.start()
            await others.ready(PATIENCE_S)
            apart = traffic.asked
            await until(lambda: traffic.asked >= apart + 50, 60)
            assert await others.stop() == 0
            await everything.start()
            await everything.ready(PATIENCE_S)
            assert await own.stop() == 0
            together = traffic.asked
            await until(lambda: traffic.asked >= together + 20, 60)
        await traffic.settled()
        await traffic.judge()

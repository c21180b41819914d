"""One cell of a service at work: reads its topics, deals with each batch, releases what was early, and outlives every outage."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic

import asyncpg

from shared import crash, metrics
from shared.consumer import CellStopped, Consumer
from shared.db import AWAY as DATABASE_AWAY
from shared.kafka.reader import MadeAgain, Reader
from shared.kafka.wire import AWAY as BROKER_AWAY
from shared.kafka.wire import Access
from shared.log import log
from shared.message import Message

AWAY = (*DATABASE_AWAY, *BROKER_AWAY)
RELEASE_S = 0.5
"""How long what was parked is let go in one go: then new messages have a turn, however much waits."""
REST = 3
"""So many times as long as a look at what is parked took, it is not looked at again while new messages wait."""


async def positions(pool: "asyncpg.Pool[asyncpg.Record]", places: Sequence[tuple[str, int]]) -> Mapping[tuple[str, int], int]:
    """Give where to go on in each partition: the cursor that stands beside the effects."""
    rows = await pool.fetch(
        "SELECT topic, partition, next FROM cursor WHERE (topic, partition) IN (SELECT * FROM unnest($1::text[], $2::int[]))",
        [t for t, _ in places],
        [p for _, p in places],
    )
    return {(r["topic"], r["partition"]): r["next"] for r in rows}


@dataclass(slots=True)
class Cell:
    """Consumer group `<service>.<cell>`; `replica` makes its membership survive a restart without a wait."""

    name: str
    service: str
    replica: str
    topics: Sequence[str]
    consumer: Consumer
    access: Access
    joined: asyncio.Event = field(default_factory=asyncio.Event)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    look_at: float = 0.0
    rest_until: float = 0.0
    halted: str | None = None
    """Why the cell stands still until people have looked, or None."""

    async def run(self) -> None:
        """Work until `stop` is called. What is away is waited for; a stopped cell tries again every 30 s, and says so each time."""
        wait_s = 0.2
        while not self.stopping.is_set():
            try:
                await self.read()
                wait_s = 0.2
            except (CellStopped, MadeAgain) as error:
                self.halted = str(error)
                metrics.STOPPED.labels(self.name).set(1)
                log.critical("cell_stopped", cell=self.name, why=str(error), lost="nothing: the messages stay on the topic")
                wait_s = 30.0
            except AWAY as error:
                log.warning("cell_waits", cell=self.name, error=repr(error), again_in_s=wait_s)
                wait_s = min(wait_s * 2, 5.0)
            except Exception:  # noqa: BLE001 a bug in one cell stops that cell only, and is tried again
                log.exception("cell_failed", cell=self.name)
                wait_s = min(wait_s * 2, 30.0)
            self.joined.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self.stopping.wait()

    async def read(self) -> None:
        """Join, and deal with batch after batch until told to stop."""
        pool = self.consumer.pool
        reader = Reader(
            self.access,
            self.topics,
            group=f"{self.service}.{self.name}",
            instance=f"{self.service}.{self.name}.{self.replica}",
            positions=lambda places: positions(pool, places),
            outside=self.consumer.is_outside,
        )
        try:
            await reader.start()
            self.joined.set()
            async for batch in reader.batches():
                if batch:
                    await self.deal(reader, batch)
                else:
                    await self.release()
                if self.stopping.is_set():
                    return
        finally:
            await reader.stop()

    async def deal(self, reader: Reader, batch: Sequence[Message]) -> None:
        """Deal with one batch, however long the database is away; then tell Kafka how far we are, for those who watch."""
        async with reader.busy:
            wait_s = 0.1
            while True:
                try:
                    await self.consumer.process(batch)
                    break
                except DATABASE_AWAY as error:
                    if self.stopping.is_set():
                        raise
                    log.warning("batch_waits", cell=self.name, messages=len(batch), error=repr(error), again_in_s=wait_s)
                    await asyncio.sleep(wait_s)
                    wait_s = min(wait_s * 2, 2.0)
        if self.halted is not None:
            self.halted = None
            metrics.STOPPED.labels(self.name).set(0)
        metrics.MESSAGES.labels(self.name).inc(len(batch))
        metrics.BATCH.observe(len(batch))
        await self.release(busy=True)
        crash.point("before_offsets")
        await reader.tell(batch)
        metrics.LAG.labels(self.name).set(reader.lag())

    async def release(self, *, busy: bool = False) -> None:
        """Let go what was early, a while at a time. Where nothing is known to wait, look now and then: operators release too.

        While the cell is `busy` with new messages this has a share of its time only: thousands that wait do not delay the others.
        """
        now = monotonic()
        if (busy and now < self.rest_until) or (now < self.look_at and not self.consumer.hopeful.intersection(self.topics)):
            return
        self.look_at = now + 2.0
        with suppress(*DATABASE_AWAY):  # the next batch meets the same outage and waits for it
            while await self.consumer.release(self.topics) and monotonic() - now < RELEASE_S:
                pass
        self.rest_until = monotonic() + REST * (monotonic() - now)

"""Events out: what is recorded and not yet sent goes to Kafka, in order within a topic, a fair share for each topic.

One relay a database holds an advisory lock; the others stand by. A topic that fails (broker, size, missing) rests for a
moment while the others go on: one cell's trouble stays its own. A crash between ack and delete sends again; who reads
knows repeats by their number.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from time import monotonic

import asyncpg

from shared import crash, metrics
from shared.db import AWAY
from shared.log import log

Send = Callable[[str, Sequence[asyncpg.Record]], Coroutine[None, None, Mapping[int, int]]]
"""Sends the rows of one topic, in order, and returns when the broker has acknowledged all: the next offset of each partition."""

Sending = tuple["asyncio.Task[Mapping[int, int]]", Sequence[asyncpg.Record]]
"""A send under way and what it sends: a slow topic makes no other wait."""

LOCK = "SELECT pg_try_advisory_lock(hashtext(current_schema()), hashtext('relay'))"
FREE = f"SELECT CASE WHEN ({LOCK}) THEN ({LOCK.replace('try_advisory_lock', 'advisory_unlock')}) ELSE false END"

NEXT = """
WITH RECURSIVE topics AS (
    (SELECT topic FROM outbox ORDER BY topic LIMIT 1)
    UNION ALL
    SELECT (SELECT o.topic FROM outbox o WHERE o.topic > t.topic ORDER BY o.topic LIMIT 1) FROM topics t WHERE t.topic IS NOT NULL
)
SELECT e.seq, e.stream, e.version, e.topic, e.type, e.at, e.trace, e.data
FROM topics t
CROSS JOIN (SELECT count(topic) AS n FROM topics) many
CROSS JOIN LATERAL (
    SELECT e.*, sum(pg_column_size(e.data)) OVER (ORDER BY e.seq) - pg_column_size(e.data) AS before
    FROM (SELECT seq FROM outbox o WHERE o.topic = t.topic ORDER BY seq LIMIT least($1::bigint, 1 + 20 * $1::bigint / many.n)) o
    JOIN events e USING (seq)
) e
WHERE t.topic <> ALL ($2::text[]) AND e.before < $3::bigint / many.n
ORDER BY e.topic, e.seq
"""
"""Up to $1 unsent events of each topic that has any, $2 apart, and about $3 bytes (as they are stored) of all together, at least one event
of each. Jumps from topic to topic along the index."""

SENT = """
WITH gone AS (DELETE FROM outbox WHERE topic = $1 AND seq = ANY ($2::bigint[]))
INSERT INTO sent (topic, partition, next) SELECT $1, * FROM unnest($3::int[], $4::bigint[])
ON CONFLICT (topic, partition) DO UPDATE SET next = greatest(sent.next, excluded.next)
"""


SWEEP = "VACUUM (SKIP_LOCKED, TRUNCATE false) outbox"
"""What is deleted stays in the index until then, and NEXT wades through it: 0.2 ms a turn became 20 ms after 300,000 events."""
SWEEP_EVERY = 20_000


@dataclass(slots=True)
class Relay:
    """Empties the outbox. Works only while its session holds the lock; loses it with its session, never by a clock."""

    url: str
    send: Send
    share: int = 250
    most_bytes: int = 4 * 1024 * 1024
    """What is taken at once, of all topics together: after an outage the outbox is far larger than memory. As stored, where large
    events are compressed: in memory it may be some times more."""
    rest_s: float = 2.0
    idle_s: float = 0.05
    patience_s: float = 0.0
    """Leaves the lock alone for so long when it finds it free: a process split off for one flooded cell should not send for all."""
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    resting: dict[str, float] = field(default_factory=dict)
    sending: dict[str, Sending] = field(default_factory=dict)
    leading: bool = False
    unswept: int = 0
    """Deleted since the last sweep."""

    async def run(self) -> None:
        """Take the lock, work, and begin again whenever the database or the lock was lost. Ends by being cancelled."""
        while True:
            try:
                await self.lead()
            except AWAY as error:
                log.warning("relay_lost_database", error=repr(error))
            self.leading = False
            await asyncio.sleep(0.5)

    async def lead(self) -> None:
        connection = await asyncpg.connect(
            self.url,
            timeout=5,
            command_timeout=30,
            server_settings={
                "application_name": "relay",
                "synchronous_commit": "off",  # a deletion that a crash undoes is sent again, as after any crash
                "idle_session_timeout": "30s",
                "idle_in_transaction_session_timeout": "10s",
            },
        )
        try:
            await self.take_lock(connection)
            self.leading = True
            metrics.LEADS.set(1)
            while True:
                self.wake.clear()
                if not await self.turn(connection) and not self.sending:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(self.idle_s):
                            await self.wake.wait()
        finally:
            self.leading = False
            metrics.LEADS.set(0)
            for task, _ in self.sending.values():
                task.cancel()
            self.sending.clear()
            with suppress(Exception):
                await connection.close(timeout=2)

    async def take_lock(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        """Ask until the lock is ours: found free twice in a row where another process should have it first."""
        while True:
            if not self.patience_s or await connection.fetchval(FREE):
                await asyncio.sleep(self.patience_s)
                if await connection.fetchval(LOCK):
                    return
            await asyncio.sleep(0.5)

    async def turn(self, connection: "asyncpg.Connection[asyncpg.Record]") -> int:
        """Send a share of each topic that neither rests nor is being sent. Returns how many were sent by the end of this turn.

        The lock's own session reads and deletes: without it, nothing happens.
        """
        now = monotonic()
        self.resting = {topic: until for topic, until in self.resting.items() if until > now}
        metrics.RESTING.set(len(self.resting))
        rows = await connection.fetch(NEXT, self.share, [*self.resting, *self.sending], self.most_bytes)
        for topic, group in groupby(rows, key=lambda row: row["topic"]):
            due = list(group)
            crash.point("before_send")
            self.sending[topic] = (asyncio.create_task(self.send(topic, due)), due)
        if not self.sending:
            return 0
        await asyncio.wait([task for task, _ in self.sending.values()], timeout=0.02, return_when=asyncio.FIRST_COMPLETED)
        count = 0
        for topic, (task, waiting) in list(self.sending.items()):
            if task.done():
                del self.sending[topic]
                count += await self.done(connection, topic, task, waiting)
        return count

    async def done(
        self,
        connection: "asyncpg.Connection[asyncpg.Record]",
        topic: str,
        task: "asyncio.Task[Mapping[int, int]]",
        waiting: Sequence[asyncpg.Record],
    ) -> int:
        """Forget what is acknowledged; let a topic that failed rest: whatever it is, it concerns that topic only."""
        if error := task.exception():
            log.warning("topic_rests", topic=topic, waiting=len(waiting), rest_s=self.rest_s, error=repr(error))
            self.resting[topic] = monotonic() + self.rest_s
            return 0
        ends = task.result()
        crash.point("after_ack")
        await connection.execute(SENT, topic, [r["seq"] for r in waiting], list(ends), list(ends.values()))
        crash.point("after_sent")
        metrics.SENT.inc(len(waiting))
        self.unswept += len(waiting)
        if self.unswept >= SWEEP_EVERY:
            self.unswept = 0
            await connection.execute(SWEEP)
        return len(waiting)

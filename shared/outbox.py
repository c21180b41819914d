"""Events out: what is recorded and not yet sent goes to Kafka, in order within a topic, a fair share for each topic.

Each process has a relay. It sends for the cells that the process serves, each under an advisory lock of its own, so that one
relay a cell sends and the others stand by; what nobody sends, any of them does after a while. A topic that fails (broker,
size, missing) rests for a moment while the others go on: one cell's trouble stays its own. A crash between ack and delete
sends again; who reads knows repeats by their number.
"""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
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
"""Who has this is alone with the database: no relay sends."""
AMONG = "SELECT pg_try_advisory_lock_shared(hashtext(current_schema()), hashtext('relay'))"
"""Each relay has this."""
TAKE = """
SELECT cell FROM unnest($1::text[]) cell WHERE pg_try_advisory_lock(hashtext(current_schema()), hashtext('relay ' || cell))
"""
"""Take the locks of cells: those that could be had."""
GIVE = "SELECT pg_advisory_unlock(hashtext(current_schema()), hashtext('relay ' || $1))"

TOPICS = """
WITH RECURSIVE topics AS (
    (SELECT topic FROM outbox ORDER BY topic LIMIT 1)
    UNION ALL
    SELECT (SELECT o.topic FROM outbox o WHERE o.topic > t.topic ORDER BY o.topic LIMIT 1) FROM topics t WHERE t.topic IS NOT NULL
)
"""
"""Jumps from topic to topic along the index of what is not sent."""

WAITING = f"""{TOPICS}SELECT t.topic, now() - e.at AS waited FROM topics t
CROSS JOIN LATERAL (SELECT seq FROM outbox o WHERE o.topic = t.topic ORDER BY seq LIMIT 1) o JOIN events e USING (seq)
"""  # noqa: S608 ours
"""The topics that have anything unsent, and for how long."""

NEXT = f"""{TOPICS}SELECT e.seq, e.stream, e.version, e.topic, e.type, e.at, e.trace, e.data
FROM topics t
CROSS JOIN (SELECT count(topic) AS n FROM topics) many
CROSS JOIN LATERAL (
    SELECT e.*, sum(pg_column_size(e.data)) OVER (ORDER BY e.seq) - pg_column_size(e.data) AS before
    FROM (SELECT seq FROM outbox o WHERE o.topic = t.topic ORDER BY seq LIMIT least($1::bigint, 1 + 20 * $1::bigint / many.n)) o
    JOIN events e USING (seq)
) e
WHERE t.topic <> ALL ($2::text[]) AND substring(t.topic FROM '[^.]*$') = ANY ($4::text[]) AND e.before < $3::bigint / many.n
ORDER BY e.topic, e.seq
"""  # noqa: S608 ours
"""Up to $1 unsent events of each topic of the cells $4 that has any, $2 apart, and about $3 bytes (as they are stored) of all together, at
least one event of each."""

SENT = """
WITH gone AS (DELETE FROM outbox WHERE topic = $1 AND seq = ANY ($2::bigint[]))
INSERT INTO sent (topic, partition, next) SELECT $1, * FROM unnest($3::int[], $4::bigint[])
ON CONFLICT (topic, partition) DO UPDATE SET next = greatest(sent.next, excluded.next)
"""


SWEEP = "VACUUM (SKIP_LOCKED, TRUNCATE false) outbox"
"""What is deleted stays in the index until then, and NEXT wades through it: 0.2 ms a turn became 20 ms after 300,000 events."""
SWEEP_EVERY = 20_000
LOOK_S = 0.5
"""How often a relay looks for locks that it should have."""


def cell_of(topic: str) -> str:
    return topic.rpartition(".")[2]


@dataclass(slots=True)
class Relay:
    """Empties the outbox. Sends of a cell only while its session holds the cell's lock; loses it with its session, never by a clock."""

    url: str
    send: Send
    cells: Collection[str]
    """The last parts of the names of topics that are ours to send. Others are sent only when they have waited for `patience_s`."""
    share: int = 250
    most_bytes: int = 4 * 1024 * 1024
    """What is taken at once, of all topics together: after an outage the outbox is far larger than memory. As stored, where large
    events are compressed: in memory it may be some times more."""
    rest_s: float = 2.0
    idle_s: float = 0.05
    patience_s: float = 5.0
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    resting: dict[str, float] = field(default_factory=dict)
    sending: dict[str, Sending] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    """The cells whose lock this session has."""
    unswept: int = 0
    """Deleted since the last sweep."""

    async def run(self) -> None:
        """Take the lock, work, and begin again whenever the database or the lock was lost. Ends by being cancelled."""
        while True:
            try:
                await self.lead()
            except AWAY as error:
                log.warning("relay_lost_database", error=repr(error))
            await asyncio.sleep(LOOK_S)

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
            if not await connection.fetchval(AMONG):
                return
            look_at = 0.0
            while True:
                self.wake.clear()
                if monotonic() >= look_at:
                    await self.look(connection)
                    look_at = monotonic() + LOOK_S
                sent = await self.turn(connection) if self.held else 0
                if not sent and not self.sending:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(self.idle_s):
                            await self.wake.wait()
        finally:
            self.held.clear()
            metrics.LEADS.set(0)
            for task, _ in self.sending.values():
                task.cancel()
            self.sending.clear()
            with suppress(Exception):
                await connection.close(timeout=2)

    async def look(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        """Take the locks of our cells, and of those that nobody sends for; give the latter back as soon as nothing of theirs goes on."""
        waiting = {row["topic"]: row["waited"].total_seconds() for row in await connection.fetch(WAITING)}
        at_work = {cell_of(topic) for topic in (*(waiting.keys() - self.resting.keys()), *self.sending)}
        for cell in sorted(self.held.difference(self.cells, at_work)):
            await connection.execute(GIVE, cell)
            self.held.discard(cell)
        left = {cell_of(topic) for topic, waited in waiting.items() if waited >= self.patience_s and topic not in self.resting}
        if wanted := sorted(left.union(self.cells) - self.held):
            self.held |= {row["cell"] for row in await connection.fetch(TAKE, wanted)}
        metrics.LEADS.set(len(self.held))

    async def behind(self, pool: "asyncpg.Pool[asyncpg.Record]") -> bool:
        """Whether anything waits that this relay would send."""
        return any(cell_of(row["topic"]) in self.held for row in await pool.fetch(WAITING))

    async def turn(self, connection: "asyncpg.Connection[asyncpg.Record]") -> int:
        """Send a share of each topic that neither rests nor is being sent. Returns how many were sent by the end of this turn.

        The locks' own session reads and deletes: without it, nothing happens.
        """
        now = monotonic()
        self.resting = {topic: until for topic, until in self.resting.items() if until > now}
        metrics.RESTING.set(len(self.resting))
        rows = await connection.fetch(NEXT, self.share, [*self.resting, *self.sending], self.most_bytes, [*self.held])
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

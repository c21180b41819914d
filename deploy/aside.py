"""What people look at and decide about parked messages, as SQL on the kernel's tables; the messages move when the service next looks."""

from uuid import UUID

from shared.db import Tx
from shared.parked import unblock

WAITING = """
SELECT count(DISTINCT (stream, topic)) FILTER (WHERE why <> 'fork'), count(*) FILTER (WHERE why = 'fork')
FROM parked WHERE $1::text IS NULL OR topic = $1
"""
"""How many streams have something to release, and how many forks there are."""

LISTED = """
SELECT p.stream, p.topic, p.version, p.type, p.why, p.reason, p.at, p.tries, p.version <= coalesce(s.version, 0) + 1 AS head,
       count(*) OVER (PARTITION BY p.stream, p.topic) AS waiting
FROM parked p LEFT JOIN seen s USING (stream, topic) ORDER BY head DESC, p.at, p.version LIMIT $1
"""
"""What is set aside, heads of streams first, oldest first."""
SHOWN = "SELECT * FROM parked WHERE stream = $1 AND version = $2 ORDER BY topic, mark"
"""One message with its bytes; more than one when its number was forked."""


TOPICS = "SELECT DISTINCT topic FROM parked WHERE stream = $1 AND version = $2 ORDER BY topic"
"""From where a number of a stream came: from more than one topic where somebody speaks for another's stream."""


async def release(tx: Tx, stream: UUID | None = None, topic: str | None = None) -> int:
    """Ask that what is parked (of a stream, of a topic, or all) be tried again, in order. Returns how many. A fork stays: skip it."""
    status = await tx.connection.execute(
        "UPDATE parked SET why = 'early', reason = 'released: ' || reason, again_at = now() "
        "WHERE why <> 'fork' AND ($1::uuid IS NULL OR stream = $1) AND ($2::text IS NULL OR topic = $2)",
        stream,
        topic,
    )
    return int(status.split()[-1])


async def skip(tx: Tx, stream: UUID, version: int, because: str, topic: str | None = None) -> int:
    """Pass over a message for good, with a reason that is kept; what follows it may go on. Returns how many rows went (0: none there).

    Only the head of a stream can be passed over: skipping one in the middle would let its successors build on a hole unseen. Where
    somebody speaks for another's stream, both may wait under one number: then `topic` says which is meant.
    """
    rows = await tx.connection.fetch(
        """
        DELETE FROM parked p WHERE p.stream = $1 AND p.version = $2 AND ($3::text IS NULL OR p.topic = $3)
          AND p.version <= 1 + coalesce((SELECT s.version FROM seen s WHERE s.stream = p.stream AND s.topic = p.topic), 0)
        RETURNING p.stream, p.topic, p.version, p.mark, p.type, p.why, p.reason
        """,
        stream,
        version,
        topic,
    )
    for row in rows:
        await tx.connection.execute(
            "INSERT INTO skipped VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
            row["stream"],
            row["topic"],
            row["version"],
            row["mark"],
            row["type"],
            f"{row['why']}: {row['reason']}",
            because,
            tx.now,
        )
        if row["why"] != "fork":
            await tx.connection.execute(
                """
                INSERT INTO seen (stream, topic, version, mark) VALUES ($1, $2, $3, $4)
                ON CONFLICT (stream, topic) DO UPDATE SET version = excluded.version, mark = excluded.mark
                """,
                row["stream"],
                row["topic"],
                row["version"],
                row["mark"],
            )
    await unblock(tx, [r["stream"] for r in rows], [r["topic"] for r in rows])
    return len(rows)

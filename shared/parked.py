"""Messages set aside: kept whole with the reason, released in order, or passed over with a reason that is kept.

Who mends it: `early` (a fact of another stream is not here yet), `gap` and `blocked` (one before it is missing or waits)
release themselves; `refused`, `malformed`, `unstorable`, `bug` and `fork` wait for people (`maillon parked`).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal
from uuid import UUID

import asyncpg

from shared.db import Tx
from shared.errors import Malformed, NotYet, Refused
from shared.inbox import mark
from shared.message import Message

Why = Literal["early", "gap", "blocked", "refused", "malformed", "unstorable", "bug", "fork"]
FOR_PEOPLE = frozenset({"refused", "malformed", "unstorable", "bug", "fork"})


@dataclass(frozen=True, slots=True)
class Parked:
    """A message, and why it is set aside."""

    message: Message
    why: Why
    reason: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A parked message that is tried again: for how long it has waited, and how often it was tried."""

    message: Message
    waited: timedelta
    tries: int


def explain(message: Message, error: Exception) -> Parked:
    """Put an error into the words of the table."""
    match error:
        case NotYet():
            return Parked(message, "early", error.code)
        case Refused():
            return Parked(message, "refused", f"{error.code} {json.dumps(error.detail, default=str)}"[:1000])
        case Malformed():
            return Parked(message, "malformed", f"{error.code} {json.dumps(error.detail, default=str)}"[:1000])
        case asyncpg.PostgresError():
            return Parked(message, "unstorable", f"{error.sqlstate} {getattr(error, 'constraint_name', None) or ''}".strip())
        case asyncpg.DataError():
            return Parked(message, "unstorable", "value out of the database's range")
        case _:
            return Parked(message, "bug", f"{type(error).__name__}: {error}"[:1000])


async def park(tx: Tx, parked: Sequence[Parked]) -> None:
    """Set messages aside, whole, each with the reason. One that is there already is tried again later each time.

    By the database's clock, here and in `due`: what a process whose clock was ahead set aside would wait until the others are there.
    """
    first: dict[tuple[UUID, str, int, bytes], Parked] = {}
    for p in parked:  # one that comes twice in a batch waits once, for its first reason: a statement cannot write a row twice
        first.setdefault((p.message.stream, p.message.topic, p.message.version, mark(p.message)), p)
    parked = list(first.values())
    await tx.connection.execute(
        """
        INSERT INTO parked (stream, topic, version, mark, partition, "offset", type, time, headers, key, value, fault,
                            why, reason, at, again_at)
        SELECT *, now(), now() + interval '200 ms'
        FROM unnest($1::uuid[], $2::text[], $3::int[], $4::bytea[], $5::int[], $6::bigint[], $7::text[], $8::timestamptz[],
                    $9::json[], $10::bytea[], $11::bytea[], $12::text[], $13::text[], $14::text[])
        ON CONFLICT (stream, topic, version, mark) DO UPDATE
        SET why = excluded.why, reason = excluded.reason, tries = parked.tries + 1,
            again_at = now() + least(interval '30 s', interval '200 ms' * power(2, least(parked.tries + 1, 8)))
        """,
        [p.message.stream for p in parked],
        [p.message.topic for p in parked],
        [p.message.version for p in parked],
        [mark(p.message) for p in parked],
        [p.message.partition for p in parked],
        [p.message.offset for p in parked],
        [p.message.type for p in parked],
        [p.message.time for p in parked],
        [json.dumps(dict(p.message.headers)) for p in parked],
        [p.message.key for p in parked],
        [p.message.value for p in parked],
        [p.message.fault for p in parked],
        [p.why for p in parked],
        [p.reason for p in parked],
    )


async def due(tx: Tx, topics: Sequence[str], limit: int = 500) -> list[Waiting]:
    """Give what may go now: heads of their streams that release themselves and whose time has come, with all that waits behind them."""
    rows = await tx.connection.fetch(
        """
        WITH heads AS (
            SELECT p.stream, p.topic FROM parked p LEFT JOIN seen s USING (stream, topic)
            WHERE p.topic = ANY ($1::text[]) AND p.version <= coalesce(s.version, 0) + 1 AND p.why IN ('early', 'gap', 'blocked')
              AND (p.again_at <= now() OR p.why <> 'early')
              AND NOT EXISTS (SELECT FROM parked q WHERE q.stream = p.stream AND q.topic = p.topic AND q.version <= p.version
                              AND q.why NOT IN ('early', 'gap', 'blocked'))
            ORDER BY p.again_at LIMIT $2
        )
        SELECT p.*, now() - p.at AS waited FROM parked p WHERE (p.stream, p.topic) IN (SELECT * FROM heads)
        ORDER BY p.stream, p.topic, p.version, p."offset" LIMIT 2000
        """,
        topics,
        limit,
    )
    return [Waiting(rebuilt(row), row["waited"], row["tries"]) for row in rows]


async def hopeful(tx: Tx, topics: Sequence[str]) -> set[str]:
    """Give those of `topics` in which something parked may yet go by itself."""
    rows = await tx.connection.fetch(
        "SELECT DISTINCT topic FROM parked WHERE topic = ANY ($1::text[]) AND why IN ('early', 'gap')", topics
    )
    return {row["topic"] for row in rows}


def rebuilt(row: asyncpg.Record) -> Message:
    """Make the message of a parked row again, byte for byte."""
    return Message(
        topic=row["topic"],
        partition=row["partition"],
        offset=row["offset"],
        stream=row["stream"],
        version=row["version"],
        type=row["type"],
        time=row["time"],
        headers=json.loads(row["headers"]),
        value=row["value"],
        key=row["key"],
        fault=row["fault"],
    )


async def settle(tx: Tx, done: Sequence[Message]) -> None:
    """Drop the parked rows of messages that have had their effect (bytes of outsiders may name people: they go), unblock their streams."""
    if not done:
        return
    streams, topics = [m.stream for m in done], [m.topic for m in done]
    await tx.connection.execute(
        """
        DELETE FROM parked WHERE (stream, topic, version, mark) IN
            (SELECT * FROM unnest($1::uuid[], $2::text[], $3::int[], $4::bytea[])) AND why <> 'fork'
        """,
        streams,
        topics,
        [m.version for m in done],
        [mark(m) for m in done],
    )
    await unblock(tx, streams, topics)


async def unblock(tx: Tx, streams: Sequence[UUID], topics: Sequence[str]) -> None:
    """Let `parked_from` say what is parked now."""
    await tx.connection.execute(
        """
        UPDATE seen s SET parked_from = (SELECT min(p.version) FROM parked p WHERE p.stream = s.stream AND p.topic = s.topic)
        WHERE (s.stream, s.topic) IN (SELECT DISTINCT * FROM unnest($1::uuid[], $2::text[]))
        """,
        streams,
        topics,
    )


PATIENCE = timedelta(minutes=2)
"""How long an outsider's early message waits before it gets its receipt."""
ALARM_AFTER = timedelta(minutes=10)
"""An event that is early for longer is somebody's fault."""

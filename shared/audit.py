"""What operations ask of the archive: are rows what its events say, has everybody seen all of it, and send it again.

`events` is the archive: state is what its fold says, and a topic can be made again from it.
"""

from bisect import bisect
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from uuid import UUID

import asyncpg

from shared.aggregate import Aggregate, Aggregates, Versioned
from shared.db import Row, Tx, transaction
from shared.history import SLICE, Contracts, contracts

SLICE_EVENTS = 20_000
"""Events folded in one transaction, unless a single stream has more: those are read a few at a time."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A state that is not what its events say."""

    aggregate: str
    stream: UUID
    what: str


async def fold_check(pool: "asyncpg.Pool[asyncpg.Record]", aggregates: Aggregates) -> AsyncIterator[Difference]:
    """Give every state that differs from the fold of its events, in slices, each one moment."""
    known = contracts(aggregates)
    for aggregate in sorted(set(aggregates.values()), key=lambda a: a.name):
        types = [event.type for event in aggregate.events]
        after: UUID | None = UUID(int=0)
        while after is not None:
            async with transaction(pool, readonly=True) as tx:
                found, after = await fold_slice(tx, aggregate, types, known, after)
            for difference in found:
                yield difference


async def fold_slice(
    tx: Tx, aggregate: Aggregate, types: Sequence[str], known: Contracts, after: UUID
) -> tuple[list[Difference], UUID | None]:
    # streams of other kinds count too: looking for one of a rare kind must not read all of `events` in one go
    streams = await tx.connection.fetch(
        "SELECT stream, count(*) AS events, bool_or(type = ANY ($2::text[])) AS ours "
        "FROM events WHERE stream > $1 GROUP BY stream ORDER BY stream LIMIT $3",
        after,
        types,
        SLICE,
    )
    kept = await aggregate.rows.page(tx, after, SLICE)
    full = [ids for ids in ([r["stream"] for r in streams], list(kept)) if len(ids) == SLICE]
    last = min((ids[-1] for ids in full), default=None)
    lengths = {r["stream"]: r["events"] for r in streams if r["ours"]}
    ids = sorted(i for i in {*lengths, *kept} if last is None or i <= last)
    sums = list(accumulate(lengths.get(i, 0) for i in ids))
    if sums and sums[-1] > SLICE_EVENTS:
        ids = ids[: max(1, bisect(sums, SLICE_EVENTS))]
        last = ids[-1]
    folded: dict[UUID, Versioned] = {}
    query = "SELECT stream, version, type, data FROM events WHERE stream = ANY ($1::uuid[]) ORDER BY stream, version"
    rows = await tx.connection.cursor(query, ids)
    while some := await rows.fetch(SLICE):
        folded = fold(some, known, folded)
    states = await aggregate.rows.load(tx, ids)
    return [d for i in ids if (d := differs(aggregate, i, folded.get(i), states.get(i)))], last


def differs(aggregate: Aggregate, stream: UUID, folded: Versioned | None, state: Versioned | None) -> Difference | None:
    if folded == state:
        return None
    if folded is None or state is None:
        return Difference(aggregate.name, stream, "has no events" if folded is None else "has no row")
    if folded.version != state.version:
        return Difference(aggregate.name, stream, f"row at {state.version}, events up to {folded.version}")
    names = [f for f in folded.state.__dataclass_fields__ if getattr(folded.state, f) != getattr(state.state, f)]
    return Difference(aggregate.name, stream, "differs in " + ", ".join(names))


def fold(rows: Iterable[Row], known: Contracts, states: dict[UUID, Versioned] | None = None) -> dict[UUID, Versioned]:
    """Give the states that the events in `rows` (in order) lead to, going on from `states`."""
    states = {} if states is None else states
    for row in rows:
        aggregate, contract = known[row["type"]]
        before = states.get(row["stream"], Versioned(aggregate.new))
        if row["version"] != before.version + 1:
            raise AssertionError(f"{row['stream']} has no event {before.version + 1}")
        states[row["stream"]] = Versioned(
            aggregate.evolve(before.state, contract.model_validate_json(row["data"])), row["version"]
        )
    return states


async def resend(tx: Tx, *, stream: UUID | None = None, topic: str | None = None) -> int:
    """Put published events in the outbox again, in order: of a stream, or of a topic. Consumers drop what they have."""
    status = await tx.connection.execute(
        """
        INSERT INTO outbox (topic, seq) SELECT topic, seq FROM events
        WHERE topic IS NOT NULL AND ($1::uuid IS NULL OR stream = $1) AND ($2::text IS NULL OR topic = $2)
        ON CONFLICT DO NOTHING
        """,
        stream,
        topic,
    )
    return int(status.split()[-1])


async def published(tx: Tx) -> dict[str, tuple[int, int]]:
    """Sum up each of our topics: streams, and the sum of their last numbers. A consumer that has seen all has the same sums."""
    rows = await tx.connection.fetch(
        "SELECT topic, count(*) AS streams, sum(last) AS numbers FROM "
        "(SELECT topic, stream, max(version) AS last FROM events WHERE topic IS NOT NULL GROUP BY topic, stream) _ "
        "GROUP BY topic ORDER BY topic"
    )
    return {r["topic"]: (r["streams"], int(r["numbers"])) for r in rows}


async def consumed(tx: Tx) -> dict[str, tuple[int, int]]:
    """Sum up what this service has seen of each topic, in the same way."""
    rows = await tx.connection.fetch(
        "SELECT topic, count(*) FILTER (WHERE version > 0) AS streams, sum(version) AS numbers FROM seen GROUP BY topic ORDER BY topic"
    )
    return {r["topic"]: (r["streams"], int(r["numbers"])) for r in rows}

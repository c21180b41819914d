"""The same work on tables that grew: 10⁴, 10⁵ and 10⁶ streams, the last with 10⁷ events.

Each stream is already at its tenth event, in the tables of the kernel and of the toy service, as if all of it had gone through.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import asyncpg

from deploy.local.platform import Platform
from tests.bench.load import backlog, line, stream
from tests.bench.runs import TOPIC, filled_ground, fresh_database, measured
from tests.shared.counter import counter_id

BEFORE = 10
SIZES = (10_000, 100_000, 1_000_000)
FROM_COUNTERS = """
INSERT INTO events (stream, version, type, topic, at, data)
SELECT id, n, 'test.added.v1', 'test.sums.ara', $1, json_build_object('cell', 'ara', 'amount', 1, 'total', n, 'cause', '')
FROM counters, generate_series(1, 10) n
"""


async def measure(platform: Platform, folder: Path, count: int = 60_000, sizes: tuple[int, ...] = SIZES) -> AsyncIterator[str]:
    """Gives a line for each size beyond the first: its rate against that of the first."""
    rates: dict[int, float] = {}
    for size in sizes:
        ground = await filled_ground(platform, folder, backlog(count, streams=size, before=BEFORE))
        async with fresh_database(platform) as url:
            kept = await grow(url, size)
            rates[size] = count / (await measured(ground, url, "kernel", count)).seconds
        if size == sizes[0]:
            continue
        ratio = rates[size] / rates[sizes[0]]
        note = (
            f"{count} messages on {size:,} streams, {kept}: {rates[size]:.0f}/s, on {sizes[0]:,} streams {rates[sizes[0]]:.0f}/s"
        )
        yield line(f"growth_{size:.0e}_ratio".replace("e+0", "e"), ratio, "ratio", ">= 0.6", ratio >= 0.6, note)


async def grow(url: str, size: int) -> str:
    """Fill the tables; indexes are made at the end, as a restore would. Returns how large they are."""
    connection = await asyncpg.connect(url, timeout=10, command_timeout=600)
    try:
        for n in range(0, size, 50_000):
            streams = [stream(i) for i in range(n, min(n + 50_000, size))]
            await connection.copy_records_to_table("seen", records=[(s, TOPIC, BEFORE, b"\0" * 16, None) for s in streams])
            await connection.copy_records_to_table(
                "counters",
                columns=["id", "version", "cell", "total", "causes"],
                records=[row(counter_id(str(s))) for s in streams],
            )
        await connection.execute("ALTER TABLE events DROP CONSTRAINT events_pkey; DROP INDEX events_seq")
        await connection.execute(FROM_COUNTERS, datetime.now(UTC))
        await connection.execute(
            "ALTER TABLE events ADD PRIMARY KEY (stream, version); CREATE UNIQUE INDEX events_seq ON events (seq)"
        )
        for command in ("ANALYZE", "CHECKPOINT"):
            try:
                await connection.execute(command)
            except asyncpg.InsufficientPrivilegeError:
                continue  # a checkpoint needs a right of its own; without one the first rounds pay for it
        size_of = await connection.fetchrow(
            "SELECT pg_size_pretty(pg_total_relation_size('events')) AS events, pg_size_pretty(pg_total_relation_size('seen')) AS seen"
        )
        assert size_of is not None
        return f"{size * BEFORE:,} events ({size_of['events']}, positions {size_of['seen']})"
    finally:
        await connection.close()


def row(counter: UUID) -> tuple[UUID, int, str, int, str]:
    return (counter, BEFORE, "ara", BEFORE, "[]")

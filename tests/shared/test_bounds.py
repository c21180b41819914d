"""What waits or comes in heaps stays within bounds: of memory, of time, of what it takes from others."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
import pytest_asyncio

from shared import audit, history
from shared.aggregate import Work
from shared.audit import fold_check, resend
from shared.db import connect, transaction
from shared.history import take_in
from shared.message import Message
from shared.migrate import migrate
from shared.outbox import Relay
from shared.settings import Settings
from tests.bench.load import backlog, fill
from tests.shared.counter import COUNTER, MIGRATIONS, REPLY, Add, Added, Answer, Told, counter_id
from tests.support.platform import until
from tests.support.process import process, resident_mb
from tests.support.service import Ground, Publisher, Site

TOLD = "test.told.ara"
MANY = 50_000
LONG = 100_000


@pytest_asyncio.fixture(loop_scope="session")
async def pool(database: str) -> AsyncIterator["asyncpg.Pool[asyncpg.Record]"]:
    pool = await connect(database, name="test")
    await migrate(pool, MIGRATIONS)
    yield pool
    await pool.close()


@pytest.mark.timeout(300)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory of another process is read from /proc")
async def test_memory_is_flat_under_a_backlog(settings: Settings, ground: Ground, tmp_path: Path) -> None:
    """After a fifth of it a service has what it needs; the other four fifths take no more. No batch has more than 2,000 messages."""
    await fill(ground.access, TOLD, backlog(MANY))
    pool = await asyncpg.create_pool(settings.database_url.get_secret_value(), min_size=1, max_size=1)
    async with process("tests.shared", settings, tmp_path / "log") as service:
        await service.ready()
        early, late = 0.0, 0.0
        while (done := await dealt_with(pool)) < MANY:
            now = resident_mb(service.pid)
            early, late = (max(early, now), late) if done < MANY / 5 else (early, max(late, now))
            await asyncio.sleep(0.05)
        late = max(late, resident_mb(service.pid))
        async with httpx.AsyncClient() as client:
            figures = (await client.get(f"http://127.0.0.1:{settings.http_port}/metrics")).text
    await pool.close()
    assert late - early < 40, f"{early:.0f} MB, then {late:.0f} MB"
    within = {
        found[1]: found[2] for found in re.finditer(r'^maillon_batch_messages_bucket{le="(.+)"} (.+)$', figures, re.MULTILINE)
    }
    assert float(within["2000.0"]) == float(within["+Inf"]) >= MANY / 2_000


async def dealt_with(pool: "asyncpg.Pool[asyncpg.Record]") -> int:
    return int(await pool.fetchval("SELECT coalesce(sum(next), 0) FROM cursor"))


# ── one long stream ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

METER = replace(COUNTER, evolve=lambda c, e: replace(c, cell=e.cell, total=e.total))
"""The counter, without a memory that grows with each event: that is its own, not the kernel's."""
METERS = {Add: METER, Answer: REPLY}


async def long_stream(pool: "asyncpg.Pool[asyncpg.Record]", name: str, events: int) -> UUID:
    """Write a stream of `events` events and its row, as if they had happened here."""
    stream = counter_id(name)
    await pool.execute(
        """
        INSERT INTO events (stream, version, type, topic, at, data)
        SELECT $1, n, 'test.added.v1', 'test.sums.ara', now(), json_build_object('cell', 'ara', 'amount', 1, 'total', n)
        FROM generate_series(1, $2) n
        """,
        stream,
        events,
    )
    await pool.execute("INSERT INTO counters VALUES ($1, $2, 'ara', $2::int, '[]')", stream, events)
    return stream


class Largest:
    """The most rows that any one answer of the database held. Those of a cursor come a few at a time and do not count."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rows = 0
        connections: Any = asyncpg.Connection
        execute = connections._execute

        async def counted(connection: object, *args: object, **more: object) -> object:
            found = await execute(connection, *args, **more)
            rows = found[0] if isinstance(found, tuple) else found
            self.rows = max(self.rows, len(rows) if isinstance(rows, list) else 0)
            return found

        monkeypatch.setattr(connections, "_execute", counted)


async def test_a_stream_of_100000_events_is_never_read_whole(
    pool: "asyncpg.Pool[asyncpg.Record]", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not for its next event, not for the fold check, not for taking in what its own topic knows more, not for sending it again."""
    stream = await long_stream(pool, "long", LONG)
    largest = Largest(monkeypatch)
    one_more = Add(id=stream, cell="ara", amount=1, cause="")
    async with transaction(pool) as tx:
        work = Work(METERS)
        await work.load(tx, [one_more])
        recorded = work.carry_out([one_more])
        await work.save(tx)
    assert [(r.version, r.event) for r in recorded] == [(LONG + 1, Added(cell="ara", amount=1, total=LONG + 1))]
    assert [d async for d in fold_check(pool, METERS)] == []
    assert await take_in(pool, METERS, own_topic(pool, stream, LONG - 2_000, LONG + 1_001)) == 1_000
    assert await pool.fetchval("SELECT (version, total) = ($1::int, $1::bigint) FROM counters", LONG + 1_001)
    async with transaction(pool) as tx:
        assert await resend(tx, stream=stream) == LONG + 1_000  # one of them waits to be sent already
    assert largest.rows <= history.SLICE


async def own_topic(pool: "asyncpg.Pool[asyncpg.Record]", stream: UUID, after: int, last: int) -> AsyncIterator[Message]:
    """What the topic holds of a stream: as the database told it, and some events that the database has lost."""
    for n in range(after + 1, last + 1):
        told = await pool.fetchval("SELECT data FROM events WHERE stream = $1 AND version = $2", stream, n)
        data = told or Added(cell="ara", amount=1, total=n).model_dump_json()
        headers = {"ce_id": str(n), "ce_source": "s", "ce_type": Added.type}
        yield Message("test.sums.ara", 0, n, stream, n, Added.type, datetime.now(UTC), headers, data.encode(), b"", None)


# ── the fold check ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_fold_check_holds_no_snapshot_from_one_slice_to_the_next(
    pool: "asyncpg.Pool[asyncpg.Record]", monkeypatch: pytest.MonkeyPatch
) -> None:
    """C9: a long one would keep what the relay has deleted in the way of its next look. Streams and events both end a slice."""
    monkeypatch.setattr(audit, "SLICE", 50)
    monkeypatch.setattr(audit, "SLICE_EVENTS", 100)
    for n in range(60):
        await long_stream(pool, f"short {n}", 5)
    await pool.execute("UPDATE counters SET total = 0")
    sizes: list[int] = []
    whole = audit.fold_slice

    async def measured(*args: Any) -> Any:
        found, after = await whole(*args)
        sizes.append(len(found))
        return found, after

    monkeypatch.setattr(audit, "fold_slice", measured)
    async for _ in fold_check(pool, METERS):
        assert await pool.fetchval(SNAPSHOTS) == 0
    assert [size for size in sizes if size] == [20, 20, 20]


SNAPSHOTS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND state LIKE 'idle in transaction%' AND pid <> pg_backend_pid()
"""


# ── what is parked ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_ten_thousand_parked_streams_let_the_others_pass(counter: Site, publisher: Publisher) -> None:
    """They wait for one fact; when it comes all may go at once. What others send meanwhile has its effect before the last of them."""
    rows = [publisher.row(uuid4(), 1, Told(name=f"n{n}", amount=1, needs="door")) for n in range(10_000)]
    await publisher.send(TOLD, rows)
    pool = counter.desk.pool
    await until(lambda: waiting(pool, 10_000), 60)
    await publisher.tell(TOLD, uuid4(), Told(name="other", amount=1))
    await until(lambda: total_is(counter, "other", 1), 10)
    await pool.execute("UPDATE parked SET again_at = 'infinity'")
    await publisher.tell(TOLD, uuid4(), Told(name="door", amount=1))
    await until(lambda: total_is(counter, "door", 1), 10)
    await pool.execute("UPDATE parked SET again_at = now()")
    await until(lambda: fewer(pool, 10_000), 10)
    left = []
    for n in range(2, 5):
        await publisher.tell(TOLD, uuid4(), Told(name="other", amount=1))
        await until(partial(total_is, counter, "other", n), 20)
        left.append(await pool.fetchval("SELECT count(*) FROM parked"))
    assert left == sorted(left, reverse=True)
    assert left[0] > 0
    await until(lambda: waiting(pool, 0), 60)
    assert await pool.fetchval("SELECT count(*) FROM counters WHERE total = 1") == 10_001


async def waiting(pool: "asyncpg.Pool[asyncpg.Record]", count: int) -> bool:
    return bool(await pool.fetchval("SELECT count(*) FROM parked") == count)


async def fewer(pool: "asyncpg.Pool[asyncpg.Record]", count: int) -> bool:
    return bool(await pool.fetchval("SELECT count(*) FROM parked") < count)


async def total_is(site: Site, name: str, value: int) -> bool:
    return bool(await site.desk.pool.fetchval("SELECT total FROM counters WHERE id = $1", counter_id(name)) == value)


# ── events that wait to be sent ─────────────────────────────────────────────────────────────────────────────────────────────────


async def test_what_the_relay_holds_at_once_is_bounded_in_events_and_in_bytes(
    pool: "asyncpg.Pool[asyncpg.Record]", database: str
) -> None:
    """A hundred events of 100 kB in one topic, thousands of small ones in two: no topic waits for the large ones, nothing is left out."""
    for topic, count, size in (("t.large", 100, 100_000), ("t.small", 3_000, 10), ("t.tiny", 3_000, 10)):
        await pool.execute(QUEUED, uuid4(), topic, count, size)
    sent: dict[str, list[int]] = {}
    held, most = 0, 0
    first: list[str] = []

    async def send(topic: str, rows: Sequence[asyncpg.Record]) -> dict[int, int]:
        nonlocal held, most
        size = sum(len(row["data"]) for row in rows)
        first.append(topic)
        held += size
        most = max(most, held)
        await asyncio.sleep(0.01)
        held -= size
        sent.setdefault(topic, []).extend(row["version"] for row in rows)
        return {0: rows[-1]["version"]}

    relay = Relay(database, send, ("large", "small", "tiny"), share=500, most_bytes=1_500_000)
    task = asyncio.create_task(relay.run())
    try:
        await until(lambda: nothing_unsent(pool), 30)
    finally:
        task.cancel()
        await asyncio.wait([task])
    assert sent == {
        "t.large": list(range(1, 101)),
        "t.small": list(range(1, 3_001)),
        "t.tiny": list(range(1, 3_001)),
    }
    assert set(first[:3]) == {"t.large", "t.small", "t.tiny"}
    assert most < 2 * 1_500_000


QUEUED = """
WITH kept AS (
    INSERT INTO events (stream, version, type, topic, at, data)
    SELECT $1, n, 'test.x.v1', $2, now(), to_json((SELECT string_agg(md5(n::text || k), '') FROM generate_series(0, $4 / 32) k))
    FROM generate_series(1, $3) n RETURNING topic, seq
) INSERT INTO outbox SELECT topic, seq FROM kept
"""


async def nothing_unsent(pool: "asyncpg.Pool[asyncpg.Record]") -> bool:
    return not await pool.fetchval("SELECT EXISTS (SELECT FROM outbox)")

"""Rows made again from events: all as today's `evolve` says, or nothing at all."""

from collections.abc import AsyncIterator
from dataclasses import replace

import asyncpg
import pytest
import pytest_asyncio

from deploy.places import Unreachable
from deploy.rebuild import Compared, alone, made_again
from shared.aggregate import Aggregates, Work
from shared.audit import fold_check
from shared.db import transaction
from shared.migrate import migrate
from shared.outbox import LOCK
from tests.shared.counter import AGGREGATES, COUNTER, MIGRATIONS, Add, Added, Counter, counter_id, evolve

NAMES = [f"n{number}" for number in range(600)]
"""More than one slice."""


@pytest_asyncio.fixture(loop_scope="session")
async def pool(database: str) -> "AsyncIterator[asyncpg.Pool[asyncpg.Record]]":
    pool = await asyncpg.create_pool(database, min_size=1, max_size=2, server_settings={"application_name": "maillon"})
    await migrate(pool, MIGRATIONS)
    work = Work(AGGREGATES)
    async with transaction(pool) as tx:
        commands = [Add(id=counter_id(name), cell="ara", amount=n % 7 + 1, cause=f"c{n}") for n in (1, 2) for name in NAMES]
        await work.load(tx, commands)
        work.carry_out(commands)
        await work.save(tx)
    yield pool
    await pool.close()


async def rows(pool: "asyncpg.Pool[asyncpg.Record]") -> list[asyncpg.Record]:
    return await pool.fetch("SELECT * FROM counters ORDER BY id")


def made(missing: int = 0, differing: int = 0, surplus: int = 0) -> list[Compared]:
    counters = Compared(table="counters", rows=len(NAMES), missing=missing, differing=differing, surplus=surplus)
    return [counters, Compared(table="replies", rows=0, missing=0, differing=0, surplus=0)]


async def rebuilt(pool: "asyncpg.Pool[asyncpg.Record]", aggregates: Aggregates = AGGREGATES) -> list[Compared]:
    async with transaction(pool) as tx:
        return await made_again(tx, aggregates)


async def test_rows_that_are_right_are_not_written(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    before = await pool.fetch("SELECT ctid, xmin, * FROM counters ORDER BY id")
    assert await rebuilt(pool) == made()
    assert await pool.fetch("SELECT ctid, xmin, * FROM counters ORDER BY id") == before


async def test_what_was_lost_spoilt_or_made_up_is_put_right(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    before = await rows(pool)
    await pool.execute("DELETE FROM counters WHERE id IN (SELECT id FROM counters ORDER BY id LIMIT 300)")
    await pool.execute("UPDATE counters SET total = total + 1 WHERE id IN (SELECT id FROM counters ORDER BY id LIMIT 30)")
    await pool.execute("INSERT INTO counters SELECT gen_random_uuid(), version, cell, total, causes FROM counters LIMIT 5")
    assert await rebuilt(pool) == made(missing=300, differing=30, surplus=5)
    assert await rows(pool) == before


def doubled(counter: Counter, event: Added) -> Counter:
    return replace(evolve(counter, event), total=2 * event.total)


async def test_rows_follow_a_changed_evolve(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    new = replace(COUNTER, evolve=doubled)
    changed = {command: new if kept is COUNTER else kept for command, kept in AGGREGATES.items()}
    before = [row["total"] for row in await rows(pool)]
    assert await rebuilt(pool, changed) == made(differing=len(NAMES))
    assert [row["total"] for row in await rows(pool)] == [2 * total for total in before]
    assert [d async for d in fold_check(pool, changed)] == []


async def test_what_a_table_refuses_changes_nothing(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    await pool.execute("UPDATE counters SET total = 1 WHERE total > 1; ALTER TABLE counters ADD CHECK (total < 2)")
    before = await rows(pool)
    with pytest.raises(asyncpg.CheckViolationError):
        await rebuilt(pool)
    assert await rows(pool) == before


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        ("DELETE FROM events WHERE version = 1", "has no event 1"),
        ("UPDATE events SET type = 'test.forgotten.v1' WHERE seq = 1", "does not know test.forgotten.v1"),
    ],
)
async def test_an_archive_that_cannot_be_folded_changes_nothing(
    pool: "asyncpg.Pool[asyncpg.Record]", spoil: str, why: str
) -> None:
    await pool.execute(spoil)
    await pool.execute("DELETE FROM counters")
    with pytest.raises(AssertionError, match=why):
        await rebuilt(pool)
    assert await rows(pool) == []


async def test_nobody_writes_meanwhile(pool: "asyncpg.Pool[asyncpg.Record]", database: str) -> None:
    writer = await asyncpg.connect(database, server_settings={"lock_timeout": "200ms"})
    try:
        async with transaction(pool) as tx:
            await made_again(tx, AGGREGATES)
            with pytest.raises(asyncpg.LockNotAvailableError):
                await writer.execute("DELETE FROM events")
            assert await writer.fetchval("SELECT count(*) FROM events") == 2 * len(NAMES), "who reads is not kept waiting"
    finally:
        await writer.close()


async def test_it_waits_for_nobody_who_is_at_work(pool: "asyncpg.Pool[asyncpg.Record]", database: str) -> None:
    async with alone(pool, "counter"):
        pass
    service = await asyncpg.connect(database, server_settings={"application_name": "counter"})
    try:
        with pytest.raises(Unreachable, match=r"at work on this database \(counter\): stop it first"):
            async with alone(pool, "counter"):
                pass
    finally:
        await service.close()
    relay = await asyncpg.connect(database)
    try:
        assert await relay.fetchval(LOCK)
        with pytest.raises(Unreachable, match=r"at work on this database \(relay\)"):
            async with alone(pool, "counter"):
                pass
    finally:
        await relay.close()

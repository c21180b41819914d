"""Events out: one topic's trouble stays its own, one relay at a time, and whatever sends again sends the same."""

import asyncio
import contextlib
from collections.abc import Sequence
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from shared import outbox
from shared.kafka.admin import Admin, NewTopic
from shared.kafka.wire import Sender
from shared.migrate import migrate
from shared.outbox import Relay, Send
from tests.support.platform import until
from tests.support.service import Ground

CELLS = ("ara", "idf")


@pytest_asyncio.fixture(loop_scope="session")
async def pool(database: str) -> "asyncpg.Pool[asyncpg.Record]":
    pool = await asyncpg.create_pool(database, min_size=1, max_size=4)
    await migrate(pool, None)
    return pool


async def record(pool: "asyncpg.Pool[asyncpg.Record]", topic: str, count: int, size: int = 10) -> None:
    await pool.execute(
        """
        WITH kept AS (
            INSERT INTO events (stream, version, type, topic, at, data)
            SELECT $2, n, 'test.x.v1', $1, now(), to_json(repeat('x', $4)) FROM generate_series(1, $3) n RETURNING topic, seq
        ) INSERT INTO outbox SELECT topic, seq FROM kept
        """,
        topic,
        uuid4(),
        count,
        size,
    )


async def left(pool: "asyncpg.Pool[asyncpg.Record]", topic: str) -> int:
    return int(await pool.fetchval("SELECT count(*) FROM outbox WHERE topic = $1", topic))


async def test_a_topic_that_is_missing_or_refused_for_its_size_rests_and_the_others_go_on(
    pool: "asyncpg.Pool[asyncpg.Record]", database: str, ground: Ground
) -> None:
    await ground.make_topics({"test.ok": "regions", "test.big": "regions"})
    sender = Sender(ground.access, "/maillon/test", timeout_s=3)
    relay = Relay(database, sender.send, CELLS)
    await record(pool, "test.missing.ara", 5)
    await record(pool, "test.big.ara", 1, size=1_200_000)
    await record(pool, "test.ok.ara", 2_500)
    task = asyncio.create_task(relay.run())
    try:
        await until(lambda: empty(pool, "test.ok.ara"), 5)
        await record(pool, "test.ok.idf", 10)
        await until(lambda: empty(pool, "test.ok.idf"), 2)
        assert (await left(pool, "test.missing.ara"), await left(pool, "test.big.ara")) == (5, 1)
        sent = await pool.fetch("SELECT topic, sum(next)::int AS n FROM sent GROUP BY topic ORDER BY topic")
        assert [tuple(r) for r in sent] == [("test.ok.ara", 2_500), ("test.ok.idf", 10)]
    finally:
        await ended(task)
        await sender.stop()
        await pool.close()


async def test_a_topic_that_the_broker_holds_up_delays_no_other_and_comes_once(
    pool: "asyncpg.Pool[asyncpg.Record]", database: str, ground: Ground
) -> None:
    """Its partitions have no leader: what waits stays in line, once, and the producer that all share is not replaced for it."""
    await ground.make_topics({"test.ok": "regions", "test.held": "regions"}, partitions=1)
    p, held = ground.platform, f"{ground.prefix}test.held.ara"
    sender = Sender(ground.access, "/maillon/test", timeout_s=1)
    relay = Relay(database, sender.send, CELLS, rest_s=0.2)
    async with Admin(p.kafka_bootstrap, p.kafka_admin_user, p.kafka_admin_password) as admin:
        await sender.put("test.held.ara", [(None, b"so that its partitions are known", [])])
        producer = sender.producer
        await admin.delete_topics([held])
        await record(pool, "test.held.ara", 900, size=500)
        task = asyncio.create_task(relay.run())
        try:
            for _ in range(12):
                await record(pool, "test.ok.ara", 50)
                await until(lambda: empty(pool, "test.ok.ara"), 5)
                await asyncio.sleep(0.25)
            assert await left(pool, "test.held.ara") == 900
            assert sender.producer is producer
            await admin.create_topics([NewTopic(name=held, partitions=1, config={})])
            await until(lambda: empty(pool, "test.held.ara"))
            assert await pool.fetchval("SELECT next FROM sent WHERE topic = 'test.held.ara'") == 900
        finally:
            await ended(task)
            await sender.stop()
            await pool.close()


async def empty(pool: "asyncpg.Pool[asyncpg.Record]", topic: str) -> bool:
    return await left(pool, topic) == 0


async def ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_one_relay_sends_and_its_successor_takes_over_when_its_session_dies(
    pool: "asyncpg.Pool[asyncpg.Record]", database: str
) -> None:
    sent: list[tuple[str, int]] = []

    def by(name: str) -> Send:
        async def send(_: str, rows: Sequence[asyncpg.Record]) -> dict[int, int]:
            sent.extend((name, row["version"]) for row in rows)
            return {0: rows[-1]["version"]}

        return send

    first, second = (Relay(database, by(name), ("a", "b", "c")) for name in ("first", "second"))
    one = asyncio.create_task(first.run())
    await until(lambda: first.held)
    two = asyncio.create_task(second.run())
    try:
        await record(pool, "t.a", 5)
        await until(lambda: empty(pool, "t.a"))
        assert sent == [("first", n) for n in range(1, 6)]
        assert not second.held
        await ended(one)
        await until(lambda: second.held)
        await record(pool, "t.b", 2)
        await until(lambda: empty(pool, "t.b"))
        assert sent[5:] == [("second", 1), ("second", 2)]
        await pool.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'relay' AND datname = current_database()"
        )
        await record(pool, "t.c", 1)
        await until(lambda: empty(pool, "t.c"))
    finally:
        await ended(one)
        await ended(two)
        await pool.close()


async def test_a_process_split_off_sends_for_its_cells_and_for_others_only_where_nobody_else_does(
    pool: "asyncpg.Pool[asyncpg.Record]", database: str
) -> None:
    """A flooded cell's events are sent by its own process. What nobody sends is taken up after a while, and given back."""
    sent: list[tuple[str, str]] = []

    def by(name: str) -> Send:
        async def send(topic: str, rows: Sequence[asyncpg.Record]) -> dict[int, int]:
            sent.append((name, topic))
            return {0: rows[-1]["version"]}

        return send

    async def all_sent(*topics: str) -> list[tuple[str, str]]:
        sent.clear()
        for topic in topics:
            await record(pool, topic, 1)
        await until(lambda: nothing_left(pool))
        return sorted(sent, key=lambda pair: pair[1])

    most = Relay(database, by("most"), ("a", "b"), patience_s=1.0)
    few = Relay(database, by("few"), ("busy",), patience_s=1.0)
    tasks = {"few": asyncio.create_task(few.run()), "most": asyncio.create_task(most.run())}
    try:
        await until(lambda: (most.held, few.held) == ({"a", "b"}, {"busy"}))
        assert await all_sent("t.a", "t.busy") == [("most", "t.a"), ("few", "t.busy")]
        assert await all_sent("t.gone") in ([("few", "t.gone")], [("most", "t.gone")]), "a cell of which nobody knows any more"
        await ended(tasks["few"])
        assert await all_sent("t.busy", "t.a") == [("most", "t.a"), ("most", "t.busy")]
        tasks["few"] = asyncio.create_task(few.run())
        await until(lambda: (most.held, few.held) == ({"a", "b"}, {"busy"}))
        assert await all_sent("t.busy") == [("few", "t.busy")]
    finally:
        for task in tasks.values():
            await ended(task)
        await pool.close()


async def nothing_left(pool: "asyncpg.Pool[asyncpg.Record]") -> bool:
    return not await pool.fetchval("SELECT count(*) FROM outbox")


async def test_no_relay_sends_while_somebody_is_alone_with_the_database(
    pool: "asyncpg.Pool[asyncpg.Record]", database: str
) -> None:
    async def send(_: str, rows: Sequence[asyncpg.Record]) -> dict[int, int]:
        return {0: rows[-1]["version"]}

    relay = Relay(database, send, ("a",))
    alone = await asyncpg.connect(database)
    task = asyncio.create_task(relay.run())
    try:
        await until(lambda: relay.held)
        assert not await alone.fetchval(outbox.LOCK), "a relay is at work"
        await ended(task)
        await until(lambda: alone.fetchval(outbox.LOCK))
        await record(pool, "t.a", 1)
        task = asyncio.create_task(relay.run())
        await asyncio.sleep(1.2)
        assert (relay.held, await left(pool, "t.a")) == (set(), 1)
        await alone.close()
        await until(lambda: empty(pool, "t.a"))
    finally:
        await ended(task)
        await pool.close()


async def test_what_is_sent_is_deleted_only_after_its_acknowledgement(
    pool: "asyncpg.Pool[asyncpg.Record]", database: str
) -> None:
    gate, asked = asyncio.Event(), asyncio.Event()

    async def send(_: str, rows: Sequence[asyncpg.Record]) -> dict[int, int]:
        asked.set()
        await gate.wait()
        return {0: len(rows)}

    relay = Relay(database, send, ("a",))
    await record(pool, "t.a", 3)
    task = asyncio.create_task(relay.run())
    try:
        await asyncio.wait_for(asked.wait(), 5)
        await asyncio.sleep(0.3)
        assert await left(pool, "t.a") == 3
        gate.set()
        await until(lambda: empty(pool, "t.a"))
    finally:
        await ended(task)
        await pool.close()


async def test_the_producer_waits_for_every_replica_and_numbers_its_batches(ground: Ground) -> None:
    """One broker cannot show the difference; the setting can."""
    sender = Sender(ground.access, "/maillon/test")
    try:
        producer = await sender.started()
        assert producer._sender._acks == -1
        assert producer._txn_manager is not None
    finally:
        await sender.stop()


async def test_what_is_sent_is_swept_out_of_the_index(
    pool: "asyncpg.Pool[asyncpg.Record]", database: str, ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it the relay wades through all that it ever deleted since the database last swept by itself."""
    monkeypatch.setattr(outbox, "SWEEP_EVERY", 400)
    await ground.make_topics({"test.ok": "regions"})
    sender = Sender(ground.access, "/maillon/test", timeout_s=3)
    task = asyncio.create_task(Relay(database, sender.send, CELLS).run())
    try:
        await record(pool, "test.ok.ara", 1_000)
        await until(lambda: empty(pool, "test.ok.ara"), 5)
        swept = "SELECT vacuum_count > 0 FROM pg_stat_user_tables WHERE relname = 'outbox'"
        await until(lambda: pool.fetchval(swept), 5)
    finally:
        await ended(task)
        await sender.stop()
        await pool.close()

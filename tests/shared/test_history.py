"""What happened is kept, checked, taken in again and sent again."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from shared.aggregate import Aggregate, Recorded, Versioned, Work, record
from shared.audit import Difference, consumed, fold_check, published, resend
from shared.errors import Outage, Refused
from shared.history import Forked, contracts, take_in
from shared.kafka.reader import read_on
from shared.message import Message
from shared.migrate import ChangedMigration, migrate
from shared.settings import Settings
from tests.shared.counter import AGGREGATES, COUNTER, MIGRATIONS, REPLY, Add, Added, Counter, Told, build, counter_id
from tests.support.platform import until
from tests.support.service import Ground, Publisher, Site, running

TOLD = "test.told.ara"
SUMS = ("test.sums.ara", "test.sums.idf")


async def total(pool: "asyncpg.Pool[asyncpg.Record]", name: str) -> int | None:
    found: int | None = await pool.fetchval("SELECT total FROM counters WHERE id = $1", counter_id(name))
    return found


async def messages_of(ground: Ground) -> list[Message]:
    return [m async for m in read_on(ground.access, {}, SUMS)]


async def test_a_database_put_back_in_time_reads_again_and_takes_in_what_it_had_published(
    settings: Settings, ground: Ground, publisher: Publisher
) -> None:
    """A3 and A4: the back-up knows 1 of 3 inputs; two more were consumed and their effects published since."""
    stream = uuid4()
    tables = ["events", "outbox", "sent", "seen", "cursor", "parked", "counters"]
    async with running(build, settings) as site:
        await publisher.tell(TOLD, stream, Told(name="a", amount=1))
        await until(lambda: sent_all(site, 1))
        backup = {t: await site.desk.pool.fetch(f"SELECT * FROM {t}") for t in tables}  # noqa: S608 names above
        await publisher.tell(TOLD, stream, Told(name="a", amount=2), Told(name="a", amount=4))
        await site.desk.carry_out([Add(id=counter_id("http"), cell="idf", amount=9, cause="c1")])
        await until(lambda: sent_all(site, 4))
    pool = await asyncpg.create_pool(settings.database_url.get_secret_value(), min_size=1, max_size=1)
    for table, rows in backup.items():
        await pool.execute(f"TRUNCATE {table}")
        for row in rows:
            names = ", ".join(f'"{c}"' for c in row.keys())  # noqa: SIM118 a Record is no dict
            marks = ", ".join(f"${n}" for n in range(1, len(row) + 1))
            await pool.execute(f"INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE VALUES ({marks})", *row)  # noqa: S608
    await pool.close()
    async with running(build, settings) as site:
        assert await total(site.desk.pool, "http") == 9
        await until(lambda: is_total(site, "a", 7))
        await site.desk.carry_out([Add(id=counter_id("http"), cell="idf", amount=1, cause="c2")])
        await until(lambda: sent_all(site, 5))
        wire: dict[tuple[str, int], str] = {}
        for m in await messages_of(ground):
            assert wire.setdefault((str(m.stream), m.version), m.value.decode()) == m.value.decode(), "a number was given twice"
        assert len(wire) == 5


async def sent_all(site: Site, events: int) -> bool:
    counted = await site.desk.pool.fetchrow("SELECT (SELECT count(*) FROM events) AS e, (SELECT count(*) FROM outbox) AS o")
    assert counted is not None
    return bool(counted["e"] == events and counted["o"] == 0)


async def is_total(site: Site, name: str, value: int) -> bool:
    return await total(site.desk.pool, name) == value


async def test_two_databases_that_spoke_as_one_are_found_before_serving(counter: Site, publisher: Publisher) -> None:
    await counter.desk.carry_out([Add(id=counter_id("x"), cell="ara", amount=1, cause="c3")])
    await until(lambda: sent_all(counter, 1))

    async def other() -> AsyncIterator[Message]:
        row = publisher.row(counter_id("x"), 1, Added(cell="ara", amount=2, total=2))
        yield Message(
            "test.sums.ara", 0, 5, counter_id("x"), 1, Added.type, counter.desk.now(), {}, str(row["data"]).encode(), b"", None
        )

    with pytest.raises(Forked):
        await take_in(counter.desk.pool, AGGREGATES, other())


async def test_a_row_that_is_not_what_its_events_say_is_found(counter: Site) -> None:
    ids = {name: counter_id(name) for name in ("a", "b", "c", "d")}
    for i in ids.values():
        await counter.desk.carry_out([Add(id=i, cell="ara", amount=1, cause="c4"), Add(id=i, cell="ara", amount=2, cause="c5")])
    pool = counter.desk.pool
    assert [d async for d in fold_check(pool, AGGREGATES)] == []
    await pool.execute("UPDATE counters SET total = 99 WHERE id = $1", ids["a"])
    await pool.execute("UPDATE counters SET version = 7 WHERE id = $1", ids["b"])
    await pool.execute("DELETE FROM counters WHERE id = $1", ids["c"])
    await pool.execute("DELETE FROM events WHERE stream = $1", ids["d"])
    found = {d.stream: d async for d in fold_check(pool, AGGREGATES)}
    assert found == {
        ids["a"]: Difference("counter", ids["a"], "differs in total"),
        ids["b"]: Difference("counter", ids["b"], "row at 7, events up to 2"),
        ids["c"]: Difference("counter", ids["c"], "has no row"),
        ids["d"]: Difference("counter", ids["d"], "has no events"),
    }
    await pool.execute("DELETE FROM events")
    await pool.execute("DELETE FROM counters")


async def test_a_tally_shows_a_loss_at_the_end_of_a_stream_and_sending_again_mends_it(
    counter: Site, publisher: Publisher, ground: Ground
) -> None:
    await publisher.tell(TOLD, uuid4(), Told(name="t", amount=1), Told(name="t", amount=2))
    await until(lambda: is_total(counter, "t", 3))
    async with counter.desk.read() as tx:
        assert await published(tx) == {"test.sums.ara": (1, 2)}
        assert await consumed(tx) == {TOLD: (1, 2)}
    await until(lambda: sent_all(counter, 2))
    before = len(await messages_of(ground))
    async with counter.desk.write() as tx:
        assert await resend(tx, stream=counter_id("t")) == 2
    await until(lambda: sent_all(counter, 2))
    again = await messages_of(ground)
    assert [(m.version, m.headers["ce_id"]) for m in again[before:]] == [(m.version, m.headers["ce_id"]) for m in again[:before]]


async def test_a_stream_stays_in_its_topic_and_an_event_within_its_size(counter: Site) -> None:
    i = counter_id("moves")
    await counter.desk.carry_out([Add(id=i, cell="ara", amount=1, cause="c6")])
    with pytest.raises(AssertionError, match=r"moves from test\.sums\.ara to test\.sums\.idf"):
        await counter.desk.carry_out([Add(id=i, cell="idf", amount=1, cause="c7")])
    big = Added(cell="ara" + "x" * 500_000, amount=1, total=1)
    with pytest.raises(Refused, match="event_too_large"):
        record(COUNTER, i, Versioned(Counter()), Versioned(Counter(cell="ara"), 1), big, None)


async def test_a_local_event_is_recorded_and_folded_and_never_sent(counter: Site, ground: Ground) -> None:
    """B11: what a service keeps of others' facts goes the same way as its own, and stays at home."""
    home = replace(COUNTER, topic=lambda _: None)
    stream = counter_id("kept")
    async with counter.desk.write() as tx:
        work = Work({Add: home})
        commands = [Add(id=stream, cell="ara", amount=n, cause=f"c{n}") for n in (1, 2)]
        await work.load(tx, commands)
        work.carry_out(commands)
        await work.save(tx)
    await counter.desk.carry_out([Add(id=counter_id("told"), cell="ara", amount=5, cause="c3")])
    await until(lambda: sent_all(counter, 3))
    rows = await counter.desk.pool.fetch("SELECT version, topic FROM events WHERE stream = $1 ORDER BY version", stream)
    assert [tuple(row) for row in rows] == [(1, None), (2, None)]
    assert await total(counter.desk.pool, "kept") == 3
    assert [d async for d in fold_check(counter.desk.pool, {Add: home})] == []
    assert {m.stream for m in await messages_of(ground)} == {counter_id("told")}


async def test_two_writers_of_a_stream_both_have_their_effect(counter: Site) -> None:
    i = counter_id("hot")

    async def add(n: int) -> None:
        for _ in range(50):
            with contextlib.suppress(Outage):
                await counter.desk.carry_out([Add(id=i, cell="ara", amount=1, cause=f"writer {n}")])
                return

    await asyncio.gather(*(add(n) for n in range(30)))
    assert await total(counter.desk.pool, "hot") == 30


async def test_who_comes_second_decides_again_by_itself(counter: Site) -> None:
    """On what the first left: had it kept its old state, it would clash for ever and be told that we are busy."""
    i = counter_id("pair")

    async def writer(name: str) -> None:
        for n in range(15):
            await counter.desk.carry_out([Add(id=i, cell="ara", amount=1, cause=f"{name} {n}")])

    await asyncio.gather(writer("one"), writer("other"))
    assert await total(counter.desk.pool, "pair") == 30


async def test_nothing_is_decided_on_a_state_that_was_not_loaded() -> None:
    with pytest.raises(AssertionError, match="was not loaded"):
        Work(AGGREGATES).carry_out([Add(id=counter_id("q"), cell="ara", amount=1, cause="c9")])


def test_an_event_type_belongs_to_one_aggregate() -> None:
    twin = Aggregate(
        name="twin",
        events=(Added,),
        new=Counter(),
        decide=COUNTER.decide,
        evolve=COUNTER.evolve,
        topic=COUNTER.topic,
        rows=COUNTER.rows,
    )
    with pytest.raises(AssertionError, match="belongs to two aggregates"):
        contracts({Add: COUNTER, Told: twin, Recorded: REPLY})


async def test_a_migration_that_ran_is_never_changed(database: str, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "0001_start.sql").write_text((MIGRATIONS / "0001_start.sql").read_text())
    pool = await asyncpg.create_pool(database, min_size=1, max_size=1)
    try:
        assert await migrate(pool, folder) == ["kernel/0001_kernel.sql", "kernel/0002_forgotten.sql", "service/0001_start.sql"]
        assert await migrate(pool, folder) == []
        (folder / "0001_start.sql").write_text("SELECT 1")
        with pytest.raises(ChangedMigration, match=r"service/0001_start\.sql"):
            await migrate(pool, folder)
    finally:
        await pool.close()

"""A topic that was made again under its name is not the topic that was read: nothing of it is passed over in silence."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from shared.cell import Cell
from shared.consumer import Consumer
from shared.errors import Outage
from shared.kafka.admin import Admin, NewTopic
from shared.kafka.reader import Reader, read_on
from shared.migrate import migrate
from shared.settings import Settings
from tests.shared.counter import AGGREGATES, MIGRATIONS, REACTIONS, Told, counter_id
from tests.support.platform import unique, until
from tests.support.service import Ground, Publisher

TOLD = "test.told.ara"


@pytest_asyncio.fixture(loop_scope="session")
async def pool(settings: Settings) -> "AsyncIterator[asyncpg.Pool[asyncpg.Record]]":
    pool = await asyncpg.create_pool(settings.database_url.get_secret_value(), min_size=1, max_size=4)
    await migrate(pool, MIGRATIONS)
    yield pool
    await pool.close()


@asynccontextmanager
async def at_work(pool: "asyncpg.Pool[asyncpg.Record]", ground: Ground) -> AsyncIterator[Cell]:
    cell = Cell("ara", "counter", "0", [TOLD], Consumer(pool, AGGREGATES, REACTIONS), ground.access)
    task = asyncio.create_task(cell.run())
    try:
        yield cell
    finally:
        cell.stopping.set()
        await task


async def make_again(ground: Ground) -> None:
    p, name = ground.platform, ground.prefix + TOLD
    async with Admin(p.kafka_bootstrap, p.kafka_admin_user, p.kafka_admin_password) as admin:
        await admin.delete_topics([name])
        await admin.create_topics([NewTopic(name=name, partitions=2)])


async def is_total(pool: "asyncpg.Pool[asyncpg.Record]", total: int) -> bool:
    return bool(await pool.fetchval("SELECT coalesce(sum(total), 0) = $1 FROM counters", total))


async def test_a_cell_stands_still_before_a_topic_that_ends_before_its_cursor(
    pool: "asyncpg.Pool[asyncpg.Record]", ground: Ground, publisher: Publisher
) -> None:
    stream = uuid4()
    told = [Told(name="again", amount=amount, careless=True) for amount in (1, 2, 4)]
    async with at_work(pool, ground):
        await publisher.tell(TOLD, stream, *told)
        await until(lambda: is_total(pool, 7))
    await make_again(ground)
    await publisher.tell(TOLD, stream, Told(name="again", amount=8, careless=True))
    async with at_work(pool, ground) as cell:
        await until(lambda: cell.halted)
        assert cell.halted is not None
        assert cell.halted.endswith("ends at 1, was read to 3: `maillon cursors forget`")
        assert await is_total(pool, 7)
    await pool.execute("DELETE FROM cursor WHERE topic = $1", TOLD)
    await publisher.send(TOLD, [publisher.row(stream, number, event) for number, event in enumerate(told, 1)])
    async with at_work(pool, ground):
        await until(lambda: is_total(pool, 15))
        assert await pool.fetchval("SELECT version FROM counters WHERE id = $1", counter_id("again")) == 4


@pytest.mark.usefixtures("settings")
async def test_a_reader_that_is_set_back_to_the_beginning_joins_again(ground: Ground, publisher: Publisher) -> None:
    """The client library does that without a word where the broker has lost what we stood at; cursors only ever grow."""

    async def nowhere(_: object) -> dict[tuple[str, int], int]:
        return {}

    await publisher.tell(TOLD, uuid4(), Told(name="back", amount=1), Told(name="back", amount=2))
    reader = Reader(ground.access, [TOLD], unique("g"), unique("i"), nowhere, lambda _: False)
    await reader.start()
    try:
        batches = reader.batches()
        first = await anext(batch async for batch in batches if batch)
        (place,) = [tp for tp in reader.ready if tp.partition == first[0].partition]
        reader.consumer.seek(place, 1_000)
        with pytest.raises(Outage, match="went_back"):
            async with asyncio.timeout(30):
                assert [batch async for batch in batches if batch] == []
    finally:
        await reader.stop()


@pytest.mark.usefixtures("settings")
async def test_our_own_topic_made_again_is_read_from_its_beginning(ground: Ground, publisher: Publisher) -> None:
    stream = uuid4()
    await publisher.tell(TOLD, stream, Told(name="own", amount=1), Told(name="own", amount=2))
    beyond = {(TOLD, 0): 50, (TOLD, 1): 50}
    assert [m.version async for m in read_on(ground.access, beyond, [TOLD])] == [1, 2]
    assert [m.version async for m in read_on(ground.access, {(TOLD, 0): 2, (TOLD, 1): 2}, [TOLD])] in ([], [1, 2])

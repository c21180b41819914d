"""A counter service on a ground of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from deploy.local.platform import Platform
from shared.consumer import Consumer
from shared.db import connect
from shared.migrate import migrate
from shared.settings import Settings
from tests.shared.counter import AGGREGATES, MIGRATIONS, OUTSIDE, REACTIONS, build
from tests.support.platform import unique
from tests.support.service import Ground, Publisher, Site, running, with_topics

CELLS = {"regions": ["ara", "idf"]}


@pytest_asyncio.fixture(loop_scope="session")
async def ground(platform: Platform, tmp_path: Path) -> Ground:
    return Ground(platform, unique("t") + ".", tmp_path, CELLS)


@pytest_asyncio.fixture(loop_scope="session")
async def settings(ground: Ground, database: str) -> Settings:
    settings = ground.settings(Settings, "counter", database)
    await with_topics(ground, build(settings))
    return settings


@pytest_asyncio.fixture(loop_scope="session")
async def counter(settings: Settings) -> AsyncIterator[Site]:
    async with running(build, settings) as site:
        yield site


@pytest_asyncio.fixture(loop_scope="session")
async def publisher(ground: Ground) -> Publisher:
    return Publisher(ground)


@pytest_asyncio.fixture(loop_scope="session")
async def consumer(database: str) -> AsyncIterator[Consumer]:
    """A consumer on its own: batches are cut as the test says."""
    pool = await connect(database, name="test")
    await migrate(pool, MIGRATIONS)
    yield Consumer(pool, AGGREGATES, REACTIONS, OUTSIDE)
    await pool.close()

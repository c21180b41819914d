"""A counter service on a ground of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from deploy.local.platform import Platform
from shared.settings import Settings
from tests.shared.counter import build
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

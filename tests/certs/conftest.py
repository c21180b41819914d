"""certs at work on a ground of its own, and the others' voices."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from deploy.local.platform import Platform
from services.certs.app import build
from services.certs.settings import CertsSettings
from tests.support.browser import browser, tab
from tests.support.platform import unique
from tests.support.service import Ground, Publisher, Site, running, with_topics

__all__ = ["browser", "tab"]

CELLS = {"regions": ["ara"], "refurbishers": ["trira", "ares"]}


@pytest_asyncio.fixture(loop_scope="session")
async def ground(platform: Platform, tmp_path: Path) -> Ground:
    return Ground(platform, unique("t") + ".", tmp_path, CELLS)


@pytest_asyncio.fixture(loop_scope="session")
async def certs_settings(ground: Ground, database: str) -> CertsSettings:
    settings = ground.settings(CertsSettings, "certs", database)
    await with_topics(ground, build(settings))
    return settings


@pytest_asyncio.fixture(loop_scope="session")
async def certs(certs_settings: CertsSettings) -> AsyncIterator[Site]:
    async with running(build, certs_settings) as site:
        yield site


@pytest_asyncio.fixture(loop_scope="session")
async def publisher(ground: Ground) -> Publisher:
    return Publisher(ground)

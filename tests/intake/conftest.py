"""Intake at work on a ground of its own, one for the whole run: each test names its donations."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import pytest_asyncio

from deploy.local import postgres
from deploy.local.platform import Platform
from services.intake.app import build
from services.intake.settings import IntakeSettings
from tests.support.browser import bare_tab, browser, tab
from tests.support.platform import unique
from tests.support.service import Ground, Publisher, Site, running, with_topics

__all__ = ["bare_tab", "browser", "tab"]

KEY = "clef-de-test"
OTHER_KEY = "clef-d-un-autre"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def ground(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return Ground(platform, unique("t") + ".", tmp_path_factory.mktemp("intake"))


@asynccontextmanager
async def settled(ground: Ground, platform: Platform) -> AsyncIterator[IntakeSettings]:
    """Settings with two databases of their own: the service's and that of its keys."""
    made = [await postgres.fresh_database(platform.postgres_url) for _ in range(2)]
    urls = [postgres.with_role(platform.postgres_url, role, password, name) for name, role, password in made]
    keys = {client: hashlib.sha256(key.encode()).hexdigest() for client, key in (("acme", KEY), ("autre", OTHER_KEY))}
    settings = ground.settings(
        IntakeSettings,
        "intake",
        urls[0],
        keys_database_url=urls[1],
        intake_api_keys=",".join(f"{client}:{mark}" for client, mark in keys.items()),
    )
    await with_topics(ground, build(settings))
    yield settings
    for name, role, _ in made:
        await postgres.drop_database(platform.postgres_url, name, role)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def settings(ground: Ground, platform: Platform) -> AsyncIterator[IntakeSettings]:
    async with settled(ground, platform) as made:
        yield made


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def intake(settings: IntakeSettings) -> AsyncIterator[Site]:
    async with running(build, settings) as site:
        yield site


@pytest_asyncio.fixture(loop_scope="session")
async def program(intake: Site) -> AsyncIterator[httpx.AsyncClient]:
    """A program of the client `acme`."""
    async with httpx.AsyncClient(base_url=intake.url, headers={"Authorization": f"Bearer {KEY}"}, timeout=20) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="session")
async def person(intake: Site) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody with a browser."""
    async with intake.client(browser=True) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="session")
async def publisher(ground: Ground) -> Publisher:
    return Publisher(ground)

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from deploy.local.platform import Platform
from services.routing.app import build
from services.routing.domain.geography import Projection
from services.routing.settings import RoutingSettings
from shared.kafka.admin import Admin, NewTopic
from tests.routing.samples import DATA
from tests.support.browser import bare_tab, browser, tab
from tests.support.platform import unique
from tests.support.service import Ground, Site, running, with_topics

__all__ = ["bare_tab", "browser", "tab"]


@pytest.fixture(scope="session")
def france() -> Projection:
    """The map's projection."""
    return Projection(json.loads((DATA / "projection.json").read_text("utf-8")))


@pytest_asyncio.fixture(loop_scope="session")
async def ground(platform: Platform, tmp_path: Path) -> Ground:
    """Topics of this test alone."""
    return Ground(platform, f"{unique('routing')}.", tmp_path)


@pytest_asyncio.fixture(loop_scope="session")
async def site(ground: Ground, database: str) -> AsyncIterator[Site]:
    """The service at work, without its view."""
    settings = ground.settings(RoutingSettings, "routing", database, routing_views=False)
    await with_topics(ground, build(settings))
    async with running(build, settings) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="session")
async def changelog(ground: Ground) -> str:
    """The view's changelog topic, made beforehand."""
    name = f"{ground.prefix}routing-views-load-changelog"
    await remake(ground, name, partitions=2)
    return name


async def remake(ground: Ground, topic: str, partitions: int) -> None:
    """An empty compacted topic of that name."""
    p = ground.platform
    async with Admin(p.kafka_bootstrap, p.kafka_admin_user, p.kafka_admin_password) as admin:
        if topic in await admin.topics():
            await admin.delete_topics([topic])
        await admin.create_topics([NewTopic(name=topic, partitions=partitions, config={"cleanup.policy": "compact"})])

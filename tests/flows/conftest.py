"""One stack for all tests of this folder: broker, database, gateway, five services, the refurbisher's program."""

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from deploy.demo.figures import Figures, counted
from deploy.demo.stage import Stage
from deploy.local import platform
from tests.flows.proof import settled
from tests.support.platform import new_folder, sweep


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def stage() -> AsyncIterator[Stage]:
    """Made once, gone at the end."""
    sweep()
    with pytest.MonkeyPatch.context() as patch:
        for name in (platform.BOOTSTRAP, platform.ADMIN_USER, platform.ADMIN_PASSWORD, platform.POSTGRES_URL):
            patch.delenv(name, raising=False)
        patch.setattr(platform, "engine_answers", lambda: False)
        async with Stage(new_folder("flow-"), keep=False) as made:
            await made.ready()
            yield made


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def walked(stage: Stage) -> dict[str, Any]:
    """What the demo tells of a walk, with the seconds it took and what was counted on the topics for its donation."""
    began = time.monotonic()
    answer = await stage.walk()
    seconds = time.monotonic() - began
    await settled(stage)
    found: Figures = await counted(stage.stack, answer["donation"])
    return {**answer, "chain_s": seconds, "counted": found}

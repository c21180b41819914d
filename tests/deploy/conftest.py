"""Two stacks side by side, without services: started together, on one machine, in two folders."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from deploy.local.platform import ADMIN_PASSWORD, ADMIN_USER, BOOTSTRAP, POSTGRES_URL
from deploy.local.stack import Stack
from tests.support.platform import new_folder

EXTRA = {"certs": {"MAILLON_CELLS": "ares"}}


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def two_stacks() -> AsyncIterator[tuple[Stack, Stack]]:
    """Whatever platform the environment names, these bring their own: what they test is the bringing."""
    async with AsyncExitStack() as running:
        with pytest.MonkeyPatch.context() as patch:
            for name in (BOOTSTRAP, ADMIN_USER, ADMIN_PASSWORD, POSTGRES_URL):
                patch.delenv(name, raising=False)
            stacks = (Stack(new_folder("one-"), (), keep=False), Stack(new_folder("two-"), (), keep=False, extra_env=EXTRA))
            await asyncio.gather(*(running.enter_async_context(stack) for stack in stacks))
        yield stacks


@pytest.fixture
def stack(two_stacks: tuple[Stack, Stack]) -> Stack:
    """One of them, for tests that leave it as they found it."""
    return two_stacks[0]

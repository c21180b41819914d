"""Measured runs: each in a fresh database, or in one that was filled before, and in processes of its own."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from deploy.local import postgres
from deploy.local.platform import Platform
from shared.migrate import migrate
from tests.bench.load import Backlog, fill
from tests.shared.counter import MIGRATIONS
from tests.support.platform import unique
from tests.support.service import Ground

ROOT = Path(__file__).parents[2]
TOPIC = "test.told.ara"


@dataclass(frozen=True, slots=True)
class Run:
    """What one run took: by the clock, and of the measured processes' own CPU (which a busy machine changes less)."""

    seconds: float
    cpu_s: float


@asynccontextmanager
async def empty_database(platform: Platform) -> AsyncIterator[str]:
    """A database without a table, dropped at the end."""
    name, role, password = await postgres.fresh_database(platform.postgres_url)
    try:
        yield postgres.with_role(platform.postgres_url, role, password, name)
    finally:
        await postgres.drop_database(platform.postgres_url, name, role)


@asynccontextmanager
async def fresh_database(platform: Platform) -> AsyncIterator[str]:
    """A database with the kernel's tables and the toy service's; dropped at the end."""
    async with empty_database(platform) as url:
        pool = await asyncpg.create_pool(url, min_size=1, max_size=1)
        await migrate(pool, MIGRATIONS)
        await pool.close()
        yield url


async def filled_ground(platform: Platform, folder: Path, messages: Backlog, partitions: int = 3) -> Ground:
    """Topics of their own, with the backlog on the first."""
    ground = Ground(platform, unique("bench") + ".", folder, {"regions": ["ara"]})
    await ground.make_topics({"test.told": "regions", "test.sums": "regions"}, partitions=partitions)
    await fill(ground.access, TOPIC, messages)
    return ground


async def measured(ground: Ground, url: str, kind: str, count: int, processes: int = 1) -> Run:
    """Run `kind` of worker over `count` messages. Several processes share the work; the last to see it done says how long it took."""
    runs = await asyncio.gather(*(worker(ground, url, kind, count, str(n)) for n in range(processes)))
    return Run(max(run.seconds for run in runs), sum(run.cpu_s for run in runs))


async def worker(ground: Ground, url: str, kind: str, count: int, replica: str) -> Run:
    told = {
        "bootstrap": ground.access.bootstrap,
        "user": ground.access.user,
        "password": ground.access.password,
        "prefix": ground.prefix,
        "url": url,
        "topic": TOPIC,
        "count": count,
        "replica": replica,
    }
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.bench.worker",
        kind,
        cwd=ROOT,
        env={**os.environ, "MAILLON_BENCH": json.dumps(told)},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(300):
            out, _ = await child.communicate()
        return Run(**json.loads(out.decode().strip().splitlines()[-1]))
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()

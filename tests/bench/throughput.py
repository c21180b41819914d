"""Events a second through the kernel, in and out, against the same by hand."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import asyncpg

from deploy.local import postgres
from deploy.local.platform import Platform
from shared.migrate import migrate
from tests.bench.load import backlog, fill, line
from tests.shared.counter import MIGRATIONS
from tests.support.platform import unique
from tests.support.service import Ground

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Run:
    """What one run took: by the clock, and of the measured process's own CPU (which a busy machine changes less)."""

    seconds: float
    cpu_s: float


async def measure(platform: Platform, folder: Path, count: int = 60_000, rounds: int = 3) -> AsyncIterator[str]:
    """Both, in turns, each in a fresh database and process. Gives the lines of the report."""
    messages = backlog(count)
    runs: dict[str, list[Run]] = {"kernel": [], "bare": []}
    for _ in range(rounds):
        for kind, found in runs.items():
            ground = Ground(platform, unique("bench") + ".", folder, {"regions": ["ara"]})
            await ground.make_topics({"test.told": "regions", "test.sums": "regions"}, partitions=3)
            await fill(ground.access, "test.told.ara", messages)
            found.append(await one(platform, ground, kind, count))
    rates = {kind: [count / run.seconds for run in found] for kind, found in runs.items()}
    ours, bare = median(rates["kernel"]), median(rates["bare"])
    spread = f"kernel {[round(r) for r in rates['kernel']]}, bare {[round(r) for r in rates['bare']]} events/s"
    cpu = {kind: round(median(run.cpu_s for run in found) / count * 1e6) for kind, found in runs.items()}
    note = f"{count} messages, {rounds} rounds in turns: {spread}; CPU of the process alone, µs an event: {cpu}"
    yield line("kernel_vs_bare", ours / bare, "ratio", ">= 0.7", ours / bare >= 0.7, note)
    yield line("kernel_events_per_s", ours, "events/s in and out", "", None, note)


async def one(platform: Platform, ground: Ground, kind: str, count: int) -> Run:
    """One run, in a fresh database and process."""
    name, role, password = await postgres.fresh_database(platform.postgres_url)
    url = postgres.with_role(platform.postgres_url, role, password, name)
    pool = await asyncpg.create_pool(url, min_size=1, max_size=1)
    await migrate(pool, MIGRATIONS)
    await pool.close()
    told = {
        "bootstrap": platform.kafka_bootstrap,
        "user": platform.kafka_admin_user,
        "password": platform.kafka_admin_password,
        "prefix": ground.prefix,
        "url": url,
        "topic": "test.told.ara",
        "count": count,
    }
    try:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.bench.worker",
            kind,
            cwd=ROOT,
            env={**os.environ, "MAILLON_BENCH": json.dumps(told)},
            stdout=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(180):
            out, _ = await child.communicate()
        return Run(**json.loads(out.decode().strip().splitlines()[-1]))
    finally:
        if child.returncode is None:
            child.kill()
        await postgres.drop_database(platform.postgres_url, name, role)

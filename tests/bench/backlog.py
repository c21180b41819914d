"""Memory of a service that deals with a long backlog, from the first tenth of it to the end. MAILLON_BACKLOG: how many messages."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg

from deploy.local.platform import Platform
from shared.settings import Settings
from tests.bench.load import backlog, fill, line
from tests.bench.runs import fresh_database
from tests.shared.counter import build
from tests.support.platform import unique
from tests.support.process import process, resident_mb
from tests.support.service import Ground, with_topics

COUNT = int(os.environ.get("MAILLON_BACKLOG", "200000"))
GOAL_MB = 50
PART = 50_000


async def measure(platform: Platform, folder: Path, count: int = COUNT) -> AsyncIterator[str]:
    """Gives one line: how much more memory the service held at the most after the first tenth than within it."""
    ground = Ground(platform, unique("bench") + ".", folder, {"regions": ["ara"]})
    async with fresh_database(platform) as url:
        settings = ground.settings(Settings, "counter", url)
        await with_topics(ground, build(settings))
        for n in range(0, count, PART):  # each part has streams of its own, so that none needs all in memory here
            await fill(ground.access, "test.told.ara", backlog(min(PART, count - n), seed=n, first=n))
        pool = await asyncpg.create_pool(url, min_size=1, max_size=1)
        started = time.perf_counter()
        async with process("tests.shared", settings, folder / "log") as service:
            await service.ready()
            early, late, done = 0.0, 0.0, 0
            while done < count:
                done = int(await pool.fetchval("SELECT coalesce(sum(next), 0) FROM cursor"))
                now = resident_mb(service.pid)
                early, late = (max(early, now), late) if done < count / 10 else (early, max(late, now))
                await asyncio.sleep(0.1)
        seconds = time.perf_counter() - started
        await pool.close()
    more = late - early
    note = f"{count} messages in {seconds:.0f} s: at most {early:.0f} MB in the first tenth, {late:.0f} MB after it"
    yield line("backlog_rss_mb", more, "MB more", f"<= {GOAL_MB}", more <= GOAL_MB, note)

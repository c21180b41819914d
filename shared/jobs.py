"""Work by the clock, one runner among all replicas: whoever holds the job's advisory lock."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

import asyncpg

from shared import metrics
from shared.db import AWAY
from shared.desk import Desk
from shared.errors import Coded
from shared.log import log

LOCK = "SELECT pg_try_advisory_lock(hashtext(current_schema()), hashtext('job ' || $1))"


@dataclass(frozen=True, slots=True)
class Job:
    """`run` is called every `every_s` seconds, never twice at once; it must bear being cut off anywhere and called again."""

    name: str
    every_s: float
    run: Callable[[Desk], Awaitable[None]]


async def keep_running(job: Job, desk: Desk, url: str) -> None:
    """Run a job for the life of the process. An error is logged and tried again, later each time, up to a minute."""
    while True:
        try:
            await lead(job, desk, url)
        except AWAY as error:
            log.warning("job_lost_database", job=job.name, error=repr(error))
        await asyncio.sleep(1)


async def lead(job: Job, desk: Desk, url: str) -> None:
    connection = await asyncpg.connect(
        url, timeout=5, command_timeout=10, server_settings={"application_name": f"job {job.name}"[:60]}
    )
    try:
        while not await connection.fetchval(LOCK, job.name):  # noqa: ASYNC110 a lock can only be asked for
            await asyncio.sleep(1)
        wait_s = job.every_s
        while True:
            try:
                await job.run(desk)
                metrics.JOB_DONE.labels(job.name).set_to_current_time()
                wait_s = job.every_s
            except AWAY as error:
                wait_s = min(max(wait_s, 0.2) * 2, 60)
                log.warning("job_waits", job=job.name, error=repr(error), again_in_s=wait_s)
            except Coded as error:
                wait_s = min(max(wait_s, 0.2) * 2, 60)
                log.warning("job_refused", job=job.name, code=error.code, detail=error.detail, again_in_s=wait_s)
            except Exception:  # noqa: BLE001 a job that fails is tried again, the service goes on
                wait_s = min(max(wait_s, 0.2) * 2, 60)
                log.exception("job_failed", job=job.name, again_in_s=wait_s)
            await asyncio.sleep(wait_s)
            await connection.execute("SELECT 1")  # no session, no lock: then another leads
    finally:
        with suppress(Exception):
            await connection.close(timeout=2)

"""The five services together: how long a hop takes, how much memory they hold, how soon a second start answers."""

import asyncio
import hashlib
import secrets
import signal
import sys
import time
from collections.abc import AsyncIterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles

import asyncpg
import httpx

from deploy.demo.stage import Stage
from deploy.local import postgres
from deploy.local.jars import ROOT
from deploy.local.stack import Stack
from services.intake.web import EXAMPLE
from tests.bench.load import line

KEY = secrets.token_urlsafe(24)
PRESS_ENDS_S = 12
"""The process that draws and signs certificates (about 70 MB) ends when it was idle for 10 s."""
CLIENT = f"bench:{hashlib.sha256(KEY.encode()).hexdigest()}"
HOPS = """
SELECT extract(epoch FROM pg_xact_commit_timestamp(s.xmin) - pg_xact_commit_timestamp(e.xmin)) * 1000 AS ms
FROM intake.events e JOIN routing.seen s ON s.stream = e.stream AND s.topic = e.topic AND s.version = e.version
WHERE e.type = 'intake.donation_accepted.v1' AND e.at > $1
"""


async def measure(folder: Path, *, seconds: int = 60, rate: int = 10) -> AsyncIterator[str]:
    """One stack, one walk, then a hop ten times a second. Gives the lines of the report."""
    async with Stage(folder, keep=True, extra_env={"intake": {"MAILLON_INTAKE_API_KEYS": CLIENT}}) as stage:
        await stage.ready()
        walked = await stage.walk()
        await asyncio.sleep(PRESS_ENDS_S)
        memory = stage.memory_mb()
        total = sum(memory.values())
        yield line(
            "services_rss_mb",
            total,
            "MB (PSS, five services)",
            "<= 400",
            total <= 400,
            f"{memory}, 12 s after the walk, when the press has ended; walk ok: {walked['ok']}",
        )
        began = datetime.now(UTC)
        sent = await offer(stage.stack, seconds * rate, rate)
        await asyncio.sleep(2)
        hops = await measured(stage.stack, began)
        cuts = quantiles(hops, n=100)
        note = f"intake -> routing, {len(hops)} of {sent} hops at {rate}/s, commit to commit, longest {max(hops):.0f} ms"
        yield line("hop_p50_ms", cuts[49], "ms", "", None, note)
        yield line("hop_p99_ms", cuts[98], "ms", "<= 50", cuts[98] <= 50, note)
    yield await second_start(folder)


async def offer(stack: Stack, count: int, rate: int) -> int:
    """Offer donations by the programs' way in, evenly. Returns how many were taken."""
    taken = 0
    async with httpx.AsyncClient(base_url=stack.origin, headers={"Authorization": f"Bearer {KEY}"}, timeout=20) as client:
        started = time.monotonic()
        for n in range(count):
            await asyncio.sleep(max(0.0, started + n / rate - time.monotonic()))
            body = deepcopy(EXAMPLE)
            body["pickup"]["available_from"] = (datetime.now(UTC) + timedelta(days=20)).date().isoformat()  # type: ignore[index]
            answer = await client.put(f"/intake/donations/{secrets.token_hex(8)}", json=body)
            taken += answer.status_code == 201
    return taken


async def measured(stack: Stack, since: datetime) -> list[float]:
    """From the commit in intake to the commit in routing, by Postgres's own record of commits."""
    _, _, rest = stack.platform.postgres_url.partition("//")
    user, _, password = rest.rpartition("@")[0].partition(":")
    connection = await asyncpg.connect(postgres.with_role(stack.platform.postgres_url, user, password, "maillon"))
    try:
        return [float(row["ms"]) for row in await connection.fetch(HOPS, since)]
    finally:
        await connection.close()


async def second_start(folder: Path) -> str:
    """From the command to the first page, on data that are there."""
    async with Stack(folder, keep=True) as stack:
        origin = stack.origin
    started = time.monotonic()
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "deploy.demo", "--folder", str(folder), cwd=ROOT, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        async with httpx.AsyncClient(timeout=1) as client:
            while time.monotonic() - started < 60:
                try:
                    if (await client.get(f"{origin}/intake/")).status_code == 200:
                        break
                except httpx.HTTPError:
                    pass
                await asyncio.sleep(0.05)
        took = time.monotonic() - started
    finally:
        child.send_signal(signal.SIGINT)
        await asyncio.wait_for(child.wait(), 60)
    return line("site_ready_s", took, "s", "<= 8", took <= 8, "second start of the demo to the first page through the gateway")

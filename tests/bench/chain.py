"""The five services together: how long a hop takes, how much memory they hold, how soon a second start answers."""

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles

import asyncpg
import httpx

from deploy.demo.stage import Stage
from deploy.local import postgres
from deploy.local.jars import ROOT
from deploy.local.stack import Stack
from deploy.topology import SERVICES
from tests.bench.load import line
from tests.bench.load_http import WITH_KEY, offer_at_once, offer_evenly
from tests.flows.proof import settled

PRESS_ENDS_S = 12
"""The process that draws and signs certificates (about 70 MB) ends when it was idle for 10 s."""
HOPS = """
SELECT extract(epoch FROM pg_xact_commit_timestamp(s.xmin) - pg_xact_commit_timestamp(e.xmin)) * 1000 AS ms
FROM intake.events e JOIN routing.seen s ON s.stream = e.stream AND s.topic = e.topic AND s.version = e.version
WHERE e.type = 'intake.donation_accepted.v1' AND e.at > $1
"""


async def measure(folder: Path, *, seconds: int = 60, rate: int = 10) -> AsyncIterator[str]:
    """One stack: a walk, hops ten times a second, then as much as it takes. Gives the lines of the report."""
    async with Stage(folder, keep=True, extra_env=WITH_KEY) as stage:
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
        yield await walks_at_once(stage)
        cuts, note = await hops(stage.stack, seconds, rate)
        yield line("hop_p50_ms", cuts[49], "ms", "", None, note)
        yield line("hop_p99_ms", cuts[98], "ms", "<= 50", cuts[98] <= 50, note)
        async for found in full(stage):
            yield found
    yield await second_start(folder)


async def full(stage: Stage) -> AsyncIterator[str]:
    """What the chain takes at most, and how long a hop takes at parts of that."""
    most = await offer_at_once(stage.stack.origin, 1_500)
    yield line(
        "http_writes_per_s", most, "donations/s", "", None, "1,500 PUTs by 16 clients through the gateway, each a transaction"
    )
    await settled(stage, 120)
    for share in (10, 50, 80):
        cuts, note = await hops(stage.stack, 15, most * share / 100)
        yield line(f"hop_p99_ms_at_{share}_pct", cuts[98], "ms", "", None, f"{note}; half of them within {cuts[49]:.0f} ms")
        await settled(stage, 120)


async def walks_at_once(stage: Stage, walks: int = 8) -> str:
    """Several donations at once, from the six questions to certificate and stock: events recorded by all five services, a second."""
    began, started = datetime.now(UTC), time.monotonic()
    async with AsyncExitStack() as stack:
        people = [await stack.enter_async_context(stage.new_walk()) for _ in range(walks)]
        for step in ("give", "sign_in", "carry", "certify"):
            await asyncio.gather(*(getattr(walk, step)() for walk in people))
    seconds, counts = time.monotonic() - started, {}
    async with as_admin(stage.stack) as connection:
        for service in SERVICES:
            query = f"SELECT count(*) FROM {service}.events WHERE at > $1"  # noqa: S608 names of our own
            counts[service] = int(await connection.fetchval(query, began))
    total = sum(counts.values())
    note = (
        f"{walks} donations of 12 devices at once: {total} events in {seconds:.0f} s, clicks and certificates included; {counts}"
    )
    return line("chain_events_per_s", total / seconds, "events/s", "", None, note)


async def hops(stack: Stack, seconds: float, rate: float) -> tuple[list[float], str]:
    """Offer at an even rate and see how long each took to the next service. Returns percentiles, and a note."""
    began = datetime.now(UTC)
    sent = await offer_evenly(stack.origin, round(seconds * rate), rate)
    await asyncio.sleep(2)
    found = await measured(stack, began)
    return quantiles(
        found, n=100
    ), f"intake -> routing, {len(found)} of {sent} hops at {rate:.0f}/s, commit to commit, longest {max(found):.0f} ms"


@asynccontextmanager
async def as_admin(stack: Stack) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A connection that sees the tables of all services."""
    _, _, rest = stack.platform.postgres_url.partition("//")
    user, _, password = rest.rpartition("@")[0].partition(":")
    connection = await asyncpg.connect(postgres.with_role(stack.platform.postgres_url, user, password, "maillon"))
    try:
        yield connection
    finally:
        await connection.close()


async def measured(stack: Stack, since: datetime) -> list[float]:
    """From the commit in intake to the commit in routing, by Postgres's own record of commits."""
    async with as_admin(stack) as connection:
        return [float(row["ms"]) for row in await connection.fetch(HOPS, since)]


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

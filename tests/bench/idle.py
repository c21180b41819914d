"""What a cell costs in which nothing happens: one process of refurb with three refurbishers, then with a hundred more."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

from deploy.demo.figures import memory_mb
from deploy.local.platform import Platform
from services.refurb.app import build
from services.refurb.settings import RefurbSettings
from tests.bench.load import line
from tests.bench.runs import empty_database
from tests.support.process import process
from tests.support.service import Ground, with_topics

TICKS = os.sysconf("SC_CLK_TCK")
FEW, MANY = 3, 103


def cpu_of(pid: int) -> float:
    """CPU that one process took so far, in seconds."""
    told = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(told[11]) + int(told[12])) / TICKS


async def idle(platform: Platform, folder: Path, cells: int, seconds: float) -> tuple[float, float]:
    """Percent of a core and MB of a process with so many refurbishers, in which nothing happens."""
    ground = Ground(platform, f"idle{cells}.", folder, {"regions": ["ara"], "refurbishers": [f"r{n}" for n in range(cells)]})
    async with empty_database(platform) as database:
        settings = ground.settings(RefurbSettings, "refurb", database)
        await with_topics(ground, build(settings))
        async with process("services.refurb", settings, folder / f"idle-{cells}.log") as service:
            await service.ready(120)
            await asyncio.sleep(5)
            began, cpu = time.monotonic(), cpu_of(service.pid)
            await asyncio.sleep(seconds)
            percent = 100 * (cpu_of(service.pid) - cpu) / (time.monotonic() - began)
            return percent, memory_mb(service.pid)


async def measure(platform: Platform, folder: Path, seconds: float = 15) -> AsyncIterator[str]:
    """Both, one after the other. Gives the lines of the report."""
    few_pct, few_mb = await idle(platform, folder, FEW, seconds)
    many_pct, many_mb = await idle(platform, folder, MANY, seconds)
    pct, mb = (many_pct - few_pct) / (MANY - FEW), (many_mb - few_mb) / (MANY - FEW)
    note = (
        f"refurb with {FEW + 1} idle cells: {few_pct:.1f} % of a core, {few_mb:.0f} MB (PSS); with {MANY + 1}: {many_pct:.1f} %, "
        f"{many_mb:.0f} MB; the difference for one cell of two topics with two partitions each, {seconds:.0f} s"
    )
    yield line("idle_cell_cost_pct", pct, "% of a core", "<= 0.2", pct <= 0.2, note)
    yield line("idle_cell_mb", mb, "MB (PSS)", "<= 1", mb <= 1, note)

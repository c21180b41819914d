"""How many erasure reports one core reads and judges in a second."""

import time
from collections.abc import AsyncIterator

from tests.bench.load import line
from tests.refurb.samples import case, judged

GOAL = 300


async def measure(seconds: float = 3) -> AsyncIterator[str]:
    """Logs of nwipe with one medium and with two, read from their bytes, hashed and judged; by this process's own CPU time."""
    cases = [case(name) for name in ("d01", "d04", "d07")]
    done, started = 0, time.process_time()
    while (taken := time.process_time() - started) < seconds:
        for labelled, files in cases:
            judged(labelled, files)
        done += len(cases)
    rate = done / taken
    yield line(
        "judge_logs_per_s_core",
        rate,
        "logs/s",
        f">= {GOAL}",
        rate >= GOAL,
        f"{done} nwipe logs of 3 to 4 kB, {taken:.1f} s of CPU",
    )

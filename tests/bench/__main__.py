"""`make bench`: one JSON object a line, also in `.local/bench.jsonl`. Names of benchmarks as arguments choose some."""

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from shared import log
from tests.bench import backlog, chain, growth, isolation, judging, throughput
from tests.support.platform import new_folder, started_platform

ROOT = Path(__file__).parents[2]


async def kernel() -> AsyncIterator[str]:
    """The kernel alone."""
    folder = new_folder("bench-")
    try:
        async with started_platform() as platform:
            async for found in throughput.measure(platform, folder):
                yield found
            async for found in throughput.processes(platform, folder):
                yield found
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def grown() -> AsyncIterator[str]:
    """The kernel on tables that grew."""
    folder = new_folder("bench-")
    try:
        async with started_platform() as platform:
            async for found in growth.measure(platform, folder):
                yield found
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def cells() -> AsyncIterator[str]:
    """One cell's flood against another's wait."""
    folder = new_folder("bench-")
    try:
        async with started_platform() as platform:
            async for found in isolation.measure(platform, folder):
                yield found
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def whole() -> AsyncIterator[str]:
    """The five services."""
    folder = new_folder("bench-")
    try:
        async for found in chain.measure(folder):
            yield found
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def waiting() -> AsyncIterator[str]:
    """A service before a long backlog."""
    folder = new_folder("bench-")
    try:
        async with started_platform() as platform:
            async for found in backlog.measure(platform, folder):
                yield found
    finally:
        shutil.rmtree(folder, ignore_errors=True)


BENCHES = {
    "judge": judging.measure,
    "kernel": kernel,
    "chain": whole,
    "growth": grown,
    "isolation": cells,
    "backlog": waiting,
}


async def main(chosen: list[str]) -> int:
    log.configure("json")
    out = ROOT / ".local" / "bench.jsonl"
    out.parent.mkdir(exist_ok=True)
    with out.open("w", encoding="utf-8") as kept:
        for name in chosen or BENCHES:
            async for found in BENCHES[name]():
                print(found, flush=True)  # noqa: T201 the report
                kept.write(found + "\n")
                kept.flush()
    return 0


if __name__ == "__main__":
    unknown = set(sys.argv[1:]) - set(BENCHES)
    if unknown:
        sys.exit(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}")
    sys.exit(asyncio.run(main(sys.argv[1:])))

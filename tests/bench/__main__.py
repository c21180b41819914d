"""`make bench`: one JSON object a line, also in `.local/bench.jsonl`. Names of benchmarks as arguments choose some."""

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

from deploy.local.platform import Platform
from shared import log
from tests.bench import backlog, certificates, chain, growth, isolation, judging, snapshots, throughput
from tests.support.platform import new_folder, started_platform

ROOT = Path(__file__).parents[2]


Measure = Callable[[Platform, Path], AsyncIterator[str]]


async def alone(*measures: Measure) -> AsyncIterator[str]:
    """On a broker and a database of its own."""
    folder = new_folder("bench-")
    try:
        async with started_platform() as platform:
            for measure in measures:
                async for found in measure(platform, folder):
                    yield found
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def whole() -> AsyncIterator[str]:
    """With the five services."""
    folder = new_folder("bench-")
    try:
        async for found in chain.measure(folder):
            yield found
    finally:
        shutil.rmtree(folder, ignore_errors=True)


BENCHES: Mapping[str, Callable[[], AsyncIterator[str]]] = {
    "judge": judging.measure,
    "certs": certificates.measure,
    "kernel": lambda: alone(throughput.measure, throughput.processes),
    "chain": whole,
    "growth": lambda: alone(growth.measure),
    "isolation": lambda: alone(isolation.measure),
    "snapshots": lambda: alone(snapshots.measure),
    "backlog": lambda: alone(backlog.measure),
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

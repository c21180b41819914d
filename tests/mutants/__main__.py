"""`make mutants`: breaks the kernel in each known way, in a copy of the tree, and says which test saw it, and which simulated history.

Ends with `N of N caught`, or with status 1 when a mutation went unseen (or no longer fits the code). `--simulation` asks the
simulation alone: seconds for each.
"""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from tests.mutants.mutations import MUTATIONS, Mutation
from tests.simulation.runner import Report, played
from tests.support.platform import started_platform

ROOT = Path(__file__).parents[2]
LONGEST_S = 180
ALL_GREEN_S = 900
HISTORIES = int(os.environ.get("MAILLON_MUTANT_HISTORIES", "600"))
BEYOND: dict[str, str] = {
    "no look at where a topic ends": "no history makes a topic again",
    "the list of the forgotten beside the keys only": "no history holds anybody's name",
    "a batch keeps the loop to itself": "computing takes no virtual time",
    "large batches take all connections": "nobody's wait is measured, and none is for ever",
    "a stuck topic replaces the producer": "events are sent twice to no harm: only what is sent is counted, not how often",
    "the relay takes all bytes at once": "no history counts bytes, and its statement is another",
    "what was parked goes before all others": "nobody's wait is measured, and none is for ever",
    "batches without an end in messages": "no history measures memory",
    "batches without an end in bytes": "no history measures memory",
    "a fold check in slices of streams only": "no history measures how long a snapshot is held",
    "a stream taken in reads all of it": "no history measures memory",
    "a batch that clashes stays whole": "two writers of a hot stream come through in the end, only late",
    "sessions may be shared": "no history puts a pooler before its database",
    "a bad release parks a whole topic": "no history has a hundred bad messages in one batch",
    "commit before originals are durable": "no history sets anything aside",
    "the outbox is never swept": "the database in memory keeps nothing of what is deleted",
}
"""Mutations that no history can show, by name, each with the reason: what they break lies outside what is simulated."""
Verdict = Literal["caught", "beyond", "unseen"]


def copied(folder: Path) -> None:
    """Copy what git knows of the tree, as it stands."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


async def tested(folder: Path, tests: tuple[str, ...], environment: dict[str, str], longest_s: float) -> tuple[int, str]:
    """Run tests in the copy. Returns pytest's status and the name of what failed first."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        *tests,
        cwd=folder,
        env={**os.environ, **environment, "PYTHONPATH": str(folder)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(longest_s):
            out, _ = await child.communicate()
    except TimeoutError:
        child.kill()
        await child.wait()
        return 1, "it never came to an end"
    seen = [line for line in out.decode().splitlines() if line.startswith(("FAILED", "ERROR"))]
    return child.returncode or 0, seen[0].partition("::")[2].partition(" - ")[0] if seen else out.decode()[-300:]


@contextmanager
def broken(mutation: Mutation) -> Iterator[Path | None]:
    """Give a copy with the mutation in it; None when its place is not there once."""
    with tempfile.TemporaryDirectory(prefix="maillon-mutant-") as name:
        folder = Path(name)
        copied(folder)
        file = folder / mutation.file
        text = file.read_text("utf-8")
        fits = text.count(mutation.old) == 1
        file.write_text(text.replace(mutation.old, mutation.new), "utf-8")
        yield folder if fits else None


async def caught(mutation: Mutation, folder: Path, environment: dict[str, str]) -> bool:
    """See whether the tests see what is broken; they must be green before."""
    started = time.monotonic()
    status, seen = await tested(folder, mutation.tests, environment, LONGEST_S)
    took = time.monotonic() - started
    if status == 1:
        print(f'caught  {mutation.name}: "{mutation.invariant}" broke in {seen} ({took:.0f} s)', flush=True)  # noqa: T201
        return True
    print(f'MISSED  {mutation.name}: status {status} though "{mutation.invariant}" is broken. {seen}', flush=True)  # noqa: T201
    return False


async def simulated(mutation: Mutation, folder: Path) -> Verdict:
    """See whether the simulation sees it, in so many histories. What lies beyond it is not looked for."""
    if mutation.name in BEYOND:
        print(f"        not simulated: {BEYOND[mutation.name]}", flush=True)  # noqa: T201 the report
        return "beyond"
    started, first, report = time.monotonic(), 0, Report()
    while first < HISTORIES and not report.failed and not report.strange:
        count = min(60 + 2 * first, HISTORIES - first)
        report.merge(await played(count, first=first, folder=folder, until=1))
        first += count
    took = time.monotonic() - started
    if report.failed:
        seed, invariant, what = min(report.failed)
        print(f'        simulated: seed {seed} broke "{invariant}": {what[:140]} ({took:.0f} s)', flush=True)  # noqa: T201
        return "caught"
    print(f"UNSEEN  {mutation.name}: {report.histories} histories. {report.strange[:1]}", flush=True)  # noqa: T201
    return "unseen"


async def green(mutations: list[Mutation], environment: dict[str, str]) -> bool:
    """Tell whether all that must turn red is green while nothing is broken."""
    with tempfile.TemporaryDirectory(prefix="maillon-mutant-") as name:
        copied(Path(name))
        tests = tuple(sorted({test for m in mutations for test in m.tests}))
        status, seen = await tested(Path(name), tests, environment, ALL_GREEN_S)
    if status:
        print(f"the tests are not green before anything is broken: {seen}")  # noqa: T201 the report
    return not status


async def judged(mutations: list[Mutation], environment: dict[str, str] | None) -> tuple[list[bool], list[Verdict]]:
    """Break one after the other. Gives what the tests saw (nothing without `environment`) and what the simulation saw."""
    real: list[bool] = []
    virtual: list[Verdict] = []
    for mutation in mutations:
        with broken(mutation) as folder:
            if folder is None:
                print(f"UNFIT   {mutation.name}: its place in {mutation.file} is no longer there once")  # noqa: T201 the report
                real.append(False)
                virtual.append("unseen")
                continue
            if environment is not None:
                real.append(await caught(mutation, folder, environment))
            else:
                print(f"        {mutation.name}", flush=True)  # noqa: T201 the report
            virtual.append(await simulated(mutation, folder))
    return real, virtual


async def main(arguments: list[str]) -> int:
    alone = "--simulation" in arguments
    chosen = [name for name in arguments if name != "--simulation"]
    mutations = [m for m in MUTATIONS if not chosen or m.name in chosen]
    if alone:
        real, virtual = await judged(mutations, None)
    else:
        async with started_platform() as platform:
            environment = platform.as_environment()
            if not await green(mutations, environment):
                return 1
            real, virtual = await judged(mutations, environment)
    within = len(virtual) - virtual.count("beyond")
    print(f"simulation: {virtual.count('caught')} of {within} caught, {virtual.count('beyond')} beyond it")  # noqa: T201 the report
    if not alone:
        print(f"{sum(real)} of {len(real)} caught")  # noqa: T201 the report
    return 0 if all(real) and "unseen" not in virtual else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))

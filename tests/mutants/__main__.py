"""`make mutants`: breaks the kernel in each known way, in a copy of the tree, and says which test saw it.

Ends with `N of N caught`, or with status 1 when a mutation went unseen (or no longer fits the code).
"""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.mutants.mutations import MUTATIONS, Mutation
from tests.support.platform import started_platform

ROOT = Path(__file__).parents[2]
LONGEST_S = 180


def copied(folder: Path) -> None:
    """Copy what git knows of the tree, as it stands."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


async def tested(folder: Path, tests: tuple[str, ...], environment: dict[str, str]) -> tuple[int, str]:
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
        async with asyncio.timeout(LONGEST_S):
            out, _ = await child.communicate()
    except TimeoutError:
        child.kill()
        await child.wait()
        return 1, "it never came to an end"
    seen = [line for line in out.decode().splitlines() if line.startswith(("FAILED", "ERROR"))]
    return child.returncode or 0, seen[0].partition("::")[2].partition(" - ")[0] if seen else out.decode()[-300:]


async def caught(mutation: Mutation, environment: dict[str, str]) -> bool:
    """Break a copy and see whether the tests see it; they must be green before."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="maillon-mutant-") as name:
        folder = Path(name)
        copied(folder)
        file = folder / mutation.file
        text = file.read_text("utf-8")
        if text.count(mutation.old) != 1:
            print(f"UNFIT   {mutation.name}: its place in {mutation.file} is no longer there once")  # noqa: T201 the report
            return False
        file.write_text(text.replace(mutation.old, mutation.new), "utf-8")
        status, seen = await tested(folder, mutation.tests, environment)
    took = time.monotonic() - started
    if status == 1:
        print(f'caught  {mutation.name}: "{mutation.invariant}" broke in {seen} ({took:.0f} s)', flush=True)  # noqa: T201
        return True
    print(f'MISSED  {mutation.name}: status {status} though "{mutation.invariant}" is broken. {seen}', flush=True)  # noqa: T201
    return False


async def main(chosen: list[str]) -> int:
    mutations = [m for m in MUTATIONS if not chosen or m.name in chosen]
    async with started_platform() as platform:
        environment = platform.as_environment()
        with tempfile.TemporaryDirectory(prefix="maillon-mutant-") as name:
            copied(Path(name))
            tests = tuple(sorted({test for m in mutations for test in m.tests}))
            status, seen = await tested(Path(name), tests, environment)
            if status:
                print(f"the tests are not green before anything is broken: {seen}")  # noqa: T201 the report
                return 1
        found = [await caught(mutation, environment) for mutation in mutations]
    print(f"{sum(found)} of {len(found)} caught")  # noqa: T201 the report
    return 0 if all(found) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))

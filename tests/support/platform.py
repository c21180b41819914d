"""The broker and the database that tests run against: real ones, one of each for a run, nothing shared between tests but them.

A run that was killed leaves its folder; the next run ends what it left and takes the folder away. Names are unique per test, so that
tests do not need an order.
"""

import asyncio
import shutil
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from deploy.local.jars import ROOT
from deploy.local.platform import Platform, choose
from deploy.local.processes import Records
from deploy.local.state import Folder, FolderTaken

PARENT = ROOT / ".local"
PREFIX = "test-"
JUST_BEGUN_S = 10
"""A run beside this one may have made its folder, and not have its lock yet."""


def new_folder(label: str = "") -> Path:
    """An empty folder for one stack, of which `sweep` knows that it may go."""
    PARENT.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=PARENT, prefix=f"{PREFIX}{label}"))
    folder.chmod(0o755)  # where we are root, Postgres runs as nobody and must pass
    return folder


def sweep(parent: Path = PARENT, *, older_than_s: float = JUST_BEGUN_S) -> list[str]:
    """Takes away what killed runs left: folders that nobody holds, processes included. Answers the folders' names."""
    swept = []
    for folder in sorted(parent.glob(f"{PREFIX}*")):
        lock = folder / "lock"
        if not lock.exists() or time.time() - lock.stat().st_mtime < older_than_s:
            continue
        try:
            with Folder(folder):
                Records(folder / "pids").clean()
        except FolderTaken:
            continue
        shutil.rmtree(folder, ignore_errors=True)
        swept.append(folder.name)
    return swept


@asynccontextmanager
async def started_platform() -> AsyncIterator[Platform]:
    """Broker and database that answer; gone with all they held at the end, unless they were given by the environment."""
    sweep()
    folder = new_folder()
    try:
        with Folder(folder) as state:
            async with choose(state) as platform:
                yield platform
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def until(holds: Callable[[], object], timeout_s: float = 15) -> None:
    """Wait until `holds()` (or what it gives to await) is true; fail with its last value."""
    ends = asyncio.get_running_loop().time() + timeout_s
    while True:
        found = holds()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return
        assert asyncio.get_running_loop().time() < ends, f"not within {timeout_s} s, last: {found!r}"
        await asyncio.sleep(0.05)


def unique(label: str) -> str:
    """A name no other test has, fit for a topic, a group, a user or a cell."""
    return f"{label}-{uuid.uuid4().hex[:10]}"

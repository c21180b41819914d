"""A service as a process of its own, to be killed and frozen."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
from pydantic import SecretStr

from shared.settings import Settings

ROOT = Path(__file__).parents[2]


def environment(settings: Settings, **more: str) -> dict[str, str]:
    """The variables that make a process come to these settings."""
    told = {}
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if value is not None:
            told[f"MAILLON_{name.upper()}"] = written(value)
    return {**os.environ, **told, **more}


def written(value: object) -> str:
    """A setting as the environment says it: whatever holds others is JSON."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


def resident_mb(pid: int) -> float:
    """What a process holds of the machine's memory."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


@dataclass(slots=True)
class Process:
    """A child of this test: ended by its own id, whatever happens."""

    module: str
    settings: Settings
    log: Path
    child: asyncio.subprocess.Process | None = None

    @property
    def alive(self) -> bool:
        return self.child is not None and self.child.returncode is None

    @property
    def pid(self) -> int:
        assert self.child is not None
        return self.child.pid

    async def start(self, **more: str) -> None:
        """Start, and return at once."""
        with self.log.open("ab") as log:
            self.child = await asyncio.create_subprocess_exec(
                sys.executable, "-m", self.module, cwd=ROOT, env=environment(self.settings, **more), stdout=log, stderr=log
            )

    async def ready(self, timeout_s: float = 40) -> None:
        """Wait until all its cells have joined."""
        url = f"http://127.0.0.1:{self.settings.http_port}/ready"
        ends = asyncio.get_running_loop().time() + timeout_s
        async with httpx.AsyncClient() as client:
            while asyncio.get_running_loop().time() < ends:
                with suppress(httpx.HTTPError):
                    if (await client.get(url, timeout=1)).status_code == 200:
                        return
                assert self.alive, self.log.read_text()[-2000:]
                await asyncio.sleep(0.05)
        raise AssertionError(f"not ready within {timeout_s} s: {self.log.read_text()[-2000:]}")

    def signal(self, sign: signal.Signals) -> None:
        """Kill, freeze or thaw it."""
        os.kill(self.pid, sign)

    async def ended(self, timeout_s: float = 20) -> int:
        """Wait for its end; gives the exit status (-9 for SIGKILL)."""
        assert self.child is not None
        async with asyncio.timeout(timeout_s):
            return await self.child.wait()

    async def stop(self) -> int:
        """SIGTERM: it ends its batch and sends what is recorded. Gives the exit status."""
        self.signal(signal.SIGTERM)
        return await self.ended(30)

    async def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self.alive:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGKILL)
            await self.ended()


@asynccontextmanager
async def process(module: str, settings: Settings, log: Path, *, start: bool = True, **more: str) -> AsyncIterator[Process]:
    """A service process for the time of a block."""
    found = Process(module, settings, log)
    try:
        if start:
            await found.start(**more)
        yield found
    finally:
        await found.kill()


def with_values(settings: Settings, **values: object) -> Settings:
    """The same settings but for some."""
    return settings.model_copy(update=dict(values))

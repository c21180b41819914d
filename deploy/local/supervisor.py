"""Keeps programs running: begins them together, brings back what dies, ends them from the last wave to the first."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from deploy.local.processes import Program, Records, before_exec, signal_group, switch

FIRST_PAUSE, LONGEST_PAUSE, CALM_SECONDS = 0.1, 5.0, 10.0


class _Child:
    """A program and the task that watches it. `stop` ends both; a death without `stop` is followed by a new start."""

    def __init__(self, program: Program, records: Records, say: Callable[[str], None]) -> None:
        self.program = program
        self.pid: int | None = None
        self._records, self._say = records, say
        self._stop = asyncio.Event()
        self._begun = asyncio.Event()
        self.task = asyncio.create_task(self._watch(), name=f"watch {program.name}")

    async def _spawn(self) -> asyncio.subprocess.Process:
        program = self.program
        program.log.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(program.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as log:
            process = await asyncio.create_subprocess_exec(
                *program.argv,
                cwd=program.cwd,
                env=dict(program.env),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=before_exec(program.identity),
                **switch(program.identity),
            )
        self._records.add(program.name, process.pid)
        self.pid = process.pid
        self._begun.set()
        return process

    async def _watch(self) -> None:
        pause = FIRST_PAUSE
        while not self._stop.is_set():
            began = time.monotonic()
            process = await self._spawn()
            if self._stop.is_set():
                signal_group(process.pid, signal.SIGKILL)
            code = await process.wait()
            signal_group(process.pid, signal.SIGKILL)  # whatever it began and left
            self._records.remove(self.program.name)
            self.pid = None
            if not self._stop.is_set():
                pause = FIRST_PAUSE if time.monotonic() - began > CALM_SECONDS else min(pause * 2, LONGEST_PAUSE)
                self._say(f"{self.program.name} ended ({code}), starts again (see {self.program.log})")
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), pause)

    async def begun(self) -> None:
        waiter = asyncio.create_task(self._begun.wait())
        await asyncio.wait({waiter, self.task}, return_when=asyncio.FIRST_COMPLETED)
        waiter.cancel()
        if self.task.done():
            self.task.result()

    async def stop(self) -> None:
        self._stop.set()
        if self.pid is not None:
            signal_group(self.pid, self.program.stop_signal)
            signal_group(self.pid, signal.SIGCONT)
        await asyncio.wait({self.task}, timeout=self.program.stop_seconds)
        if self.pid is not None:
            self._say(f"{self.program.name} did not stop in {self.program.stop_seconds:.0f} s, is killed")
            signal_group(self.pid, signal.SIGKILL)
        await asyncio.gather(self.task, return_exceptions=True)


class Supervisor:
    """Owns every process of one stack. `folder` keeps who was begun, for the start after a crash."""

    def __init__(self, folder: Path, say: Callable[[str], None] = print) -> None:
        self._records = Records(folder)
        self._say = say
        self._children: dict[str, _Child] = {}
        for name in self._records.clean():
            say(f"{name}: left over from a killed run, ended")

    async def start(self, program: Program) -> int:
        """Begins a program and answers its pid. A name is used by one at a time."""
        if program.name in self._children:
            raise ValueError(f"{program.name} runs already")
        child = self._children[program.name] = _Child(program, self._records, self._say)
        await child.begun()
        return child.pid or 0

    async def stop(self, name: str) -> None:
        child = self._children.pop(name, None)
        if child is not None:
            await child.stop()

    async def restart(self, name: str) -> int:
        """Stops in order and begins again, at once."""
        program = self._children[name].program
        await self.stop(name)
        return await self.start(program)

    def kill(self, name: str) -> int:
        """SIGKILL to its group, for tests; it is brought back. Answers the pid that was killed."""
        return self._signal(name, signal.SIGKILL)

    def freeze(self, name: str) -> int:
        return self._signal(name, signal.SIGSTOP)

    def thaw(self, name: str) -> int:
        return self._signal(name, signal.SIGCONT)

    def _signal(self, name: str, number: signal.Signals) -> int:
        pid = self._children[name].pid
        if pid is None:
            raise ProcessLookupError(f"{name} is not running at this moment")
        os.killpg(pid, number)
        return pid

    def pids(self) -> dict[str, int]:
        """Of those that run at this moment."""
        return {name: child.pid for name, child in self._children.items() if child.pid is not None}

    def kept(self) -> set[str]:
        """Those that are to run, whether they do at this moment or are being brought back."""
        return set(self._children)

    async def close(self) -> None:
        """Ends all, the highest wave first, those of one wave together."""
        for wave in sorted({child.program.wave for child in self._children.values()}, reverse=True):
            names = [name for name, child in self._children.items() if child.program.wave == wave]
            await asyncio.gather(*(self.stop(name) for name in names))

"""Breaks things, by a seed: which, whom and for how long. The moments are the machine's.

Acts are drawn like cards: each kind comes once before any comes again, so that a short run sees many. Two hands play at the same time,
never on the same target, and of several brokers only one is disturbed at a time.
"""

import asyncio
import os
import random
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import httpx

from deploy.local.jars import ROOT
from deploy.topology import SERVICES
from shared import crash
from tests.faults import witness
from tests.faults.machinery import Machinery
from tests.faults.proxy import Proxy

SKEWED = "sitecustomize.py"
SKEW = """\
import os
import time

import time_machine

time_machine.travel(time.time() + float(os.environ["SKEW_S"])).start()
"""
REPLAYED = (
    "refurb.devices.trira",
    "refurb.receipts.bocage",
    "routing.consignments.trira",
    "intake.donations.ara",
    "distribution.stock.ara",
)
NOWHERE = 1
"""Bytes that a file may have on a disk that is full."""


@dataclass(slots=True)
class Nemesis:
    """`run` for some seconds, then `heal`."""

    machinery: Machinery
    seed: int
    longest_s: float = 8.0
    """How long something stays frozen, cut or full, at most."""
    done: Counter[str] = field(default_factory=Counter)
    busy: set[str] = field(default_factory=set)
    skipped: Counter[str] = field(default_factory=Counter)
    crashed: list[str] = field(default_factory=list)
    _tasks: list["asyncio.Task[None]"] = field(default_factory=list)

    @property
    def acts(self) -> dict[str, Callable[[random.Random], Awaitable[None]]]:
        """By name. Those of the proxy only where there is one."""
        always = {
            "kill": self.kill,
            "freeze": self.freeze,
            "crash at a named point": self.crash,
            "restart in order": self.restart,
            "rebalance storm and two relays": self.storm,
            "replay a topic": self.replay,
            "skew a clock": self.skew,
            "fill a disk": self.fill,
            "kill two at once": self.kill_two,
        }
        through = {"cut": self.cut, "slow": self.slow, "stall": self.stall, "reset connections": self.reset}
        return {**always, **(through if self.machinery.proxy else {})}

    async def run(self, seconds: float) -> None:
        """Two hands, until the time is over; what is under way then is brought to its end."""
        deadline = time.monotonic() + seconds
        await asyncio.gather(*(self._hand(random.Random(f"{self.seed} hand {hand}"), deadline) for hand in range(2)))  # noqa: S311 repeatable

    async def _hand(self, chance: random.Random, deadline: float) -> None:
        deck: list[str] = []
        while time.monotonic() < deadline:
            if not deck:
                deck = list(self.acts)
                chance.shuffle(deck)
            name = deck.pop()
            try:
                await self.acts[name](chance)
                self.done[name] += 1
            except (ProcessLookupError, KeyError, BusyTarget, TimeoutError, httpx.HTTPError) as error:
                self.skipped[f"{name}: {type(error).__name__}"] += 1
            await asyncio.sleep(chance.random() * 1.5)

    async def heal(self) -> None:
        """Undo whatever may still be in force, and wait until all answers."""
        for disk in self.machinery.disks.values():
            disk.empty()
        if self.machinery.proxy:
            for _ in range(10):
                with suppress(httpx.HTTPError):
                    await self.machinery.proxy.mend()
                    break
        await self.machinery.stack.ready(120)

    # ── who, and for how long ───────────────────────────────────────────────────────────────────────────────────────────────────

    @asynccontextmanager
    async def alone(self, *names: str) -> AsyncIterator[None]:
        """Nobody else touches these meanwhile; brokers count as one."""
        held = {"kafka" if self.machinery.is_broker(name) else name for name in names}
        if held & self.busy:
            raise BusyTarget
        self.busy |= held
        try:
            yield
        finally:
            self.busy -= held

    def say(self, what: str) -> None:
        self.machinery.say(f"nemesis: {what}")

    def moment(self, chance: random.Random, least: float = 0.5) -> float:
        return least + chance.random() * (self.longest_s - least)

    @property
    def everybody(self) -> Sequence[str]:
        return (*SERVICES, *self.machinery.machines, witness.NAME, "gateway")

    # ── processes ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def kill(self, chance: random.Random) -> None:
        name = chance.choice(self.everybody)
        async with self.alone(name):
            self.say(f"kills {name}")
            self.machinery.owner(name).kill(name)
            await asyncio.sleep(1)

    async def kill_two(self, chance: random.Random) -> None:
        names = chance.sample(self.everybody, 2)
        async with self.alone(*names):
            self.say(f"kills {' and '.join(names)} together")
            for name in names:
                with suppress(ProcessLookupError, KeyError):
                    self.machinery.owner(name).kill(name)
            await asyncio.sleep(1)

    async def freeze(self, chance: random.Random) -> None:
        """SIGSTOP to a process and all its children: of Postgres each connection is one."""
        name = chance.choice(self.everybody)
        seconds = self.moment(chance)
        async with self.alone(name):
            self.say(f"freezes {name} for {seconds:.1f} s")
            pids = self.machinery.children(name)
            self._signal(pids, signal.SIGSTOP)
            try:
                await asyncio.sleep(seconds)
            finally:
                self._signal(pids, signal.SIGCONT)

    def _signal(self, pids: Sequence[int], number: signal.Signals) -> None:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    async def crash(self, chance: random.Random) -> None:
        service, point, passage = chance.choice(SERVICES), chance.choice(crash.POINTS), chance.randint(1, 3)
        flag = self.machinery.folder / f"crash-{time.monotonic_ns()}"
        async with self.alone(service):
            self.say(f"has {service} crash at {point}, passage {passage}")
            await self.machinery.stack.restart(service, {"MAILLON_CRASH_AT": f"{point}:{passage}:{flag}"})
            for _ in range(40):
                if flag.exists():
                    self.crashed.append(f"{service} {point}")
                    break
                await asyncio.sleep(0.25)

    async def restart(self, chance: random.Random) -> None:
        name = chance.choice(self.machinery.machines)
        async with self.alone(name):
            self.say(f"restarts {name}")
            await self.machinery.supervisor.restart(name)
            await asyncio.sleep(1)

    async def storm(self, chance: random.Random) -> None:
        """1 -> 3 -> 1 processes of a service: eager rebalances, and relays and jobs that stand by and take over."""
        service = chance.choice(SERVICES)
        stack, names = self.machinery.stack, [f"{service}-{n}" for n in (1, 2)]
        async with self.alone(service):
            self.say(f"has three processes of {service}")
            try:
                for number, name in enumerate(names, 1):
                    await stack.start_service(service, name=name, env={"MAILLON_REPLICA": str(number)})
                await asyncio.sleep(self.moment(chance, 3))
                with suppress(ProcessLookupError, KeyError):
                    stack.kill(service)  # the relay's lock goes to one of the others
                await asyncio.sleep(self.moment(chance, 1))
                with suppress(ProcessLookupError, KeyError):
                    stack.kill(names[0])
            finally:
                for name in names:
                    await stack.stop(name)

    async def replay(self, chance: random.Random) -> None:
        """`maillon resend` of a whole topic."""
        topic = chance.choice(REPLAYED)
        async with self.alone(f"replay {topic}"):
            self.say(f"replays {topic}")
            argv = (sys.executable, "-c", "from deploy.maillon import app; app()", "resend", "--topic", topic)
            process = await asyncio.create_subprocess_exec(
                *argv,
                "--stack",
                str(self.machinery.stack.folder),
                cwd=ROOT,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
            try:
                async with asyncio.timeout(30):
                    if await process.wait() != 0:
                        raise BusyTarget  # its database is away just now, or nothing was told there yet
            finally:
                if process.returncode is None:
                    process.kill()

    async def skew(self, chance: random.Random) -> None:
        """One service's clock is wrong by some minutes, either way, for a while."""
        service, off = chance.choice(SERVICES), chance.choice((-600, -90, 90, 600))
        folder = self.machinery.folder / "skewed"
        folder.mkdir(exist_ok=True)
        (folder / SKEWED).write_text(SKEW, encoding="utf-8")
        async with self.alone(service):
            self.say(f"sets the clock of {service} {off:+} s")
            try:
                await self.machinery.stack.restart(service, {"PYTHONPATH": str(folder), "SKEW_S": str(off)})
                await asyncio.sleep(self.moment(chance, 4))
            finally:
                await self.machinery.stack.restart(service)

    # ── disks ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def fill(self, chance: random.Random) -> None:
        """A small file system without room; where there is none, and for services, files that may not grow (RLIMIT_FSIZE)."""
        name = chance.choice((*self.machinery.machines, *self.machinery.machines, *SERVICES))
        seconds = self.moment(chance, 2)
        disk = self.machinery.disks.get(name)
        async with self.alone(name):
            if disk is not None and disk.is_small:
                self.say(f"fills the file system of {name} for {seconds:.1f} s")
                self.done["(a file system was full)"] += 1
                disk.fill()
                try:
                    await asyncio.sleep(seconds)
                finally:
                    disk.empty()
                return
            self.say(f"lets no file of {name} grow for {seconds:.1f} s")
            self.done["(RLIMIT_FSIZE)"] += 1
            self._limit(name, NOWHERE)
            try:
                await asyncio.sleep(seconds)
            finally:
                self._limit(name, resource.RLIM_INFINITY)

    def _limit(self, name: str, size: int) -> None:
        with suppress(KeyError):
            for pid in self.machinery.children(name):
                with suppress(ProcessLookupError):
                    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    # ── the network ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def cut(self, chance: random.Random) -> None:
        await self._between(chance, "cuts the way to", lambda proxy, name: proxy.cut(name))

    async def slow(self, chance: random.Random) -> None:
        await self._between(chance, "slows the way to", lambda proxy, name: proxy.slow(name, 150, 200))

    async def stall(self, chance: random.Random) -> None:
        await self._between(chance, "stalls the way from", lambda proxy, name: proxy.stall(name))

    async def reset(self, chance: random.Random) -> None:
        await self._between(chance, "resets connections to", lambda proxy, name: proxy.reset(name), most=1.5)

    async def _between(
        self, chance: random.Random, what: str, do: Callable[[Proxy, str], Awaitable[None]], *, most: float | None = None
    ) -> None:
        proxy, name = self.machinery.proxy, chance.choice(self.machinery.machines)
        if proxy is None:
            raise BusyTarget
        seconds = min(self.moment(chance), most or self.longest_s)
        async with self.alone(name, "the proxy"):
            self.say(f"{what} {name} for {seconds:.1f} s")
            try:
                await do(proxy, name)
                await asyncio.sleep(seconds)
            finally:
                await proxy.mend()  # where that fails, `heal` does it


class BusyTarget(Exception):
    """The other hand is at it, or it is not there at this moment."""

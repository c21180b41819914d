"""One refurbisher's flood against another's wait, with the flooded cell in a process of its own and in the one of all.

Each arrangement is compared with a quiet time of its own, in which as much CPU is burnt as the flood took, broker and database
included: what is compared is isolation, not the size of the machine.
"""

import asyncio
import json
import os
import secrets
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg

from deploy.apply import plan_topics, plan_users
from deploy.local.jars import ROOT
from deploy.local.platform import Platform
from deploy.topology import CELLS_FILE, Topology, partner_user
from services.refurb.settings import RefurbSettings
from shared.events.base import Donor
from shared.events.routing import Candidate, ConsignmentAssigned
from shared.kafka.admin import Admin
from shared.kafka.wire import Access
from shared.settings import read_cells
from tests.bench import idle
from tests.bench.load import line
from tests.bench.probe import Probe, Waits
from tests.bench.runs import empty_database
from tests.support.platform import until
from tests.support.process import process
from tests.support.service import Ground, Publisher, free_port

QUIET, OWN, SHARED = "ares", "trira", "bocage"
"""Who is measured, who floods from a process of its own, who floods in the process of all."""
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much of everything. Scaled down, a run says little and is soon over."""

    ordinary: int = 200_000
    poison: int = 20_000
    large_s: float = 10.0
    endless_s: float = 15.0
    quiet_s: float = 20.0
    drain_s: float = 50.0
    """Longest wait until what was published is dealt with, before the next flood begins."""

    @classmethod
    def scaled(cls, by: float) -> "Sizes":
        whole = cls()
        return cls(
            ordinary=int(whole.ordinary * by),
            poison=int(whole.poison * by),
            large_s=max(4.0, whole.large_s * by),
            endless_s=max(4.0, whole.endless_s * by),
            quiet_s=max(6.0, whole.quiet_s * by),
        )


def cpu_s() -> float:
    """CPU that this program and all below it took so far, in seconds: broker, database, services, neighbours."""
    parents: dict[int, int] = {}
    took: dict[int, float] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            told = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # ended meanwhile
        parents[int(stat.parent.name)] = int(told[1])
        took[int(stat.parent.name)] = sum(map(int, told[11:15])) / TICKS
    ours = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in ours and pid not in ours}:
        ours |= more
    return sum(took.get(pid, 0.0) for pid in ours)


@dataclass(slots=True)
class Yard:
    """A broker with the topics, users, rights and quotas of `deploy/`, and a database for refurb."""

    ground: Ground
    database: str
    passwords: Mapping[str, str]
    consignments: dict[str, str] = field(default_factory=dict)

    @classmethod
    async def prepare(cls, platform: Platform, folder: Path, database: str) -> "Yard":
        topology = Topology.read()
        passwords = {user: secrets.token_urlsafe(18) for user in topology.users()}
        address = (platform.kafka_bootstrap, platform.kafka_admin_user, platform.kafka_admin_password)
        async with Admin(*address) as admin:
            await (await plan_topics(admin, topology, local=True)).carry_out(admin)
            users = await plan_users(admin, topology, passwords, bootstrap=address[0])
            await users.carry_out(admin, bootstrap=address[0])
        yard = cls(Ground(platform, "", folder, read_cells(CELLS_FILE)), database, passwords)
        for refurbisher in (QUIET, OWN, SHARED):
            yard.consignments[refurbisher] = await yard.assign(refurbisher)
        return yard

    async def assign(self, refurbisher: str) -> str:
        """Publish a consignment of which devices may then be told."""
        consignment = uuid4()
        event = ConsignmentAssigned(
            consignment_id=consignment,
            reference="DON-BENCH/1",
            donation_id=uuid4(),
            donation_reference="DON-BENCH",
            refurbisher=refurbisher,
            region="ara",
            postal_code="38000",
            donor=Donor(status="company", name="Exempla"),
            required_class="Clear",
            declared={"laptop": 2},
            chosen=Candidate(refurbisher=refurbisher, distance_km=10, load=0.1, cost=10.0),
            rules="bench",
        )
        at = datetime(2026, 10, 1, tzinfo=UTC)
        await Publisher(self.ground).tell(f"routing.consignments.{refurbisher}", consignment, event, at=at)
        return str(consignment)

    def login(self, user: str) -> Access:
        return Access(self.ground.platform.kafka_bootstrap, user, self.passwords[user])

    @asynccontextmanager
    async def refurb(self, *arrangement: str) -> AsyncIterator[None]:
        """Refurb in one process for each of `arrangement`: patterns of cells."""
        async with AsyncExitStack() as running:
            for number, cells in enumerate(arrangement):
                settings = self.ground.settings(
                    RefurbSettings,
                    "refurb",
                    self.database,
                    kafka_user="refurb",
                    kafka_password=self.passwords["refurb"],
                    cells=cells,
                    replica=str(number),
                    nice=0 if cells.startswith("*") else 15,
                    http_port=free_port(),
                    log_format="json",
                )
                log = self.ground.folder / f"refurb-{len(arrangement)}-{number}.log"
                await (await running.enter_async_context(process("services.refurb", settings, log))).ready(120)
            yield

    @asynccontextmanager
    async def loud(self, told: Mapping[str, Any]) -> AsyncIterator[asyncio.subprocess.Process]:
        """A loud neighbour for the time of a block."""
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.bench.loud",
            cwd=ROOT,
            env={**os.environ, "MAILLON_LOUD": json.dumps(dict(told))},
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            yield child
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()

    async def flood(self, refurbisher: str, kind: str, **much: float) -> int:
        """Have a partner publish, with its own name and quota. Returns how many the broker took."""
        told = {
            "kind": kind,
            "refurbisher": refurbisher,
            "consignment": self.consignments[refurbisher],
            "bootstrap": self.ground.platform.kafka_bootstrap,
            "user": partner_user(refurbisher),
            "password": self.passwords[partner_user(refurbisher)],
            **much,
        }
        async with self.loud(told) as child:
            out, _ = await child.communicate()
        return int(out.decode().strip().splitlines()[-1])


@dataclass(slots=True)
class Trial:
    """One arrangement: floods of one refurbisher, and what another feels of them."""

    yard: Yard
    sizes: Sizes
    flooded: str
    told: int = 0
    read: int = 0

    async def drained(self, pool: "asyncpg.Pool[asyncpg.Record]", timeout_s: float) -> None:
        """Wait until all that was published is dealt with, or the time is over."""
        ends = time.monotonic() + timeout_s
        while self.read < self.told and time.monotonic() < ends:
            query = "SELECT coalesce(sum(next), 0) FROM cursor WHERE topic = $1"
            self.read = int(await pool.fetchval(query, f"refurb.inbound.{self.flooded}"))
            await asyncio.sleep(0.2)

    async def run(self, pool: "asyncpg.Pool[asyncpg.Record]") -> tuple[Waits, Waits, str]:
        """What was felt in the quiet time that burns the same CPU, and during the floods; and a note on both."""
        user = partner_user(QUIET)
        async with Probe(QUIET, self.yard.consignments[QUIET], self.yard.login(user)).at_work() as probe:
            await until(lambda: probe.answered, 20)
            base, base_waits = await self.spell(probe, asyncio.sleep(min(5.0, self.sizes.quiet_s)))
            phases: dict[str, Waits] = {}
            flood_began, cpu_began = time.monotonic(), cpu_s()
            for kind, much in self.floods().items():
                _, phases[kind] = await self.spell(probe, self.one_flood(pool, kind, much))
            flood_ended = time.monotonic()
            took = (cpu_s() - cpu_began) / (flood_ended - flood_began)
            felt = await probe.waits(flood_began, flood_ended)
            await self.drained(pool, self.sizes.drain_s)
            extra = max(0.1, took - base)
            shares = [min(1.0, extra - n) for n in range(int(extra) + 1) if extra - n > 0.01]
            async with self.yard.loud({"kind": "burn", "shares": shares}):
                await asyncio.sleep(1)
                burnt, quiet = await self.spell(probe, asyncio.sleep(self.sizes.quiet_s))
        told = "; ".join(f"{kind}: {waits}" for kind, waits in phases.items())
        note = (
            f"publish to receipt, felt by another refurbisher; {self.read} of {self.told} messages of the flooded one dealt with in "
            f"{flood_ended - flood_began:.0f} s. Quiet ({burnt:.2f} cores): {quiet}. Flooded ({took:.2f} cores): {felt}. {told}. "
            f"Quiet and nothing burnt ({base:.2f} cores): {base_waits}"
        )
        return quiet, felt, note

    def floods(self) -> dict[str, dict[str, float]]:
        sizes = self.sizes
        return {
            "ordinary": {"count": sizes.ordinary},
            "poison": {"count": sizes.poison},
            "large": {"seconds": sizes.large_s},
            "endless": {"seconds": sizes.endless_s},
        }

    async def one_flood(self, pool: "asyncpg.Pool[asyncpg.Record]", kind: str, much: Mapping[str, float]) -> None:
        self.told += await self.yard.flood(self.flooded, kind, **much)
        await self.drained(pool, self.sizes.drain_s)

    async def spell(self, probe: Probe, doing: Any) -> tuple[float, Waits]:
        """Cores taken and waits felt while something goes on."""
        began, cpu = time.monotonic(), cpu_s()
        await doing
        ended = time.monotonic()
        return (cpu_s() - cpu) / (ended - began), await probe.waits(began, ended)


def lines(name: str, quiet: Waits, felt: Waits, note: str, most: float) -> Sequence[str]:
    p50, p99 = felt.p50 / quiet.p50, felt.p99 / quiet.p99
    return (
        line(f"isolation_{name}_p50_ratio", p50, "ratio", f"<= {most}", p50 <= most, note),
        line(f"isolation_{name}_p99_ratio", p99, "ratio", f"<= {most}", p99 <= most, note),
    )


async def measure(platform: Platform, folder: Path) -> AsyncIterator[str]:
    """Both arrangements, one after the other. Gives the lines of the report."""
    sizes = Sizes.scaled(float(os.environ.get("MAILLON_BENCH_SCALE", "1")))
    async with empty_database(platform) as url, asyncpg.create_pool(url, min_size=1, max_size=2) as pool:
        yard = await Yard.prepare(platform, folder, url)
        async with yard.refurb(f"*,!{OWN}", OWN):
            for found in lines("own", *await Trial(yard, sizes, OWN).run(pool), 1.5):
                yield found
        async with yard.refurb(f"*,!{OWN}"):  # what is left of the first flood stays on its topic
            for found in lines("shared", *await Trial(yard, sizes, SHARED).run(pool), 5):
                yield found
        async for found in idle.measure(platform, folder, 15 if sizes == Sizes() else 6):
            yield found

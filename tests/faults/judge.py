"""What must hold once all is healed and quiet, and the first event that says it does not.

Asked past the proxy: of the databases, as each service's own role, and of the topics themselves.
"""

import asyncio
import json
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any
from uuid import UUID

import asyncpg

from deploy.demo.figures import Figures, add_up, asked, disagreements
from deploy.operate import count_lag
from deploy.topology import SERVICES
from shared.audit import consumed, fold_check, published
from shared.db import transaction
from shared.kafka.ends import reach
from shared.kafka.reader import read_on
from shared.kafka.wire import Access
from shared.message import Message
from tests.faults import witness
from tests.faults.ledger import Ledger
from tests.faults.machinery import Machinery
from tests.flows.proof import AGGREGATES

At = tuple[UUID, int]
"""Stream and version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """An invariant that does not hold, and where that shows first."""

    invariant: str
    what: str
    service: str = ""
    topic: str = ""
    stream: UUID | None = None
    version: int | None = None

    def __str__(self) -> str:
        place = {"service": self.service, "topic": self.topic, "stream": self.stream, "version": self.version}
        told = ", ".join(f"{name} {value}" for name, value in place.items() if value)
        return f"{self.invariant}: {self.what}" + (f" ({told})" if told else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One event as a service keeps it."""

    service: str
    stream: UUID
    version: int
    type: str
    topic: str | None
    seq: int
    data: str


@dataclass(slots=True)
class Judge:
    """`settled` waits, `verdict` judges."""

    machinery: Machinery
    ledger: Ledger
    unsettled: list[Broken] = field(default_factory=list)
    figures: Figures | None = None

    @property
    def pools(self) -> dict[str, str]:
        return {service: self.machinery.direct_url(service) for service in SERVICES} | {witness.NAME: self.machinery.witness_url}

    @asynccontextmanager
    async def opened(self) -> "AsyncIterator[dict[str, asyncpg.Pool[asyncpg.Record]]]":
        """One pool a service."""
        pools: dict[str, asyncpg.Pool[asyncpg.Record]] = {}
        try:
            for name, url in self.pools.items():
                pools[name] = await asyncpg.create_pool(url, min_size=1, max_size=2, timeout=10, server_settings={"jit": "off"})
            yield pools
        finally:
            for pool in pools.values():
                pool.terminate()

    # ── waiting ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def settled(self, certificates: int, seconds: float) -> bool:
        """Wait until nothing is unsent, unread or set aside, every certificate is there, and nothing more happens for two seconds."""
        deadline, before, since = time.monotonic() + seconds, -1, time.monotonic()
        async with self.opened() as pools:
            while True:
                self.unsettled = [broken async for broken in self._waiting(pools, certificates)]
                total = sum([await pool.fetchval("SELECT coalesce(max(seq), 0) FROM events") for pool in pools.values()])
                if self.unsettled or total != before:
                    before, since = total, time.monotonic()
                elif time.monotonic() - since > 2:
                    return True
                if time.monotonic() > deadline:
                    return False
                await asyncio.sleep(0.5)

    async def _waiting(self, pools: "Mapping[str, asyncpg.Pool[asyncpg.Record]]", certificates: int) -> AsyncIterator[Broken]:
        for name, pool in pools.items():
            rows = await pool.fetch("SELECT e.* FROM outbox o JOIN events e USING (seq) ORDER BY seq LIMIT 1")
            for row in rows:
                yield Broken(invariant="what is recorded is sent", what=f"{row['type']} is unsent", service=name, **place(row))
            rows = await pool.fetch("SELECT * FROM parked ORDER BY at, version LIMIT 1")
            for row in rows:
                what = f"{row['type']} is parked: {row['why']} {row['reason']}"
                yield Broken(invariant="nothing stays set aside", what=what, service=name, **place(row))
        async for broken in self._unread(pools):
            yield broken
        issued = await pools["certs"].fetchval("SELECT count(*) FROM certificates")
        if issued < certificates:
            what = f"{issued} of {certificates} consignments that are done have theirs"
            yield Broken(invariant="one valid certificate a consignment", what=what, service="certs")

    async def _unread(self, pools: "Mapping[str, asyncpg.Pool[asyncpg.Record]]") -> AsyncIterator[Broken]:
        """Every reader's cursor against the ends of what it reads."""
        families = self.machinery.stack.topology.families
        topics = {f.name: [f"{f.name}.{cell}" for cell in self.machinery.stack.topology.cells(f.cell)] for f in families}
        reached = await reach(Access(*self.machinery.admin), [topic for names in topics.values() for topic in names])
        for name, pool in pools.items():
            cursors = {
                (r["topic"], r["partition"]): r["next"] for r in await pool.fetch("SELECT topic, partition, next FROM cursor")
            }
            heard = [f.name for f in families if name in f.heard_by or (name == f.owner and f.partners == "write")]
            heard = list(witness.HEARS) if name == witness.NAME else heard
            ends = {at: end for at, end in reached.items() if at[0].rpartition(".")[0] in heard}
            behind, _ = count_lag(ends, cursors)
            for topic, count in behind.items():
                if count:
                    yield Broken(
                        invariant="what is published is read", what=f"{count} messages unread", service=name, topic=topic
                    )

    # ── judging ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def verdict(self, consignments: set[UUID], devices: int) -> list[Broken]:
        """Everything that does not hold, the first of each kind in front.

        Where all did not come to rest, what may still be on its way is no fault: only what is lost or too much for certain is told.
        """
        if self.unsettled:
            await asyncio.gather(*(self.machinery.stack.stop(name) for name in (*SERVICES, witness.NAME)))
        found: list[Broken] = []
        async with self.opened() as pools:
            kept = {name: await events(name, pool) for name, pool in pools.items()}
            unsent = {name: {r["seq"] for r in await pool.fetch("SELECT seq FROM outbox")} for name, pool in pools.items()}
            told = await self._on_the_wire()
            found += self._ledger(kept)
            found += wire(kept, told, unsent)
            times = {r["stream"]: r["times"] for r in await pools[witness.NAME].fetch("SELECT stream, times FROM sightings")}
            found += witnessed(kept, times, complete=not self.unsettled)
            for name, pool in pools.items():
                aggregates = witness.AGGREGATES if name == witness.NAME else AGGREGATES[name]
                async for difference in fold_check(pool, aggregates):
                    what = f"{difference.aggregate} {difference.what}"
                    found.append(Broken(invariant="rows are what events say", what=what, service=name, stream=difference.stream))
            self.figures = add_up(list(told.values()), "")
            if not self.unsettled:
                found += [broken async for broken in positions(pools, kept)]
                found += certified(kept["certs"], consignments)
                found += conserved(self.figures, devices)
                found += await self._disagreements(self.figures)
        return found

    async def _disagreements(self, figures: Figures) -> list[Broken]:
        stack = self.machinery.stack
        said = disagreements(figures, await asked(stack.origin, stack.secrets["staff_code"]))
        return [Broken(invariant="every service counts what the topics say", what=each) for each in said]

    async def _on_the_wire(self) -> dict[At, Message]:
        """What stands on the topics of the house, each once."""
        found: dict[At, Message] = {}
        for family in self.machinery.stack.topology.families:
            if family.partners != "write":
                topics = [f"{family.name}.{cell}" for cell in self.machinery.stack.topology.cells(family.cell)]
                async for message in read_on(Access(*self.machinery.admin), {}, topics):
                    found.setdefault((message.stream, message.version), message)
        return found

    def _ledger(self, kept: Mapping[str, list[Kept]]) -> list[Broken]:
        """Each command against the events in its stream."""
        effects: defaultdict[tuple[UUID, str], list[Kept]] = defaultdict(list)
        for names in kept.values():
            for event in names:
                effects[event.stream, event.type].append(event)
        found = []
        for command in self.ledger:
            there = effects[command.stream, command.event]
            least, most = {"ok": (1, 1), "refused": (0, 0), "unknown": (0, 1)}[command.outcome]
            if not least <= len(there) <= most:
                said = f"{command.kind} {command.name} was {command.outcome} after {command.tries} tries"
                what = f"{said}, its effect is there {len(there)} times"
                where: dict[str, Any] = {"service": there[-1].service, "version": there[-1].version} if there else {}
                invariant = "an ok command has its effect once, a refused one none, an unknown one at most once"
                found.append(Broken(invariant=invariant, what=f"{what} ({command.event})", stream=command.stream, **where))
        return found


def place(row: asyncpg.Record) -> dict[str, Any]:
    return {name: row[name] for name in ("topic", "stream", "version")}


async def events(service: str, pool: "asyncpg.Pool[asyncpg.Record]") -> list[Kept]:
    rows = await pool.fetch("SELECT stream, version, type, topic, seq, data::text AS data FROM events ORDER BY seq")
    return [Kept(service=service, **dict(row)) for row in rows]


def wire(kept: Mapping[str, list[Kept]], told: Mapping[At, Message], unsent: Mapping[str, set[int]]) -> list[Broken]:
    """What is recorded against what is published, byte for byte, both ways."""
    found: list[Broken] = []
    known: set[At] = set()
    for service, recorded in kept.items():
        for event in recorded:
            if event.topic is None:
                continue
            known.add((event.stream, event.version))
            message = told.get((event.stream, event.version))
            if message is None and event.seq in unsent[service]:
                continue
            if message is None or message.topic != event.topic or message.value.decode() != event.data:
                what = f"{event.type} is not there" if message is None else f"{event.type} is there with other bytes"
                at: dict[str, Any] = {"topic": event.topic, "stream": event.stream, "version": event.version}
                found.append(Broken(invariant="what is recorded is on its topic", what=what, service=service, **at))
    for (stream, version), message in told.items():
        if (stream, version) not in known:
            what = f"{message.type} is on the topic and in no database"
            at = {"topic": message.topic, "stream": stream, "version": version}
            found.append(Broken(invariant="what is published is recorded", what=what, **at))
    return found


async def positions(pools: "Mapping[str, asyncpg.Pool[asyncpg.Record]]", kept: Mapping[str, list[Kept]]) -> AsyncIterator[Broken]:
    """Each reader's positions against each publisher's numbers: first the sums, as `maillon tally` compares them, then the streams."""
    last: dict[tuple[UUID, str], Kept] = {}
    for recorded in kept.values():
        for event in recorded:
            if event.topic is not None:
                key = (event.stream, event.topic)
                last[key] = max(last.get(key, event), event, key=lambda e: e.version)
    invariant = "each consumer's positions equal each publisher's"
    for name, pool in pools.items():
        async with transaction(pool, readonly=True) as tx:
            heard = await consumed(tx)
        seen = {(r["stream"], r["topic"]): r["version"] for r in await pool.fetch("SELECT stream, topic, version FROM seen")}
        for (stream, topic), event in last.items():
            if topic in heard and seen.get((stream, topic), 0) != event.version:
                what = f"{event.type} is number {event.version}, {seen.get((stream, topic), 0)} is the last one seen"
                yield Broken(invariant=invariant, what=what, service=name, topic=topic, stream=stream, version=event.version)
    for publisher in SERVICES:
        async with transaction(pools[publisher], readonly=True) as tx:
            sums = await published(tx)
        for name, pool in pools.items():
            async with transaction(pool, readonly=True) as tx:
                for topic, had in (await consumed(tx)).items():
                    if topic in sums and sums[topic] != had:
                        yield Broken(invariant=invariant, what=f"told {sums[topic]}, heard {had}", service=name, topic=topic)


def witnessed(kept: Mapping[str, list[Kept]], times: Mapping[UUID, int], *, complete: bool) -> list[Broken]:
    """What an unguarded consumer counted against what was told: never more, and where it has read all, never less."""
    found = []
    told = [event for recorded in kept.values() for event in recorded if event.topic is not None]
    for stream, group in groupby(sorted(told, key=lambda e: (e.stream, e.version)), key=lambda e: e.stream):
        *_, last = group
        had = times.get(stream, 0)
        if had > last.version or (complete and had < last.version):
            what = f"{last.version} were told (the last: {last.type}), {had} had an effect"
            at: dict[str, Any] = {"topic": last.topic or "", "stream": stream, "version": last.version}
            found.append(Broken(invariant="each event has its effect once", what=what, service=witness.NAME, **at))
    return found


def certified(recorded: list[Kept], consignments: set[UUID]) -> list[Broken]:
    """One certificate a consignment of which all was told, none superseded, and none for others."""
    issued: Counter[UUID] = Counter()
    for event in recorded:
        if event.type == "certs.certificate_issued.v1":
            issued[UUID(json.loads(event.data)["consignment_id"])] += 1
        elif event.type == "certs.certificate_superseded.v1":
            issued[UUID(json.loads(event.data)["consignment_id"])] -= 1
    invariant = "one valid certificate a consignment"
    wrong = {c: issued[c] for c in consignments | issued.keys() if issued[c] != (c in consignments)}
    return [Broken(invariant=invariant, what=f"{count} for consignment {c}", service="certs") for c, count in wrong.items()]


def conserved(figures: Figures, devices: int) -> list[Broken]:
    """Received = in stock + sold + scrapped; the stock itself is counted by every service (`disagreements`)."""
    found = []
    if figures.devices != devices:
        found.append(f"{devices} devices were told, {figures.devices} received")
    if figures.devices != figures.ready + figures.scrapped:
        found.append(f"{figures.devices} received, {figures.ready} ready and {figures.scrapped} scrapped")
    if figures.sold > figures.ready:
        found.append(f"{figures.sold} sold of {figures.ready}")
    return [Broken(invariant="no device is lost or counted twice", what=what) for what in found]


def first_of_each(found: list[Broken]) -> dict[str, tuple[Broken, int]]:
    """Invariant -> where it broke first, and how often."""
    told: dict[str, tuple[Broken, int]] = {}
    for broken in found:
        before, count = told.get(broken.invariant, (broken, 0))
        told[broken.invariant] = (before, count + 1)
    return told

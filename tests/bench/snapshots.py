"""Snapshots of machines, from a partner to its receipts: through Kafka, and by 64 clients through HTTP.

Each is another device's, that was received before. The clock runs from the first byte that is sent to the last receipt in the table: by
then each original is hashed and on the disk, its machine read, its media judged, its receipt on its way.
"""

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import asyncpg

from deploy.local.platform import Platform
from services.refurb.app import build
from services.refurb.settings import RefurbSettings
from shared.kafka.wire import Sender
from tests.bench.isolation import Yard
from tests.bench.load import line
from tests.bench.runs import empty_database
from tests.support.platform import unique
from tests.support.process import process
from tests.support.service import Ground, free_port, with_topics

CAPTURE = Path(__file__).parents[1] / "data" / "captures" / "m09-desktop-ssd"
KEY = "key-of-the-bench-0123456789abcdef"
PROCESSES = 2
"""Of refurb: they share the partitions of the partner's topic, as replicas do, and the clients."""
CLIENTS = 64
LINES = 100
"""Messages a request."""


@dataclass(frozen=True, slots=True)
class Size:
    """One size of snapshot: what it is called, its bytes, how many of it, the goal a second."""

    name: str
    size: int
    count: int
    goal: int


SIZES = (Size("", 10_000, 12_000, 1_000), Size("137kb_", 137_000, 800, 200))


def snapshot(number: int, size: int) -> dict[str, Any]:
    """The capture of a desktop with another disk's number in it, filled up to `size` with what `dmidecode` says of more of its parts."""
    disks = json.loads((CAPTURE / "smartctl.json").read_text("utf-8"))
    disks = disks if isinstance(disks, list) else [disks]
    disks[0]["serial_number"] = f"BENCH{number:08d}"
    dmi = "\n".join(path.read_text("utf-8") for path in sorted(CAPTURE.glob("dmidecode-*.txt")))
    made: dict[str, Any] = {"smartctl": disks, "dmidecode": dmi, "lscpu": (CAPTURE / "lscpu.txt").read_text("utf-8")}
    missing = size - len(json.dumps(made))
    made["lscpu"] += f"\nFlags: {'sse4_2 ' * (max(missing, 0) // 7)}"
    return made


@dataclass(slots=True)
class Caller:
    """One connection that posts and waits for each answer. A client library took as much of the two cores as the service itself."""

    url: str
    reader: asyncio.StreamReader = field(init=False)
    writer: asyncio.StreamWriter = field(init=False)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[Self]:
        """Connected until the block ends."""
        at = urlsplit(self.url)
        self.reader, self.writer = await asyncio.open_connection(at.hostname, at.port)
        try:
            yield self
        finally:
            self.writer.close()

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer."""
        head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
        self.writer.writelines((head.encode(), body))
        await self.writer.drain()
        status, *headers = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().splitlines()
        length = next(int(line.partition(":")[2]) for line in headers if line.startswith("content-length:"))
        return int(status.split()[1]), await self.reader.readexactly(length)


@dataclass(slots=True)
class Workshop:
    """A partner with devices, and the service that hears it."""

    ground: Ground
    urls: Sequence[str]
    consignment: UUID
    pool: "asyncpg.Pool[asyncpg.Record]"
    told: int = 0

    def said(self, kind: str, ref: str, **more: Any) -> dict[str, Any]:
        return {
            "specversion": "1.0",
            "id": str(uuid4()),
            "source": "/trira/bench",
            "type": f"partner.{kind}.v1",
            "data": {"consignment_id": str(self.consignment), "device_ref": ref, **more},
        }

    async def by_kafka(self, events: Sequence[dict[str, Any]]) -> float:
        """Send, and give the moment of the first byte."""
        rows = [
            (
                event["data"]["device_ref"].encode(),
                json.dumps(event["data"]).encode(),
                [(f"ce_{name}", event[name].encode()) for name in ("id", "source", "type")],
            )
            for event in events
        ]
        started = time.perf_counter()
        sender = Sender(self.ground.access, "/trira/bench", timeout_s=60)
        try:
            for n in range(0, len(rows), 200):
                await sender.put("refurb.inbound.trira", rows[n : n + 200])
        finally:
            await sender.stop()
        return started

    async def by_http(self, events: Sequence[dict[str, Any]]) -> float:
        """64 clients, each with a share, some lines a request. One that is refused is a failure of the run."""
        requests = [
            "\n".join(json.dumps(event) for event in events[n : n + LINES]).encode() for n in range(0, len(events), LINES)
        ]
        started = time.perf_counter()

        async def one(number: int) -> None:
            async with Caller(self.urls[number % len(self.urls)]).at_work() as call:
                for body in requests[number::CLIENTS]:
                    status, answer = await call.post("/refurb/reports", body)
                    if status != 202 or not all(each["accepted"] for each in json.loads(answer)["lines"]):
                        raise AssertionError(f"{status}: {answer[:500]!r}")

        await asyncio.gather(*map(one, range(CLIENTS)))
        return started

    async def answered(self, count: int) -> None:
        """Wait until so many more messages have their receipt, all accepted."""
        self.told += count
        query = "SELECT count(*) FILTER (WHERE outcome = 'accepted') AS good, count(*) AS all FROM receipts"
        while True:
            row = await self.pool.fetchrow(query)
            if row and row["good"] != row["all"]:
                raise AssertionError(f"{row['all'] - row['good']} snapshots were rejected")
            if row and row["all"] >= self.told:
                return
            await asyncio.sleep(0.05)


async def measure(platform: Platform, folder: Path) -> AsyncIterator[str]:
    """Both sizes, both ways. Gives the lines of the report."""
    ground = Ground(platform, f"{unique('bench')}.", folder)
    async with empty_database(platform) as database:
        hashed = {"trira": [hashlib.sha256(KEY.encode()).hexdigest()]}
        settings = ground.settings(RefurbSettings, "refurb", database, refurb_api_keys=hashed, log_format="json")
        await with_topics(ground, build(settings))
        consignment = UUID(await Yard(ground, database, {}).assign("trira"))
        pool = await asyncpg.create_pool(database, min_size=1, max_size=1)
        urls = []
        async with AsyncExitStack() as running:
            for number in range(PROCESSES):
                own = settings.model_copy(update={"replica": str(number), "http_port": free_port()})
                service = await running.enter_async_context(process("services.refurb", own, folder / f"refurb-{number}.log"))
                await service.ready(60)
                urls.append(f"http://127.0.0.1:{own.http_port}")
            workshop = Workshop(ground, urls, consignment, pool)
            for size in SIZES:
                for way in ("kafka", "http"):
                    yield await one(workshop, size, way)
        await pool.close()


async def one(workshop: Workshop, size: Size, way: str) -> str:
    """One size, one way."""
    send = workshop.by_kafka if way == "kafka" else workshop.by_http
    refs = [f"{way}-{size.size}-{n}" for n in range(size.count)]
    await workshop.by_kafka([workshop.said("device_received", ref, device_type="desktop") for ref in refs])
    await workshop.answered(size.count)
    first = abs(hash((way, size.size))) % 10_000_000
    events = [workshop.said("device_audited", ref, snapshot=snapshot(first + n, size.size)) for n, ref in enumerate(refs)]
    started = await send(events)
    sent = time.perf_counter() - started
    await workshop.answered(size.count)
    seconds = time.perf_counter() - started
    rate = size.count / seconds
    note = f"{size.count} snapshots of {size.size} bytes in {seconds:.1f} s, sent within {sent:.1f} s, {PROCESSES} processes"
    note += f", by {CLIENTS} clients, {LINES} a request" if way == "http" else ""
    return line(f"snapshots_{size.name}per_s_{way}", rate, "snapshots/s", f">= {size.goal}", rate >= size.goal, note)

"""A refurbisher's system: reads what is assigned to it as its own user, and tells what happens to each device, by Kafka or by HTTP."""

import asyncio
import json
import random
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from aiokafka.errors import KafkaError
from stdnum import luhn

from deploy.demo.refurbisher import Client, connect
from shared.events.base import stream_id
from tests.faults.caller import Caller
from tests.faults.ledger import Outcome

ASSIGNED = "routing.consignment_assigned.v1"
ACCEPTED = "refurb.report_accepted.v1"
ANSWER_S = 8.0
READY_SHARE = 0.75
LATER = timedelta(minutes=20)
"""Erasures are dated this much later than now: a clock that is skewed must not make them older than their consignment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One message, and where its receipt must stand."""

    slug: str
    id: str
    kind: str
    value: Mapping[str, Any]
    key: str

    @property
    def source(self) -> str:
        return f"/{self.slug}/workshop"

    @property
    def receipt(self) -> UUID:
        return stream_id("receipt", f"refurb.inbound.{self.slug}", self.source, self.id)

    def line(self) -> bytes:
        """The same for HTTP."""
        told = {"specversion": "1.0", "id": self.id, "source": self.source, "type": f"partner.{self.kind}.v1", "data": self.value}
        return json.dumps(told).encode()


def reports(slug: str, consignment: UUID, counted: int) -> Iterator[Report]:
    """All that a workshop tells of a consignment, in order. What becomes of a device follows from the consignment's id."""
    chance = random.Random(f"{consignment}")  # noqa: S311 repeatable, no secret

    def report(kind: str, key: str, **value: Any) -> Report:
        whole = {"consignment_id": str(consignment), **value}
        return Report(slug=slug, id=str(uuid5(consignment, f"{key} {kind}")), kind=kind, value=whole, key=key)

    yield report("consignment_received", str(consignment), counted=counted)
    for number in range(1, counted + 1):
        name = f"{slug[:2].upper()}-{consignment.hex[:10]}-{number}"
        digits = "35" + "".join(str(chance.randrange(10)) for _ in range(12))
        imei = digits + luhn.calc_check_digit(digits)
        yield report("device_received", name, device_ref=name, device_type="smartphone", maker="Fairphone", model="FP3")
        if chance.random() > READY_SHARE:
            yield report("device_scrapped", name, device_ref=name, reason="screen_broken")
            continue
        media = [{"serial": imei, "model": "FP3", "kind": "phone", "bytes": 64_000_000_000}]
        yield report("device_audited", name, device_ref=name, media=media, ram_gb=4, benchmark_thousands=250)
        yield report("medium_erased", name, device_ref=name, log=json.dumps(reset(imei)))
        yield report("device_finished", name, device_ref=name)


def reset(imei: str) -> dict[str, object]:
    """The statement that a telephone was set back."""
    ended = (datetime.now(UTC) + LATER).replace(microsecond=0)
    return {
        "form": "attestation-remise-a-zero",
        "version": 1,
        "imei": imei,
        "model": "FP3",
        "method": "factory reset",
        "storage_encrypted": True,
        "account_removed": True,
        "first_screen_checked": True,
        "started_at": (ended - timedelta(minutes=5)).isoformat(),
        "ended_at": ended.isoformat(),
        "operator": "Opératrice 04 (fictive)",
        "verifier": "Vérificateur 11 (fictif)",
    }


@dataclass(slots=True)
class Workshop:
    """`by_kafka` decides how it speaks; all read their consignments from Kafka, with the client that partners are given."""

    slug: str
    bootstrap: str
    password: str
    caller: Caller
    key: str
    by_kafka: bool
    assigned: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    """Consignment -> how it was assigned."""
    client: Client | None = None
    failures: int = 0
    _exit: AsyncExitStack = field(default_factory=AsyncExitStack)
    _joining: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def listen(self) -> None:
        """Read for ever; begin again from the start whenever the connection is lost."""
        while True:
            with suppress(KafkaError, OSError, TimeoutError):
                async with connect(self.slug, self.bootstrap, self.password) as client:
                    async for kind, value in client.read("routing.consignments"):
                        if kind == ASSIGNED:
                            self.assigned.setdefault(UUID(value["consignment_id"]), value)
            await asyncio.sleep(0.5)

    async def tell(self, report: Report) -> Outcome:
        """Send one message once."""
        return await (self._by_kafka(report) if self.by_kafka else self._by_http(report))

    async def _by_http(self, report: Report) -> Outcome:
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/x-ndjson"}
        outcome, answer = await self.caller.ask("POST", "/refurb/reports", headers, content=report.line())
        if outcome == "ok" and not answer["lines"][0]["accepted"]:
            return "refused"
        return outcome

    async def _by_kafka(self, report: Report) -> Outcome:
        try:
            async with asyncio.timeout(ANSWER_S):
                client = await self._connected()
                await client.tell(report.kind, report.value, key=report.key, id=report.id)
        except (KafkaError, OSError, TimeoutError):
            self.failures += 1
            if self.failures % 20 == 0:
                await self.close()
            return "unknown"
        return "ok"

    async def _connected(self) -> Client:
        async with self._joining:
            if self.client is None:
                self.client = await self._exit.enter_async_context(connect(self.slug, self.bootstrap, self.password))
            return self.client

    async def close(self) -> None:
        """Let go of the producer; what it still held may come late, under the same id."""
        self.client = None
        with suppress(Exception):
            async with asyncio.timeout(3):
                await self._exit.aclose()
        self._exit = AsyncExitStack()

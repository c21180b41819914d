"""The rest of the chain as intake hears it: one donation from its refurbisher to its sales, told on the real topics."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

from shared.events.base import Donor, Event, stream_id
from shared.events.certs import CertificateIssued
from shared.events.distribution import DeviceSold
from shared.events.refurb import DeviceAudited, DeviceReady, DeviceReceived, DeviceScrapped
from shared.events.routing import (
    Candidate,
    ConsignmentAssigned,
    ConsignmentCollected,
    ConsignmentDelivered,
    ConsignmentScheduled,
)
from tests.support.service import Publisher

AUDITED = DeviceAudited(media=(), model="20L50000FR", serial="SECRET-OF-THE-BOARD")
"""The machine's own name for what was typed as a ThinkPad T480; it does not say who made it."""


@dataclass(slots=True)
class Chain:
    """Speaks for routing, refurb, certs and distribution about one donation."""

    publisher: Publisher
    donation_id: UUID
    reference: str
    devices: int = 3

    @property
    def consignment(self) -> UUID:
        return stream_id("consignment", self.donation_id, 1)

    def device(self, number: int) -> UUID:
        return stream_id("device", "trira", f"{self.reference}-{number}")

    async def routing(self, *events: Event, at: datetime | None = None) -> None:
        await self.publisher.tell("routing.consignments.trira", self.consignment, *events, at=at)

    async def assigned(self) -> None:
        await self.routing(
            ConsignmentAssigned(
                consignment_id=self.consignment,
                reference=f"{self.reference}/1",
                donation_id=self.donation_id,
                donation_reference=self.reference,
                refurbisher="trira",
                region="ara",
                postal_code="69007",
                donor=Donor(status="company", name="Mercerie Brindille SAS"),
                required_class="Clear",
                declared={"laptop": self.devices},
                chosen=Candidate(refurbisher="trira", distance_km=31, load=0.4, cost=43.4),
                others=(Candidate(refurbisher="ares", distance_km=470, load=0.1, cost=517.0),),
                rules="planner-2026-01",
            ),
            ConsignmentScheduled(collection_date=(datetime.now(UTC) + timedelta(days=5)).date()),
        )

    async def delivered(self, counted: int) -> None:
        await self.routing(ConsignmentCollected(counted=counted), ConsignmentDelivered(counted=counted))

    async def worked_on(self, *, scrapped: int = 1) -> None:
        """Every device is received; the last ones are scrapped, the others ready."""
        for number in range(self.devices):
            known = {
                "consignment_id": self.consignment,
                "donation_id": self.donation_id,
                "refurbisher": "trira",
                "region": "ara",
                "device_ref": f"{self.reference}-{number}",
                "device_type": "laptop",
                "donor_public": False,
                "maker": "Lenovo",
                "model": "ThinkPad T480",
                "serial": f"SECRET-{number}",
            }
            last: Event = DeviceReady(**known, category="B")
            if number >= self.devices - scrapped:
                last = DeviceScrapped(consignment_id=self.consignment, donation_id=self.donation_id, reason="erasure_not_proven")
            await self.publisher.tell("refurb.devices.trira", self.device(number), DeviceReceived(**known), AUDITED, last)

    async def certified(self, number: str) -> None:
        certificate = CertificateIssued(
            number=number,
            consignment_id=self.consignment,
            donation_id=self.donation_id,
            refurbisher="trira",
            devices=self.devices,
            erased=self.devices - 1,
            not_erased=1,
            issued_at=datetime.now(UTC),
            document_sha256="0" * 64,
            leaf_index=0,
            leaf_hash="0" * 64,
        )
        await self.publisher.tell("certs.certificates.trira", stream_id("certificate", self.consignment), certificate)

    async def sold(self, number: int) -> None:
        sale = uuid4()
        told = DeviceSold(
            sale_id=sale,
            device_id=self.device(number),
            consignment_id=self.consignment,
            donation_id=self.donation_id,
            refurbisher="trira",
            device_type="laptop",
            category="B",
            structure="STR-0001",
            voucher_id=uuid4(),
            price_cents=8000,
            price_rules="price-2026-01",
            sold_at=datetime.now(UTC),
            warranty_until=date(2028, 12, 1),
        )
        await self.publisher.tell("distribution.sales.ara", sale, told)

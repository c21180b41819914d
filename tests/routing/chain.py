"""What the others would publish to routing, and what routing answers."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from shared.events.base import DeviceType, stream_id
from shared.events.intake import DonationAccepted, DonationOffered, DonationWithdrawn, Outcome
from shared.events.refurb import (
    CapacityDeclared,
    ConsignmentReceived,
    ConsignmentTurnedDown,
    DeviceReady,
    DeviceScrapped,
)
from tests.routing.samples import DONOR
from tests.support.service import Ground, Publisher, Site


@dataclass(slots=True)
class Chain:
    """One donation, and those who speak about it."""

    ground: Ground
    site: Site
    donation: UUID = field(default_factory=uuid4)
    publisher: Publisher = field(init=False)

    def __post_init__(self) -> None:
        self.publisher = Publisher(self.ground)

    async def offer(
        self, devices: dict[DeviceType, int], *, postal_code: str = "69007", outcome: Outcome = "accepted", region: str = "ara"
    ) -> None:
        """intake: offered and accepted."""
        offered = DonationOffered(
            reference=f"DON-{self.donation.hex[:8].upper()}",
            donor=DONOR,
            contact=uuid4(),
            region=region,
            postal_code=postal_code,
            declared=devices,
            condition="mixed",
            age="3_to_5_years",
            media="inside",
            sensitivity="ordinary",
            available_from=date.today() + timedelta(days=1),  # noqa: DTZ011 a day on the donor's wall
            form="2026-01",
            source="form",
            content_sha256="0" * 64,
        )
        await self.publisher.tell(
            f"intake.donations.{region}", self.donation, offered, DonationAccepted(outcome=outcome, rules="triage-2026-01")
        )

    async def withdraw(self) -> None:
        """intake: the donor changed its mind."""
        await self.publisher.tell("intake.donations.ara", self.donation, DonationWithdrawn(reason="donor"))

    async def receive(self, consignment: UUID, refurbisher: str, counted: int, at: datetime | None = None) -> None:
        """refurb: it arrived."""
        event = ConsignmentReceived(
            consignment_id=consignment, donation_id=self.donation, refurbisher=refurbisher, counted=counted
        )
        arrival = stream_id("arrival", consignment)
        await self.publisher.tell(f"refurb.devices.{refurbisher}", arrival, event, at=at)

    async def turn_down(self, consignment: UUID, refurbisher: str) -> None:
        """refurb: it cannot take it."""
        event = ConsignmentTurnedDown(
            consignment_id=consignment, donation_id=self.donation, refurbisher=refurbisher, reason="workshop_closed"
        )
        await self.publisher.tell(f"refurb.devices.{refurbisher}", stream_id("arrival", consignment), event)

    async def declare(self, refurbisher: str, places: dict[DeviceType, int]) -> None:
        """refurb: places a week."""
        event = CapacityDeclared(refurbisher=refurbisher, weekly_places=places)
        await self.publisher.tell(f"refurb.devices.{refurbisher}", stream_id("capacity", refurbisher), event)

    async def ready(self, consignment: UUID, refurbisher: str, name: str) -> None:
        """refurb: a device may be sold."""
        event = DeviceReady(
            consignment_id=consignment,
            donation_id=self.donation,
            refurbisher=refurbisher,
            region="ara",
            device_ref=name,
            device_type="laptop",
            category="B",
            donor_public=False,
        )
        await self.publisher.tell(f"refurb.devices.{refurbisher}", stream_id("device", refurbisher, name), event)

    async def scrap(self, consignment: UUID, refurbisher: str, name: str) -> None:
        """refurb: a device is recycled."""
        event = DeviceScrapped(consignment_id=consignment, donation_id=self.donation, reason="screen_broken")
        await self.publisher.tell(f"refurb.devices.{refurbisher}", stream_id("device", refurbisher, name), event)

    async def consignments(self) -> list[dict[str, Any]]:
        """What routing made of it, over HTTP."""
        async with self.site.client(staff=True) as client:
            answer = await client.get("/routing/consignments", params={"donation_id": str(self.donation)})
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()
        return found

    async def statuses(self) -> list[tuple[str, str]]:
        """Refurbisher and status of each consignment."""
        return [(one["refurbisher"], one["status"]) for one in await self.consignments()]

    async def settles(self, *expected: tuple[str, str]) -> list[dict[str, Any]]:
        """Wait until it is so, then give the consignments."""

        async def so() -> bool:
            return await self.statuses() == list(expected)

        await self.site.until(so)
        return await self.consignments()

    async def held(self, refurbisher: str) -> int:
        """Devices that fill places there."""
        held = await self.site.desk.pool.fetchval("SELECT held FROM refurbishers WHERE slug = $1", refurbisher)
        rows = await self.site.desk.pool.fetch(
            "SELECT value->'devices' AS d, value->>'counted' AS c, jsonb_array_length(value->'settled') AS s FROM jsonb_each($1::jsonb)",
            held or "{}",
        )
        return sum(max(0, int(row["c"] or 12) - int(row["s"])) for row in rows)

    def yesterday(self) -> datetime:
        return datetime.now(UTC) - timedelta(days=1)

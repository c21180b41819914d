"""A donation as all publishers tell it, from the offer to the last device, and what the audit keeps and finds of it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from uuid import UUID

from services.certs import reactions
from services.certs.app import TRAIL
from services.certs.domain.ledger import Verdict, judge
from services.certs.domain.trail import NoteStep, Trail
from shared.desk import Desk
from shared.events.base import Donor, Event, stream_id
from shared.events.distribution import (
    DeviceDelivered,
    DeviceShipped,
    DeviceSold,
    StockLeft,
    StockReceived,
)
from shared.events.intake import DonationOffered
from shared.events.refurb import DeviceAudited, DeviceHandedOver, DeviceScrapped
from shared.events.routing import ConsignmentCollected
from shared.message import Message
from tests.certs.samples import AT, Story
from tests.support.given import folded

SHOP = "STR-0005"
Told = tuple[str, UUID, Event]
"""Topic, stream and event."""


@dataclass(slots=True, kw_only=True)
class Chain(Story):
    """What each service publishes about one donation."""

    region: str = "ara"

    @property
    def routing(self) -> str:
        return f"routing.consignments.{self.refurbisher}"

    @property
    def refurb(self) -> str:
        return f"refurb.devices.{self.refurbisher}"

    def offered(self, count: int) -> Told:
        event = DonationOffered(
            reference=self.reference[:-2],
            donor=Donor(status="company", name="Mercerie Brindille SAS", siren="732829320"),
            contact=stream_id("person", self.mark),
            region=self.region,
            postal_code="38200",
            declared={"laptop": count},
            condition="working",
            age="3_to_5_years",
            media="inside",
            sensitivity="ordinary",
            available_from=date(2026, 11, 1),
            form="2026-01",
            source="form",
            content_sha256="0" * 64,
        )
        return f"intake.donations.{self.region}", self.donation, event

    def sent(self, count: int) -> list[Told]:
        """Assigned and collected."""
        return [
            (self.routing, self.consignment, self.assigned(declared={"laptop": count})),
            (self.routing, self.consignment, ConsignmentCollected(counted=count)),
        ]

    def arrived_all(self, count: int) -> Told:
        return self.refurb, self.arrival, self.received(count)

    def at_work(self, ref: str, *events: Event) -> list[Told]:
        return [(self.refurb, self.device(ref), event) for event in events]

    def made_ready(self, ref: str) -> list[Told]:
        return self.at_work(ref, self.arrived(ref), self.audited(ref), self.ready(ref))

    def audited(self, ref: str) -> DeviceAudited:
        return DeviceAudited(media=(self.disk(ref),), serial=f"SN-{self.mark}-{ref}")

    def scrapped(self, ref: str) -> list[Told]:
        gone = DeviceScrapped(consignment_id=self.consignment, donation_id=self.donation, reason="erasure_failed")
        return self.at_work(ref, self.arrived(ref), self.audited(ref), gone)

    def in_stock(self, ref: str, *events: Event) -> list[Told]:
        return [(f"distribution.stock.{self.region}", stream_id("stock", self.device(ref)), event) for event in events]

    def stocked(self, ref: str, times: int = 1) -> list[Told]:
        event = StockReceived(
            device_id=self.device(ref),
            consignment_id=self.consignment,
            donation_id=self.donation,
            refurbisher=self.refurbisher,
            device_type="laptop",
            category="B",
            donor_public=False,
            region=self.region,
            device_ref=f"{self.mark}-{ref}",
            times=times,
        )
        return self.in_stock(ref, event)

    def shelved(self, ref: str) -> list[Told]:
        """Shipped and delivered."""
        device = self.device(ref)
        return self.in_stock(
            ref, DeviceShipped(device_id=device, structure=SHOP), DeviceDelivered(device_id=device, structure=SHOP)
        )

    def sale(self, ref: str, times: int = 1, mark: str = "") -> UUID:
        return stream_id("sale id", self.mark, ref, times, mark)

    def sold(self, ref: str, times: int = 1, *, price: int = 4000, mark: str = "", structure: str = SHOP) -> list[Told]:
        """At the till alone."""
        sale = self.sale(ref, times, mark)
        event = DeviceSold(
            sale_id=sale,
            device_id=self.device(ref),
            consignment_id=self.consignment,
            donation_id=self.donation,
            refurbisher=self.refurbisher,
            device_type="laptop",
            category="B",
            structure=structure,
            voucher_id=stream_id("voucher", self.mark, ref),
            price_cents=price,
            free_reason=None if price else "emergency",
            price_rules="2026-01",
            sold_at=AT,
            warranty_until=date(2028, 11, 23),
            region=self.region,
            device_ref=f"{self.mark}-{ref}",
            times=times,
        )
        return [(f"distribution.sales.{self.region}", stream_id("sale", sale), event)]

    def passed_on(self, ref: str, times: int = 1, *, price: int = 4000) -> list[Told]:
        """From the stock to a person, as everybody tells it."""
        left = StockLeft(device_id=self.device(ref), sale_id=self.sale(ref, times))
        handed = DeviceHandedOver(sale_id=self.sale(ref, times), sold_at=AT)
        return [
            *self.stocked(ref, times),
            *self.shelved(ref),
            *self.in_stock(ref, left),
            *self.sold(ref, times, price=price),
            *self.at_work(ref, handed),
        ]

    def whole(self) -> list[Told]:
        """Four devices: one sold, one given, one scrapped, one in stock."""
        return [
            self.offered(4),
            *self.sent(4),
            self.arrived_all(4),
            *(told for ref in ("1", "2", "4") for told in self.made_ready(ref)),
            *self.scrapped("3"),
            *self.passed_on("1"),
            *self.passed_on("2", price=0),
            *self.stocked("4"),
        ]


def messages(told: Iterable[Told], at: datetime = AT) -> list[Message]:
    """As they stand on the topics: each stream numbered, a minute between one and the next."""
    numbers: Counter[UUID] = Counter()
    found = []
    for minute, (topic, stream, event) in enumerate(told):
        numbers[stream] += 1
        value, time = event.model_dump_json().encode(), at + timedelta(minutes=minute)
        found.append(Message(topic, 0, minute, stream, numbers[stream], event.type, time, {}, value))
    return found


CONTRACTS = {event.type: event for event in reactions.TRACED}


async def keep(desk: Desk, told: Iterable[Told]) -> None:
    """What the reactions make of it, carried out at once, without Kafka."""
    for message in messages(told):
        contract = CONTRACTS[message.type]
        await desk.carry_out(reactions.REACTIONS[contract](message, contract.model_validate_json(message.value)))


@dataclass(slots=True)
class Kept:
    """What certs keeps of messages, without a database."""

    trails: dict[UUID, Trail] = field(default_factory=dict)

    def hear(self, heard: Iterable[Message]) -> "Kept":
        for message in heard:
            contract = CONTRACTS.get(message.type)
            if contract is None:
                continue
            for command in reactions.traced(message, contract.model_validate_json(message.value)):
                assert isinstance(command, NoteStep)
                now = self.trails.get(command.id, TRAIL.new)
                self.trails[command.id] = folded(TRAIL, now, TRAIL.decide(now, command))
        return self

    def verdict(self, now: datetime | None = None) -> Verdict:
        known = list(self.trails.values())
        return judge(known, known, now or AT + timedelta(hours=3))


def verdict(told: Sequence[Told], now: datetime | None = None) -> Verdict:
    """What the audit finds when all of it was heard."""
    return Kept().hear(messages(told)).verdict(now)

"""What the other services tell of a donation, kept by local events: consignments, devices, certificates, sales. Sent to nobody.

Each fact comes with the moment its publisher gave it. A repeat changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import ClassVar, Literal, assert_never
from uuid import UUID

from shared.errors import NotYet
from shared.events.base import Category, DeviceType, Event, Fact

StepCode = Literal["collected", "failed", "at_point", "counted_at_point", "sent_on", "delivered", "refused"]
DeviceStatus = Literal["unknown", "received", "ready", "scrapped", "taken_back", "lost"]
SETTLED: frozenset[DeviceStatus] = frozenset({"ready", "scrapped", "lost"})


class Step(Fact):
    """Something that happened to a consignment on its way. `note`: a code or the slug of a place."""

    code: StepCode
    at: datetime
    counted: int | None = None
    note: str | None = None


class ConsignmentNoted(Event):
    """A refurbisher was chosen, and why."""

    type: ClassVar[str] = "intake.consignment_noted.v1"

    donation_id: UUID
    reference: str
    refurbisher: str
    distance_km: int
    load: float
    candidates: int
    reception_point: str | None = None
    replaces: UUID | None = None
    at: datetime


class CollectionPlanned(Event):
    """A day was set for the collection."""

    type: ClassVar[str] = "intake.collection_planned.v1"

    collection_date: date


class StepNoted(Event):
    """The consignment went a step further, or back."""

    type: ClassVar[str] = "intake.step_noted.v1"

    step: Step


class ConsignmentClosed(Event):
    """Nothing more comes under this consignment."""

    type: ClassVar[str] = "intake.consignment_closed.v1"

    reason: str
    next_id: UUID | None = None
    at: datetime


class DeviceNoted(Event):
    """A device of the donation was identified. Its serial stays with refurb."""

    type: ClassVar[str] = "intake.device_noted.v1"

    donation_id: UUID
    consignment_id: UUID
    device_type: DeviceType
    maker: str | None = None
    model: str | None = None
    at: datetime
    device_ref: str = ""
    """What stands on its label and on the certificate; empty in facts of before it was kept."""


class DeviceNamed(Event):
    """The machine said what it is. Null: it did not say, and what was typed when it arrived stands."""

    type: ClassVar[str] = "intake.device_named.v1"

    maker: str | None = None
    model: str | None = None


class DeviceMoved(Event):
    """Its state changed. `detail`: its category when ready, the reason otherwise."""

    type: ClassVar[str] = "intake.device_moved.v1"

    status: DeviceStatus
    detail: str
    at: datetime


class CertificateNoted(Event):
    """A certificate was issued for a consignment."""

    type: ClassVar[str] = "intake.certificate_noted.v1"

    donation_id: UUID
    consignment_id: UUID
    number: str
    devices: int
    erased: int
    not_erased: int
    issued_at: datetime


class CertificateReplaced(Event):
    """Another one corrects it."""

    type: ClassVar[str] = "intake.certificate_replaced.v1"

    by_number: str


class SaleNoted(Event):
    """A device of the donation equips a person."""

    type: ClassVar[str] = "intake.sale_noted.v1"

    donation_id: UUID
    device_id: UUID
    device_type: DeviceType
    category: Category
    price_cents: int
    sold_at: datetime


ConsignmentEvent = ConsignmentNoted | CollectionPlanned | StepNoted | ConsignmentClosed
DeviceEvent = DeviceNoted | DeviceNamed | DeviceMoved
CertificateEvent = CertificateNoted | CertificateReplaced


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteConsignment:
    """A fact about a consignment."""

    id: UUID
    fact: ConsignmentEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteDevice:
    """A fact about a device."""

    id: UUID
    fact: DeviceEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteCertificate:
    """A fact about a certificate."""

    id: UUID
    fact: CertificateEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteSale:
    """A sale."""

    id: UUID
    fact: SaleNoted


@dataclass(frozen=True, slots=True, kw_only=True)
class Consignment:
    """A consignment as intake heard of it."""

    donation_id: UUID | None = None
    reference: str = ""
    refurbisher: str = ""
    distance_km: int = 0
    load: float = 0.0
    candidates: int = 0
    reception_point: str | None = None
    replaces: UUID | None = None
    assigned_at: datetime | None = None
    collection_date: date | None = None
    steps: tuple[Step, ...] = ()
    ended: str | None = None
    ended_at: datetime | None = None
    next_id: UUID | None = None

    def step(self, code: StepCode) -> Step | None:
        """The last step of that kind."""
        return next((step for step in reversed(self.steps) if step.code == code), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device as intake heard of it."""

    donation_id: UUID | None = None
    consignment_id: UUID | None = None
    device_ref: str = ""
    device_type: DeviceType = "other"
    maker: str | None = None
    model: str | None = None
    status: DeviceStatus = "unknown"
    detail: str = ""
    received_at: datetime | None = None
    settled_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate as intake heard of it."""

    donation_id: UUID | None = None
    consignment_id: UUID | None = None
    number: str = ""
    devices: int = 0
    erased: int = 0
    not_erased: int = 0
    issued_at: datetime | None = None
    replaced_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """A sale as intake heard of it: what was sold and when, nothing of who bought it."""

    donation_id: UUID | None = None
    device_id: UUID | None = None
    device_type: DeviceType = "other"
    category: Category = "D"
    price_cents: int = 0
    sold_at: datetime | None = None


def decide_consignment(state: Consignment, command: NoteConsignment) -> Sequence[ConsignmentEvent]:
    """Note the fact once."""
    known = state.donation_id is not None
    if isinstance(command.fact, ConsignmentNoted):
        return [] if known else [command.fact]
    if not known:
        raise NotYet("consignment_unknown")
    return [] if evolve_consignment(state, command.fact) == state else [command.fact]


def evolve_consignment(state: Consignment, event: ConsignmentEvent) -> Consignment:
    """The consignment after the event."""
    match event:
        case ConsignmentNoted():
            return replace(
                state,
                donation_id=event.donation_id,
                reference=event.reference,
                refurbisher=event.refurbisher,
                distance_km=event.distance_km,
                load=event.load,
                candidates=event.candidates,
                reception_point=event.reception_point,
                replaces=event.replaces,
                assigned_at=event.at,
            )
        case CollectionPlanned(collection_date=day):
            return replace(state, collection_date=day)
        case StepNoted(step=step):
            return state if step in state.steps else replace(state, steps=(*state.steps, step))
        case ConsignmentClosed():
            return replace(state, ended=event.reason, ended_at=event.at, next_id=event.next_id)
        case _:
            assert_never(event)


def decide_device(state: Device, command: NoteDevice) -> Sequence[DeviceEvent]:
    """Note the fact once."""
    if isinstance(command.fact, DeviceNoted):
        return [] if state.donation_id else [command.fact]
    if state.donation_id is None:
        raise NotYet("device_unknown")
    return [] if evolve_device(state, command.fact) == state else [command.fact]


def evolve_device(state: Device, event: DeviceEvent) -> Device:
    """The device after the event."""
    match event:
        case DeviceNoted():
            return replace(
                state,
                donation_id=event.donation_id,
                consignment_id=event.consignment_id,
                device_ref=event.device_ref,
                device_type=event.device_type,
                maker=event.maker,
                model=event.model,
                status="received",
                received_at=event.at,
            )
        case DeviceNamed():  # as certs does: the donor finds the same names on the certificate
            return replace(state, maker=event.maker or state.maker, model=event.model or state.model)
        case DeviceMoved():
            settled = event.at if event.status in SETTLED else None
            return replace(state, status=event.status, detail=event.detail, settled_at=settled)
        case _:
            assert_never(event)


def decide_certificate(state: Certificate, command: NoteCertificate) -> Sequence[CertificateEvent]:
    """Note the fact once."""
    if isinstance(command.fact, CertificateNoted):
        return [] if state.number else [command.fact]
    if not state.number:
        raise NotYet("certificate_unknown")
    return [] if state.replaced_by == command.fact.by_number else [command.fact]


def evolve_certificate(state: Certificate, event: CertificateEvent) -> Certificate:
    """The certificate after the event."""
    match event:
        case CertificateNoted():
            return replace(
                state,
                donation_id=event.donation_id,
                consignment_id=event.consignment_id,
                number=event.number,
                devices=event.devices,
                erased=event.erased,
                not_erased=event.not_erased,
                issued_at=event.issued_at,
            )
        case CertificateReplaced(by_number=number):
            return replace(state, replaced_by=number)
        case _:
            assert_never(event)


def decide_sale(state: Sale, command: NoteSale) -> Sequence[SaleNoted]:
    """Note the sale once."""
    return [] if state.donation_id else [command.fact]


def evolve_sale(state: Sale, event: SaleNoted) -> Sale:
    """The sale after the event."""
    return replace(
        state,
        donation_id=event.donation_id,
        device_id=event.device_id,
        device_type=event.device_type,
        category=event.category,
        price_cents=event.price_cents,
        sold_at=event.sold_at,
    )

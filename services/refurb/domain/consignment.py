"""What refurb keeps of a consignment that routing assigned: local facts, published to nobody. And which evidence served which device."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import ClassVar, Literal, assert_never
from uuid import UUID

from shared.errors import NotYet, Refused
from shared.events.base import DeviceType, Event, MethodClass


class ConsignmentExpected(Event):
    """A refurbisher will get it."""

    type: ClassVar[str] = "refurb.consignment_expected.v1"

    consignment_id: UUID
    reference: str
    donation_id: UUID
    donation_reference: str
    refurbisher: str
    donor_public: bool
    required_class: MethodClass
    declared: dict[DeviceType, int]
    assigned_at: datetime | None = None
    """Null: it was noted before this was kept."""
    donor: str | None = None
    """SIREN of a company; of a person, an opaque id. Tells donors apart, to count what of their gifts was not as announced."""
    donor_name: str | None = None


class CollectionPlanned(Event):
    """The day it is fetched."""

    type: ClassVar[str] = "refurb.collection_planned.v1"

    collection_date: date


class ConsignmentClosed(Event):
    """Nothing more will happen under it."""

    type: ClassVar[str] = "refurb.consignment_closed.v1"

    reason: str


class EvidenceClaimed(Event):
    """A report, or a run that it tells of, served this device; it serves no other."""

    type: ClassVar[str] = "refurb.evidence_claimed.v1"

    device_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectConsignment:
    """Routing assigned it."""

    id: UUID
    expected: ConsignmentExpected


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanCollection:
    """Routing planned the day."""

    id: UUID
    collection_date: date


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseConsignment:
    """Routing ended it."""

    id: UUID
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckConsignment:
    """A refurbisher speaks of it: it must be there, be theirs, and go on. Changes nothing."""

    id: UUID
    refurbisher: str


Command = ExpectConsignment | PlanCollection | CloseConsignment | CheckConsignment


@dataclass(frozen=True, slots=True, kw_only=True)
class Consignment:
    """A consignment as refurb knows it."""

    status: Literal["unknown", "expected", "closed"] = "unknown"
    consignment_id: UUID | None = None
    reference: str = ""
    donation_id: UUID | None = None
    donation_reference: str = ""
    refurbisher: str = ""
    donor_public: bool = False
    required_class: MethodClass = "Clear"
    declared: dict[DeviceType, int] | None = None
    collection_date: date | None = None
    assigned_at: datetime | None = None
    donor: str | None = None
    donor_name: str | None = None


LocalEvent = ConsignmentExpected | CollectionPlanned | ConsignmentClosed


def decide(consignment: Consignment, command: Command) -> list[LocalEvent]:
    """Note what routing says; check what a refurbisher says."""
    if consignment.status == "unknown" and not isinstance(command, ExpectConsignment):
        raise NotYet("consignment_unknown", where="/consignment_id")
    match command:
        case ExpectConsignment(expected=expected):
            return [expected] if consignment.status == "unknown" else []
        case PlanCollection(collection_date=day):
            return [CollectionPlanned(collection_date=day)] if consignment.collection_date != day else []
        case CloseConsignment(reason=reason):
            return [ConsignmentClosed(reason=reason)] if consignment.status != "closed" else []
        case CheckConsignment(refurbisher=refurbisher):
            if consignment.refurbisher != refurbisher:
                raise Refused("consignment_of_another", where="/consignment_id")
            if consignment.status == "closed":
                raise Refused("consignment_closed", where="/consignment_id")
            return []
        case _:
            assert_never(command)


def evolve(consignment: Consignment, event: LocalEvent) -> Consignment:
    """The consignment after the event."""
    match event:
        case ConsignmentExpected():
            told = {name: getattr(event, name) for name in ConsignmentExpected.model_fields}
            return replace(consignment, status="expected", **told)
        case CollectionPlanned(collection_date=day):
            return replace(consignment, collection_date=day)
        case ConsignmentClosed():
            return replace(consignment, status="closed")
        case _:
            assert_never(event)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimEvidence:
    """A report, or one run of it, is to serve this device. Travels with the command that files it: both happen, or none."""

    id: UUID
    device_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceUse:
    """Which device a report, or one run of it, served first."""

    device_id: UUID | None = None


def claim(use: EvidenceUse, command: ClaimEvidence) -> list[EvidenceClaimed]:
    """First come, first served; the same device may send its report again."""
    if use.device_id is None:
        return [EvidenceClaimed(device_id=command.device_id)]
    if use.device_id != command.device_id:
        raise Refused("duplicate_evidence", where="/log")
    return []


def claimed(_: EvidenceUse, event: EvidenceClaimed) -> EvidenceUse:
    """The use after the event."""
    return EvidenceUse(device_id=event.device_id)

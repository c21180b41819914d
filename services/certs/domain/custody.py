"""The custody a certificate rests on: what routing and refurb said of a consignment and of each of its devices, kept by local events.

A consignment and its devices are aggregates of their own, joined by the consignment's id: facts of different streams come in any
order, and a large consignment makes no hot stream.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import ClassVar, Literal, assert_never
from uuid import UUID

from shared.events.base import Category, DeviceType, Donor, Event, Fact, Medium, MethodClass, stream_id

Outcome = Literal["open", "ready", "scrapped", "lost"]


class Erasure(Fact):
    """What the evidence proves of one medium, in the words of refurb's verdict."""

    medium: Medium
    method_class: MethodClass
    technique: str
    tool: str
    tool_version: str | None
    verified: bool
    required_class: MethodClass
    started_at: datetime | None
    ended_at: datetime | None
    evidence_sha256: str
    policy: str


class Doubt(Fact):
    """Why evidence about one medium proves nothing."""

    medium: Medium
    reason: str


class CustodyOpened(Event):
    """A refurbisher was assigned a consignment."""

    type: ClassVar[str] = "certs.custody_opened.v1"

    consignment_id: UUID
    reference: str
    donation_id: UUID
    donation_reference: str
    refurbisher: str
    region: str
    postal_code: str
    donor: Donor
    required_class: MethodClass
    declared: dict[DeviceType, int]


class CustodyCounted(Event):
    """The refurbisher has it and counted the devices."""

    type: ClassVar[str] = "certs.custody_counted.v1"

    consignment_id: UUID
    counted: int
    received_at: datetime


class CustodyEnded(Event):
    """Nothing more happens under this consignment: there will be no certificate for it."""

    type: ClassVar[str] = "certs.custody_ended.v1"

    consignment_id: UUID
    reason: str


class HeldNoted(Event):
    """A device of the consignment was identified."""

    type: ClassVar[str] = "certs.held_noted.v1"

    device_id: UUID
    consignment_id: UUID
    donation_id: UUID
    refurbisher: str
    device_ref: str
    device_type: DeviceType
    maker: str | None
    model: str | None
    serial: str | None


class HeldAudited(Event):
    """These are its media."""

    type: ClassVar[str] = "certs.held_audited.v1"

    media: tuple[Medium, ...]
    maker: str | None = None
    model: str | None = None
    serial: str | None = None


class HeldErased(Event):
    """One of its media is proven erased."""

    type: ClassVar[str] = "certs.held_erased.v1"

    erasure: Erasure


class HeldDoubted(Event):
    """The evidence about one of its media does not prove the erasure."""

    type: ClassVar[str] = "certs.held_doubted.v1"

    doubt: Doubt


class HeldSettled(Event):
    """The refurbisher is done with it: ready to be sold, scrapped with the reason, or lost."""

    type: ClassVar[str] = "certs.held_settled.v1"

    outcome: Literal["ready", "scrapped", "lost"]
    category: Category | None = None
    reason: str | None = None


class HeldReopened(Event):
    """It left the stock without having been sold: what is proven of it is said anew."""

    type: ClassVar[str] = "certs.held_reopened.v1"

    reason: str


class HeldReturned(Event):
    """It came back after a sale: what follows is about the data of whoever bought it. What the donor is told stands."""

    type: ClassVar[str] = "certs.held_returned.v1"

    reason: str


CustodyEvent = CustodyOpened | CustodyCounted | CustodyEnded


class HeldFound(Event):
    """It was lost, and is there again: what is proven of it stands."""

    type: ClassVar[str] = "certs.held_found.v1"

    outcome: Literal["open", "ready"]


HeldEvent = HeldNoted | HeldAudited | HeldErased | HeldDoubted | HeldSettled | HeldReopened | HeldReturned | HeldFound


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteCustody:
    """Keep what was said of a consignment."""

    id: UUID
    fact: CustodyEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteHeld:
    """Keep what was said of a device."""

    id: UUID
    fact: HeldEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Custody:
    """What is known of a consignment. Routing's part and refurb's part come in either order."""

    consignment_id: UUID | None = None
    reference: str | None = None
    donation_id: UUID | None = None
    donation_reference: str | None = None
    refurbisher: str | None = None
    region: str | None = None
    postal_code: str | None = None
    donor: Donor | None = None
    required_class: MethodClass = "Clear"
    declared: Mapping[DeviceType, int] = field(default_factory=dict)
    counted: int | None = None
    received_at: datetime | None = None
    ended: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What is known of a device. `erasures` and `doubts` hold the last word on each medium, never both."""

    device_id: UUID | None = None
    consignment_id: UUID | None = None
    donation_id: UUID | None = None
    refurbisher: str | None = None
    device_ref: str = ""
    device_type: DeviceType = "other"
    maker: str | None = None
    model: str | None = None
    serial: str | None = None
    audited: bool = False
    media: tuple[Medium, ...] = ()
    erasures: tuple[Erasure, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    outcome: Outcome = "open"
    category: Category | None = None
    reason: str | None = None
    passed_on: bool = False
    """It was sold once: what is said of it later does not concern who gave it."""


def custody_id(consignment: UUID) -> UUID:
    return stream_id("custody", consignment)


def held_id(device: UUID) -> UUID:
    return stream_id("held", device)


def same_medium(medium: Medium) -> str:
    """What tells media apart: the serial number; without one, all that was read of it."""
    if medium.serial and medium.serial.strip():
        return medium.serial.strip().upper()
    return f"{medium.model}/{medium.kind}/{medium.bytes}"


def decide_custody(custody: Custody, command: NoteCustody) -> list[CustodyEvent]:
    """Note what is new. What is known already yields no event."""
    return [] if evolve_custody(custody, command.fact) == custody else [command.fact]


def evolve_custody(custody: Custody, event: CustodyEvent) -> Custody:
    """The custody after the event."""
    match event:
        case CustodyOpened():
            return replace(
                custody,
                consignment_id=event.consignment_id,
                reference=event.reference,
                donation_id=event.donation_id,
                donation_reference=event.donation_reference,
                refurbisher=event.refurbisher,
                region=event.region,
                postal_code=event.postal_code,
                donor=event.donor,
                required_class=event.required_class,
                declared=event.declared,
            )
        case CustodyCounted():  # a corrected count says nothing of the day it came
            received_at = custody.received_at or event.received_at
            return replace(custody, consignment_id=event.consignment_id, counted=event.counted, received_at=received_at)
        case CustodyEnded():
            return replace(custody, consignment_id=event.consignment_id, ended=event.reason)
        case _:
            assert_never(event)


def decide_held(held: Held, command: NoteHeld) -> list[HeldEvent]:
    """Note what is new. What is known already yields no event."""
    return [] if evolve_held(held, command.fact) == held else [command.fact]


def evolve_held(held: Held, event: HeldEvent) -> Held:
    """The device after the event. A later word on a medium replaces the earlier one, whichever way it goes."""
    if held.passed_on:
        return held
    match event:
        case HeldNoted():
            return replace(
                held,
                device_id=event.device_id,
                consignment_id=event.consignment_id,
                donation_id=event.donation_id,
                refurbisher=event.refurbisher,
                device_ref=event.device_ref,
                device_type=event.device_type,
                maker=event.maker,
                model=event.model,
                serial=event.serial,
            )
        case HeldAudited():  # what the machine said of itself replaces what was typed when it arrived
            named = {same_medium(medium) for medium in event.media}
            proven = {same_medium(erasure.medium) for erasure in held.erasures}
            left = tuple(m for m in held.media if same_medium(m) in proven - named)
            return replace(
                held,
                audited=True,
                media=(*event.media, *left),  # a medium that was given is on the certificate, wherever it went once it was erased
                maker=event.maker or held.maker,
                model=event.model or held.model,
                serial=event.serial or held.serial,
            )
        case HeldErased(erasure=erasure):
            name = same_medium(erasure.medium)
            rest = tuple(
                e for e in held.erasures if (same_medium(e.medium), e.evidence_sha256) != (name, erasure.evidence_sha256)
            )
            doubts = tuple(d for d in held.doubts if same_medium(d.medium) != name)
            return replace(held, erasures=(*rest, erasure), doubts=doubts)
        case HeldDoubted(doubt=doubt):
            name = same_medium(doubt.medium)
            erasures = tuple(e for e in held.erasures if same_medium(e.medium) != name)
            return replace(held, erasures=erasures, doubts=(*(d for d in held.doubts if same_medium(d.medium) != name), doubt))
        case HeldSettled():
            return replace(held, outcome=event.outcome, category=event.category, reason=event.reason)
        case HeldReopened(reason=reason):
            return replace(held, outcome="open", category=None, reason=reason, erasures=())
        case HeldReturned():
            return replace(held, passed_on=True)
        case HeldFound(outcome=outcome):
            return replace(held, outcome=outcome, reason=None)
        case _:
            assert_never(event)


def settled(custody: Custody, devices: Collection[Held]) -> bool:
    """Whether nothing more is to come: assigned, not ended, counted, and every device that was identified ready, scrapped or lost.

    counted > identified    not settled: a device that was seen is still without a name, or lost
    counted <= identified   settled with the last of them: a count may be short, or 0, and it says nothing against a device that is there
    nothing identified      never settled: there is nothing to certify

    A device that is identified only afterwards is not on the certificate: `domain.drift` shows it.
    """
    return (
        custody.reference is not None
        and custody.ended is None
        and custody.counted is not None
        and len(devices) >= max(custody.counted, 1)
        and all(device.outcome != "open" for device in devices)
    )

"""Where a medium is: in one device at a time, under its serial number; and which runs on it served which device. Local facts.

The story of a medium stays in the events of its devices (ADR 0012). What no device can know of another is decided here: a serial number
that is in one device is not taken for another's until it has left the first, and two devices never rest on runs that overlap (ADR 0015).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import ClassVar, assert_never
from uuid import UUID

from shared.errors import NotYet, Refused
from shared.events.base import Event, Fact, stream_id

MOST = 500
"""Runs, and devices that dispute it, kept of one medium. More is a loop in somebody's program, or a number that is none."""


def medium_stream(serial: str) -> UUID:
    """Name what is kept of a medium. Evidence binds to the exact number, so case tells two apart."""
    return stream_id("medium", serial)


class Place(Fact):
    """A device, as its workshop calls it."""

    device_id: UUID
    device_ref: str
    refurbisher: str


class Span(Fact):
    """When a run was at work. A report may give one end only: then the other is the same."""

    started_at: datetime
    ended_at: datetime

    def meets(self, other: "Span") -> bool:
        """Whether both were at work at one moment. One that ends as the other begins does not meet it."""
        return self.ended_at == other.ended_at or (self.started_at < other.ended_at and other.started_at < self.ended_at)


class Served(Fact):
    """A run, and the device that it served. `spent`: the medium has left that device since, which proves nothing by it any more."""

    device_id: UUID
    span: Span
    spent: bool = False


class MediumNamed(Event):
    """An audit found it in this device: it is there until an audit or a word says that it left."""

    type: ClassVar[str] = "refurb.medium_named.v1"

    serial: str
    place: Place


class RunsClaimed(Event):
    """These runs on it serve this device, and no other."""

    type: ClassVar[str] = "refurb.runs_claimed.v1"

    serial: str
    device_id: UUID
    spans: tuple[Span, ...]


class MediumDisputed(Event):
    """An audit of another device named it while it was held: that audit was refused, and people must say where it is."""

    type: ClassVar[str] = "refurb.medium_disputed.v1"

    place: Place


class DisputeSettled(Event):
    """Somebody looked. It is in this device now; or `shared`: two media bear one number, and each may be where it is."""

    type: ClassVar[str] = "refurb.dispute_settled.v1"

    place: Place
    shared: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NameMedium:
    """An audit of a device names it. Travels with the command that takes the audit in: both happen, or none."""

    id: UUID
    serial: str
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRuns:
    """A report tells of these runs on it. Travels with the command that files the report."""

    id: UUID
    serial: str
    device_id: UUID
    refurbisher: str
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeMedium:
    """An audit was refused because of it."""

    id: UUID
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleDispute:
    """Staff say where it is."""

    id: UUID
    device_id: UUID
    shared: bool


Command = NameMedium | ClaimRuns | DisputeMedium | SettleDispute
HoldingEvent = MediumNamed | RunsClaimed | MediumDisputed | DisputeSettled


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What is kept of a medium. `admitted`: devices that may name it beside its holder, since people looked and found two media.

    `housed`: devices that it ever was in. Only their runs keep others out: a report alone shows nobody that the medium is there.
    `left`: the holder's present audit no longer names it. It is read beside the state, in the same moment, and is none of it: no event
    makes it, no column keeps it.
    """

    serial: str = ""
    holder: UUID | None = None
    holder_ref: str = ""
    refurbisher: str = ""
    admitted: tuple[UUID, ...] = ()
    disputed: tuple[Place, ...] = ()
    runs: tuple[Served, ...] = ()
    housed: tuple[UUID, ...] = ()
    left: bool = field(default=False, compare=False)

    def held_from(self, device_id: UUID) -> bool:
        """Whether another device has it, so that this one cannot."""
        return self.holder not in {None, device_id} and not self.left and device_id not in self.admitted

    def runs_elsewhere(self, device_id: UUID) -> list[Span]:
        """What ran while it was in another device. Where two media bear one number, each has its own runs."""
        apart = {device_id, *(self.admitted if device_id in self.admitted else ())}
        return [served.span for served in self.runs if served.device_id in self.housed and served.device_id not in apart]

    def holder_told(self, refurbisher: str | None) -> str:
        """The device that has it, as this workshop may be told: another workshop's is not named."""
        return f"l'appareil {self.holder_ref}" if self.refurbisher == refurbisher else "un autre appareil"


def decide(holding: Holding, command: Command) -> list[HoldingEvent]:
    """Say what happens, or refuse. A command already carried out yields no event."""
    match command:
        case NameMedium(place=place):
            return name(holding, command.serial, place)
        case ClaimRuns():
            return claim(holding, command)
        case DisputeMedium(place=place):
            known = len(holding.disputed) >= MOST or any(p.device_id == place.device_id for p in holding.disputed)
            return [MediumDisputed(place=place)] if holding.held_from(place.device_id) and not known else []
        case SettleDispute(device_id=device_id):
            return [
                DisputeSettled(place=place, shared=command.shared) for place in holding.disputed if place.device_id == device_id
            ]
        case _:
            assert_never(command)


def name(holding: Holding, serial: str, place: Place) -> list[HoldingEvent]:
    """The word that it left the other device may still be on its way."""
    if holding.held_from(place.device_id):
        raise NotYet("medium_elsewhere", where="/media", medium=serial, device=holding.holder_told(place.refurbisher))
    others = holding.runs_elsewhere(place.device_id)
    mine = [served for served in holding.runs if served.device_id == place.device_id]
    if any(served.span.meets(other) for served in mine for other in others):
        raise Refused("run_overlaps", where="/media", medium=serial)
    counting = [served.span for served in mine if not served.spent]
    if counting and all(outdated(span, others) for span in counting):  # the report of a later run may be on its way
        raise NotYet("run_outdated", where="/media", medium=serial)
    here = not holding.left and place.device_id in {holding.holder, *holding.admitted}
    return [] if here else [MediumNamed(serial=serial, place=place)]


def outdated(span: Span, others: Sequence[Span]) -> bool:
    """Whether one of the others ended no earlier: the last run on a medium decides, whichever device it was in."""
    return any(span.ended_at <= other.ended_at for other in others)


def claim(holding: Holding, command: ClaimRuns) -> list[HoldingEvent]:
    """First come, first served; the same device may send its report again. What is in another device is not this one's to claim."""
    others = holding.runs_elsewhere(command.device_id)
    if any(span.meets(other) for span in command.spans for other in others):
        raise Refused("run_overlaps", where="/log", medium=command.serial)
    if holding.held_from(command.device_id):
        device = holding.holder_told(command.refurbisher)
        raise NotYet("medium_elsewhere", where="/log", medium=command.serial, device=device)
    known = {served.span for served in holding.runs if served.device_id == command.device_id}
    new = tuple(span for span in command.spans if span not in known)
    if new and holding.left and holding.holder == command.device_id:  # else it would be proven by what was done before it left
        raise NotYet("medium_left", where="/log", medium=command.serial)
    if any(outdated(span, others) for span in new):
        raise Refused("run_outdated", where="/log", medium=command.serial)
    if len(known) + len(new) > MOST:
        raise Refused("too_many_reports", most=MOST)
    return [RunsClaimed(serial=command.serial, device_id=command.device_id, spans=new)] if new else []


def evolve(holding: Holding, event: HoldingEvent) -> Holding:
    """What is kept after the event."""
    match event:
        case MediumNamed(place=place):
            return held(replace(holding, serial=event.serial), place)
        case RunsClaimed():
            served = tuple(Served(device_id=event.device_id, span=span) for span in event.spans)
            return replace(holding, serial=event.serial, runs=(*holding.runs, *served))
        case MediumDisputed(place=place):
            return replace(holding, disputed=(*holding.disputed, place))
        case DisputeSettled(place=place):
            if not event.shared:
                return held(holding, place)
            both = {holding.holder, place.device_id, *holding.admitted} - {None}
            rest = tuple(p for p in holding.disputed if p != place)
            housed = tuple(dict.fromkeys((*holding.housed, place.device_id)))
            return replace(holding, admitted=tuple(sorted(i for i in both if i)), disputed=rest, housed=housed)
        case _:
            assert_never(event)


def held(holding: Holding, place: Place) -> Holding:
    """It is in this device now. The one that had it has let go of its runs (`device.without`)."""
    gone = holding.holder if holding.holder != place.device_id else None
    return replace(
        holding,
        runs=tuple(served.model_copy(update={"spent": True}) if served.device_id == gone else served for served in holding.runs),
        holder=place.device_id,
        holder_ref=place.device_ref,
        refurbisher=place.refurbisher,
        housed=tuple(dict.fromkeys((*holding.housed, place.device_id))),
        disputed=tuple(p for p in holding.disputed if p.device_id != place.device_id),
        left=False,
    )

"""The wish of a donation, as routing keeps it: what the donor offers, what triage said, and where each part of it goes.

Local: written from intake's events and by the planner, never published. It is what the planner's decisions meet at: a part is
placed here in the same transaction as its consignment is assigned, so nothing is assigned twice, and nothing after a withdrawal.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import ClassVar, Literal, assert_never
from uuid import UUID

from shared.errors import NotYet, Refused
from shared.events.base import DeviceType, Donor, Event, Fact, MethodClass, stream_id
from shared.events.routing import Candidate

Status = Literal["unknown", "offered", "accepted", "dropped"]
Dropped = Literal["declined", "withdrawn"]


class Part(Fact):
    """One consignment's share of a donation. `turned_down`: its refurbisher refused, so its devices are to be placed again."""

    consignment_id: UUID
    refurbisher: str
    devices: dict[DeviceType, int]
    turned_down: bool = False
    replaced: bool = False
    """Another consignment took over what this one gave back."""


class WishNoted(Event):
    """A donation was offered: what it is, in routing's words."""

    type: ClassVar[str] = "routing.wish_noted.v1"

    reference: str
    donor: Donor
    region: str
    postal_code: str
    devices: dict[DeviceType, int]
    required_class: MethodClass
    available_from: date


class WishConfirmed(Event):
    """Triage accepted it: it may be placed. `by_point`: triage wants it at a reception point."""

    type: ClassVar[str] = "routing.wish_confirmed.v1"

    by_point: bool
    at: datetime


class WishDropped(Event):
    """There is nothing to place any more."""

    type: ClassVar[str] = "routing.wish_dropped.v1"

    why: Dropped


class WishPlaced(Event):
    """A part of it goes to a refurbisher."""

    type: ClassVar[str] = "routing.wish_placed.v1"

    part: Part
    replaces: UUID | None = None


class WishReopened(Event):
    """A refurbisher gave its part back: that part is to be placed again, elsewhere."""

    type: ClassVar[str] = "routing.wish_reopened.v1"

    consignment_id: UUID
    refurbisher: str


class WishWaits(Event):
    """Nobody can take these devices now, and why, refurbisher by refurbisher. Tried again by itself."""

    type: ClassVar[str] = "routing.wish_waits.v1"

    devices: dict[DeviceType, int]
    candidates: tuple[Candidate, ...]
    code: str
    """`no_refurbisher`, or `place_unknown` when the postal code says nothing."""
    at: datetime


WishEvent = WishNoted | WishConfirmed | WishDropped | WishPlaced | WishReopened | WishWaits


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteWish:
    """Intake: a donation was offered."""

    id: UUID
    reference: str
    donor: Donor
    region: str
    postal_code: str
    devices: Mapping[DeviceType, int]
    required_class: MethodClass
    available_from: date


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmWish:
    """Intake: triage accepted it."""

    id: UUID
    by_point: bool
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DropWish:
    """Intake: declined, or withdrawn."""

    id: UUID
    why: Dropped


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceWish:
    """The planner gives a part of it to a refurbisher."""

    id: UUID
    consignment_id: UUID
    refurbisher: str
    devices: Mapping[DeviceType, int]
    replaces: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReopenWish:
    """A refurbisher turned its part down."""

    id: UUID
    consignment_id: UUID
    refurbisher: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LetWait:
    """The planner found nobody for these devices."""

    id: UUID
    devices: Mapping[DeviceType, int]
    candidates: tuple[Candidate, ...]
    code: str
    at: datetime


WishCommand = NoteWish | ConfirmWish | DropWish | PlaceWish | ReopenWish | LetWait


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What routing knows of a donation."""

    status: Status = "unknown"
    reference: str = ""
    donor: Donor | None = None
    region: str = ""
    postal_code: str = ""
    devices: Mapping[DeviceType, int] = field(default_factory=dict)
    required_class: MethodClass = "Clear"
    available_from: date | None = None
    by_point: bool = False
    accepted_at: datetime | None = None
    dropped: Dropped | None = None
    parts: tuple[Part, ...] = ()
    refused_by: tuple[str, ...] = ()
    open: bool = False
    """Accepted, and something of it has no refurbisher yet."""
    waits: tuple[Candidate, ...] = ()
    """Who was weighed when nobody could take it."""
    waits_code: str | None = None
    waits_since: datetime | None = None

    @property
    def remaining(self) -> dict[DeviceType, int]:
        """What has no refurbisher, by type."""
        left = dict(self.devices)
        for part in self.parts:
            if not part.turned_down:
                for kind, count in part.devices.items():
                    left[kind] = left.get(kind, 0) - count
        return {kind: count for kind, count in left.items() if count > 0}


def consignment_id(donation: UUID, number: int) -> UUID:
    """Name the `number`th consignment of a donation (1, 2, 3 …)."""
    return stream_id("consignment", donation, number)


def decide(wish: Wish, command: WishCommand) -> list[WishEvent]:
    """Say what happens to the wish, or refuse. A command already carried out yields no event."""
    match command:
        case NoteWish():
            return [] if wish.status != "unknown" else [noted(command)]
        case ConfirmWish(by_point=by_point, at=at):
            known(wish)
            return [WishConfirmed(by_point=by_point, at=at)] if wish.status == "offered" else []
        case DropWish(why=why):
            known(wish)
            return [] if wish.status == "dropped" else [WishDropped(why=why)]
        case PlaceWish():
            return placed(wish, command)
        case ReopenWish(consignment_id=consignment, refurbisher=refurbisher):
            part = next((part for part in wish.parts if part.consignment_id == consignment), None)
            if part is None:
                raise NotYet("consignment_unknown", consignment=str(consignment))
            return [] if part.turned_down else [WishReopened(consignment_id=consignment, refurbisher=refurbisher)]
        case LetWait(devices=devices, candidates=candidates, code=code, at=at):
            if not wish.open or (reasons(wish.waits) == reasons(candidates) and wish.waits_code == code):
                return []
            return [WishWaits(devices=dict(devices), candidates=candidates, code=code, at=at)]
        case _:
            assert_never(command)


def known(wish: Wish) -> None:
    """A decision about a donation that nobody offered cannot be kept."""
    if wish.status == "unknown":
        raise NotYet("donation_unknown")


def noted(command: NoteWish) -> WishNoted:
    return WishNoted(
        reference=command.reference,
        donor=command.donor,
        region=command.region,
        postal_code=command.postal_code,
        devices={kind: count for kind, count in command.devices.items() if count > 0},
        required_class=command.required_class,
        available_from=command.available_from,
    )


def placed(wish: Wish, command: PlaceWish) -> list[WishEvent]:
    """Check again what the planner relied on: still wanted, not placed meanwhile, not with who refused, the next number."""
    if any(part.consignment_id == command.consignment_id for part in wish.parts):
        return []
    if wish.status != "accepted":
        raise Refused("donation_not_wanted", status=wish.status)
    if command.consignment_id != consignment_id(command.id, len(wish.parts) + 1):
        raise Refused("not_the_next_consignment", parts=len(wish.parts))
    remaining = wish.remaining
    if not command.devices or any(count > remaining.get(kind, 0) for kind, count in command.devices.items()):
        raise Refused("already_placed", remaining=dict(remaining))
    if command.refurbisher in wish.refused_by:
        raise Refused("refused_before", refurbisher=command.refurbisher)
    part = Part(consignment_id=command.consignment_id, refurbisher=command.refurbisher, devices=dict(command.devices))
    return [WishPlaced(part=part, replaces=command.replaces)]


def reasons(candidates: tuple[Candidate, ...]) -> set[tuple[str, str | None]]:
    """Why nobody could, without the figures that move all the time."""
    return {(candidate.refurbisher, candidate.excluded) for candidate in candidates}


def evolve(wish: Wish, event: WishEvent) -> Wish:
    """The wish after the event. The only place where it changes."""
    match event:
        case WishNoted():
            return replace(
                wish,
                status="offered",
                reference=event.reference,
                donor=event.donor,
                region=event.region,
                postal_code=event.postal_code,
                devices=event.devices,
                required_class=event.required_class,
                available_from=event.available_from,
            )
        case WishConfirmed(by_point=by_point, at=at):
            return opened(replace(wish, status="accepted", by_point=by_point, accepted_at=at))
        case WishDropped(why=why):
            return opened(replace(wish, status="dropped", dropped=why))
        case WishPlaced(part=part, replaces=replaces):
            before = tuple(p.model_copy(update={"replaced": True}) if p.consignment_id == replaces else p for p in wish.parts)
            return opened(replace(wish, parts=(*before, part)))
        case WishReopened(consignment_id=consignment, refurbisher=refurbisher):
            parts = tuple(
                p.model_copy(update={"turned_down": True}) if p.consignment_id == consignment else p for p in wish.parts
            )
            return opened(replace(wish, parts=parts, refused_by=(*wish.refused_by, refurbisher)))
        case WishWaits(candidates=candidates, code=code, at=at):
            return replace(wish, waits=candidates, waits_code=code, waits_since=wish.waits_since or at)
        case _:
            assert_never(event)


def opened(wish: Wish) -> Wish:
    """Something is to be placed or not, and what it waited for is over."""
    return replace(wish, open=wish.status == "accepted" and bool(wish.remaining), waits=(), waits_code=None, waits_since=None)

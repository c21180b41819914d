"""How much a refurbisher can take, and how much it has: its places a week, and the consignments that fill them.

Local: written from refurb's events and by the planner, never published. The planner takes places here in the same transaction as
it assigns the consignment: two decisions at the same moment cannot both take the last place.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import ClassVar, assert_never
from uuid import UUID

from services.routing.domain.weighing import Load
from shared.errors import Refused
from shared.events.base import DeviceType, Event, Fact, stream_id


class Held(Fact):
    """A consignment that fills places: what was declared, what was counted on arrival, which devices are done."""

    devices: dict[DeviceType, int]
    counted: int | None = None
    settled: tuple[UUID, ...] = ()

    @property
    def left(self) -> dict[DeviceType, int]:
        """Devices still to be dealt with, by type: as many as are left. What is done is known by number only, so the types shrink alike.

        Each has its whole share, and what is left over goes to the largest remainders (Hamilton).
        """
        declared = sum(self.devices.values())
        left = max(0, (declared if self.counted is None else self.counted) - len(self.settled))
        shares = {kind: divmod(count * left, declared) for kind, count in self.devices.items() if declared}
        over = left - sum(whole for whole, _ in shares.values())
        first = sorted(shares, key=lambda kind: (-shares[kind][1], kind))[:over]
        return {kind: whole + (kind in first) for kind, (whole, _) in shares.items()}

    @property
    def done(self) -> bool:
        """Everything that arrived is settled."""
        return self.counted is not None and len(self.settled) >= self.counted


class CapacityNoted(Event):
    """The refurbisher said how many places a week it has."""

    type: ClassVar[str] = "routing.capacity_noted.v1"

    slug: str
    weekly_places: dict[DeviceType, int]
    at: datetime


class PlacesTaken(Event):
    """A consignment was given to it."""

    type: ClassVar[str] = "routing.places_taken.v1"

    slug: str
    consignment_id: UUID
    devices: dict[DeviceType, int]


class PlacesCounted(Event):
    """The consignment arrived with this many devices."""

    type: ClassVar[str] = "routing.places_counted.v1"

    consignment_id: UUID
    counted: int


class DeviceSettled(Event):
    """A device is ready or scrapped: it fills no place any more."""

    type: ClassVar[str] = "routing.device_settled.v1"

    consignment_id: UUID
    device_id: UUID


class PlacesFreed(Event):
    """The consignment will not come: refused, or withdrawn."""

    type: ClassVar[str] = "routing.places_freed.v1"

    consignment_id: UUID


RefurbisherEvent = CapacityNoted | PlacesTaken | PlacesCounted | DeviceSettled | PlacesFreed


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteCapacity:
    """refurb: it declared its capacity."""

    id: UUID
    slug: str
    weekly_places: Mapping[DeviceType, int]
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TakePlaces:
    """The planner gives it a consignment. `assumed`: places a week by our data, where it never declared any.

    `full_at`: the share of its places that may be filled; null for a consignment that it has anyway.
    """

    id: UUID
    slug: str
    consignment_id: UUID
    devices: Mapping[DeviceType, int]
    assumed: Mapping[DeviceType, int]
    full_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CountPlaces:
    """refurb: the consignment arrived, counted."""

    id: UUID
    consignment_id: UUID
    counted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleDevice:
    """refurb: a device is ready or scrapped."""

    id: UUID
    consignment_id: UUID
    device_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class FreePlaces:
    """The consignment will not come."""

    id: UUID
    consignment_id: UUID


RefurbisherCommand = NoteCapacity | TakePlaces | CountPlaces | SettleDevice | FreePlaces


@dataclass(frozen=True, slots=True, kw_only=True)
class Refurbisher:
    """What routing knows of a refurbisher's work. `weekly_places` is null until it declared them."""

    slug: str = ""
    weekly_places: Mapping[DeviceType, int] | None = None
    declared_at: datetime | None = None
    held: Mapping[UUID, Held] = field(default_factory=dict)

    def load(self, assumed: Mapping[DeviceType, int]) -> Load:
        """Places and devices now; `assumed` places until it declared its own."""
        outstanding: dict[DeviceType, int] = {}
        for held in self.held.values():
            for kind, count in held.left.items():
                outstanding[kind] = outstanding.get(kind, 0) + count
        places = assumed if self.weekly_places is None else self.weekly_places
        return Load(weekly_places=places, outstanding=outstanding)


def refurbisher_id(slug: str) -> UUID:
    """Name the refurbisher's stream."""
    return stream_id("refurbisher", slug)


def decide(refurbisher: Refurbisher, command: RefurbisherCommand) -> list[RefurbisherEvent]:
    """Say what happens, or refuse. A command already carried out yields no event.

    Neither does news of a consignment that it never had, or that is settled: it fills no place.
    """
    match command:
        case NoteCapacity(slug=slug, weekly_places=places, at=at):
            if refurbisher.declared_at is not None and at < refurbisher.declared_at:
                return []  # an older word that came later
            if refurbisher.weekly_places == places:
                return []
            return [CapacityNoted(slug=slug, weekly_places=dict(places), at=at)]
        case TakePlaces(slug=slug, consignment_id=consignment, devices=devices):
            if consignment in refurbisher.held:
                return []
            full_at = command.full_at
            if full_at is not None and not refurbisher.load(command.assumed).fits(devices, full_at):
                raise Refused("capacity_gone", refurbisher=slug)
            return [PlacesTaken(slug=slug, consignment_id=consignment, devices=dict(devices))]
        case CountPlaces(consignment_id=consignment, counted=counted):
            held = refurbisher.held.get(consignment)
            return [] if held is None or held.counted == counted else [PlacesCounted(consignment_id=consignment, counted=counted)]
        case SettleDevice(consignment_id=consignment, device_id=device):
            held = refurbisher.held.get(consignment)
            if held is None or device in held.settled:
                return []
            return [DeviceSettled(consignment_id=consignment, device_id=device)]
        case FreePlaces(consignment_id=consignment):
            return [PlacesFreed(consignment_id=consignment)] if consignment in refurbisher.held else []
        case _:
            assert_never(command)


def evolve(refurbisher: Refurbisher, event: RefurbisherEvent) -> Refurbisher:
    """The refurbisher after the event. The only place where it changes."""
    held = dict(refurbisher.held)
    match event:
        case CapacityNoted(slug=slug, weekly_places=places, at=at):
            return replace(refurbisher, slug=slug, weekly_places=places, declared_at=at)
        case PlacesTaken(slug=slug, consignment_id=consignment, devices=devices):
            held[consignment] = Held(devices=devices)
            return replace(refurbisher, slug=slug, held=held)
        case PlacesCounted(consignment_id=consignment, counted=counted):
            now = held.pop(consignment).model_copy(update={"counted": counted})
        case DeviceSettled(consignment_id=consignment, device_id=device):
            before = held.pop(consignment)
            now = before.model_copy(update={"settled": (*before.settled, device)})
        case PlacesFreed(consignment_id=consignment):
            del held[consignment]
            return replace(refurbisher, held=held)
        case _:
            assert_never(event)
    return replace(refurbisher, held=held if now.done else {**held, consignment: now})

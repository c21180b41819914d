"""Where a ready device is once it left the workshop, as distribution tells: local facts, published to nobody."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal
from uuid import UUID

from shared.events.base import Event, stream_id

Step = Literal["workshop", "shipped", "delivered"]
"""`shipped`: on its way to a structure; `delivered`: the structure has it, and hands it over."""


def whereabouts_stream(device_id: UUID) -> UUID:
    """Name what is kept of where a device is."""
    return stream_id("whereabouts", device_id)


class DeviceMoved(Event):
    """It is somewhere else now. Back in the workshop too, and in a person's hands: then its own state says where it is."""

    type: ClassVar[str] = "refurb.device_moved.v1"

    device_id: UUID
    step: Step


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveDevice:
    """Distribution said so."""

    id: UUID
    device_id: UUID
    step: Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Whereabouts:
    """Where a device is."""

    device_id: UUID | None = None
    step: Step = "workshop"


def decide(where: Whereabouts, command: MoveDevice) -> list[DeviceMoved]:
    """The same again is no news."""
    return [DeviceMoved(device_id=command.device_id, step=command.step)] if where.step != command.step else []


def evolve(where: Whereabouts, event: DeviceMoved) -> Whereabouts:
    """Where it is after the event."""
    return replace(where, device_id=event.device_id, step=event.step)

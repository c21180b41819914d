"""The arrival of a consignment at a refurbisher, or its refusal; and the capacity that a refurbisher declares."""

from dataclasses import dataclass, replace
from typing import Literal, assert_never
from uuid import UUID

from shared.errors import Refused
from shared.events.base import DeviceType
from shared.events.refurb import ArrivalEvent, CapacityDeclared, ConsignmentReceived, ConsignmentTurnedDown


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiveConsignment:
    """It is here, and was counted."""

    id: UUID
    consignment_id: UUID
    donation_id: UUID
    refurbisher: str
    counted: int
    corrects: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnDownConsignment:
    """The refurbisher cannot take it."""

    id: UUID
    consignment_id: UUID
    donation_id: UUID
    refurbisher: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """What became of a consignment at its refurbisher."""

    status: Literal["expected", "received", "turned_down"] = "expected"
    refurbisher: str = ""
    consignment_id: UUID | None = None
    counted: int | None = None
    reason: str | None = None


def decide(arrival: Arrival, command: ReceiveConsignment | TurnDownConsignment) -> list[ArrivalEvent]:
    """The first word stands: told twice it yields nothing, another is refused. A count that names the one it replaces is a correction."""
    same = {"consignment_id": command.consignment_id, "donation_id": command.donation_id, "refurbisher": command.refurbisher}
    match command:
        case ReceiveConsignment(counted=counted, corrects=corrects):
            if arrival.status == "turned_down":
                raise Refused("consignment_turned_down", where="/consignment_id")
            if arrival.status == "expected":
                return [ConsignmentReceived(**same, counted=counted)]
            if arrival.counted == counted:
                return []
            if arrival.counted != corrects:
                raise Refused("count_differs", where="/counted", known=arrival.counted)
            return [ConsignmentReceived(**same, counted=counted, corrects=corrects)]
        case TurnDownConsignment(reason=reason):
            if arrival.status == "received":
                raise Refused("consignment_already_received", where="/consignment_id")
            return [ConsignmentTurnedDown(**same, reason=reason)] if arrival.status == "expected" else []
        case _:
            assert_never(command)


def evolve(arrival: Arrival, event: ArrivalEvent) -> Arrival:
    """The arrival after the event."""
    known = replace(arrival, refurbisher=event.refurbisher, consignment_id=event.consignment_id)
    match event:
        case ConsignmentReceived(counted=counted):
            return replace(known, status="received", counted=counted)
        case ConsignmentTurnedDown(reason=reason):
            return replace(known, status="turned_down", reason=reason)
        case _:
            assert_never(event)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclareCapacity:
    """How many devices of each type a week."""

    id: UUID
    refurbisher: str
    weekly_places: dict[DeviceType, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What a refurbisher last declared."""

    refurbisher: str = ""
    weekly_places: dict[DeviceType, int] | None = None


def declare(capacity: Capacity, command: DeclareCapacity) -> list[CapacityDeclared]:
    """The same again is no news."""
    if capacity.weekly_places == command.weekly_places:
        return []
    return [CapacityDeclared(refurbisher=command.refurbisher, weekly_places=command.weekly_places)]


def declared(_: Capacity, event: CapacityDeclared) -> Capacity:
    """The capacity after the event."""
    return Capacity(refurbisher=event.refurbisher, weekly_places=event.weekly_places)

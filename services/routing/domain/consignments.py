"""A consignment: what one refurbisher gets of a donation, from the decision to its arrival. Published.

Custody is told by people who do not wait for each other (driver, reception point, refurbisher), so what they saw is kept in
whatever order it is told, as long as it can be true; `status` says how far it has come by the latest link of the chain.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Literal, assert_never
from uuid import UUID

from shared.errors import NotYet, Refused
from shared.events.base import DeviceType, Donor, MethodClass
from shared.events.routing import (
    Candidate,
    CollectionFailed,
    ConsignmentAssigned,
    ConsignmentCollected,
    ConsignmentDelivered,
    ConsignmentEnded,
    ConsignmentRefused,
    ConsignmentScheduled,
    CountedAtPoint,
    ReceivedAtPoint,
    RoutingEvent,
    SentOn,
)

Status = Literal[
    "unknown", "assigned", "scheduled", "collected", "at_point", "counted_at_point", "sent_on", "delivered", "refused", "ended"
]
Ended = Literal["refused", "withdrawn", "reassigned"]
OPEN = ("assigned", "scheduled")
"""Still with the donor: may be scheduled, given up, or collected."""
FAILURES = ("absent", "no_access", "not_ready", "vehicle", "other")
"""Why a driver came back without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignConsignment:
    """The planner chose a refurbisher."""

    id: UUID
    event: ConsignmentAssigned


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleConsignment:
    """A day for the collection, proposed by the planner or set by a person."""

    id: UUID
    collection_date: date


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectConsignment:
    """The driver has it."""

    id: UUID
    counted: int
    pallets: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FailCollection:
    """The driver came on `planned` and left without it."""

    id: UUID
    reason: str
    planned: date


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiveAtPoint:
    """A reception point took it in."""

    id: UUID
    reception_point: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CountAtPoint:
    """A reception point counted it."""

    id: UUID
    reception_point: str
    counted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SendOn:
    """It left the reception point."""

    id: UUID
    reception_point: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverConsignment:
    """The refurbisher said that it has it."""

    id: UUID
    counted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RefuseConsignment:
    """The refurbisher turned it down."""

    id: UUID
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndConsignment:
    """Nothing more will happen under it."""

    id: UUID
    reason: Ended
    next_id: UUID | None = None
    next_refurbisher: str | None = None


ConsignmentCommand = (
    AssignConsignment
    | ScheduleConsignment
    | CollectConsignment
    | FailCollection
    | ReceiveAtPoint
    | CountAtPoint
    | SendOn
    | DeliverConsignment
    | RefuseConsignment
    | EndConsignment
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Consignment:
    """What routing knows of a consignment. Counts are null until somebody counted."""

    status: Status = "unknown"
    reference: str = ""
    donation_id: UUID | None = None
    refurbisher: str = ""
    region: str = ""
    postal_code: str = ""
    donor: Donor | None = None
    required_class: MethodClass = "Clear"
    declared: Mapping[DeviceType, int] = field(default_factory=dict)
    chosen: Candidate | None = None
    others: tuple[Candidate, ...] = ()
    rules: str = ""
    replaces: UUID | None = None
    reception_point: str | None = None
    """Planned on the way, until one received it; then that one."""
    collection_date: date | None = None
    failed_on: date | None = None
    """The planned day of the last collection that failed."""
    failed_reason: str | None = None
    collected: int | None = None
    pallets: int | None = None
    received_at_point: bool = False
    counted_at_point: int | None = None
    sent_on: bool = False
    delivered: int | None = None
    refused_reason: str | None = None
    ended: Ended | None = None
    next_id: UUID | None = None
    next_refurbisher: str | None = None

    @property
    def devices(self) -> int:
        """Declared devices, all types together."""
        return sum(self.declared.values())


def decide(consignment: Consignment, command: ConsignmentCommand) -> list[RoutingEvent]:
    """Say what happens to the consignment, or refuse. The same fact told again yields no event."""
    match command:
        case AssignConsignment(event=event):
            return [event] if consignment.status == "unknown" else []
        case EndConsignment():
            return ended(consignment, command)
        case RefuseConsignment() if consignment.ended:
            return []  # the donor was quicker: nobody needs to look at this
        case _:
            if consignment.status == "unknown":
                raise NotYet("consignment_unknown")
            if consignment.ended:
                raise Refused("consignment_ended", why=consignment.ended)
    match command:
        case ScheduleConsignment() | CollectConsignment() | FailCollection():
            return at_the_donor(consignment, command)
        case ReceiveAtPoint() | CountAtPoint() | SendOn():
            return at_the_point(consignment, command)
        case DeliverConsignment(counted=counted):
            not_refused(consignment)
            if consignment.delivered == counted:
                return []
            # another number is the refurbisher's corrected word
            about = {"declared": consignment.devices, "planned": consignment.collection_date, "corrects": consignment.delivered}
            return [ConsignmentDelivered(counted=counted, **about)]
        case RefuseConsignment(reason=reason):
            if consignment.status == "refused":
                return []
            if consignment.delivered is not None:
                raise Refused("already_delivered", counted=consignment.delivered)
            return [ConsignmentRefused(reason=reason)]
        case _:
            assert_never(command)


def at_the_donor(
    consignment: Consignment, command: ScheduleConsignment | CollectConsignment | FailCollection
) -> list[RoutingEvent]:
    """Until it is collected, a day can be set and missed. It is collected once, with one count."""
    match command:
        case ScheduleConsignment(collection_date=day):
            if consignment.collection_date == day:
                return []
            still_there(consignment)
            return [ConsignmentScheduled(collection_date=day)]
        case FailCollection(reason=reason, planned=planned):
            if consignment.failed_on == planned and consignment.failed_reason == reason:
                return []
            still_there(consignment)
            if consignment.collection_date != planned:
                raise Refused("not_planned_that_day", planned=str(consignment.collection_date), told=str(planned))
            return [CollectionFailed(reason=reason, planned=planned)]
        case CollectConsignment(counted=counted, pallets=pallets):
            if consignment.collected is not None:
                if (consignment.collected, consignment.pallets) != (counted, pallets):
                    raise Refused("already_collected", counted=consignment.collected, told=counted)
                return []
            not_refused(consignment)
            return [ConsignmentCollected(counted=counted, pallets=pallets, planned=consignment.collection_date)]
        case _:
            assert_never(command)


def at_the_point(consignment: Consignment, command: ReceiveAtPoint | CountAtPoint | SendOn) -> list[RoutingEvent]:
    """One reception point, in its order: received, counted, sent on. It may have been brought there by the donor: no collection."""
    point = command.reception_point
    if consignment.received_at_point and consignment.reception_point != point:
        raise Refused("at_another_point", known=consignment.reception_point, told=point)
    match command:
        case ReceiveAtPoint():
            if consignment.received_at_point:
                return []
            not_refused(consignment)
            return [ReceivedAtPoint(reception_point=point)]
        case CountAtPoint(counted=counted):
            if consignment.counted_at_point == counted:
                return []
            if not consignment.received_at_point:
                raise Refused("not_received_at_point")
            if consignment.sent_on:
                raise Refused("already_sent_on", counted=consignment.counted_at_point, told=counted)
            return [CountedAtPoint(reception_point=point, counted=counted)]
        case SendOn():
            if consignment.sent_on:
                return []
            if consignment.counted_at_point is None:
                raise Refused("not_counted_at_point")
            return [SentOn(reception_point=point)]
        case _:
            assert_never(command)


def still_there(consignment: Consignment) -> None:
    """What left the donor needs no day any more."""
    not_refused(consignment)
    if consignment.status not in OPEN:
        raise Refused("already_gone", status=consignment.status)


def not_refused(consignment: Consignment) -> None:
    """What its refurbisher turned down stays where it is until another one has it, under another consignment."""
    if consignment.status == "refused":
        raise Refused("refurbisher_refused", reason=consignment.refused_reason)


def ended(consignment: Consignment, command: EndConsignment) -> list[RoutingEvent]:
    """What already left the donor cannot be given up: it is somewhere."""
    if consignment.status == "unknown":
        raise NotYet("consignment_unknown")
    if consignment.ended:
        return []
    if consignment.status not in (*OPEN, "refused"):
        raise Refused("already_gone", status=consignment.status)
    return [
        ConsignmentEnded(
            reason=command.reason,
            next_id=command.next_id,
            next_refurbisher=command.next_refurbisher,
            declared=consignment.devices,
        )
    ]


def evolve(consignment: Consignment, event: RoutingEvent) -> Consignment:
    """The consignment after the event. The only place where it changes."""
    match event:
        case ConsignmentAssigned():
            return assigned(event)
        case ConsignmentScheduled(collection_date=day):
            return replace(consignment, status="scheduled", collection_date=day)
        case CollectionFailed(reason=reason, planned=planned):
            return replace(consignment, status="assigned", collection_date=None, failed_on=planned, failed_reason=reason)
        case ConsignmentCollected(counted=counted, pallets=pallets):
            return replace(consignment, status=furthest(consignment, "collected"), collected=counted, pallets=pallets)
        case ReceivedAtPoint(reception_point=point):
            return replace(consignment, status=furthest(consignment, "at_point"), reception_point=point, received_at_point=True)
        case CountedAtPoint(counted=counted):
            return replace(consignment, status=furthest(consignment, "counted_at_point"), counted_at_point=counted)
        case SentOn():
            return replace(consignment, status=furthest(consignment, "sent_on"), sent_on=True)
        case ConsignmentDelivered(counted=counted):
            return replace(consignment, status="delivered", delivered=counted)
        case ConsignmentRefused(reason=reason):
            return replace(consignment, status="refused", refused_reason=reason)
        case ConsignmentEnded(reason=reason, next_id=next_id, next_refurbisher=next_refurbisher):
            return replace(consignment, status="ended", ended=reason, next_id=next_id, next_refurbisher=next_refurbisher)
        case _:
            assert_never(event)


def assigned(event: ConsignmentAssigned) -> Consignment:
    return Consignment(
        status="assigned",
        reference=event.reference,
        donation_id=event.donation_id,
        refurbisher=event.refurbisher,
        region=event.region,
        postal_code=event.postal_code,
        donor=event.donor,
        required_class=event.required_class,
        declared=event.declared,
        chosen=event.chosen,
        others=event.others,
        rules=event.rules,
        replaces=event.replaces,
        reception_point=event.reception_point,
    )


CHAIN: tuple[Status, ...] = ("assigned", "scheduled", "collected", "at_point", "counted_at_point", "sent_on", "delivered")


def furthest(consignment: Consignment, step: Status) -> Status:
    """What is told late does not move a consignment back."""
    return max(consignment.status, step, key=CHAIN.index)

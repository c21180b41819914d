"""What routing tells the others: a consignment, what one refurbisher gets of a donation. Topic: `routing.consignments.<refurbisher>`."""

from datetime import date
from typing import ClassVar, Literal
from uuid import UUID

from shared.events.base import DeviceType, Donor, Event, Fact, MethodClass


class Candidate(Fact):
    """A refurbisher that was weighed: `load` is the share of its weekly places that is taken (1.0 = full), cost decides."""

    refurbisher: str
    distance_km: int
    load: float
    cost: float
    excluded: str | None = None
    """Why it could not be chosen: `skill`, `capacity`, `refused_before` …; null when it could."""


class ConsignmentAssigned(Event):
    """A refurbisher was chosen. Carries what the others need to know of the donation, so that nobody has to ask intake."""

    type: ClassVar[str] = "routing.consignment_assigned.v1"

    consignment_id: UUID
    reference: str
    """What people read, such as `DON-7K3M-24PQ/1`."""
    donation_id: UUID
    donation_reference: str
    refurbisher: str
    region: str
    """The donation's region."""
    postal_code: str
    donor: Donor
    required_class: MethodClass
    declared: dict[DeviceType, int]
    chosen: Candidate
    others: tuple[Candidate, ...] = ()
    """The losing candidates, best first."""
    reception_point: str | None = None
    replaces: UUID | None = None
    """The consignment that this one takes over from, after a refusal."""
    rules: str


class ConsignmentScheduled(Event):
    """A day for the collection."""

    type: ClassVar[str] = "routing.consignment_scheduled.v1"

    collection_date: date


class ConsignmentCollected(Event):
    """The driver took it away and counted."""

    type: ClassVar[str] = "routing.consignment_collected.v1"

    counted: int
    pallets: int | None = None
    planned: date | None = None
    """The day it had been planned for; null where none was."""


class CollectionFailed(Event):
    """The driver came and left without it. That day is over: another one follows."""

    type: ClassVar[str] = "routing.collection_failed.v1"

    reason: str
    planned: date | None = None
    """The day it had been planned for."""


class ReceivedAtPoint(Event):
    """A reception point took it in."""

    type: ClassVar[str] = "routing.received_at_point.v1"

    reception_point: str


class CountedAtPoint(Event):
    """A reception point counted it."""

    type: ClassVar[str] = "routing.counted_at_point.v1"

    reception_point: str
    counted: int


class SentOn(Event):
    """It left the reception point for the refurbisher."""

    type: ClassVar[str] = "routing.sent_on.v1"

    reception_point: str


class ConsignmentDelivered(Event):
    """The refurbisher has it, by its own word: `counted` is what it counted."""

    type: ClassVar[str] = "routing.consignment_delivered.v1"

    counted: int
    declared: int | None = None
    """Devices that the donor had declared for this consignment."""
    planned: date | None = None
    """The day its collection had been planned for, by which lateness is told."""
    corrects: int | None = None
    """The refurbisher counted again: the number that `counted` replaces. Null: it arrived."""


class ConsignmentRefused(Event):
    """The refurbisher turned it down."""

    type: ClassVar[str] = "routing.consignment_refused.v1"

    reason: str


class ConsignmentEnded(Event):
    """Nothing more will happen under this consignment; `next_id` names the one that takes over."""

    type: ClassVar[str] = "routing.consignment_ended.v1"

    reason: Literal["refused", "withdrawn", "reassigned"]
    next_id: UUID | None = None
    next_refurbisher: str | None = None
    declared: int | None = None
    """Devices that had been declared for this consignment, and that it will not bring."""


RoutingEvent = (
    ConsignmentAssigned
    | ConsignmentScheduled
    | ConsignmentCollected
    | CollectionFailed
    | ReceivedAtPoint
    | CountedAtPoint
    | SentOn
    | ConsignmentDelivered
    | ConsignmentRefused
    | ConsignmentEnded
)

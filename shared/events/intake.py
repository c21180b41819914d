"""What intake tells the others: a donation, from offer to decision. Topic: `intake.donations.<region>`."""

from datetime import date, datetime
from typing import ClassVar, Literal
from uuid import UUID

from pydantic import Field

from shared.events.base import DeviceType, Donor, Event, MethodClass

Condition = Literal["working", "mixed", "broken"]
Age = Literal["under_3_years", "3_to_5_years", "5_to_10_years", "over_10_years"]
MediaState = Literal["inside", "erased", "none"]
Outcome = Literal["accepted", "accepted_with_conditions", "reception_point", "recycling", "refused"]


class DonationOffered(Event):
    """A donor answered the six questions. Codes and counts only: address, names and remarks stay in intake's vault."""

    type: ClassVar[str] = "intake.donation_offered.v1"

    reference: str
    """What people read and say, such as `DON-7K3M-24PQ`. A name, never a secret."""
    donor: Donor
    contact: UUID
    """The person to talk to, known to intake's vault only."""
    region: str
    postal_code: str
    declared: dict[DeviceType, int]
    condition: Condition
    age: Age
    media: MediaState
    sensitivity: Literal["ordinary", "sensitive"]
    required_class: MethodClass = "Clear"
    """The erasure that the donor asks for, at least."""
    access: tuple[str, ...] = ()
    """Codes of what a driver must know: `stairs`, `lift`, `loading_dock`, `no_truck` …"""
    pallets: int | None = Field(None, ge=0)
    available_from: date
    form: str
    """Version of the questions."""
    source: str
    """`form`, or `api:<client>`."""
    content_sha256: str
    """Fingerprint of the answers, by which a repeat is told from another donation under the same id. Keyed: without
    intake's key nobody can test a guess of the names and places that went into it."""
    offered_at: datetime | None = None


class DonationAccepted(Event):
    """Triage says yes. `reasons` and `conditions` are codes of the rules `rules`."""

    type: ClassVar[str] = "intake.donation_accepted.v1"

    outcome: Outcome
    reasons: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    rules: str
    decided_at: datetime | None = None
    decided_by: Literal["rules", "person"] = "rules"


class DonationDeclined(Event):
    """Triage, or a person, says no: referred to recycling, or refused."""

    type: ClassVar[str] = "intake.donation_declined.v1"

    outcome: Outcome
    reasons: tuple[str, ...]
    rules: str
    decided_at: datetime | None = None
    decided_by: Literal["rules", "person"] = "rules"


class DonationWithdrawn(Event):
    """The donor changed its mind before the pick-up."""

    type: ClassVar[str] = "intake.donation_withdrawn.v1"

    reason: str
    withdrawn_at: datetime | None = None


IntakeEvent = DonationOffered | DonationAccepted | DonationDeclined | DonationWithdrawn

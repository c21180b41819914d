"""A donation: offered with all its answers, decided upon in the same breath, perhaps withdrawn. Published by region."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import date, datetime
from typing import Any, Literal, assert_never
from uuid import UUID

from services.intake.domain.triage import DECLINED, Verdict
from shared.errors import NotYet, Refused
from shared.events.base import DeviceType, Donor, MethodClass
from shared.events.intake import (
    Age,
    Condition,
    DonationAccepted,
    DonationDeclined,
    DonationOffered,
    DonationWithdrawn,
    IntakeEvent,
    MediaState,
    Outcome,
)

Status = Literal["unknown", "offered", "accepted", "declined", "withdrawn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Codes:
    """The answers that travel: codes and counts, nothing that a person typed freely."""

    declared: Mapping[DeviceType, int]
    condition: Condition
    age: Age
    media: MediaState
    sensitivity: Literal["ordinary", "sensitive"]
    required_class: MethodClass
    region: str
    postal_code: str
    access: tuple[str, ...]
    pallets: int | None
    available_from: date


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferDonation:
    """The donor answered everything, and the rules looked at it. The same again changes nothing."""

    id: UUID
    at: datetime
    reference: str
    donor: Donor
    contact: UUID
    codes: Codes
    form: str
    source: str
    fingerprint: str
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptDonation:
    """A person says yes where the rules said no."""

    id: UUID
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclineDonation:
    """A person says no. `collected`: whether a driver has taken it away, as intake last heard."""

    id: UUID
    at: datetime
    reason: str
    collected: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawDonation:
    """The donor changed its mind. `collected`: whether a driver has taken it away, as intake last heard."""

    id: UUID
    at: datetime
    reason: str
    collected: bool


Command = OfferDonation | AcceptDonation | DeclineDonation | WithdrawDonation


@dataclass(frozen=True, slots=True, kw_only=True)
class Donation:
    """What intake knows of a donation, people and places apart."""

    status: Status = "unknown"
    reference: str = ""
    donor: Donor | None = None
    contact: UUID | None = None
    codes: Codes | None = None
    region: str = ""
    form: str = ""
    source: str = ""
    fingerprint: str = ""
    offered_at: datetime | None = None
    outcome: Outcome | None = None
    reasons: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    rules: str = ""
    decided_at: datetime | None = None
    decided_by: Literal["rules", "person"] | None = None
    withdrawn_at: datetime | None = None


def decide(donation: Donation, command: Command) -> Sequence[IntakeEvent]:
    """Say what happens, or refuse. What already happened yields no event."""
    match command:
        case OfferDonation():
            return _offer(donation, command)
        case _ if donation.status == "unknown":
            raise NotYet("donation_unknown")
        case AcceptDonation(at=at, reason=reason):
            if donation.status == "accepted":
                return []
            if donation.status == "withdrawn":
                raise Refused("donation_withdrawn", reference=donation.reference)
            return [
                DonationAccepted(outcome="accepted", reasons=(reason,), rules=donation.rules, decided_at=at, decided_by="person")
            ]
        case DeclineDonation(at=at, reason=reason, collected=collected):
            if donation.status == "declined":
                return []
            if donation.status == "withdrawn":
                raise Refused("donation_withdrawn", reference=donation.reference)
            if collected:
                raise Refused("already_collected", reference=donation.reference)
            return [
                DonationDeclined(outcome="refused", reasons=(reason,), rules=donation.rules, decided_at=at, decided_by="person")
            ]
        case WithdrawDonation(at=at, reason=reason, collected=collected):
            if donation.status == "withdrawn":
                return []
            if donation.status == "declined":
                raise Refused("donation_declined", reference=donation.reference)
            if collected:
                raise Refused("already_collected", reference=donation.reference)
            return [DonationWithdrawn(reason=reason, withdrawn_at=at)]
        case _:
            assert_never(command)


def _offer(donation: Donation, command: OfferDonation) -> Sequence[IntakeEvent]:
    """An offer and the verdict on it; nothing for the same offer again; a refusal that tells both where they differ."""
    if donation.status != "unknown":
        if donation.fingerprint == command.fingerprint:
            return []
        known, told = told_as(donation.codes, donation.donor), told_as(command.codes, command.donor)
        differs = [name for name in told if told[name] != known.get(name)]
        raise Refused(
            "donation_differs",
            reference=donation.reference,
            known=known,
            told=told,
            differs=differs or ["contact_or_address"],  # what only the vault holds is not told
        )
    verdict = command.verdict
    offered = DonationOffered(
        reference=command.reference,
        donor=command.donor,
        contact=command.contact,
        **asdict(command.codes),
        form=command.form,
        source=command.source,
        content_sha256=command.fingerprint,
        offered_at=command.at,
    )
    if verdict.outcome in DECLINED:
        return [
            offered,
            DonationDeclined(
                outcome=verdict.outcome, reasons=verdict.reasons, rules=verdict.rules, decided_at=command.at, decided_by="rules"
            ),
        ]
    return [
        offered,
        DonationAccepted(
            outcome=verdict.outcome,
            reasons=verdict.reasons,
            conditions=verdict.conditions,
            rules=verdict.rules,
            decided_at=command.at,
            decided_by="rules",
        ),
    ]


def told_as(codes: Codes | None, donor: Donor | None) -> dict[str, Any]:
    """Answers as plain JSON values, for the two sides of a refusal. A natural person shows as a status only."""
    if codes is None or donor is None:
        return {}
    plain = asdict(codes) | {"access": list(codes.access), "available_from": codes.available_from.isoformat()}
    return plain | {"donor": donor.model_dump(mode="json", exclude={"person"}, exclude_none=True)}


def evolve(donation: Donation, event: IntakeEvent) -> Donation:
    """The donation after the event."""
    match event:
        case DonationOffered():
            return replace(
                donation,
                status="offered",
                reference=event.reference,
                donor=event.donor,
                contact=event.contact,
                codes=Codes(**{field.name: getattr(event, field.name) for field in fields(Codes)}),
                region=event.region,
                form=event.form,
                source=event.source,
                fingerprint=event.content_sha256,
                offered_at=event.offered_at,
            )
        case DonationAccepted():
            return replace(
                donation,
                status="accepted",
                outcome=event.outcome,
                reasons=event.reasons,
                conditions=event.conditions,
                rules=event.rules,
                decided_at=event.decided_at,
                decided_by=event.decided_by,
            )
        case DonationDeclined():
            return replace(
                donation,
                status="declined",
                outcome=event.outcome,
                reasons=event.reasons,
                conditions=(),
                rules=event.rules,
                decided_at=event.decided_at,
                decided_by=event.decided_by,
            )
        case DonationWithdrawn():
            return replace(donation, status="withdrawn", withdrawn_at=event.withdrawn_at)
        case _:
            assert_never(event)

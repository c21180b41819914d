"""From checked answers to a command, and to what only the vault may hold. The form and the programs' way in both come through here."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from services.intake.domain import triage
from services.intake.domain.answers import DEVICE_FIELDS, Known, Problem, Raw, Value, check
from services.intake.domain.donation import Codes, OfferDonation
from services.intake.domain.questions import Questions
from services.intake.domain.triage import Rules
from shared.events.base import Donor, stream_id

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Base 32 without I, L, O, U: nothing that is misread or misheard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A command, and the people it speaks of: id -> what the vault keeps. They count only when the command is no repeat."""

    command: OfferDonation
    people: Mapping[UUID, Mapping[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What turns answers into an offer: the questions and rules in force, and the key of the fingerprints."""

    questions: Questions
    rules: Rules
    regions: Mapping[str, str]
    key: bytes

    def known(self, today: date) -> Known:
        """What the checks lean on, that day."""
        return Known(regions=self.regions, today=today)


def donation_id(client: str, client_id: str) -> UUID:
    """Name a donation by who sends it and that one's own id: two clients never meet in one stream."""
    return stream_id("donation", client.strip().upper(), client_id.strip().upper())


def reference(stream: UUID) -> str:
    """Name a donation for people, as in `DON-7K3M-24PQ`: the first 40 bits of its id. A name, never a secret."""
    bits = stream.int >> 88
    letters = "".join(CROCKFORD[bits >> shift & 31] for shift in range(35, -1, -5))
    return f"DON-{letters[:4]}-{letters[4:]}"


def make(
    terms: Terms, raw: Mapping[str, Raw], *, client: str, client_id: str, source: str, now: datetime, today: date
) -> Offer | list[Problem]:
    """Check everything and make the offer, or say what to correct."""
    values, problems = check(terms.questions, raw, terms.known(today))
    if raw.get("owner") != "yes":
        problems.append(Problem("owner", "owner_not_confirmed"))
    if problems:
        return problems
    return _offer(terms, values, client=client, client_id=client_id, source=source, now=now)


def _offer(terms: Terms, values: Mapping[str, Any], *, client: str, client_id: str, source: str, now: datetime) -> Offer:
    stream = donation_id(client, client_id)
    codes = Codes(
        declared={name: values[name] for name in DEVICE_FIELDS if values.get(name)},  # type: ignore[misc]
        condition=values["condition"],
        age=values["age"],
        media=values["media"],
        sensitivity=values["sensitivity"],
        required_class=values["required_class"],
        region=terms.regions[values["postal_code"]],
        postal_code=values["postal_code"],
        access=values["access"],
        pallets=values["pallets"],
        available_from=values["available_from"],
    )
    contact = stream_id("person", stream, "contact")
    people = {contact: _texts(values, {"name": "contact_name", "mail": "mail", "phone": "phone"})}
    people[contact] |= _texts(values, {name: name for name in ("address", "city", "remarks")})
    number = values["company_number"]
    siren, siret = (number[:9] if number else None), (number if number and len(number) == 14 else None)
    if values["donor_status"] == "person":  # a sole trader's identity is that of a person
        person = stream_id("person", stream, "donor")
        people[person] = _texts(values, {"name": "donor_name", "company_number": "company_number"})
        donor = Donor(status="person", person=person)
    else:
        donor = Donor(status=values["donor_status"], name=values["donor_name"], siren=siren, siret=siret)
    return Offer(
        command=OfferDonation(
            id=stream,
            at=now,
            reference=reference(stream),
            donor=donor,
            contact=contact,
            codes=codes,
            form=terms.questions.version,
            source=source,
            fingerprint=fingerprint(terms.key, values),
            verdict=triage.judge(terms.rules, codes.declared, donor.status, asdict(codes)),
        ),
        people=people,
    )


def fingerprint(key: bytes, values: Mapping[str, Value]) -> str:
    """Tell a repeat from another donation: over all that was answered, private parts too, hence keyed (HMAC-SHA-256, RFC 2104)."""
    plain = {name: value.isoformat() if isinstance(value, date) else value for name, value in values.items()}
    return hmac.new(key, json.dumps(plain, sort_keys=True, ensure_ascii=True).encode(), hashlib.sha256).hexdigest()


def token(key: bytes, purpose: str, *parts: object) -> str:
    """Derive the secret of a link (24 bytes of HMAC-SHA-256, URL-safe), so that a retry tells the same link though only its hash is kept.

    Without `key` it is as random as any; ids of donations can be computed by anyone and are no help.
    """
    text = json.dumps([purpose, *map(str, parts)]).encode()
    return base64.urlsafe_b64encode(hmac.new(key, text, hashlib.sha256).digest()[:24]).decode()


def _texts(values: Mapping[str, Value], names: Mapping[str, str]) -> dict[str, str]:
    """The texts of `values` that were given, under the vault's names."""
    return {kept: str(values[name]) for kept, name in names.items() if values.get(name)}

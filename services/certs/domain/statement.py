"""What a certificate says: exactly what the evidence says, per device and medium, and what it does not say.

A medium counts as erased when an erasure names it, reaches the class asked, and is used once. Where in doubt it is not erased: a
certificate that says too little can be corrected, one that says too much has already harmed somebody.

A correction is a statement of its own, a version later. It names the certificate that it supersedes, and where the two part.
"""

import json
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Literal
from uuid import UUID

from services.certs.domain.custody import Custody, Doubt, Erasure, Held, Outcome, same_medium
from shared.errors import Refused
from shared.events.base import Category, DeviceType, Donor, Fact, MethodClass

FORMAT = "maillon-certificate/1"
CLASSES: Sequence[MethodClass] = ("Clear", "Purge", "Destroy")
NOT_ATTESTED = (
    "media_removed_before",
    "copies_elsewhere",
    "evidence_is_the_refurbishers",
    "signing_time",
    "not_a_tax_receipt",
)
"""Codes of what no certificate of ours attests; the words are in the document."""

Verdict = Literal["erased", "not_erased", "without_medium"]


class MediumLine(Fact):
    """One medium. `erased` only on evidence; `reason` says why not."""

    serial: str | None
    model: str | None
    kind: str
    bytes: int | None
    erased: bool
    reason: str | None = None
    method_class: MethodClass | None = None
    technique: str | None = None
    tool: str | None = None
    tool_version: str | None = None
    verified: bool | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    evidence_sha256: str | None = None
    policy: str | None = None


class DeviceLine(Fact):
    """One device, what became of it, and its media."""

    device_ref: str
    device_type: DeviceType
    maker: str | None
    model: str | None
    serial: str | None
    outcome: Outcome
    category: Category | None
    scrapped_because: str | None
    verdict: Verdict
    reason: str | None = None
    media: tuple[MediumLine, ...]


class Counts(Fact):
    """devices = erased + not_erased + without_medium = ready + scrapped + lost + open. Refurbisher and donor said counted and declared.

    Only a correction, or a certificate that did not wait for all, speaks of open devices: those that the workshop still works on.
    """

    declared: int
    counted: int
    devices: int
    ready: int
    scrapped: int
    erased: int
    not_erased: int
    without_medium: int
    media: int
    media_erased: int


class Superseded(Fact):
    """The certificate that a correction takes the place of. `document_sha256` is of its signed file."""

    number: str
    issued_at: datetime
    document_sha256: str


Change = Literal["late", "gone", "reopened", "verdict", "outcome", "media", "counted", "ended"]
"""How the facts part from a certificate; `domain.drift` tells what each means."""


class Finding(Fact):
    """Where the facts say something else than a certificate: of a device, or of the consignment as a whole (`device_ref` empty).

    late       the device is not on the certificate; `now` is its outcome
    gone       the device was on it and is not of the consignment any more
    reopened   the refurbisher works on it again; `certified` and `now` are verdicts (as all is, were it settled)
    verdict    the evidence says another verdict now; `certified` and `now` are verdicts
    outcome    ready, scrapped or lost: it is another of them now
    media      the verdict is the same, of other media
    counted    the refurbisher counted again; `certified` and `now` are numbers
    ended      the consignment was taken from the refurbisher; `now` is the reason
    """

    device_ref: str
    kind: Change
    certified: str | None = None
    now: str | None = None

    @property
    def says_too_much(self) -> bool:
        """Whether the certificate calls data erased that no proof calls erased now."""
        return self.certified == "erased" and self.now != "erased"


class Statement(Fact):
    """The content of a certificate. Its canonical JSON is attached to the document."""

    format: Literal["maillon-certificate/1"]
    number: str
    version: int
    issued_at: datetime
    issuer: str
    verify_url: str
    layout: str
    """Which layout, drawn by which version of typst, made the document."""
    donor: Donor
    donation_id: UUID
    donation_reference: str
    consignment_id: UUID
    consignment_reference: str
    postal_code: str
    refurbisher: str
    received_at: datetime
    required_class: MethodClass
    counts: Counts
    devices: tuple[DeviceLine, ...]
    not_attested: tuple[str, ...]
    supersedes: Superseded | None = None
    changes: tuple[Finding, ...] = ()
    """Where this one parts from the one it supersedes."""

    @property
    def canonical(self) -> bytes:
        """JSON with sorted keys and without spaces: the bytes that are hashed, attached and drawn.

        A first version has no word of any other.
        """
        return canonical(self.model_dump(mode="json", exclude=None if self.supersedes else {"supersedes", "changes"}))


def canonical(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def digest(data: bytes) -> str:
    return sha256(data).hexdigest()


def state(
    custody: Custody,
    devices: Collection[Held],
    *,
    number: str,
    issued_at: datetime,
    issuer: str,
    verify_url: str,
    layout: str,
    version: int = 1,
    supersedes: Superseded | None = None,
    changes: Sequence[Finding] = (),
) -> Statement:
    """What can be certified of a consignment. The caller has asked `settled`, or knows why it does not wait."""
    known = (custody.donor, custody.donation_id, custody.donation_reference, custody.consignment_id, custody.reference)
    if any(value is None for value in known) or custody.counted is None or custody.received_at is None:
        raise Refused("custody_incomplete")
    used = Counter(use(e) for d in devices for e in d.erasures)
    lines = tuple(device_line(d, used, custody.required_class) for d in sorted(devices, key=lambda d: d.device_ref))
    media = [m for line in lines for m in line.media]
    verdicts = Counter(line.verdict for line in lines)
    outcomes = Counter(line.outcome for line in lines)
    counts = Counts(
        declared=sum(custody.declared.values()),
        counted=custody.counted,
        devices=len(lines),
        ready=outcomes["ready"],
        scrapped=outcomes["scrapped"],
        erased=verdicts["erased"],
        not_erased=verdicts["not_erased"],
        without_medium=verdicts["without_medium"],
        media=len(media),
        media_erased=sum(m.erased for m in media),
    )
    return Statement.model_validate(
        {
            "format": FORMAT,
            "number": number,
            "version": version,
            "issued_at": issued_at,
            "issuer": issuer,
            "verify_url": verify_url,
            "layout": layout,
            "donor": custody.donor,
            "donation_id": custody.donation_id,
            "donation_reference": custody.donation_reference,
            "consignment_id": custody.consignment_id,
            "consignment_reference": custody.reference,
            "postal_code": custody.postal_code,
            "refurbisher": custody.refurbisher,
            "received_at": custody.received_at,
            "required_class": custody.required_class,
            "counts": counts,
            "devices": lines,
            "not_attested": NOT_ATTESTED,
            "supersedes": supersedes,
            "changes": tuple(changes),
        }
    )


def use(erasure: Erasure) -> tuple[str, str]:
    """One proof: this evidence about this medium. It can prove one medium of one device."""
    return same_medium(erasure.medium), erasure.evidence_sha256


def device_line(device: Held, used: Counter[tuple[str, str]], required: MethodClass) -> DeviceLine:
    """What the evidence says of a device: erased only when every one of its media is."""
    left = list(device.erasures)
    media = []
    for medium in device.media:
        name = same_medium(medium)
        proof = next((e for e in reversed(left) if same_medium(e.medium) == name), None)
        if proof is not None:
            left = [e for e in left if same_medium(e.medium) != name]  # spent: a second medium of that name needs its own
        reason = why_not(proof, next((d for d in device.doubts if same_medium(d.medium) == name), None), used, required)
        erased = {} if reason or proof is None else proof.model_dump(exclude={"medium", "required_class"})
        media.append(MediumLine(**medium.model_dump(), **erased, erased=not reason, reason=reason))
    if not device.audited:
        verdict, reason = "not_erased", "not_audited"
    elif not media:
        verdict, reason = "without_medium", None
    elif all(m.erased for m in media):
        verdict, reason = "erased", None
    else:
        verdict, reason = "not_erased", next(m.reason for m in media if m.reason)
    return DeviceLine.model_validate(
        {
            **{k: getattr(device, k) for k in ("device_ref", "device_type", "maker", "model", "serial", "outcome", "category")},
            "scrapped_because": device.reason if device.outcome == "scrapped" else None,
            "verdict": verdict,
            "reason": reason,
            "media": media,
        }
    )


def why_not(proof: Erasure | None, doubt: Doubt | None, used: Counter[tuple[str, str]], required: MethodClass) -> str | None:
    """Code of the reason why a medium is not certified as erased, or None when it is."""
    if proof is None:
        return doubt.reason if doubt else "no_evidence"
    if used[use(proof)] > 1:
        return "evidence_used_twice"
    asked = max(CLASSES.index(required), CLASSES.index(proof.required_class))
    if CLASSES.index(proof.method_class) < asked:
        return "class_below_required"
    return None

"""How a certificate comes to be, so that a kill at any point leaves one certificate and one entry in the log.

drafted   number, date, salt and content are fixed (local)
logged    the document has its place in the public log (local); from here on everything follows: proof, signature, file
issued    the signed file exists; told to the others, with the signed state of the log

A certificate never changes. Where the facts have come to say something else, the next edition says what is true now and supersedes it.
"""

import re
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar, assert_never
from uuid import UUID

from services.certs.domain import merkle
from services.certs.domain.statement import Statement, canonical, digest
from shared.errors import NotYet, Refused
from shared.events.base import Event, stream_id
from shared.events.certs import CertificateIssued, CertificateSuperseded, CheckpointSigned

NUMBER = re.compile(r"MC-[A-Z0-9][A-Z0-9-]{0,59}")


class CertificateDrafted(Event):
    """What the certificate of a consignment will say, fixed."""

    type: ClassVar[str] = "certs.certificate_drafted.v1"

    consignment_id: UUID
    donation_id: UUID
    refurbisher: str
    number: str
    issued_at: datetime
    salt: str
    statement_sha256: str
    devices: int
    erased: int
    not_erased: int
    without_medium: int
    edition: int = 1
    supersedes: str | None = None


class DocumentLogged(Event):
    """The document, not yet signed, is entered in the public log."""

    type: ClassVar[str] = "certs.document_logged.v1"

    document_sha256: str
    document_bytes: int
    leaf_index: int
    leaf_hash: str


DraftEvent = CertificateDrafted | DocumentLogged


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftCertificate:
    """Fix what the certificate says. `salt` is 32 random hex digits."""

    id: UUID
    statement: Statement
    salt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogDocument:
    """Enter the document in the log at `leaf_index`, the size of the log as the caller read it."""

    id: UUID
    document_sha256: str
    document_bytes: int
    leaf_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueCertificate:
    """Make the certificate known; the signed file is stored."""

    id: UUID
    draft: "Draft"
    signed_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SupersedeCertificate:
    """A later edition was issued: this certificate is not the last word any more."""

    id: UUID
    by_number: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignCheckpoint:
    """Make a signed state of the log known."""

    id: UUID
    refurbisher: str
    size: int
    root_hash: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A certificate on its way."""

    consignment_id: UUID | None = None
    donation_id: UUID | None = None
    refurbisher: str | None = None
    number: str | None = None
    issued_at: datetime | None = None
    salt: str = ""
    statement_sha256: str = ""
    devices: int = 0
    erased: int = 0
    not_erased: int = 0
    without_medium: int = 0
    document_sha256: str | None = None
    document_bytes: int | None = None
    leaf_index: int | None = None
    leaf_hash: str | None = None
    edition: int = 1
    supersedes: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate that was issued. Nothing about it ever changes, but that another may supersede it."""

    consignment_id: UUID | None = None
    donation_id: UUID | None = None
    refurbisher: str | None = None
    number: str | None = None
    issued_at: datetime | None = None
    devices: int = 0
    erased: int = 0
    not_erased: int = 0
    document_sha256: str | None = None
    leaf_index: int | None = None
    leaf_hash: str | None = None
    superseded_by: str | None = None
    edition: int = 1
    supersedes: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A signed state of the log."""

    refurbisher: str = ""
    size: int = 0
    root_hash: str = ""
    note: str = ""


def draft_id(consignment: UUID, edition: int = 1) -> UUID:
    return stream_id("draft", consignment) if edition == 1 else stream_id("draft", consignment, edition)


def certificate_id(consignment: UUID, edition: int = 1) -> UUID:
    return stream_id("certificate", consignment) if edition == 1 else stream_id("certificate", consignment, edition)


def checkpoint_id(refurbisher: str, size: int) -> UUID:
    return stream_id("checkpoint", refurbisher, size)


def number_of(reference: str, edition: int = 1) -> str:
    """The certificate's number, from the consignment's reference: `DON-7K3M-24PQ/1` gives `MC-7K3M-24PQ-1`, then `MC-7K3M-24PQ-1-V2`."""
    words = re.sub(r"[^A-Z0-9]+", "-", reference.upper().removeprefix("DON-")).strip("-")
    number = f"MC-{words}" if edition == 1 else f"MC-{words}-V{edition}"
    if not NUMBER.fullmatch(number):
        raise Refused("reference_unusable", reference=reference)
    return number


def leaf_extra(number: str, salt: str, document_sha256: str, document_bytes: int) -> bytes:
    """What an entry of the log commits to: it travels in the certificate, the log shows its hash only.

    `document_sha256` is of the first `document_bytes` of the signed file: the document as it was before the proof and the signature
    were appended, so that both can be in the file they are about.
    """
    return canonical(
        {"bytes": document_bytes, "format": "maillon-leaf/1", "number": number, "salt": salt, "sha256": document_sha256}
    )


def leaf_entry(extra: bytes) -> bytes:
    """The entry of the log: a commitment, which shows nothing of what it commits to."""
    return bytes.fromhex(digest(extra))


def decide_draft(draft: Draft, command: DraftCertificate | LogDocument) -> list[DraftEvent]:
    """Fix the content once, and the place in the log once. A repeat yields no event, whatever it says."""
    match command:
        case DraftCertificate(statement=statement, salt=salt):
            if draft.number is not None:
                return []
            return [
                CertificateDrafted(
                    consignment_id=statement.consignment_id,
                    donation_id=statement.donation_id,
                    refurbisher=statement.refurbisher,
                    number=statement.number,
                    issued_at=statement.issued_at,
                    salt=salt,
                    statement_sha256=digest(statement.canonical),
                    devices=statement.counts.devices,
                    erased=statement.counts.erased,
                    not_erased=statement.counts.not_erased,
                    without_medium=statement.counts.without_medium,
                    edition=statement.version,
                    supersedes=statement.supersedes.number if statement.supersedes else None,
                )
            ]
        case LogDocument():
            if draft.number is None:
                raise NotYet("certificate_not_drafted")
            if draft.leaf_index is not None:
                if draft.document_sha256 != command.document_sha256:
                    raise Refused("document_differs", logged=draft.document_sha256, made=command.document_sha256)
                return []
            extra = leaf_extra(draft.number, draft.salt, command.document_sha256, command.document_bytes)
            return [
                DocumentLogged(
                    document_sha256=command.document_sha256,
                    document_bytes=command.document_bytes,
                    leaf_index=command.leaf_index,
                    leaf_hash=merkle.leaf_hash(leaf_entry(extra)).hex(),
                )
            ]
        case _:
            assert_never(command)


def evolve_draft(draft: Draft, event: DraftEvent) -> Draft:
    """The draft after the event."""
    match event:
        case CertificateDrafted():
            return replace(draft, **event.model_dump())
        case DocumentLogged():
            return replace(draft, **event.model_dump())
        case _:
            assert_never(event)


def decide_certificate(
    certificate: Certificate, command: IssueCertificate | SupersedeCertificate
) -> list[CertificateIssued | CertificateSuperseded]:
    """One certificate per consignment and edition, superseded by one other at most. A repeat yields no event."""
    if isinstance(command, SupersedeCertificate):
        return supersede(certificate, command)
    draft = command.draft
    if certificate.number is not None:
        return []
    if draft.number is None or draft.leaf_index is None or draft.consignment_id is None or draft.donation_id is None:
        raise NotYet("document_not_logged")
    if command.id != certificate_id(draft.consignment_id, draft.edition):
        raise Refused("other_consignment")
    return [
        CertificateIssued.model_validate(
            {
                **{k: getattr(draft, k) for k in CertificateIssued.model_fields if hasattr(draft, k)},
                "document_sha256": command.signed_sha256,
            }
        )
    ]


def supersede(certificate: Certificate, command: SupersedeCertificate) -> list[CertificateIssued | CertificateSuperseded]:
    if certificate.number is None:
        raise NotYet("certificate_unknown", number=command.by_number)
    if certificate.superseded_by == command.by_number:
        return []
    if certificate.superseded_by is not None or certificate.number == command.by_number:
        raise Refused("superseded_by_another", number=certificate.number, by_number=certificate.superseded_by)
    return [CertificateSuperseded(number=certificate.number, by_number=command.by_number, reason=command.reason)]


def evolve_certificate(certificate: Certificate, event: CertificateIssued | CertificateSuperseded) -> Certificate:
    """The certificate after the event."""
    match event:
        case CertificateIssued():
            return replace(certificate, **event.model_dump(exclude={"without_medium"}))
        case CertificateSuperseded(by_number=number):
            return replace(certificate, superseded_by=number)
        case _:
            assert_never(event)


def decide_checkpoint(checkpoint: Checkpoint, command: SignCheckpoint) -> list[CheckpointSigned]:
    """A log has one root for each size: another one would be a fork, and is refused."""
    if checkpoint.size and checkpoint.root_hash != command.root_hash:
        raise Refused("log_forked", size=command.size, known=checkpoint.root_hash, told=command.root_hash)
    if checkpoint.size:
        return []
    return [CheckpointSigned(size=command.size, root_hash=command.root_hash, note=command.note, refurbisher=command.refurbisher)]


def evolve_checkpoint(checkpoint: Checkpoint, event: CheckpointSigned) -> Checkpoint:
    """The checkpoint after the event."""
    return replace(checkpoint, **event.model_dump())

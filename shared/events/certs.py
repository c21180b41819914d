"""What certs tells the others: certificates, and the public log's signed state. Topic: `certs.certificates.<refurbisher>`.

Streams: `("certificate", consignment_id)` and, of each correction, `("certificate", consignment_id, edition)`;
`("checkpoint", refurbisher, log size)`.
"""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from shared.events.base import Event


class CertificateIssued(Event):
    """A certificate was signed and entered in the public log. Number, date and bytes are fixed for ever."""

    type: ClassVar[str] = "certs.certificate_issued.v1"

    number: str
    consignment_id: UUID
    donation_id: UUID
    refurbisher: str
    devices: int
    """Devices of the consignment that the document speaks of."""
    erased: int
    """Devices all of whose media are proven erased."""
    not_erased: int
    """Devices of which at least one medium is not proven erased, or whose media nobody read."""
    issued_at: datetime
    document_sha256: str
    """Of the signed file."""
    leaf_index: int
    leaf_hash: str
    without_medium: int = 0
    """Devices that the audit found without any medium: devices = erased + not_erased + without_medium."""
    edition: int = 1
    """1, and one more with each correction."""
    supersedes: str | None = None
    """Number of the certificate that this one corrects. That one's stream says it too, by `CertificateSuperseded`."""


class CertificateSuperseded(Event):
    """A later certificate corrects this one."""

    type: ClassVar[str] = "certs.certificate_superseded.v1"

    number: str
    by_number: str
    reason: str


class CheckpointSigned(Event):
    """The state of the public log, signed."""

    type: ClassVar[str] = "certs.checkpoint_signed.v1"

    size: int
    root_hash: str
    note: str
    """The C2SP checkpoint as signed text."""
    refurbisher: str = ""
    """Of the certificate that made the log grow to this size."""


CertsEvent = CertificateIssued | CertificateSuperseded | CheckpointSigned

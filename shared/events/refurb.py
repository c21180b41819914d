"""What refurb tells the others: the life of each device at a refurbisher, and the answers to what a refurbisher's system reports.

Topics: `refurb.devices.<refurbisher>` (devices, arrivals, capacity) and `refurb.receipts.<refurbisher>` (one receipt a message).
Streams: `("device", refurbisher, device_ref in upper case)`, `("arrival", consignment_id)`, `("capacity", refurbisher)`,
`("receipt", topic, ce_source, ce_id)`.
"""

from datetime import datetime
from typing import ClassVar, Literal
from uuid import UUID

from pydantic import Field

from shared.events.base import Category, DeviceType, Event, Fact, Medium, MethodClass


class DeviceReceived(Event):
    """A device of a consignment arrived and was identified."""

    type: ClassVar[str] = "refurb.device_received.v1"

    consignment_id: UUID
    donation_id: UUID
    refurbisher: str
    region: str
    """Where the refurbisher works."""
    device_ref: str
    """The refurbisher's own id of the device."""
    device_type: DeviceType
    donor_public: bool
    """Given by a public body: a legal price ceiling follows the device to the till."""
    required_class: MethodClass = "Clear"
    """The erasure that the donor asks for, at least."""
    maker: str | None = None
    model: str | None = None
    serial: str | None = None
    assigned_at: datetime | None = None
    """When its consignment was assigned to the refurbisher: no erasure that ended before proves anything. Null: not kept then."""
    lot: str | None = None
    """The refurbisher's own lot, pallet and shelf: where people find it."""
    pallet: str | None = None


class ErasureRun(Fact):
    """What a report says of one medium in one run of the tool: facts, read and not judged. A report may hold several."""

    serial: str | None = None
    """Of the medium, or the IMEI of a telephone. Null: the tool could not read one, or hid it."""
    doubtful_serials: tuple[str, ...] = ()
    """When the report names the medium in two ways: all of them, so that none is taken for proven."""
    model: str | None = None
    outcome: str
    """`ok`, or the code of what went wrong."""
    line: int | None = None
    """Where in the report the outcome rests."""
    said: str | None = None
    """That line, when it is one of the tool's own (never a person's words)."""
    covered_bytes: int | None = None
    """Overwritten in the weakest pass. Null: the method covers the whole medium."""
    hidden_area: bool = False
    verified: bool = False
    method_class: MethodClass | None = None
    technique: str = ""
    tool: str
    tool_version: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None


class DeviceAudited(Event):
    """Its hardware was read. Null where the audit could not tell."""

    type: ClassVar[str] = "refurb.device_audited.v1"

    media: tuple[Medium, ...]
    cpu: str | None = None
    cpu_mark: int | None = None
    ram_gb: int | None = None
    os: str | None = None
    battery: Literal["ok", "worn", "missing"] | None = None
    evidence_sha256: str | None = None
    maker: str | None = None
    model: str | None = None
    serial: str | None = None
    benchmark_thousands: int | None = None
    """Of a telephone or tablet."""
    weighting_percent: int = 0


class EvidenceFiled(Event):
    """A report about this device was stored, as it came, under its SHA-256; what it proves is said by the events that follow."""

    type: ClassVar[str] = "refurb.evidence_filed.v1"

    evidence_sha256: str
    tool: str
    size_bytes: int
    runs: tuple[ErasureRun, ...] = ()
    unusable: str | None = None
    """Why nothing can be read from it: a code. Null when it could be read."""


class ReportHeld(Event):
    """A report came before the device itself was announced: it is kept, and has its effect when the device is received."""

    type: ClassVar[str] = "refurb.report_held.v1"

    refurbisher: str
    consignment_id: UUID
    audited: DeviceAudited | None = None
    filed: EvidenceFiled | None = None


class MediumSanitised(Event):
    """The evidence proves the erasure (or destruction) of one medium, under the policy named."""

    type: ClassVar[str] = "refurb.medium_sanitised.v1"

    medium: Medium
    method_class: MethodClass
    technique: str
    tool: str
    tool_version: str | None = None
    verified: bool
    required_class: MethodClass
    started_at: datetime | None = None
    ended_at: datetime | None = None
    evidence_sha256: str
    policy: str


class SanitisationRejected(Event):
    """The evidence does not prove the erasure of this medium, and why (`reason` is a code of the policy named)."""

    type: ClassVar[str] = "refurb.sanitisation_rejected.v1"

    medium: Medium
    reason: str
    evidence_sha256: str | None = None
    policy: str
    line: int | None = None
    """Line of the evidence that the reason rests on."""
    said: str | None = None
    """That line, as the tool wrote it."""


class DeviceGraded(Event):
    """Its category under the grading rules in force that day."""

    type: ClassVar[str] = "refurb.device_graded.v1"

    category: Category
    points: int
    rules: str


class DeviceRepaired(Event):
    """Work was done on it."""

    type: ClassVar[str] = "refurb.device_repaired.v1"

    parts: tuple[str, ...] = ()


class DeviceReady(Event):
    """Every medium is proven erased, it is graded, it works: it may be sold. Carries what distribution needs."""

    type: ClassVar[str] = "refurb.device_ready.v1"

    consignment_id: UUID
    donation_id: UUID
    refurbisher: str
    region: str
    device_ref: str
    device_type: DeviceType
    category: Category
    donor_public: bool
    maker: str | None = None
    model: str | None = None
    serial: str | None = None
    cpu: str | None = None
    ram_gb: int | None = None
    storage_gb: int | None = None


class DeviceScrapped(Event):
    """It will not be sold: recycled, with the reason."""

    type: ClassVar[str] = "refurb.device_scrapped.v1"

    consignment_id: UUID
    donation_id: UUID
    reason: str
    waste_reference: str | None = None
    """The tracking slip under which it left as waste, where the refurbisher gave one."""


class DeviceTakenBack(Event):
    """It left the stock: it came back after a sale, or its media changed after it was ready. What is proven of it is said anew."""

    type: ClassVar[str] = "refurb.device_taken_back.v1"

    reason: str
    sale_id: UUID | None = None
    """The sale it came back from: no earlier erasure proves anything from now on. Null: it never left."""


class DeviceLost(Event):
    """It cannot be found. It is out of the stock until it is."""

    type: ClassVar[str] = "refurb.device_lost.v1"

    consignment_id: UUID
    donation_id: UUID
    reason: str


class DeviceFound(Event):
    """It is there again, and goes on where it was lost; one that was ready is checked again before it is sold."""

    type: ClassVar[str] = "refurb.device_found.v1"

    consignment_id: UUID
    donation_id: UUID
    sold_ready: bool = False
    """It was lost when it was ready, and the till found it: its sale follows."""


class MediumRemoved(Event):
    """A medium that is proven erased left the device. Its chain goes on under its own serial number.

    `unknown`: an audit no longer names it, and nobody said where it went.
    """

    type: ClassVar[str] = "refurb.medium_removed.v1"

    medium: Medium
    to: Literal["device", "spare", "destroyed", "unknown"]
    to_device_ref: str | None = None


class AuditWithdrawn(Event):
    """Somebody looked: a medium that its audit names, or one that waits for its arrival, is in another device. It must be audited again."""

    type: ClassVar[str] = "refurb.audit_withdrawn.v1"

    serial: str


class WarrantyRepairBegun(Event):
    """A sold device is here to be repaired, and stays its owner's."""

    type: ClassVar[str] = "refurb.warranty_repair_begun.v1"

    sale_id: UUID
    fault: str


class WarrantyRepairEnded(Event):
    """It went back to its owner, repaired or not."""

    type: ClassVar[str] = "refurb.warranty_repair_ended.v1"

    sale_id: UUID
    outcome: Literal["repaired", "not_repairable"]


class DeviceHandedOver(Event):
    """It was sold: what was done here is closed."""

    type: ClassVar[str] = "refurb.device_handed_over.v1"

    sale_id: UUID
    sold_at: datetime


class ConsignmentReceived(Event):
    """The refurbisher has the consignment and counted it. Stream `("arrival", consignment_id)`."""

    type: ClassVar[str] = "refurb.consignment_received.v1"

    consignment_id: UUID
    donation_id: UUID
    refurbisher: str
    counted: int = Field(ge=0)
    corrects: int | None = None
    """It counted again: this is the number that `counted` replaces. Null: the first count."""


class ConsignmentTurnedDown(Event):
    """The refurbisher cannot take the consignment. Stream `("arrival", consignment_id)`."""

    type: ClassVar[str] = "refurb.consignment_turned_down.v1"

    consignment_id: UUID
    donation_id: UUID
    refurbisher: str
    reason: str


class CapacityDeclared(Event):
    """Places a week by device type, as the refurbisher says. Stream `("capacity", refurbisher)`."""

    type: ClassVar[str] = "refurb.capacity_declared.v1"

    refurbisher: str
    weekly_places: dict[DeviceType, int]


class Fault(Fact):
    """One thing that was wrong with a report: where (a JSON pointer, `header:ce_id`, or empty for the whole), what, how to mend it."""

    where: str = ""
    code: str
    hint: str
    evidence: str | None = None
    """What the fault rests on, such as a line of an erasure log."""


class ReportAccepted(Event):
    """A refurbisher's message was understood and has had its effect."""

    type: ClassVar[str] = "refurb.report_accepted.v1"

    report_id: str | None
    """The message's own `ce_id`."""
    report_type: str | None
    source: str | None
    refurbisher: str
    device_ref: str | None = None
    content_sha256: str = ""
    """Of the message's value: two messages under one id are told apart by it."""


class ReportRejected(Event):
    """A refurbisher's message had no effect; send it again, mended, under a new id."""

    type: ClassVar[str] = "refurb.report_rejected.v1"

    report_id: str | None
    report_type: str | None
    source: str | None
    refurbisher: str
    device_ref: str | None = None
    content_sha256: str = ""
    faults: tuple[Fault, ...]


DeviceEvent = (
    ReportHeld
    | DeviceReceived
    | DeviceAudited
    | EvidenceFiled
    | MediumSanitised
    | SanitisationRejected
    | DeviceGraded
    | DeviceRepaired
    | DeviceReady
    | DeviceScrapped
    | DeviceTakenBack
    | DeviceHandedOver
    | DeviceLost
    | DeviceFound
    | MediumRemoved
    | AuditWithdrawn
    | WarrantyRepairBegun
    | WarrantyRepairEnded
)
ArrivalEvent = ConsignmentReceived | ConsignmentTurnedDown
ReceiptEvent = ReportAccepted | ReportRejected
RefurbEvent = DeviceEvent | ArrivalEvent | CapacityDeclared | ReceiptEvent

"""What may be asked of a device, what is known of one, and how events change it. What then happens is decided in `life`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, assert_never
from uuid import UUID

from services.refurb.domain import grading
from services.refurb.domain.judge import Policy
from shared.events.base import Category, DeviceType, Medium, MethodClass
from shared.events.refurb import (
    AuditWithdrawn,
    DeviceAudited,
    DeviceEvent,
    DeviceFound,
    DeviceGraded,
    DeviceHandedOver,
    DeviceLost,
    DeviceReady,
    DeviceReceived,
    DeviceRepaired,
    DeviceScrapped,
    DeviceTakenBack,
    ErasureRun,
    EvidenceFiled,
    MediumRemoved,
    MediumSanitised,
    ReportHeld,
    SanitisationRejected,
    WarrantyRepairBegun,
    WarrantyRepairEnded,
)

Status = Literal["expected", "received", "ready", "scrapped", "sold", "in_repair", "lost"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiveDevice:
    """It was unpacked and identified. What the consignment knows of its donor comes along."""

    id: UUID
    consignment_id: UUID
    donation_id: UUID
    refurbisher: str
    region: str
    donor_public: bool
    required_class: MethodClass
    device_ref: str
    device_type: DeviceType
    policy: Policy
    maker: str | None = None
    model: str | None = None
    serial: str | None = None
    assigned_at: datetime | None = None
    lot: str | None = None
    pallet: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditDevice:
    """Its hardware was read."""

    id: UUID
    refurbisher: str
    consignment_id: UUID
    audited: DeviceAudited
    policy: Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEvidence:
    """A report about its media is in the evidence store, and was read."""

    id: UUID
    refurbisher: str
    consignment_id: UUID
    filed: EvidenceFiled
    policy: Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairDevice:
    """Work was done on it."""

    id: UUID
    consignment_id: UUID
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishDevice:
    """The refurbisher says that it may be sold: judge and grade it under the rules in force."""

    id: UUID
    consignment_id: UUID
    rules: grading.Rules
    policy: Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrapDevice:
    """It will not be sold."""

    id: UUID
    consignment_id: UUID
    reason: str
    waste_reference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoseDevice:
    """It cannot be found."""

    id: UUID
    consignment_id: UUID
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FindDevice:
    """It is there again."""

    id: UUID
    consignment_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeBackDevice:
    """A sold device came back for good."""

    id: UUID
    consignment_id: UUID
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginWarrantyRepair:
    """A sold device came to be repaired."""

    id: UUID
    consignment_id: UUID
    fault: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndWarrantyRepair:
    """It goes back to its owner."""

    id: UUID
    consignment_id: UUID
    outcome: Literal["repaired", "not_repairable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveMedium:
    """A medium was taken out."""

    id: UUID
    consignment_id: UUID
    serial: str
    to: Literal["device", "spare", "destroyed"]
    to_device_ref: str | None
    policy: Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawAudit:
    """Staff say that a medium which it names is in another device. Travels with the word that settles where that is."""

    id: UUID
    serial: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOverDevice:
    """A person has it."""

    id: UUID
    sale_id: UUID
    sold_at: datetime


Command = (
    ReceiveDevice
    | AuditDevice
    | FileEvidence
    | RepairDevice
    | FinishDevice
    | ScrapDevice
    | HandOverDevice
    | LoseDevice
    | FindDevice
    | TakeBackDevice
    | BeginWarrantyRepair
    | EndWarrantyRepair
    | RemoveMedium
    | WithdrawAudit
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was last found of a medium."""

    medium: Medium
    accepted: bool
    reason: str
    method_class: MethodClass | None = None
    technique: str | None = None
    evidence_sha256: str | None = None
    line: int | None = None
    said: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What refurb knows of a device. `blocked` is the first reason why a medium of it is not proven erased.

    `removed`: media that left it, proven. `spent`: reports and runs of an earlier life, that prove nothing any more (`spent_by`).
    `doubted`: its audit was wrong about a medium. What it says of the others is still due, and nothing is ready on it.
    """

    status: Status = "expected"
    refurbisher: str = ""
    region: str = ""
    consignment_id: UUID | None = None
    donation_id: UUID | None = None
    device_ref: str = ""
    device_type: DeviceType | None = None
    donor_public: bool = False
    required_class: MethodClass = "Clear"
    maker: str | None = None
    model: str | None = None
    serial: str | None = None
    assigned_at: datetime | None = None
    audit: DeviceAudited | None = None
    evidence: tuple[EvidenceFiled, ...] = ()
    findings: tuple[Finding, ...] = ()
    blocked: str | None = None
    category: Category | None = None
    points: int | None = None
    grade_rules: str | None = None
    parts: tuple[str, ...] = ()
    scrap_reason: str | None = None
    sale_id: UUID | None = None
    held: tuple[ReportHeld, ...] = ()
    lot: str | None = None
    pallet: str | None = None
    waste_reference: str | None = None
    sold_at: datetime | None = None
    returns: int = 0
    lost_reason: str | None = None
    fault: str | None = None
    removed: tuple[MediumRemoved, ...] = ()
    spent: tuple[str, ...] = ()
    doubted: bool = False

    @property
    def exception(self) -> str | None:
        """What people must see to before it can go on, as a code: a medium not proven or without a number, a model that nobody knows."""
        if self.blocked or self.audit is None:
            return self.blocked
        if any(medium.serial is None for medium in self.audit.media):
            return "serial_missing"
        return "model_unknown" if self.model is None else None


def evolve(device: Device, event: DeviceEvent) -> Device:
    """The device after the event. The only place where a device changes."""
    match event:
        case ReportHeld():
            return replace(device, refurbisher=event.refurbisher, consignment_id=event.consignment_id, held=(*device.held, event))
        case DeviceReceived():
            told = {name: getattr(event, name) for name in DeviceReceived.model_fields}
            return replace(device, status="received", held=(), **told)
        case DeviceAudited():
            kept = tuple(f for f in device.findings if f.accepted or f.medium in event.media)
            named = {name: getattr(device, name) or getattr(event, name) for name in ("maker", "model", "serial")}
            return replace(device, audit=event, doubted=False, findings=kept, blocked=worst(kept), **named)
        case EvidenceFiled():
            return replace(device, evidence=(*device.evidence, event))
        case MediumSanitised() | SanitisationRejected():
            findings = (*(f for f in device.findings if f.medium != event.medium), finding(event))
            return replace(device, findings=findings, blocked=worst(findings))
        case DeviceGraded():
            return replace(device, category=event.category, points=event.points, grade_rules=event.rules)
        case DeviceRepaired(parts=parts):
            return replace(device, parts=(*device.parts, *parts))
        case DeviceReady():
            return replace(device, status="ready")
        case DeviceScrapped(reason=reason):
            return replace(device, status="scrapped", scrap_reason=reason, waste_reference=event.waste_reference)
        case DeviceHandedOver(sale_id=sale_id):
            return replace(device, status="sold", sale_id=sale_id, sold_at=event.sold_at)
        case DeviceTakenBack():
            return taken_back(device, event)
        case _:
            return moved(device, event)


def taken_back(device: Device, event: DeviceTakenBack) -> Device:
    """Out of the stock. What came back from a person starts anew; what only changed keeps its reports, which are judged again."""
    open_again = replace(device, status="received", findings=(), blocked=None, category=None, points=None, sale_id=None)
    if event.sale_id is None:
        return open_again
    spent = (*device.spent, *(name for filed in device.evidence for name in spent_by(filed)))
    return replace(open_again, audit=None, doubted=False, evidence=(), spent=spent, returns=device.returns + 1, fault=None)


def names(audited: DeviceAudited | None, serial: str) -> bool:
    """Whether an audit names the medium of that number."""
    return audited is not None and any(medium.serial == serial for medium in audited.media)


Moved = DeviceLost | DeviceFound | MediumRemoved | AuditWithdrawn | WarrantyRepairBegun | WarrantyRepairEnded


def moved(device: Device, event: Moved) -> Device:
    """The device after it, or a medium of it, went somewhere."""
    match event:
        case DeviceLost(reason=reason):
            return replace(device, status="lost", lost_reason=reason)
        case DeviceFound():
            return replace(device, status="received", lost_reason=None)
        case MediumRemoved(medium=medium):
            return replace(without(device, medium.serial), removed=(*device.removed, event))
        case AuditWithdrawn(serial=serial):
            waiting = tuple(h for h in device.held if not names(h.audited, serial))
            return replace(without(device, serial), held=waiting, doubted=device.doubted or names(device.audit, serial))
        case WarrantyRepairBegun(fault=fault):
            return replace(device, status="in_repair", fault=fault)
        case WarrantyRepairEnded():
            return replace(device, status="sold", fault=None)
        case _:
            assert_never(event)


def without(device: Device, serial: str | None) -> Device:
    """The device without one of its media: what was proven of it, and the runs that proved it, are nothing of this device any more."""
    audited = device.audit
    if audited is not None:
        audited = audited.model_copy(update={"media": tuple(m for m in audited.media if m.serial != serial)})
    gone = tuple(run_name(run) for filed in device.evidence for run in filed.runs if run.serial and run.serial == serial)
    rest = tuple(f for f in device.findings if f.medium.serial != serial)
    return replace(device, audit=audited, findings=rest, blocked=worst(rest), spent=(*device.spent, *gone))


def spent_by(filed: EvidenceFiled) -> tuple[str, ...]:
    """How a report and its runs are named among those that are spent: another file that tells of the same run is none the better."""
    return (filed.evidence_sha256, *(run_name(run) for run in filed.runs if run.serial))


def run_name(run: ErasureRun) -> str:
    return f"{run.serial}@{run.ended_at.isoformat() if run.ended_at else ''}"


def worst(findings: Sequence[Finding]) -> str | None:
    return next((f.reason for f in findings if not f.accepted), None)


def finding(event: MediumSanitised | SanitisationRejected) -> Finding:
    if isinstance(event, MediumSanitised):
        return Finding(
            medium=event.medium,
            accepted=True,
            reason="ok",
            method_class=event.method_class,
            technique=event.technique,
            evidence_sha256=event.evidence_sha256,
        )
    return Finding(
        medium=event.medium,
        accepted=False,
        reason=event.reason,
        evidence_sha256=event.evidence_sha256,
        line=event.line,
        said=event.said,
    )

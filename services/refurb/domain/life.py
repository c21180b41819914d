"""The life of one device at a refurbisher: what may happen to it. No I/O, no clock.

Facts about a device are taken in any order: what comes before the device itself is announced is held, and has its effect then. A
device is ready only when every medium of it is proven erased (`judge`) and it can be graded.
"""

from collections.abc import Callable, Sequence
from typing import assert_never

from services.refurb.domain import grading
from services.refurb.domain.device import (
    AuditDevice,
    BeginWarrantyRepair,
    Command,
    Device,
    EndWarrantyRepair,
    FileEvidence,
    FindDevice,
    FinishDevice,
    HandOverDevice,
    LoseDevice,
    ReceiveDevice,
    RemoveMedium,
    RepairDevice,
    ScrapDevice,
    TakeBackDevice,
    WithdrawAudit,
    evolve,
    run_name,
    spent_by,
)
from services.refurb.domain.judge import CLOCKS_DIFFER, Policy, Verdict, judge
from services.refurb.domain.moves import move, open_, received
from shared.errors import NotYet, Refused
from shared.events.base import Category, Medium, MethodClass
from shared.events.refurb import (
    DeviceAudited,
    DeviceEvent,
    DeviceGraded,
    DeviceReady,
    DeviceReceived,
    DeviceRepaired,
    DeviceScrapped,
    DeviceTakenBack,
    EvidenceFiled,
    MediumRemoved,
    MediumSanitised,
    ReportHeld,
    SanitisationRejected,
)

MOST_REPORTS = 40
"""Reports kept of one device. More is a loop in somebody's program."""
GB = 1_000_000_000


def decide(device: Device, command: Command) -> list[DeviceEvent]:
    """Say what happens, or refuse. A command already carried out yields no event."""
    if isinstance(command, HandOverDevice | WithdrawAudit):
        return move(device, command)
    if device.consignment_id not in {None, command.consignment_id}:
        raise Refused("device_of_another_consignment", where="/consignment_id")
    match command:
        case ReceiveDevice():
            return receive(device, command)
        case AuditDevice(audited=audited, policy=policy):
            received(device)  # what nobody announced takes no medium from anybody
            return audit(device, audited, policy)
        case FileEvidence(filed=filed, policy=policy):
            if device.status == "expected":
                return hold(device, command)
            return file(device, filed, policy)
        case RepairDevice(parts=parts):
            received(device)
            if device.status != "in_repair":
                open_(device)
            return [DeviceRepaired(parts=parts)]
        case FinishDevice(rules=rules, policy=policy):
            return finish(device, rules, policy)
        case ScrapDevice():
            return scrap(device, command)
        case RemoveMedium():
            return remove(device, command)
        case LoseDevice() | FindDevice() | TakeBackDevice() | BeginWarrantyRepair() | EndWarrantyRepair():
            return move(device, command)
        case _:
            assert_never(command)


def receive(device: Device, command: ReceiveDevice) -> list[DeviceEvent]:
    """Open its stream, and let what was held have its effect. Told twice with other facts, the first stands."""
    if device.status != "expected":
        if device.device_type != command.device_type:
            raise Refused("device_differs", where="/device_type", known=device.device_type)
        if command.serial and device.serial and device.serial != command.serial:
            raise Refused("device_differs", where="/serial", known=device.serial)
        return []
    events: list[DeviceEvent] = [
        DeviceReceived(
            consignment_id=command.consignment_id,
            donation_id=command.donation_id,
            refurbisher=command.refurbisher,
            region=command.region,
            device_ref=command.device_ref,
            device_type=command.device_type,
            donor_public=command.donor_public,
            required_class=command.required_class,
            maker=command.maker,
            model=command.model,
            serial=command.serial,
            assigned_at=command.assigned_at,
            lot=command.lot,
            pallet=command.pallet,
        )
    ]
    now = evolve(device, events[0])
    for early in device.held:
        more: list[DeviceEvent] = []
        if early.audited:
            more = audit(now, early.audited, command.policy)
        elif early.filed:
            more = file(now, early.filed, command.policy)
        for event in more:
            now = evolve(now, event)
        events += more
    return events


def hold(device: Device, command: FileEvidence) -> list[DeviceEvent]:
    """Keep a report until its device comes."""
    held = ReportHeld(refurbisher=command.refurbisher, consignment_id=command.consignment_id, filed=command.filed)
    if held in device.held:
        return []
    if len(device.held) >= MOST_REPORTS:
        raise Refused("too_many_reports", most=MOST_REPORTS)
    return [held]


def audit(device: Device, audited: DeviceAudited, policy: Policy) -> list[DeviceEvent]:
    """A later audit replaces the earlier one, but no medium that is not proven erased may vanish from one to the other."""
    if audited == device.audit and not device.doubted:
        return []
    if device.status == "ready" and device.audit and media_of(audited.media) != media_of(device.audit.media):
        return changed(device, policy, lambda now: audit(now, audited, policy))
    open_(device)
    gone: list[DeviceEvent] = []
    if device.audit is not None:
        due = [v.medium for v in verdicts(device, policy) if not v.accepted]
        named = {m.serial for m in due if m.serial}
        proven = {f.medium.serial for f in device.findings if f.accepted} - named
        missing = named - {m.serial for m in audited.media}
        # counted too: a medium without a number must still be there, and a proven one cannot stand in for it
        if missing or len([m for m in audited.media if m.serial not in proven]) < len(due):
            raise Refused("medium_unaccounted", where="/media", serials=sorted(missing))
        still = {m.serial for m in audited.media}
        gone = [
            MediumRemoved(medium=f.medium, to="unknown") for f in device.findings if f.accepted and f.medium.serial not in still
        ]
    return after(device, [*gone, audited], policy)


def after(device: Device, events: Sequence[DeviceEvent], policy: Policy) -> list[DeviceEvent]:
    """These events, and the verdicts that follow from them."""
    for event in events:
        device = evolve(device, event)
    return [*events, *judged(device, policy)]


def media_of(media: Sequence[Medium]) -> list[tuple[str, int]]:
    return sorted((m.serial or "", m.bytes or 0) for m in media)


def changed(device: Device, policy: Policy, then: Callable[[Device], list[DeviceEvent]]) -> list[DeviceEvent]:
    """A ready device whose media change leaves the stock; what is still proven of it is said anew, then what changed."""
    events = after(device, [DeviceTakenBack(reason="media_changed")], policy)
    for event in events:
        device = evolve(device, event)
    return [*events, *then(device)]


def remove(device: Device, command: RemoveMedium) -> list[DeviceEvent]:
    """A medium leaves only proven erased, so that nothing of it remains to be told elsewhere; a destroyed one, proven destroyed."""
    received(device)
    serial = command.serial.strip()
    if device.audit is None:
        raise NotYet("device_not_audited", where="/device_ref")
    medium = next((m for m in device.audit.media if m.serial == serial), None)
    if medium is None:
        if any(gone.medium.serial == serial for gone in device.removed):
            return []
        raise Refused("medium_not_here", where="/serial", serials=[m.serial for m in device.audit.media if m.serial])
    if device.status == "ready":
        return changed(device, command.policy, lambda now: remove(now, command))
    open_(device)
    verdict = next(v for v in verdicts(device, command.policy) if v.medium.serial == serial)
    if not verdict.accepted:
        kind = NotYet if verdict.reason == "no_evidence" else Refused
        raise kind("erasure_not_proven", media=[why(verdict)])
    if command.to == "destroyed" and verdict.method_class != "Destroy":
        raise NotYet("destruction_not_proven", where="/to", medium=serial)
    return after(device, [MediumRemoved(medium=medium, to=command.to, to_device_ref=command.to_device_ref)], command.policy)


def file(device: Device, filed: EvidenceFiled, policy: Policy) -> list[DeviceEvent]:
    if any(known.evidence_sha256 == filed.evidence_sha256 for known in device.evidence):
        return []
    open_(device)
    if set(spent_by(filed)) & set(device.spent) and not fresh(device, [filed])[0].runs:
        raise Refused("evidence_spent", where="/log")
    if len(device.evidence) >= MOST_REPORTS:
        raise Refused("too_many_reports", most=MOST_REPORTS)
    return after(device, [filed], policy)


def verdicts(device: Device, policy: Policy) -> tuple[Verdict, ...]:
    """Judge its media as things stand. Who owns it changes later, so there is no transfer date yet."""
    proven = {f.medium.serial for f in device.findings if f.accepted} | {gone.medium.serial for gone in device.removed}
    media = device.audit.media if device.audit else ()
    since = device.assigned_at
    if device.returns and device.sold_at:  # somebody had it: to the minute, whatever a workshop's clock says
        since = device.sold_at + CLOCKS_DIFFER
    left = {serial for serial in proven if serial}
    return judge(media, fresh(device, device.evidence), device.required_class, policy, not_before=since, left=left)


def fresh(device: Device, evidence: Sequence[EvidenceFiled]) -> Sequence[EvidenceFiled]:
    """The reports without the runs that are spent: they were of an earlier life of the device, or of a medium that left it."""
    if not device.spent:
        return evidence
    spent = set(device.spent)
    return [f.model_copy(update={"runs": tuple(r for r in f.runs if run_name(r) not in spent)}) for f in evidence]


def judged(device: Device, policy: Policy) -> list[DeviceEvent]:
    """The verdicts that are new. A medium of which no evidence speaks yet is only pending."""
    events: list[DeviceEvent] = []
    for verdict in verdicts(device, policy):
        before = next((f for f in device.findings if f.medium == verdict.medium), None)
        now = (verdict.accepted, verdict.reason, verdict.evidence_sha256)
        if verdict.reason == "no_evidence" or (before and (before.accepted, before.reason, before.evidence_sha256) == now):
            continue
        events.append(said(verdict, device.required_class))
    return events


def said(verdict: Verdict, required: MethodClass) -> DeviceEvent:
    """Put a verdict into the words of an event."""
    run = verdict.run
    if verdict.accepted and run and verdict.method_class and verdict.evidence_sha256:
        return MediumSanitised(
            medium=verdict.medium,
            method_class=verdict.method_class,
            technique=run.technique,
            tool=run.tool,
            tool_version=run.tool_version,
            verified=verdict.verified,
            required_class=required,
            started_at=run.started_at,
            ended_at=run.ended_at,
            evidence_sha256=verdict.evidence_sha256,
            policy=verdict.policy,
        )
    return SanitisationRejected(
        medium=verdict.medium,
        reason=verdict.reason,
        evidence_sha256=verdict.evidence_sha256,
        policy=verdict.policy,
        line=run.line if run else None,
        said=run.said if run else None,
    )


def finish(device: Device, rules: grading.Rules, policy: Policy) -> list[DeviceEvent]:
    """Ready, if every medium is proven and the rules know a category. Evidence that is still missing may be on its way."""
    received(device)
    if device.status in {"ready", "sold"}:
        return []
    open_(device)
    if device.audit is None or device.doubted:
        raise NotYet("device_not_audited", where="/device_ref")
    found = verdicts(device, policy)
    unproven = [v for v in found if not v.accepted]
    if unproven:
        kind = NotYet if all(v.reason == "no_evidence" for v in unproven) else Refused
        raise kind("erasure_not_proven", media=[why(v) for v in unproven])
    left = [v.medium for v in found if v.method_class != "Destroy"]
    category, grade = grading.grade(
        device.device_type or "other",
        left,
        rules=rules,
        cpu_mark=device.audit.cpu_mark,
        ram_gb=device.audit.ram_gb,
        os=device.audit.os,
        benchmark_thousands=device.audit.benchmark_thousands,
        weighting_percent=device.audit.weighting_percent,
    )
    return [DeviceGraded(category=category, points=grade.points, rules=grade.rules), ready(device, left, category)]


def why(verdict: Verdict) -> dict[str, object]:
    """What the receipt says of a medium that is not proven."""
    run = verdict.run
    return {
        "serial": verdict.medium.serial,
        "model": verdict.medium.model,
        "reason": verdict.reason,
        "line": run.line if run else None,
        "said": run.said if run else None,
    }


def ready(device: Device, left: Sequence[Medium], category: Category) -> DeviceReady:
    audited = device.audit
    if device.consignment_id is None or device.donation_id is None or device.device_type is None or audited is None:
        raise AssertionError("a device that was received and audited has all of these")
    return DeviceReady(
        consignment_id=device.consignment_id,
        donation_id=device.donation_id,
        refurbisher=device.refurbisher,
        region=device.region,
        device_ref=device.device_ref,
        device_type=device.device_type,
        category=category,
        donor_public=device.donor_public,
        maker=device.maker,
        model=device.model,
        serial=device.serial,
        cpu=audited.cpu,
        ram_gb=audited.ram_gb,
        storage_gb=round(sum(m.bytes or 0 for m in left) / GB),
    )


def scrap(device: Device, command: ScrapDevice) -> list[DeviceEvent]:
    received(device)
    if device.status == "scrapped":
        return []
    open_(device)
    if device.consignment_id is None or device.donation_id is None:
        raise AssertionError("a device that was received has both")
    return [
        DeviceScrapped(
            consignment_id=device.consignment_id,
            donation_id=device.donation_id,
            reason=command.reason,
            waste_reference=command.waste_reference,
        )
    ]

"""The life of a device, as events and commands."""

from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from uuid import UUID

from services.refurb.app import DEVICE
from services.refurb.domain.device import (
    AuditDevice,
    FileEvidence,
    FinishDevice,
    HandOverDevice,
    RepairDevice,
    ScrapDevice,
)
from shared.errors import NotYet
from shared.events.base import Medium
from shared.events.refurb import (
    DeviceGraded,
    DeviceHandedOver,
    DeviceReady,
    DeviceRepaired,
    DeviceScrapped,
    MediumRemoved,
    MediumSanitised,
    ReportHeld,
    SanitisationRejected,
)
from tests.refurb.samples import AUDITED, CONSIGNMENT, DONATION, HDD, NOW, POLICY, RECEIVE, RECEIVED, RULES, evidence
from tests.refurb.samples import DEVICE as ID
from tests.support.given import folded, given

AUDIT = AuditDevice(id=ID, refurbisher="trira", consignment_id=CONSIGNMENT, audited=AUDITED, policy=POLICY)
GOOD = evidence("d01")
BAD = evidence("d03").model_copy(update={"runs": (evidence("d03").runs[0].model_copy(update={"serial": HDD.serial}),)})
FILE = FileEvidence(id=ID, refurbisher="trira", consignment_id=CONSIGNMENT, filed=GOOD, policy=POLICY)
FILE_BAD = FileEvidence(id=ID, refurbisher="trira", consignment_id=CONSIGNMENT, filed=BAD, policy=POLICY)
FINISH = FinishDevice(id=ID, consignment_id=CONSIGNMENT, rules=RULES, policy=POLICY)
SCRAP = ScrapDevice(id=ID, consignment_id=CONSIGNMENT, reason="erasure_failed")
RUN = GOOD.runs[0]
SANITISED = MediumSanitised(
    medium=HDD,
    method_class="Clear",
    technique="DoD Short",
    tool="nwipe",
    tool_version="0.33",
    verified=True,
    required_class="Clear",
    started_at=RUN.started_at,
    ended_at=RUN.ended_at,
    evidence_sha256=GOOD.evidence_sha256,
    policy="evidence-1",
)
REJECTED = SanitisationRejected(
    medium=HDD,
    reason="failed",
    evidence_sha256=BAD.evidence_sha256,
    policy="evidence-1",
    line=42,
    said="!      sda |-FAILED-|   0 B/s | 00:00:01 | ST9320320AS/5VJ1CTQM",
)
GRADED = DeviceGraded(category="D", points=3 + 4 - 1, rules="2026")
READY = DeviceReady(
    consignment_id=CONSIGNMENT,
    donation_id=DONATION,
    refurbisher="trira",
    region="ara",
    device_ref="PE-1",
    device_type="desktop",
    category="B",
    donor_public=True,
    maker="Dell",
    serial="DELL-1",
    cpu="i5",
    ram_gb=16,
    storage_gb=0,
)


def test_from_arrival_to_ready_to_sold() -> None:
    sale = UUID(int=7)
    scene = given(DEVICE).when(RECEIVE).then(RECEIVED).when(AUDIT).then(AUDITED).when(FILE).then(GOOD, SANITISED)
    graded = DeviceGraded(category="B", points=7, rules="2026")
    scene = scene.when(FINISH).then(graded, READY).leaves(status="ready", blocked=None, category="B", serial="DELL-1")
    handed = DeviceHandedOver(sale_id=sale, sold_at=NOW)
    scene = scene.when(HandOverDevice(id=ID, sale_id=sale, sold_at=NOW)).then(handed).leaves(status="sold")
    scene.when(HandOverDevice(id=ID, sale_id=sale, sold_at=NOW)).then()
    scene.when(HandOverDevice(id=ID, sale_id=UUID(int=8), sold_at=NOW)).refuses("device_not_ready", status="sold")


def test_a_command_carried_out_twice_says_nothing_new() -> None:
    scene = given(DEVICE, RECEIVED, AUDITED, GOOD, SANITISED)
    for command in (RECEIVE, AUDIT, FILE):
        scene.when(command).then()
    ready = given(DEVICE, RECEIVED, AUDITED, GOOD, SANITISED, GRADED, READY)
    ready.when(FINISH).then()


def test_whatever_comes_first_the_device_ends_the_same() -> None:
    """An audit that nobody is ready for waits outside, and is tried again."""
    ends = set()
    for order in permutations([RECEIVE, AUDIT, FILE]):
        state, waiting = DEVICE.new, list(order)
        while waiting:
            command = waiting.pop(0)
            try:
                state = folded(DEVICE, state, DEVICE.decide(state, command))
            except NotYet:
                waiting.append(command)
        state = folded(DEVICE, state, DEVICE.decide(state, FINISH))
        ends.add(repr(replace(state, evidence=tuple(sorted(state.evidence, key=repr)))))
    assert len(ends) == 1


def test_what_comes_before_the_device_is_held() -> None:
    held = ReportHeld(refurbisher="trira", consignment_id=CONSIGNMENT, filed=GOOD, policy=POLICY)
    scene = given(DEVICE).when(FILE).then(held).when(FILE).then().leaves(status="expected")
    scene.when(AUDIT).refuses("device_not_received")
    scene.when(RECEIVE).then(RECEIVED, GOOD).leaves(held=(), status="received").when(AUDIT).then(AUDITED, SANITISED)
    early = ReportHeld(refurbisher="trira", consignment_id=CONSIGNMENT, audited=AUDITED, policy=POLICY)  # as it was once told
    given(DEVICE, held, early).when(RECEIVE).then(RECEIVED, GOOD, AUDITED, SANITISED)


def test_a_failed_erasure_blocks_until_a_later_run_is_good() -> None:
    scene = given(DEVICE, RECEIVED, AUDITED).when(FILE_BAD).then(BAD, REJECTED).leaves(blocked="failed")
    why = {"serial": HDD.serial, "model": HDD.model, "reason": "failed", "line": 42, "said": REJECTED.said}
    scene.when(FINISH).refuses("erasure_not_proven", media=[why])
    moved = RUN.model_copy(
        update={"started_at": (RUN.started_at or NOW) + timedelta(days=1), "ended_at": NOW + timedelta(days=1)}
    )
    later = GOOD.model_copy(update={"runs": (moved,), "evidence_sha256": "f" * 64})
    retry = FileEvidence(id=ID, refurbisher="trira", consignment_id=CONSIGNMENT, filed=later, policy=POLICY)
    proven = SANITISED.model_copy(
        update={"started_at": moved.started_at, "ended_at": moved.ended_at, "evidence_sha256": "f" * 64}
    )
    scene.when(retry).then(later, proven).leaves(blocked=None)


def test_an_old_report_of_the_same_drive_blocks_until_it_is_erased_here() -> None:
    """Also when the report came before the device, which alone knows since when it was to come."""
    assigned = NOW + timedelta(days=30)
    receive, received = replace(RECEIVE, assigned_at=assigned), RECEIVED.model_copy(update={"assigned_at": assigned})
    old = SanitisationRejected(
        medium=HDD,
        reason="before_receipt",
        evidence_sha256=GOOD.evidence_sha256,
        policy="evidence-1",
        line=RUN.line,
        said=RUN.said,
    )
    given(DEVICE, received, AUDITED).when(FILE).then(GOOD, old)
    held = given(DEVICE).when(FILE).then(ReportHeld(refurbisher="trira", consignment_id=CONSIGNMENT, filed=GOOD, policy=POLICY))
    scene = held.when(receive).then(received, GOOD).leaves(assigned_at=assigned)
    scene = scene.when(AUDIT).then(AUDITED, old).leaves(blocked="before_receipt")
    scene.when(FINISH).refuses("erasure_not_proven")
    again = {"started_at": assigned, "ended_at": assigned + timedelta(hours=1)}
    later = GOOD.model_copy(update={"runs": (RUN.model_copy(update=again),), "evidence_sha256": "f" * 64})
    retry = FileEvidence(id=ID, refurbisher="trira", consignment_id=CONSIGNMENT, filed=later, policy=POLICY)
    proven = SANITISED.model_copy(update={**again, "evidence_sha256": "f" * 64})
    scene.when(retry).then(later, proven).leaves(blocked=None)


def test_a_later_failure_takes_the_proof_away() -> None:
    failed = BAD.runs[0].model_copy(update={"started_at": NOW + timedelta(days=1)})
    worse = BAD.model_copy(update={"runs": (failed,)})
    command = FileEvidence(id=ID, refurbisher="trira", consignment_id=CONSIGNMENT, filed=worse, policy=POLICY)
    given(DEVICE, RECEIVED, AUDITED, GOOD, SANITISED).when(command).then(worse, REJECTED).leaves(blocked="failed")


def test_without_evidence_it_waits_and_without_device_or_audit_too() -> None:
    given(DEVICE, RECEIVED, AUDITED).when(FINISH).refuses("erasure_not_proven")
    given(DEVICE, RECEIVED).when(FINISH).refuses("device_not_audited")
    given(DEVICE).when(FINISH).refuses("device_not_received")
    given(DEVICE).when(SCRAP).refuses("device_not_received")


def test_a_device_without_a_readable_medium_is_never_ready() -> None:
    none = AUDITED.model_copy(update={"media": ()})
    given(DEVICE, RECEIVED, none).when(FINISH).refuses("no_disk_to_grade")
    nameless = AUDITED.model_copy(update={"media": (HDD.model_copy(update={"serial": None}),)})
    given(DEVICE, RECEIVED, nameless, GOOD).when(FINISH).refuses("erasure_not_proven")


def test_an_unproven_medium_may_not_vanish_from_a_later_audit() -> None:
    second = Medium(serial="S-2", kind="ssd", bytes=10**9)
    both = AUDITED.model_copy(update={"media": (HDD, second)})
    scene = given(DEVICE, RECEIVED, both, GOOD, SANITISED)
    scene.when(AUDIT).refuses("medium_unaccounted", where="/media", serials=["S-2"])
    added = AuditDevice(
        id=ID,
        refurbisher="trira",
        consignment_id=CONSIGNMENT,
        audited=both.model_copy(update={"media": (second,)}),
        policy=POLICY,
    )
    scene.when(added).then(MediumRemoved(medium=HDD, to="unknown"), added.audited)


def told(*media: Medium) -> AuditDevice:
    audited = AUDITED.model_copy(update={"media": media})
    return AuditDevice(id=ID, refurbisher="trira", consignment_id=CONSIGNMENT, audited=audited, policy=POLICY)


def test_a_proven_medium_does_not_stand_in_for_one_without_a_number() -> None:
    """The drive that nobody could read is still in there when the audit is told again without it."""
    nameless = Medium(kind="ssd", bytes=10**9)
    scene = given(DEVICE, RECEIVED, told(HDD, nameless).audited, GOOD, SANITISED)
    scene.when(AUDIT).refuses("medium_unaccounted", where="/media", serials=[])
    scene.when(told()).refuses("medium_unaccounted", where="/media", serials=[])
    read = told(HDD, Medium(serial="S-2", kind="ssd", bytes=10**9))
    scene.when(read).then(read.audited)


def test_a_medium_proven_at_another_size_is_not_proven() -> None:
    """An audit that finds it larger takes the proof away; then it may not vanish either."""
    larger = told(HDD.model_copy(update={"bytes": 10**12}))
    short = SanitisationRejected(
        medium=larger.audited.media[0],
        reason="capacity_short",
        evidence_sha256=GOOD.evidence_sha256,
        policy="evidence-1",
        line=RUN.line,
        said=RUN.said,
    )
    scene = given(DEVICE, RECEIVED, AUDITED, GOOD, SANITISED).when(larger).then(larger.audited, short)
    scene.when(told()).refuses("medium_unaccounted", where="/media", serials=[HDD.serial])


def test_a_medium_added_after_the_erasure_is_not_proven() -> None:
    added = AUDITED.model_copy(update={"media": (HDD, Medium(serial="NEW", kind="ssd", bytes=10**9))})
    scene = given(DEVICE, RECEIVED, AUDITED, GOOD, SANITISED)
    scene = scene.when(AuditDevice(id=ID, refurbisher="trira", consignment_id=CONSIGNMENT, audited=added, policy=POLICY)).then(
        added
    )
    scene.when(FINISH).refuses("erasure_not_proven")


def test_scrapped_is_the_end() -> None:
    scrapped = DeviceScrapped(consignment_id=CONSIGNMENT, donation_id=DONATION, reason="erasure_failed")
    scene = given(DEVICE, RECEIVED, AUDITED, BAD, REJECTED).when(SCRAP).then(scrapped).leaves(status="scrapped")
    scene.when(SCRAP).then()
    scene.when(FINISH).refuses("device_settled", status="scrapped")
    scene.when(FILE).refuses("device_settled", status="scrapped")


def test_work_is_noted_and_a_ready_device_is_closed() -> None:
    repair = RepairDevice(id=ID, consignment_id=CONSIGNMENT, parts=("battery",))
    given(DEVICE, RECEIVED).when(repair).then(DeviceRepaired(parts=("battery",))).leaves(parts=("battery",))
    ready = given(DEVICE, RECEIVED, AUDITED, GOOD, SANITISED, GRADED, READY)
    ready.when(repair).refuses("device_settled", status="ready")
    ready.when(SCRAP).refuses("device_settled", status="ready")


def test_a_reference_names_one_device_of_one_consignment() -> None:
    elsewhere = AuditDevice(id=ID, refurbisher="trira", consignment_id=UUID(int=9), audited=AUDITED, policy=POLICY)
    given(DEVICE, RECEIVED).when(elsewhere).refuses("device_of_another_consignment")
    held = ReportHeld(refurbisher="trira", consignment_id=UUID(int=9), audited=AUDITED, policy=POLICY)
    given(DEVICE, held).when(RECEIVE).refuses("device_of_another_consignment")

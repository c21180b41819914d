"""A device that does not simply get ready: lost and found, back from a sale, in for a repair, its media taken out or added."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from services.refurb.app import DEVICE
from services.refurb.domain.device import (
    AuditDevice,
    BeginWarrantyRepair,
    EndWarrantyRepair,
    FileEvidence,
    FindDevice,
    FinishDevice,
    HandOverDevice,
    LoseDevice,
    RemoveMedium,
    RepairDevice,
    ScrapDevice,
    TakeBackDevice,
)
from services.refurb.domain.judge import CLOCKS_DIFFER
from shared.events.base import Medium
from shared.events.refurb import (
    DeviceFound,
    DeviceGraded,
    DeviceHandedOver,
    DeviceLost,
    DeviceReady,
    DeviceRepaired,
    DeviceScrapped,
    DeviceTakenBack,
    EvidenceFiled,
    MediumRemoved,
    MediumSanitised,
    WarrantyRepairBegun,
    WarrantyRepairEnded,
)
from tests.refurb.samples import AUDITED, CONSIGNMENT, DONATION, HDD, NOW, POLICY, RECEIVED, RULES
from tests.refurb.samples import DEVICE as ID
from tests.refurb.test_device import AUDIT, FILE, FINISH, GOOD, GRADED, READY, RUN, SANITISED
from tests.support.given import Scene, given

SALE = UUID(int=7)
SOLD = DeviceHandedOver(sale_id=SALE, sold_at=NOW)
HAND_OVER = HandOverDevice(id=ID, sale_id=SALE, sold_at=NOW)
LOSE = LoseDevice(id=ID, consignment_id=CONSIGNMENT, reason="not_on_the_shelf")
LOST = DeviceLost(consignment_id=CONSIGNMENT, donation_id=DONATION, reason="not_on_the_shelf")
FIND = FindDevice(id=ID, consignment_id=CONSIGNMENT)
FOUND = DeviceFound(consignment_id=CONSIGNMENT, donation_id=DONATION)
TAKE_BACK = TakeBackDevice(id=ID, consignment_id=CONSIGNMENT, reason="given_up")
TAKEN_BACK = DeviceTakenBack(reason="given_up", sale_id=SALE)
CHANGED = DeviceTakenBack(reason="media_changed")
BEGIN = BeginWarrantyRepair(id=ID, consignment_id=CONSIGNMENT, fault="screen_black")
END = EndWarrantyRepair(id=ID, consignment_id=CONSIGNMENT, outcome="repaired")
REMOVE = RemoveMedium(id=ID, consignment_id=CONSIGNMENT, serial=str(HDD.serial), to="spare", to_device_ref=None, policy=POLICY)
REMOVED = MediumRemoved(medium=HDD, to="spare")
SECOND = Medium(serial="SECOND-1", kind="hdd", bytes=HDD.bytes)


def ready() -> Scene:
    return given(DEVICE, RECEIVED, AUDITED, GOOD, SANITISED, GRADED, READY)


def sold() -> Scene:
    return given(DEVICE, RECEIVED, AUDITED, GOOD, SANITISED, GRADED, READY, SOLD)


def again(sha256: str, **run: object) -> EvidenceFiled:
    """The good report once more, as another file with other facts in its run."""
    return GOOD.model_copy(update={"evidence_sha256": sha256 * 64, "runs": (RUN.model_copy(update=run),)})


def audit(*media: Medium) -> AuditDevice:
    return replace(AUDIT, audited=AUDITED.model_copy(update={"media": media}))


def test_lost_and_found_in_the_workshop() -> None:
    scene = given(DEVICE, RECEIVED, AUDITED).when(LOSE).then(LOST).leaves(status="lost", lost_reason="not_on_the_shelf")
    scene.when(LOSE).then()
    for command in (FILE, FINISH, audit(SECOND), ScrapDevice(id=ID, consignment_id=CONSIGNMENT, reason="broken")):
        scene.when(command).refuses("device_lost", where="/device_ref")
    scene = scene.when(FIND).then(FOUND).leaves(status="received", lost_reason=None)
    scene.when(FIND).then()
    scene.when(FILE).then(GOOD, SANITISED)


def test_a_ready_device_that_is_found_gets_ready_again_on_the_same_proof() -> None:
    scene = ready().when(LOSE).then(LOST).when(FIND).then(FOUND)
    scene.when(FINISH).then(DeviceGraded(category="B", points=7, rules="2026"), READY)


def test_a_sale_finds_what_was_said_lost() -> None:
    scene = ready().when(LOSE).then(LOST)
    scene.when(HAND_OVER).then(FOUND.model_copy(update={"sold_ready": True}), SOLD).leaves(status="sold", lost_reason=None)
    given(DEVICE, RECEIVED, AUDITED, LOST).when(HAND_OVER).refuses("device_not_ready", status="lost")


def test_what_is_gone_for_good_cannot_be_lost() -> None:
    scrapped = DeviceScrapped(consignment_id=CONSIGNMENT, donation_id=DONATION, reason="broken", waste_reference="BSD-2026-17")
    scrap = ScrapDevice(id=ID, consignment_id=CONSIGNMENT, reason="broken", waste_reference="BSD-2026-17")
    scene = given(DEVICE, RECEIVED).when(scrap).then(scrapped).leaves(waste_reference="BSD-2026-17")
    scene.when(LOSE).refuses("device_settled", status="scrapped")
    sold().when(LOSE).refuses("device_settled", status="sold")
    given(DEVICE).when(LOSE).refuses("device_not_received")


def test_a_device_given_up_starts_anew_and_its_old_reports_prove_nothing() -> None:
    scene = sold().when(TAKE_BACK).then(TAKEN_BACK)
    scene = scene.leaves(status="received", sale_id=None, audit=None, findings=(), category=None, returns=1)
    scene.when(FINISH).refuses("device_not_audited")
    scene = scene.when(AUDIT).then(AUDITED)
    scene.when(FINISH).refuses("erasure_not_proven")
    scene.when(FILE).refuses("evidence_spent", where="/log")
    same_run = FileEvidence(id=ID, refurbisher="trira", consignment_id=CONSIGNMENT, filed=again("e"), policy=POLICY)
    scene.when(same_run).refuses("evidence_spent", where="/log")


def test_what_was_erased_before_the_sale_proves_nothing_after_it_even_when_it_is_new_to_us() -> None:
    scene = sold().when(TAKE_BACK).then(TAKEN_BACK).when(AUDIT).then(AUDITED)
    moment = NOW - timedelta(minutes=1)
    earlier = again("e", started_at=moment - timedelta(hours=1), ended_at=moment)
    told = scene.when(FileEvidence(id=ID, refurbisher="trira", consignment_id=CONSIGNMENT, filed=earlier, policy=POLICY))
    assert [getattr(event, "reason", None) for event in told.decided()] == [None, "before_receipt"]
    moment = NOW + timedelta(hours=1)
    later = again("f", started_at=NOW, ended_at=moment)
    proven = SANITISED.model_copy(update={"started_at": NOW, "ended_at": moment, "evidence_sha256": "f" * 64})
    scene = scene.when(FileEvidence(id=ID, refurbisher="trira", consignment_id=CONSIGNMENT, filed=later, policy=POLICY))
    scene = scene.then(later, proven).when(FINISH).then(DeviceGraded(category="B", points=7, rules="2026"), READY)
    scene.when(HandOverDevice(id=ID, sale_id=UUID(int=8), sold_at=NOW)).then(DeviceHandedOver(sale_id=UUID(int=8), sold_at=NOW))
    assert timedelta(minutes=1) < CLOCKS_DIFFER


def test_only_what_was_sold_comes_back() -> None:
    ready().when(TAKE_BACK).refuses("device_not_sold", where="/device_ref", status="ready")
    given(DEVICE, RECEIVED).when(TAKE_BACK).refuses("device_not_sold", where="/device_ref", status="received")
    given(DEVICE).when(TAKE_BACK).refuses("device_not_received")


def test_a_repair_under_warranty_leaves_the_device_its_owners() -> None:
    begun, ended = WarrantyRepairBegun(sale_id=SALE, fault="screen_black"), WarrantyRepairEnded(sale_id=SALE, outcome="repaired")
    scene = sold().when(BEGIN).then(begun).leaves(status="in_repair", fault="screen_black", sale_id=SALE)
    scene.when(BEGIN).then()
    scene = scene.when(RepairDevice(id=ID, consignment_id=CONSIGNMENT, parts=("screen",))).then(DeviceRepaired(parts=("screen",)))
    scene.when(FINISH).refuses("device_settled", status="in_repair")
    scene.when(REMOVE).refuses("device_settled", status="in_repair")
    scene.when(TAKE_BACK).then(TAKEN_BACK).leaves(status="received", fault=None)
    scene = scene.when(END).then(ended).leaves(status="sold", fault=None, parts=("screen",))
    scene.when(END).refuses("device_not_in_repair", where="/device_ref", status="sold")
    ready().when(BEGIN).refuses("device_not_sold", where="/device_ref", status="ready")


def test_a_medium_leaves_only_proven_erased() -> None:
    scene = given(DEVICE, RECEIVED, AUDITED)
    why = {"serial": HDD.serial, "model": HDD.model, "reason": "no_evidence", "line": None, "said": None}
    scene.when(REMOVE).refuses("erasure_not_proven", media=[why])
    scene.when(replace(REMOVE, serial="OTHER")).refuses("medium_not_here", where="/serial", serials=[HDD.serial])
    scene = scene.when(FILE).then(GOOD, SANITISED)
    scene.when(replace(REMOVE, to="destroyed")).refuses("destruction_not_proven", where="/to", medium=HDD.serial)
    scene = scene.when(REMOVE).then(REMOVED).leaves(findings=(), removed=(REMOVED,))
    assert scene.state.audit.media == ()
    scene.when(REMOVE).then()
    given(DEVICE, RECEIVED).when(REMOVE).refuses("device_not_audited", where="/device_ref")


def test_a_medium_that_comes_back_from_elsewhere_is_proven_anew() -> None:
    scene = given(DEVICE, RECEIVED, AUDITED, GOOD, SANITISED).when(REMOVE).then(REMOVED)
    scene = scene.when(AUDIT).then(AUDITED).leaves(findings=())
    scene.when(FINISH).refuses("erasure_not_proven")


def test_an_audit_that_no_longer_names_a_proven_medium_says_that_it_left() -> None:
    scene = given(DEVICE, RECEIVED, AUDITED, GOOD, SANITISED)
    gone = MediumRemoved(medium=HDD, to="unknown")
    scene = scene.when(audit(SECOND)).then(gone, AUDITED.model_copy(update={"media": (SECOND,)})).leaves(removed=(gone,))
    both = AUDITED.model_copy(update={"media": (SECOND, HDD)})
    scene = scene.when(audit(SECOND, HDD)).then(both)
    scene.when(FINISH).refuses("erasure_not_proven")


def test_a_drive_added_after_the_erasure_takes_the_device_out_of_the_stock() -> None:
    both = AUDITED.model_copy(update={"media": (HDD, SECOND)})
    scene = ready().when(audit(HDD, SECOND)).then(CHANGED, SANITISED, both).leaves(status="received", category=None)
    scene.when(FINISH).refuses("erasure_not_proven")
    ready().when(replace(AUDIT, audited=AUDITED.model_copy(update={"os": "Linux"}))).refuses("device_settled", status="ready")
    sold().when(audit(HDD, SECOND)).refuses("device_settled", status="sold")


def test_a_drive_taken_out_of_a_ready_device_takes_it_out_of_the_stock() -> None:
    scene = ready().when(REMOVE).then(CHANGED, SANITISED, REMOVED).leaves(status="received", findings=(), removed=(REMOVED,))
    scene.when(FINISH).refuses("no_disk_to_grade")


def test_a_device_is_as_often_ready_as_it_is_put_in_order() -> None:
    finish = FinishDevice(id=ID, consignment_id=CONSIGNMENT, rules=RULES, policy=POLICY)
    scene = ready().when(audit(HDD, SECOND)).then(CHANGED, SANITISED, AUDITED.model_copy(update={"media": (HDD, SECOND)}))
    other = again("d", serial="SECOND-1")
    told = scene.when(FileEvidence(id=ID, refurbisher="trira", consignment_id=CONSIGNMENT, filed=other, policy=POLICY))
    events = told.decided()
    assert [type(event) for event in events] == [EvidenceFiled, MediumSanitised]
    assert [type(event) for event in told.then(*events).when(finish).decided()] == [DeviceGraded, DeviceReady]

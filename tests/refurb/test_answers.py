"""Receipts, arrivals, capacity, expected consignments, use of evidence; and the tools of the command line."""

import json
import subprocess
import sys
from dataclasses import replace
from datetime import date
from uuid import UUID

from services.refurb.app import ARRIVAL, CAPACITY, CONSIGNMENT, EVIDENCE_USE, RECEIPT
from services.refurb.domain.arrival import DeclareCapacity, ReceiveConsignment, TurnDownConsignment
from services.refurb.domain.consignment import (
    CheckConsignment,
    ClaimEvidence,
    CloseConsignment,
    CollectionPlanned,
    ConsignmentClosed,
    ConsignmentExpected,
    EvidenceClaimed,
    ExpectConsignment,
    PlanCollection,
)
from services.refurb.domain.receipt import MOST_REUSED, AcceptReport, RejectReport, Told
from shared.events.refurb import (
    CapacityDeclared,
    ConsignmentReceived,
    ConsignmentTurnedDown,
    Fault,
    ReportAccepted,
    ReportRejected,
)
from tests.refurb.samples import CONSIGNMENT as CID
from tests.refurb.samples import DONATION, ERASURE, TESTS
from tests.support.given import given

ID = UUID(int=1)
TOLD = Told(
    report_id="r-1",
    report_type="partner.device_finished.v1",
    source="/trira/bench",
    refurbisher="trira",
    device_ref="PE-1",
    content_sha256="a" * 64,
)
OTHER = replace(TOLD, content_sha256="b" * 64)
SAID = {
    "report_id": "r-1",
    "report_type": "partner.device_finished.v1",
    "source": "/trira/bench",
    "refurbisher": "trira",
    "device_ref": "PE-1",
}
ACCEPTED = ReportAccepted(**SAID, content_sha256="a" * 64)
FAULT = Fault(where="key", code="wrong_key", hint="…")
REUSED = ReportRejected(**SAID, content_sha256="b" * 64, faults=(FAULT,))


def test_a_message_is_answered_once() -> None:
    reject = RejectReport(id=ID, told=OTHER, faults=(FAULT,))
    scene = given(RECEIPT).when(AcceptReport(id=ID, told=TOLD)).then(ACCEPTED)
    scene.when(AcceptReport(id=ID, told=TOLD)).then()
    scene.when(RejectReport(id=ID, told=TOLD, faults=(FAULT,))).then()
    scene = scene.when(reject).then(REUSED).leaves(outcome="accepted", reused=("b" * 64,))
    scene.when(reject).then()
    first = given(RECEIPT).when(reject).then(REUSED).leaves(outcome="rejected", faults=(FAULT,))
    first.when(reject).then()


def test_a_program_in_a_loop_does_not_fill_the_receipt() -> None:
    many = [REUSED.model_copy(update={"content_sha256": f"{n:064}"}) for n in range(MOST_REUSED)]
    given(RECEIPT, ACCEPTED, *many).when(RejectReport(id=ID, told=OTHER, faults=(FAULT,))).then()


def test_a_consignment_is_received_or_turned_down() -> None:
    same = {"consignment_id": CID, "donation_id": DONATION, "refurbisher": "trira"}
    receive = ReceiveConsignment(id=ID, **same, counted=12)  # type: ignore[arg-type]  # the mapping holds what is named
    refuse = TurnDownConsignment(id=ID, **same, reason="no_room")  # type: ignore[arg-type]  # as above
    received = ConsignmentReceived(**same, counted=12)
    scene = given(ARRIVAL).when(receive).then(received).leaves(status="received", counted=12, refurbisher="trira")
    scene.when(receive).then()
    scene.when(replace(receive, counted=11)).refuses("count_differs", where="/counted", known=12)
    scene.when(refuse).refuses("consignment_already_received")
    scene = given(ARRIVAL).when(refuse).then(ConsignmentTurnedDown(**same, reason="no_room")).leaves(status="turned_down")
    scene.when(refuse).then()
    scene.when(receive).refuses("consignment_turned_down")


def test_capacity_told_twice_is_no_news() -> None:
    declare = DeclareCapacity(id=ID, refurbisher="trira", weekly_places={"laptop": 40})
    scene = given(CAPACITY).when(declare).then(CapacityDeclared(refurbisher="trira", weekly_places={"laptop": 40}))
    scene.when(declare).then()
    scene.when(replace(declare, weekly_places={})).then(CapacityDeclared(refurbisher="trira", weekly_places={}))


EXPECTED = ConsignmentExpected(
    consignment_id=CID,
    reference="DON-1/1",
    donation_id=DONATION,
    donation_reference="DON-1",
    refurbisher="trira",
    donor_public=True,
    required_class="Purge",
    declared={"laptop": 2},
)


def test_a_consignment_may_be_used_by_its_refurbisher_while_it_goes_on() -> None:
    check = CheckConsignment(id=ID, refurbisher="trira")
    given(CONSIGNMENT).when(check).refuses("consignment_unknown")
    given(CONSIGNMENT).when(CloseConsignment(id=ID, reason="refused")).refuses("consignment_unknown")
    scene = given(CONSIGNMENT).when(ExpectConsignment(id=ID, expected=EXPECTED)).then(EXPECTED)
    scene.when(ExpectConsignment(id=ID, expected=EXPECTED)).then()
    scene.when(check).then()
    scene.when(replace(check, refurbisher="ares")).refuses("consignment_of_another")
    day = date(2026, 12, 1)
    scene = scene.when(PlanCollection(id=ID, collection_date=day)).then(CollectionPlanned(collection_date=day))
    scene.when(PlanCollection(id=ID, collection_date=day)).then()
    closed = scene.when(CloseConsignment(id=ID, reason="refused")).then(ConsignmentClosed(reason="refused"))
    closed.when(check).refuses("consignment_closed")


def test_evidence_serves_one_device() -> None:
    claim = ClaimEvidence(id=ID, device_id=UUID(int=2))
    scene = given(EVIDENCE_USE).when(claim).then(EvidenceClaimed(device_id=UUID(int=2)))
    scene.when(claim).then()
    scene.when(replace(claim, device_id=UUID(int=3))).refuses("duplicate_evidence")


def tool(*arguments: str, given: str = "") -> str:
    command = [sys.executable, "-m", "services.refurb", *arguments]
    return subprocess.run(command, input=given, capture_output=True, text=True, check=True).stdout


def test_the_tools_judge_grade_and_make_keys() -> None:
    folders = [str(folder) for folder in sorted(ERASURE.glob("d0[14]-*"))]
    lines = [json.loads(line) for line in tool("judge", *folders).splitlines()]
    assert [(line["case"][:3], line["device_accepted"], len(line["media"])) for line in lines] == [
        ("d01", True, 1),
        ("d04", False, 2),
    ]
    rows = (TESTS / "grading_cases.csv").read_text("utf-8").splitlines()[:3]
    columns = ",".join(rows[0].split(",")[:8])
    graded = tool(
        "grade", "--rules", "2026", given="\n".join([columns, *(",".join(r.split(",")[:8]) for r in rows[1:])])
    ).splitlines()
    assert [line.rsplit(",", 1)[1] for line in graded] == ["category", *(r.rsplit(",", 1)[1] for r in rows[1:])]
    made = json.loads(tool("key"))
    assert len(made["key"]) >= 24
    assert len(made["sha256"]) == 64

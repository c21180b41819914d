"""A consignment, from the decision to its arrival."""

from datetime import date

import pytest

from services.routing.app import CONSIGNMENT
from services.routing.domain.consignments import (
    AssignConsignment,
    CollectConsignment,
    ConsignmentCommand,
    CountAtPoint,
    DeliverConsignment,
    EndConsignment,
    FailCollection,
    ReceiveAtPoint,
    RefuseConsignment,
    ScheduleConsignment,
    SendOn,
)
from shared.events.routing import (
    CollectionFailed,
    ConsignmentCollected,
    ConsignmentDelivered,
    ConsignmentEnded,
    ConsignmentRefused,
    ConsignmentScheduled,
    CountedAtPoint,
    ReceivedAtPoint,
    SentOn,
)
from tests.routing.samples import CONSIGNMENT as ID
from tests.routing.samples import DONATION, assigned
from tests.support.given import given

DAY = date(2026, 11, 26)
ASSIGNED = assigned()
SCHEDULED = ConsignmentScheduled(collection_date=DAY)
COLLECTED = ConsignmentCollected(counted=12, pallets=1, planned=DAY)
AT_POINT = ReceivedAtPoint(reception_point="REC-LYON")
COUNTED = CountedAtPoint(reception_point="REC-LYON", counted=11)
ON = SentOn(reception_point="REC-LYON")
DELIVERED = ConsignmentDelivered(counted=11, declared=12, planned=DAY)
ENDED = ConsignmentEnded(reason="withdrawn", declared=12)


def test_the_whole_way_by_a_reception_point() -> None:
    (
        given(CONSIGNMENT)
        .when(AssignConsignment(id=ID, event=ASSIGNED))
        .then(ASSIGNED)
        .when(ScheduleConsignment(id=ID, collection_date=DAY))
        .then(SCHEDULED)
        .when(CollectConsignment(id=ID, counted=12, pallets=1))
        .then(COLLECTED)
        .when(ReceiveAtPoint(id=ID, reception_point="REC-LYON"))
        .then(AT_POINT)
        .when(CountAtPoint(id=ID, reception_point="REC-LYON", counted=11))
        .then(COUNTED)
        .when(SendOn(id=ID, reception_point="REC-LYON"))
        .then(ON)
        .when(DeliverConsignment(id=ID, counted=11))
        .then(DELIVERED)
        .leaves(
            status="delivered", collected=12, counted_at_point=11, delivered=11, reception_point="REC-LYON", donation_id=DONATION
        )
    )


@pytest.mark.parametrize(
    "command",
    [
        AssignConsignment(id=ID, event=assigned(refurbisher="ares")),
        ScheduleConsignment(id=ID, collection_date=DAY),
        CollectConsignment(id=ID, counted=12, pallets=1),
        ReceiveAtPoint(id=ID, reception_point="REC-LYON"),
        CountAtPoint(id=ID, reception_point="REC-LYON", counted=11),
        SendOn(id=ID, reception_point="REC-LYON"),
        DeliverConsignment(id=ID, counted=11),
    ],
    ids=lambda command: type(command).__name__,
)
def test_the_same_fact_told_again_changes_nothing(command: ConsignmentCommand) -> None:
    given(CONSIGNMENT, ASSIGNED, SCHEDULED, COLLECTED, AT_POINT, COUNTED, ON, DELIVERED).when(command).then()


@pytest.mark.parametrize(
    "command, code",
    [
        (ScheduleConsignment(id=ID, collection_date=date(2026, 12, 1)), "already_gone"),
        (CollectConsignment(id=ID, counted=13, pallets=1), "already_collected"),
        (FailCollection(id=ID, reason="absent", planned=DAY), "already_gone"),
        (ReceiveAtPoint(id=ID, reception_point="REC-LILLE"), "at_another_point"),
        (CountAtPoint(id=ID, reception_point="REC-LYON", counted=9), "already_sent_on"),
        (RefuseConsignment(id=ID, reason="full"), "already_delivered"),
        (EndConsignment(id=ID, reason="withdrawn"), "already_gone"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_cannot_be_true_any_more_is_refused(command: ConsignmentCommand, code: str) -> None:
    given(CONSIGNMENT, ASSIGNED, SCHEDULED, COLLECTED, AT_POINT, COUNTED, ON, DELIVERED).when(command).refuses(code)


@pytest.mark.parametrize(
    "command",
    [
        ScheduleConsignment(id=ID, collection_date=DAY),
        CollectConsignment(id=ID, counted=1),
        ReceiveAtPoint(id=ID, reception_point="REC-LYON"),
        DeliverConsignment(id=ID, counted=1),
        RefuseConsignment(id=ID, reason="full"),
        EndConsignment(id=ID, reason="refused"),
    ],
    ids=lambda command: type(command).__name__,
)
def test_an_unknown_consignment_is_waited_for(command: ConsignmentCommand) -> None:
    given(CONSIGNMENT).when(command).refuses("consignment_unknown")


def test_the_refurbisher_may_be_quicker_than_the_driver() -> None:
    """Its word comes from another stream: the collection told late is kept, and moves nothing back."""
    scene = given(CONSIGNMENT, ASSIGNED, SCHEDULED).when(DeliverConsignment(id=ID, counted=12))
    delivered = ConsignmentDelivered(counted=12, declared=12, planned=DAY)
    late = scene.then(delivered).when(CollectConsignment(id=ID, counted=12))
    late.then(ConsignmentCollected(counted=12, planned=DAY)).leaves(status="delivered", collected=12)


def test_the_refurbishers_corrected_count_is_taken() -> None:
    scene = given(CONSIGNMENT, ASSIGNED, SCHEDULED, DELIVERED).when(DeliverConsignment(id=ID, counted=12))
    scene.then(ConsignmentDelivered(counted=12, declared=12, planned=DAY, corrects=11)).leaves(delivered=12)


def test_a_missed_collection_asks_for_another_day_once() -> None:
    missed = CollectionFailed(reason="absent", planned=DAY)
    scene = given(CONSIGNMENT, ASSIGNED, SCHEDULED).when(FailCollection(id=ID, reason="absent", planned=DAY)).then(missed)
    scene.leaves(status="assigned", collection_date=None, failed_on=DAY)
    scene.when(FailCollection(id=ID, reason="absent", planned=DAY)).then()
    again = scene.when(ScheduleConsignment(id=ID, collection_date=date(2026, 11, 30)))
    again.then(ConsignmentScheduled(collection_date=date(2026, 11, 30))).when(
        FailCollection(id=ID, reason="absent", planned=DAY)
    ).then()


def test_a_failure_on_another_day_than_planned_is_refused() -> None:
    command = FailCollection(id=ID, reason="absent", planned=date(2026, 11, 30))
    given(CONSIGNMENT, ASSIGNED, SCHEDULED).when(command).refuses("not_planned_that_day", planned="2026-11-26", told="2026-11-30")


def test_a_point_counts_before_it_sends_on() -> None:
    scene = given(CONSIGNMENT, ASSIGNED, SCHEDULED)
    scene.when(CountAtPoint(id=ID, reception_point="REC-LYON", counted=1)).refuses("not_received_at_point")
    scene.when(SendOn(id=ID, reception_point="REC-LYON")).refuses("not_counted_at_point")


def test_a_point_may_correct_its_count_until_it_sends_on() -> None:
    scene = given(CONSIGNMENT, ASSIGNED, AT_POINT, COUNTED).when(CountAtPoint(id=ID, reception_point="REC-LYON", counted=12))
    scene.then(CountedAtPoint(reception_point="REC-LYON", counted=12)).leaves(counted_at_point=12, status="counted_at_point")


def test_a_refusal_ends_it_when_another_takes_over() -> None:
    refused = ConsignmentRefused(reason="full")
    ended = ConsignmentEnded(reason="refused", next_id=DONATION, next_refurbisher="ares", declared=12)
    scene = given(CONSIGNMENT, ASSIGNED, SCHEDULED).when(RefuseConsignment(id=ID, reason="full")).then(refused)
    scene.when(RefuseConsignment(id=ID, reason="full")).then()
    scene.when(CollectConsignment(id=ID, counted=12)).refuses("refurbisher_refused")
    scene.when(DeliverConsignment(id=ID, counted=12)).refuses("refurbisher_refused")
    end = EndConsignment(id=ID, reason="refused", next_id=DONATION, next_refurbisher="ares")
    scene.when(end).then(ended).leaves(status="ended", next_refurbisher="ares").when(end).then()


def test_nothing_happens_under_an_ended_consignment() -> None:
    scene = given(CONSIGNMENT, ASSIGNED, SCHEDULED, ENDED)
    scene.when(CollectConsignment(id=ID, counted=12)).refuses("consignment_ended")
    scene.when(DeliverConsignment(id=ID, counted=12)).refuses("consignment_ended")
    scene.when(RefuseConsignment(id=ID, reason="full")).then()  # a refusal that comes too late needs nobody


def test_its_topic_is_its_refurbishers() -> None:
    scene = given(CONSIGNMENT, assigned(refurbisher="bocage"))
    assert CONSIGNMENT.topic(scene.state) == "routing.consignments.bocage"

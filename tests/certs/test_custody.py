"""What is known of consignments and devices, and when all of them are settled."""

from datetime import timedelta

import pytest

from services.certs.app import CUSTODY, HELD
from services.certs.domain.custody import (
    Custody,
    CustodyCounted,
    CustodyEnded,
    CustodyOpened,
    Doubt,
    Held,
    HeldAudited,
    HeldDoubted,
    HeldErased,
    HeldReopened,
    HeldSettled,
    NoteCustody,
    NoteHeld,
    custody_id,
    settled,
)
from tests.certs.samples import AT, Story, custody, erasure, held, medium
from tests.support.given import given

STORY = Story(mark="7K3M24PQ")
OPENED = CustodyOpened.model_validate(STORY.assigned().model_dump())
COUNTED = CustodyCounted(consignment_id=STORY.consignment, counted=3, received_at=AT)
HERE = custody_id(STORY.consignment)
DISK = medium()
PROVEN = HeldErased(erasure=erasure(DISK))
DOUBTED = HeldDoubted(doubt=Doubt(medium=DISK, reason="failed"))


def test_a_consignment_is_noted_once() -> None:
    given(CUSTODY).when(NoteCustody(id=HERE, fact=OPENED)).then(OPENED).when(NoteCustody(id=HERE, fact=OPENED)).then()


def test_routing_and_refurb_may_come_in_either_order() -> None:
    one = given(CUSTODY, OPENED, COUNTED).state
    other = given(CUSTODY, COUNTED, OPENED).state
    assert one == other
    assert one.counted == 3
    assert one.reference == "DON-7K3M-24PQ/1"


def test_a_new_count_replaces_the_old_one() -> None:
    recounted = COUNTED.model_copy(update={"counted": 4, "received_at": AT + timedelta(days=3)})
    scene = given(CUSTODY, OPENED, COUNTED).when(NoteCustody(id=HERE, fact=recounted)).then(recounted)
    scene.leaves(counted=4, received_at=AT)


def test_the_last_word_on_a_medium_counts_whichever_way_it_goes() -> None:
    assert given(HELD, DOUBTED, PROVEN).state.doubts == ()
    assert given(HELD, DOUBTED, PROVEN).state.erasures == (PROVEN.erasure,)
    assert given(HELD, PROVEN, DOUBTED).state.erasures == ()
    assert given(HELD, PROVEN, DOUBTED).state.doubts == (DOUBTED.doubt,)


def test_a_repeated_proof_is_one_proof() -> None:
    given(HELD, PROVEN).when(NoteHeld(id=HERE, fact=PROVEN)).then()


def test_a_device_taken_back_is_open_and_proven_no_more() -> None:
    given(HELD, HeldAudited(media=(DISK,)), PROVEN, HeldSettled(outcome="ready", category="A")).when(
        NoteHeld(id=HERE, fact=HeldReopened(reason="warranty"))
    ).then(HeldReopened(reason="warranty")).leaves(outcome="open", erasures=(), category=None)


def test_what_the_machine_says_of_itself_replaces_what_was_typed() -> None:
    state = given(HELD, HeldAudited(media=(), serial="REAL")).state
    assert (state.serial, state.maker) == ("REAL", None)


READY, SCRAPPED, OPEN = held("1"), held("2", outcome="scrapped"), held("3", outcome="open")


TABLE = [
    (custody(counted=2), [READY, SCRAPPED], True),
    (custody(counted=2), [READY, OPEN], False),
    (custody(counted=3), [READY, SCRAPPED], False),  # one counted device never showed
    (custody(counted=2), [], False),  # nor did any
    (custody(counted=1), [READY, SCRAPPED], True),  # one more than was counted
    (custody(counted=1), [READY, OPEN], False),  # one more, and not settled
    (custody(counted=0), [READY], True),  # counted as nothing, then a device was identified
    (custody(counted=0), [READY, SCRAPPED], True),
    (custody(counted=0), [READY, OPEN], False),
    (custody(counted=0), [OPEN], False),
    (custody(counted=0), [], False),  # nothing to certify
    (custody(counted=None), [READY], False),
    (custody(counted=1, reference=None), [READY], False),  # routing has not told yet
    (custody(counted=1, ended="refused"), [READY], False),
    (Custody(), [], False),
    (Custody(), [Held()], False),
]
"""What was counted, what was identified, and whether that is certified: the query and the rule must both say so."""


@pytest.mark.parametrize("known,devices,expected", TABLE)
def test_settled(known: Custody, devices: list[Held], expected: bool) -> None:
    assert settled(known, devices) is expected


def test_an_ended_consignment_stays_ended() -> None:
    ended = CustodyEnded(consignment_id=STORY.consignment, reason="refused")
    assert given(CUSTODY, OPENED, ended, COUNTED).state.ended == "refused"

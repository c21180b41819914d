"""The audit of custody: sound chains add up in any order, and each loss, repeat and swap is found with the step that broke it."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from uuid import uuid4

import pytest
from hypothesis import given as generated
from hypothesis import settings
from hypothesis import strategies as st

from services.certs.domain.ledger import Sum, Verdict
from shared.events.base import stream_id
from shared.events.distribution import StockWithdrawn
from shared.events.intake import DonationWithdrawn
from shared.events.refurb import (
    AuditWithdrawn,
    ConsignmentTurnedDown,
    DeviceAudited,
    DeviceFound,
    DeviceLost,
    DeviceScrapped,
    DeviceTakenBack,
    MediumRemoved,
    WarrantyRepairBegun,
    WarrantyRepairEnded,
)
from shared.events.routing import ConsignmentCollected, CountedAtPoint, ReceivedAtPoint, SentOn
from shared.message import Message
from tests.certs.chain import SHOP, Chain, Kept, Told, messages, verdict
from tests.certs.samples import AT

C = Chain(mark="7K3M24PQ")
WHOLE = C.whole()
ADDED_UP = (
    Sum(name="offered", whole=4, parts={"collected": 4}, state="holds"),
    Sum(name="collected", whole=4, parts={"received": 4, "on_its_way": 0}, state="holds"),
    Sum(
        name="received",
        whole=4,
        parts={"open": 0, "stock": 1, "sold": 1, "given": 1, "scrapped": 1, "lost": 0, "returned": 0},
        state="holds",
    ),
)


def shape(found: Verdict) -> list[tuple[str, str, str, str]]:
    """Code, device or consignment, the step that broke it, and who had it."""
    return [
        (b.code, b.reference.removeprefix(f"{C.mark}-"), b.step.what, f"{b.holder.role} {b.holder.name}".strip())
        for b in found.breaches
    ]


def test_a_sound_donation_adds_up() -> None:
    assert verdict(WHOLE) == Verdict(reference="DON-7K3M-24PQ", sums=ADDED_UP)


def interleaved(told: Sequence[Told]) -> st.SearchStrategy[list[Message]]:
    """The same messages in any order in which topics may bring them: each stream in its own."""
    whole = messages(told)

    def ordered(ranks: list[int]) -> list[Message]:
        mixed = [whole[n] for n in ranks]
        waiting = {stream: iter([m for m in whole if m.stream == stream]) for stream in {m.stream for m in whole}}
        return [next(waiting[m.stream]) for m in mixed]

    return st.permutations(range(len(whole))).map(ordered)


@settings(deadline=None, max_examples=40)
@generated(interleaved(WHOLE))
def test_in_any_order_the_same_is_kept_and_nobody_is_accused_on_the_way(heard: list[Message]) -> None:
    kept = Kept()
    for message in heard:
        found = kept.hear([message]).verdict(AT + timedelta(hours=1)).breaches
        assert [b for b in found if b.sure] == []
    assert kept.trails == Kept().hear(messages(WHOLE)).trails
    assert kept.verdict().breaches == ()


def but(told: Sequence[Told], *, without: Callable[[Told], bool] = lambda _: False, more: Sequence[Told] = ()) -> list[Told]:
    return [*(one for one in told if not without(one)), *more]


def of(ref: str, *types: str) -> Callable[[Told], bool]:
    """The events of a device of these types."""
    streams = {C.device(ref), stream_id("stock", C.device(ref)), stream_id("sale", C.sale(ref))}
    return lambda told: told[1] in streams and type(told[2]).__name__ in types


SCRAP = DeviceScrapped(consignment_id=C.consignment, donation_id=C.donation, reason="broken")
OTHER = uuid4()
POINT: list[Told] = [
    (C.routing, C.consignment, event)
    for event in (
        ReceivedAtPoint(reception_point="RP-01"),
        CountedAtPoint(reception_point="RP-01", counted=3),
        SentOn(reception_point="RP-01"),
    )
]
SEEDED: dict[str, tuple[list[Told], list[tuple[str, str, str, str]]]] = {
    "lost on the way": (
        [C.offered(4), *C.sent(4), C.arrived_all(3)],
        [("lost_in_transit", "DON-7K3M-24PQ/1", "counted", "carrier")],
    ),
    "lost before the point counted": (
        [C.offered(4), *C.sent(4), *POINT, C.arrived_all(3)],
        [("lost_in_transit", "DON-7K3M-24PQ/1", "counted_at_point", "reception_point RP-01")],
    ),
    "lost after the point counted": (
        [C.offered(3), *C.sent(3), *POINT, C.arrived_all(2)],
        [("lost_in_transit", "DON-7K3M-24PQ/1", "counted", "carrier")],
    ),
    "one more than was collected": (
        [C.offered(4), *C.sent(4), C.arrived_all(5)],
        [("more_than_collected", "DON-7K3M-24PQ/1", "counted", "carrier")],
    ),
    "one more than was counted": (
        but(WHOLE, more=C.at_work("5", C.arrived("5"))),
        [("more_than_counted", "DON-7K3M-24PQ/1", "received", "refurbisher trira")],
    ),
    "sold twice": (
        but(WHOLE, more=C.sold("1", mark="again")),
        [("sold_twice", "1", "sold", "beneficiary")],
    ),
    "ready, and never in stock": (
        but(WHOLE, without=of("4", "StockReceived")),
        [("ready_unstocked", "4", "ready", "refurbisher trira")],
    ),
    "in stock, and never ready": (
        but(WHOLE, without=of("4", "DeviceReady")),
        [("stocked_unready", "4", "stocked", "refurbisher trira")],
    ),
    "sold, and never in stock": (
        but(WHOLE, without=of("1", "StockReceived", "DeviceShipped", "DeviceDelivered", "StockLeft")),
        [("ready_unstocked", "1", "ready", "refurbisher trira"), ("sold_unstocked", "1", "sold", "refurbisher trira")],
    ),
    "left the stock, and never sold": (
        but(WHOLE, without=of("1", "DeviceSold", "DeviceHandedOver")),
        [("left_unsold", "1", "left", f"structure {SHOP}")],
    ),
    "in stock a second time": (
        [*WHOLE, *C.stocked("4", 2)],
        [("stocked_twice", "4", "stocked", "refurbisher trira"), ("stocked_unready", "4", "stocked", "refurbisher trira")],
    ),
    "shipped after it had left": (
        [*WHOLE, *C.shelved("1")[:1]],
        [("cannot_follow", "1", "shipped", "beneficiary")],
    ),
    "audited, and never received": (
        [*WHOLE[:3], C.arrived_all(1), *C.at_work("9", C.audited("9"))],
        [("lost_in_transit", "DON-7K3M-24PQ/1", "counted", "carrier"), ("not_received", "", "audited", "donor")],
    ),
    "scrapped, then ready": (
        [*WHOLE, *C.at_work("3", C.ready("3"))],
        [("after_scrapped", "3", "ready", "waste"), ("ready_unstocked", "3", "ready", "waste")],
    ),
    "collected and counted, and never assigned": (
        [C.offered(4), C.sent(4)[1], C.arrived_all(4)],
        [("unassigned", "", "collected", "donor")],
    ),
    "scrapped, then sold": (
        but(WHOLE, more=C.sold("3")),
        [("scrapped_and_sold", "3", "sold", "waste")],
    ),
    "sold, then scrapped": (
        but(WHOLE, more=C.at_work("1", SCRAP)),
        [("scrapped_and_sold", "1", "scrapped", "beneficiary")],
    ),
    "received a second time, under another consignment": (
        but(WHOLE, more=C.at_work("4", C.arrived("4").model_copy(update={"consignment_id": OTHER}))),
        [("two_consignments", "4", "received", "refurbisher trira")],
    ),
    "received a second time": (
        but(WHOLE, more=C.at_work("4", C.arrived("4"))),
        [("received_twice", "4", "received", "refurbisher trira")],
    ),
    "received for another donation's consignment": (
        [
            C.offered(1),
            *C.sent(1),
            C.arrived_all(0),
            *C.at_work("1", C.arrived("1").model_copy(update={"consignment_id": OTHER})),
        ],
        [("lost_in_transit", "DON-7K3M-24PQ/1", "counted", "carrier"), ("unassigned", "1", "received", "donor")],
    ),
    "sold for another donation": (
        but(
            [t if not of("1", "DeviceSold")(t) else (*t[:2], t[2].model_copy(update={"donation_id": OTHER})) for t in WHOLE],
        ),
        [("other_consignment", "1", "sold", f"structure {SHOP}")],
    ),
    "sold where it was not": (
        but([t if not of("1", "DeviceSold")(t) else C.sold("1", structure="STR-0099")[0] for t in WHOLE]),
        [("sold_elsewhere", "1", "sold", f"structure {SHOP}")],
    ),
    "another machine under its label": (
        but([t if not of("4", "DeviceAudited")(t) else (*t[:2], DeviceAudited(media=(), serial="SN-OTHER")) for t in WHOLE]),
        [("serial_changed", "4", "audited", "refurbisher trira")],
    ),
    "one machine under two labels": (
        but(
            [t if not of("4", "DeviceReceived")(t) else (*t[:2], t[2].model_copy(update={"serial": None})) for t in WHOLE],
            without=of("4", "DeviceAudited"),
            more=C.at_work("4", DeviceAudited(media=(C.disk("4"),), serial=f"SN-{C.mark}-2 ".lower())),
        ),
        [],  # the other is sold by then: it has left the chain
    ),
    "a medium in two devices": (
        [
            *WHOLE,
            *C.at_work("4", DeviceTakenBack(reason="media_changed"), DeviceAudited(media=(C.disk("1"),)), C.ready("4")),
            *C.in_stock("4", StockWithdrawn(device_id=C.device("4"), reason="taken_back")),
            *C.stocked("4", 2),
        ],
        [("medium_twice", "4", "audited", "refurbisher trira")],
    ),
    "taken back, and sold as if it were there": (
        but(
            WHOLE,
            more=[
                *C.shelved("4"),
                *C.at_work("4", DeviceTakenBack(reason="media_changed")),
                *C.sold("4"),
            ],
        ),
        [("sold_withdrawn", "4", "sold", "refurbisher trira")],
    ),
}


@pytest.mark.parametrize("seed", SEEDED)
def test_what_cannot_be_true_is_found_with_the_step_that_broke_it_and_who_had_it(seed: str) -> None:
    told, expected = SEEDED[seed]
    assert shape(verdict(told)) == expected


@pytest.mark.parametrize("seed", SEEDED)
def test_it_is_the_same_when_the_publishers_were_heard_the_other_way_round(seed: str) -> None:
    told, expected = SEEDED[seed]
    heard = sorted(messages(told), key=lambda m: m.topic)
    streams = [m.stream for m in reversed(heard)]
    waiting = {stream: iter([m for m in heard if m.stream == stream]) for stream in set(streams)}
    assert shape(Kept().hear(next(waiting[stream]) for stream in streams).verdict()) == expected


# ── lives that are long, and sound ──────────────────────────────────────────────────────────────────────────────────────────────


def came_back(ref: str) -> list[Told]:
    """Sold, returned, and out of the stock's books."""
    back = DeviceTakenBack(reason="warranty", sale_id=C.sale(ref))
    return [*C.at_work(ref, back), *C.in_stock(ref, StockWithdrawn(device_id=C.device(ref), reason="taken_back"))]


def again(ref: str) -> list[Told]:
    return [*came_back(ref), *C.at_work(ref, C.audited(ref), C.ready(ref)), *C.passed_on(ref, 2)]


def lost(ref: str) -> list[Told]:
    gone = C.at_work(ref, DeviceLost(consignment_id=C.consignment, donation_id=C.donation, reason="not_on_shelf"))
    return [*gone, *C.in_stock(ref, StockWithdrawn(device_id=C.device(ref), reason="lost"))]


def found(ref: str, *, ready: bool = False) -> list[Told]:
    return C.at_work(ref, DeviceFound(consignment_id=C.consignment, donation_id=C.donation, sold_ready=ready))


def repaired(ref: str) -> list[Told]:
    sale = C.sale(ref)
    return C.at_work(
        ref, WarrantyRepairBegun(sale_id=sale, fault="battery"), WarrantyRepairEnded(sale_id=sale, outcome="repaired")
    )


def quick_till() -> list[Told]:
    """Said lost on the shelf, while the till had just sold it: the stock no longer withdraws it."""
    *sold, handed = C.passed_on("4")
    shelf = C.at_work("4", DeviceLost(consignment_id=C.consignment, donation_id=C.donation, reason="not_on_shelf"))
    return [*sold[1:], *shelf, *found("4", ready=True), handed]


MOVED = [
    *C.at_work("3", MediumRemoved(medium=C.disk("3"), to="spare")),
    *C.at_work("4", DeviceTakenBack(reason="media_changed"), DeviceAudited(media=(C.disk("3"),)), C.ready("4")),
    *C.in_stock("4", StockWithdrawn(device_id=C.device("4"), reason="taken_back")),
    *C.stocked("4", 2),
]
SETTLED = [
    *C.at_work("1", AuditWithdrawn(serial=C.disk("1").serial or "")),
    *C.at_work("4", DeviceTakenBack(reason="media_changed"), DeviceAudited(media=(C.disk("1"),)), C.ready("4")),
    *C.in_stock("4", StockWithdrawn(device_id=C.device("4"), reason="taken_back")),
    *C.stocked("4", 2),
]
LIVES: dict[str, tuple[list[Told], dict[str, int]]] = {
    "returned": (came_back("1"), {"returned": 1, "sold": 0}),
    "sold again": (again("1"), {}),
    "returned, then scrapped": ([*came_back("1"), *C.at_work("1", SCRAP)], {"scrapped": 2, "sold": 0}),
    "repaired under warranty": (repaired("1"), {}),
    "lost": (lost("4"), {"lost": 1, "stock": 0}),
    "found again": ([*lost("4"), *found("4"), *C.at_work("4", C.ready("4")), *C.stocked("4", 2)], {}),
    "sold while it was looked for": (quick_till(), {"sold": 2, "stock": 0}),
    "sold while it was looked for, as far as is known": (quick_till()[:-1], {"sold": 2, "stock": 0}),
    "ready with another category": (C.at_work("4", C.ready("4")), {}),
    "counted wrong at the point, and right at the workshop": (POINT, {}),
    "a medium that moved": (MOVED, {}),
    "a medium that people say is elsewhere": (SETTLED, {}),
}


@pytest.mark.parametrize("life", LIVES)
def test_a_long_life_is_no_breach(life: str) -> None:
    told, other = LIVES[life]
    now = verdict([*WHOLE, *told])
    assert shape(now) == []
    assert now.sums[2].parts == {**ADDED_UP[2].parts, **other}
    assert now.sums[2].difference == 0


COLLECTED = [C.offered(4), *C.sent(4)]
STALLS: dict[str, tuple[list[Told], list[tuple[str, str, str, str]]]] = {
    "collected, and never arrived": (COLLECTED, [("not_arrived", "DON-7K3M-24PQ/1", "collected", "donor")]),
    "counted, and not all identified": (
        [*COLLECTED, C.arrived_all(4), *C.at_work("1", C.arrived("1"))],
        [("not_named", "DON-7K3M-24PQ/1", "counted", "carrier")],
    ),
    "shipped, and never delivered": (
        [*WHOLE, *C.shelved("4")[:1]],
        [("not_delivered", "4", "shipped", "refurbisher trira")],
    ),
}


@pytest.mark.parametrize("stall", STALLS)
def test_what_nobody_saw_for_long_is_looked_for(stall: str) -> None:
    told, expected = STALLS[stall]
    assert shape(verdict(told, AT + timedelta(days=29))) == []
    assert shape(verdict(told, AT + timedelta(days=31))) == expected


@pytest.mark.parametrize(
    "told,sums",
    [
        ([], [("offered", 0, 0, "open"), ("collected", 0, 0, "open"), ("received", 0, 0, "open")]),
        ([C.offered(4)], [("offered", 4, 4, "open"), ("collected", 0, 0, "open"), ("received", 0, 0, "open")]),
        (
            [C.offered(4), C.sent(4)[0]],
            [("offered", 4, 4, "open"), ("collected", 0, 0, "open"), ("received", 0, 0, "open")],
        ),
        ([C.offered(4), *C.sent(3)], [("offered", 4, 1, "open"), ("collected", 3, 0, "open"), ("received", 0, 0, "open")]),
        (COLLECTED, [("offered", 4, 0, "holds"), ("collected", 4, 0, "open"), ("received", 0, 0, "open")]),
        (
            [*COLLECTED, C.arrived_all(4)],
            [("offered", 4, 0, "holds"), ("collected", 4, 0, "holds"), ("received", 4, 0, "open")],
        ),
        (
            [*COLLECTED, C.arrived_all(3)],
            [("offered", 4, 0, "holds"), ("collected", 4, 1, "broken"), ("received", 3, 0, "open")],
        ),
        (
            [*WHOLE, *C.sold("1", mark="again")],
            [("offered", 4, 0, "holds"), ("collected", 4, 0, "holds"), ("received", 4, -1, "broken")],
        ),
    ],
)
def test_sums_are_open_while_the_chain_is_under_way(told: list[Told], sums: list[tuple[str, int, int, str]]) -> None:
    assert [(s.name, s.whole, s.difference, s.state) for s in verdict(told).sums] == sums


def test_what_was_offered_and_not_given_is_missing_and_breaks_nothing() -> None:
    given_less = [C.offered(4), C.sent(4)[0], (C.routing, C.consignment, ConsignmentCollected(counted=3)), C.arrived_all(3)]
    found = verdict(given_less)
    assert (found.sums[0].difference, found.sums[0].state, found.breaches) == (1, "holds", ())


def test_a_donation_that_was_withdrawn_is_closed() -> None:
    gone = (f"intake.donations.{C.region}", C.donation, DonationWithdrawn(reason="changed_mind"))
    assert verdict([C.offered(4), gone]).sums[0] == Sum(name="offered", whole=4, parts={"collected": 0}, state="holds")


def test_a_consignment_that_was_refused_is_its_successors_to_bring() -> None:
    turned = ConsignmentTurnedDown(consignment_id=C.consignment, donation_id=C.donation, refurbisher="trira", reason="full")
    second = uuid4()
    next_one = C.assigned(consignment_id=second, declared={"laptop": 4}, reference=f"{C.reference[:-2]}/2")
    refused = [C.offered(4), C.sent(4)[0], (C.refurb, C.arrival, turned)]
    taken = [(C.routing, second, event) for event in (next_one, ConsignmentCollected(counted=4))]
    assert verdict(refused).sums[0].state == "open"
    assert verdict([*refused, *taken]).sums[0] == ADDED_UP[0]


def test_a_count_that_is_corrected_ends_the_loss() -> None:
    right = (C.refurb, C.arrival, C.received(4).model_copy(update={"corrects": 3}))
    assert shape(verdict([*COLLECTED, C.arrived_all(3), right])) == []


@settings(deadline=None, max_examples=60)
@generated(st.sampled_from(sorted(LIVES)).flatmap(lambda life: interleaved([*WHOLE, *LIVES[life][0]])))
def test_nor_is_it_in_any_order(heard: list[Message]) -> None:
    kept = Kept()
    for message in heard:
        assert [b for b in kept.hear([message]).verdict(AT + timedelta(hours=1)).breaches if b.sure] == []
    assert shape(kept.verdict()) == []

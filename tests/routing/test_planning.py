"""From one open wish to commands: who gets what, when, by which way, and what waits."""

from dataclasses import replace
from datetime import date
from uuid import UUID

import pytest

from services.routing.domain.consignments import AssignConsignment, Consignment, EndConsignment, ScheduleConsignment
from services.routing.domain.network import Workshop
from services.routing.domain.planning import PlannerCommand, plan, recollect
from services.routing.domain.refurbishers import FreePlaces, TakePlaces, refurbisher_id
from services.routing.domain.weighing import Load
from services.routing.domain.wishes import LetWait, Part, PlaceWish, ReopenWish, Wish, consignment_id
from shared.events.base import DeviceType
from shared.events.routing import Candidate, ConsignmentAssigned
from tests.routing.samples import DONATION, NOW, assigned, small_country, wish, workshop

NEAR = workshop("near", 45.73, 4.9, laptop=100, desktop=100)  # 5 km from Lyon 7e
FAR = workshop("far", 48.77, 2.49, laptop=100, desktop=100, smartphone=50)  # 386 km
FIRST, SECOND = consignment_id(DONATION, 1), consignment_id(DONATION, 2)


def planned(wanted: Wish, *workshops: Workshop, taken: dict[str, dict[DeviceType, int]] | None = None) -> list[PlannerCommand]:
    loads = {w.slug: Load(weekly_places=w.weekly_places, outstanding=(taken or {}).get(w.slug, {})) for w in workshops}
    return plan(DONATION, wanted, loads, small_country(*workshops), NOW)


def assignments(commands: list[PlannerCommand]) -> list[ConsignmentAssigned]:
    return [command.event for command in commands if isinstance(command, AssignConsignment)]


def test_one_refurbisher_that_can_do_all_gets_all() -> None:
    commands = planned(wish({"laptop": 12}), NEAR, FAR)
    chosen = Candidate(refurbisher="near", distance_km=5, load=0.0, cost=5.0)
    [event] = assignments(commands)
    assert commands == [
        PlaceWish(id=DONATION, consignment_id=FIRST, refurbisher="near", devices={"laptop": 12}),
        TakePlaces(
            id=refurbisher_id("near"),
            slug="near",
            consignment_id=FIRST,
            devices={"laptop": 12},
            assumed={"laptop": 100, "desktop": 100},
            full_at=1.0,
        ),
        AssignConsignment(id=FIRST, event=event),
        ScheduleConsignment(id=FIRST, collection_date=date(2026, 11, 26)),
    ]
    assert event.reference == "DON-7K3M-24PQ/1"
    assert event.chosen == chosen
    assert [other.refurbisher for other in event.others] == ["far"]
    assert event.reception_point is None
    assert event.donor == wish().donor


def test_a_wider_skill_wins_over_two_nearer_ones() -> None:
    [event] = assignments(planned(wish({"laptop": 12, "smartphone": 5}), NEAR, FAR))
    assert event.refurbisher == "far"
    assert event.others[0].excluded == "skill"


def test_without_one_for_all_it_is_split_by_type() -> None:
    phones = workshop("phones", 46.8, -0.66, smartphone=50)
    events = assignments(planned(wish({"laptop": 12, "desktop": 2, "smartphone": 5}), NEAR, phones))
    assert [(e.reference, e.refurbisher, dict(e.declared)) for e in events] == [
        ("DON-7K3M-24PQ/1", "near", {"desktop": 2, "laptop": 12}),
        ("DON-7K3M-24PQ/2", "phones", {"smartphone": 5}),
    ]


def test_what_somebody_can_do_goes_and_the_rest_waits() -> None:
    small = workshop("small", 45.73, 4.9, laptop=10, desktop=10)
    commands = planned(wish({"laptop": 10, "printer": 1}), small)
    assert [dict(e.declared) for e in assignments(commands)] == [{"laptop": 10}]
    [waits] = [command for command in commands if isinstance(command, LetWait)]
    assert dict(waits.devices) == {"printer": 1}
    assert [c.excluded for c in waits.candidates] == ["skill"]


def test_nobody_can_then_it_waits_and_says_why() -> None:
    [waits] = planned(wish({"laptop": 60}), NEAR, FAR, taken={"near": {"laptop": 50}, "far": {"laptop": 41}})
    assert isinstance(waits, LetWait)
    assert (waits.code, dict(waits.devices), waits.at) == ("no_refurbisher", {"laptop": 60}, NOW)
    assert [(c.refurbisher, c.excluded, c.load) for c in waits.candidates] == [
        ("near", "capacity", 0.25),
        ("far", "capacity", 0.164),
    ]


def test_more_than_anybody_has_places_is_shared_out() -> None:
    third = workshop("third", 46.8, -0.66, laptop=80)
    taken: dict[str, dict[DeviceType, int]] = {"far": {"laptop": 10}, "third": {"laptop": 70}}
    commands = planned(wish({"laptop": 250}), NEAR, FAR, third, taken=taken)
    assert [(e.refurbisher, dict(e.declared)) for e in assignments(commands)] == [
        ("near", {"laptop": 100}),
        ("far", {"laptop": 90}),  # third has room for ten: a crumb
    ]
    [waits] = [command for command in commands if isinstance(command, LetWait)]
    assert dict(waits.devices) == {"laptop": 60}
    assert {c.excluded for c in waits.candidates} == {"too_small"}


def test_what_one_could_take_later_is_not_shared_out() -> None:
    small = workshop("small", 45.73, 4.9, laptop=50)
    taken: dict[str, dict[DeviceType, int]] = {"near": {"laptop": 80}}
    [waits] = planned(wish({"laptop": 60}), NEAR, small, taken=taken)
    assert isinstance(waits, LetWait)
    assert [c.excluded for c in waits.candidates] == ["too_small", "capacity"]


def test_an_unknown_place_waits_for_a_person() -> None:
    [waits] = planned(wish(postal_code="99999"), NEAR)
    assert isinstance(waits, LetWait)
    assert waits.code == "place_unknown"


def test_a_refusal_goes_to_the_next_and_ends_the_first() -> None:
    refused = replace(
        wish({"laptop": 12}),
        parts=(Part(consignment_id=FIRST, refurbisher="near", devices={"laptop": 12}, turned_down=True),),
        refused_by=("near",),
    )
    commands = planned(refused, NEAR, FAR)
    [event] = assignments(commands)
    assert (event.consignment_id, event.refurbisher, event.replaces) == (SECOND, "far", FIRST)
    assert event.others[0].excluded == "refused_before"
    assert commands[-1] == EndConsignment(id=FIRST, reason="refused", next_id=SECOND, next_refurbisher="far")


@pytest.mark.parametrize(
    "devices, by_point, code, expected",
    [
        (3, False, "69007", "REC-LYON"),
        (3, False, "15000", None),
        (11, False, "69007", None),
        (11, True, "15000", "REC-LYON"),
    ],
    ids=["few and near", "few and far", "many", "triage said so"],
)
def test_the_way_by_a_reception_point(devices: int, by_point: bool, code: str, expected: str | None) -> None:
    wanted = wish({"laptop": devices}, by_point=by_point, postal_code=code)
    [event] = assignments(planned(wanted, NEAR))
    assert event.reception_point == expected


def test_what_a_restored_wish_forgot_is_put_back() -> None:
    there = Consignment(status="refused", refurbisher="near", declared={"laptop": 12}, refused_reason="full")
    there_too = Consignment(status="scheduled", refurbisher="far", declared={"laptop": 12}, replaces=FIRST)
    known: dict[UUID, Consignment] = {FIRST: there, SECOND: there_too}
    found = recollect(DONATION, wish({"laptop": 12}), known)
    assert [type(command) for command in found] == [PlaceWish, TakePlaces, ReopenWish, FreePlaces, PlaceWish, TakePlaces]
    assert recollect(DONATION, wish(), {}) == []
    assert assigned().refurbisher == "trira"

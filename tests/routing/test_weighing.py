"""Which refurbisher is chosen, and what is said about the others."""

from datetime import date

import pytest

from services.routing.domain.geography import Place, PostalCodes, Projection, distance_km
from services.routing.domain.weighing import Asked, Load, point_on_the_way, weigh
from services.routing.domain.workdays import easter, first_collection, is_workday
from shared.events.base import DeviceType, MethodClass
from shared.events.routing import Candidate
from tests.routing.samples import COUNTRY, RULES, point, workshop

HERE = Place(lat=45.5, lon=5.0, department="38", region="ara")
NEAR = workshop("near", 45.5, 5.0, laptop=100, screen=10)
FAR = workshop("far", 47.5, 5.0, laptop=100)  # 222 km
TWIN = workshop("twin", 45.5, 5.0, laptop=100)


def asked(devices: dict[DeviceType, int], required: MethodClass = "Clear", refused: frozenset[str] = frozenset()) -> Asked:
    return Asked(place=HERE, devices=devices, required_class=required, refused_by=refused)


def load(taken: int = 0, places: int = 100) -> Load:
    return Load(weekly_places={"laptop": places}, outstanding={"laptop": taken} if taken else {})


def test_the_nearest_wins_when_both_are_empty() -> None:
    found = weigh(asked({"laptop": 10}), [(FAR, load()), (NEAR, load())], RULES)
    assert found == [
        Candidate(refurbisher="near", distance_km=0, load=0.0, cost=0.0),
        Candidate(refurbisher="far", distance_km=222, load=0.0, cost=222.0),
    ]


@pytest.mark.parametrize(
    "taken, winner",
    [(0, "near"), (73, "near"), (74, "far"), (90, "far")],
    ids=["empty", "219 < 222", "222 = 222: by name", "270 > 222"],
)
def test_load_is_weighed_against_distance(taken: int, winner: str) -> None:
    found = weigh(asked({"laptop": 10}), [(NEAR, load(taken)), (FAR, load())], RULES)
    assert found[0].refurbisher == winner
    assert found[0].cost <= found[1].cost


def test_equal_costs_are_told_apart_by_name_in_any_order() -> None:
    both = [(NEAR, load()), (TWIN, load())]
    assert weigh(asked({"laptop": 1}), both, RULES) == weigh(asked({"laptop": 1}), both[::-1], RULES)
    assert weigh(asked({"laptop": 1}), both, RULES)[0].refurbisher == "near"


@pytest.mark.parametrize(
    "devices, required, refused, taken, reason",
    [
        ({"laptop": 10}, "Clear", frozenset({"near"}), 0, "refused_before"),
        ({"printer": 1}, "Clear", frozenset(), 0, "skill"),
        ({"laptop": 1, "printer": 1}, "Clear", frozenset(), 0, "skill"),
        ({"laptop": 10}, "Destroy", frozenset(), 0, "erasure_class"),
        ({"laptop": 10}, "Clear", frozenset(), 91, "capacity"),
        ({"laptop": 10}, "Clear", frozenset(), 90, None),
        ({"laptop": 101}, "Clear", frozenset(), 0, "too_small"),
        ({"printer": 1}, "Destroy", frozenset({"near"}), 99, "refused_before"),
    ],
    ids=[
        "refused",
        "skill",
        "one skill of two",
        "erasure",
        "one too many",
        "just fits",
        "never fits",
        "the lasting reason first",
    ],
)
def test_why_it_cannot_be(
    devices: dict[DeviceType, int], required: MethodClass, refused: frozenset[str], taken: int, reason: str | None
) -> None:
    [found] = weigh(asked(devices, required, refused), [(NEAR, load(taken))], RULES)
    assert found.excluded == reason


def test_a_refurbisher_that_declares_a_new_kind_has_the_skill() -> None:
    declared = Load(weekly_places={"printer": 3})
    [found] = weigh(asked({"printer": 3}), [(NEAR, declared)], RULES)
    assert found.excluded is None


def test_a_refurbisher_that_declares_no_places_is_closed_not_unskilled() -> None:
    [found] = weigh(asked({"laptop": 1}), [(NEAR, Load(weekly_places={}))], RULES)
    assert (found.excluded, found.load) == ("closed", 1.0)


def test_who_can_stands_before_who_is_cheaper_but_cannot() -> None:
    found = weigh(asked({"laptop": 60}), [(NEAR, load(45)), (FAR, load(0))], RULES)
    assert [(c.refurbisher, c.excluded) for c in found] == [("far", None), ("near", "capacity")]


@pytest.mark.parametrize(
    "devices, always, expected",
    [(10, False, "near"), (11, False, None), (500, True, "near")],
    ids=["few and near", "too many", "triage said so"],
)
def test_small_donations_pass_by_the_nearest_point(devices: int, always: bool, expected: str | None) -> None:
    points = [point("far", 46.5, 5.0), point("near", 45.6, 5.0)]
    found = point_on_the_way(HERE, devices, points, RULES, always=always)
    assert (found.id if found else None) == expected


def test_a_small_donation_far_from_every_point_is_collected() -> None:
    points = [point("far", 46.5, 5.0)]
    assert point_on_the_way(HERE, 3, points, RULES, always=False) is None
    found = point_on_the_way(HERE, 3, points, RULES, always=True)
    assert found is not None
    assert found.id == "far"
    assert point_on_the_way(HERE, 3, [], RULES, always=True) is None


def test_distances_are_those_of_the_ground() -> None:
    paris = Place(lat=48.8566, lon=2.3522, department="75", region="idf")
    lyon = Place(lat=45.7640, lon=4.8357, department="69", region="ara")
    assert distance_km(paris, lyon) == 391
    assert distance_km(lyon, paris) == 391
    assert distance_km(paris, paris) == 0


def test_the_map_agrees_with_its_source(france: Projection) -> None:
    assert france.xy(Place(lat=48.8566, lon=2.3522, department="75", region="idf")) == (288.6, 135.1)
    x, y = france.xy(Place(lat=-21.1, lon=55.5, department="974", region="reu"))
    assert 306 <= x <= 404
    assert 602 <= y <= 686


def test_every_postal_code_lies_on_the_map(france: Projection) -> None:
    places = COUNTRY.postal_codes.known
    assert len(places) == 6_187
    for place in list(places.values())[::50]:
        x, y = france.xy(place)
        assert -22 <= x <= 618, place
        assert 0 <= y <= 690, place


def test_a_code_of_a_box_lies_in_its_department() -> None:
    codes: PostalCodes = COUNTRY.postal_codes
    cedex = codes.place("69399")
    assert cedex is not None
    assert cedex.department == "69"
    assert codes.place("99999") is None


def test_the_network_is_that_of_the_charity() -> None:
    assert [w.slug for w in COUNTRY.network.refurbishers] == ["trira", "bocage", "ares"]
    assert len(COUNTRY.network.reception_points) == 13
    assert COUNTRY.rules.name == "routing-2026-01"


@pytest.mark.parametrize(
    "year, day", [(2024, date(2024, 3, 31)), (2025, date(2025, 4, 20)), (2026, date(2026, 4, 5)), (2038, date(2038, 4, 25))]
)
def test_easter(year: int, day: date) -> None:
    assert easter(year) == day


@pytest.mark.parametrize(
    "decided, available, expected",
    [
        (date(2026, 11, 23), date(2026, 11, 24), date(2026, 11, 26)),
        (date(2026, 11, 25), date(2026, 11, 25), date(2026, 11, 30)),
        (date(2026, 11, 23), date(2026, 12, 25), date(2026, 12, 28)),
        (date(2026, 4, 2), date(2026, 4, 1), date(2026, 4, 7)),
    ],
    ids=["three days", "not at the weekend", "not at Christmas", "not on Easter Monday"],
)
def test_the_first_day_of_collection(decided: date, available: date, expected: date) -> None:
    assert first_collection(decided=decided, available_from=available, lead_days=3) == expected
    assert is_workday(expected)

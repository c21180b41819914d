import random
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.distribution.app import read_book
from services.distribution.domain.allotment import plan, why_waiting
from services.distribution.domain.needs import MeetNeed, Need, need_id
from services.distribution.domain.places import Place, distance_km
from services.distribution.domain.stock import Allot, Item, item_id
from shared.events.base import DeviceType
from tests.distribution.samples import NOON

ATLAS = read_book().atlas


def item(number: int, kind: DeviceType = "laptop", refurbisher: str = "trira", region: str = "ara", late_h: int = 0) -> Item:
    return Item(
        status="available",
        device_id=UUID(int=number),
        region=region,
        refurbisher=refurbisher,
        device_type=kind,
        ready_at=NOON + timedelta(hours=late_h),
    )


def need(structure: str, campaign: str = "c", **wanted: int) -> tuple[UUID, Need]:
    return need_id(structure, campaign), Need(
        status="expressed",
        structure=structure,
        campaign=campaign,
        region=ATLAS.structures[structure].region,
        wanted=dict(wanted),  # type: ignore[arg-type]
        unmet=sum(wanted.values()),
    )


def by_distance(region: str = "ara") -> list[str]:
    origin = ATLAS.refurbishers["trira"]
    near = [s for s in ATLAS.structures.values() if s.region == region]
    return [s.id for s in sorted(near, key=lambda s: (round(distance_km(origin, s.place)), s.priority, s.id))]


def test_paris_to_lyon() -> None:
    found = distance_km(Place(lat=48.8566, lon=2.3522), Place(lat=45.7640, lon=4.8357))
    assert found == pytest.approx(391.5, abs=0.1)


def test_the_nearest_need_of_that_type_is_met_and_says_why() -> None:
    near, middle, far = by_distance()[0], by_distance()[40], by_distance()[-1]
    needs = dict([need(far, laptop=5), need(middle, laptop=1), need(near, smartphone=9)])
    [lot] = plan([item(1)], needs, ATLAS)
    origin = ATLAS.refurbishers["trira"]
    assert lot.allot == Allot(
        id=item_id(UUID(int=1)),
        structure=middle,
        structure_region="ara",
        need_id=need_id(middle, "c"),
        distance_km=round(distance_km(origin, ATLAS.structures[middle].place)),
        reason="nearest",
        candidates=2,
        runner_up=far,
        runner_up_km=round(distance_km(origin, ATLAS.structures[far].place)),
    )
    assert lot.meet == MeetNeed(id=need_id(middle, "c"), device_id=UUID(int=1), device_type="laptop")


def test_nobody_gets_more_than_was_asked_for_and_the_rest_waits() -> None:
    near, far = by_distance()[0], by_distance()[-1]
    lots = plan([item(n) for n in range(1, 6)], dict([need(near, laptop=1), need(far, laptop=2)]), ATLAS)
    assert [lot.allot.structure for lot in lots] == [near, far, far]


def test_what_was_given_before_counts() -> None:
    name, known = need(by_distance()[0], laptop=1)
    served = Need(
        status="expressed",
        structure=known.structure,
        campaign="c",
        region="ara",
        wanted={"laptop": 1},
        met={UUID(int=9): "laptop"},
    )
    assert plan([item(1)], {name: served}, ATLAS) == []


def test_the_longest_ready_goes_first() -> None:
    [lot] = plan([item(1, late_h=2), item(2, late_h=1)], dict([need(by_distance()[0], laptop=1)]), ATLAS)
    assert lot.meet.device_id == UUID(int=2)


@settings(max_examples=20)
@given(shuffled=st.randoms())
def test_the_order_of_rows_changes_nothing(shuffled: random.Random) -> None:
    needs = [need(structure, laptop=2, tablet=1) for structure in by_distance()[:20]]
    items = [item(n, "tablet" if n % 3 else "laptop") for n in range(1, 31)]
    expected = plan(items, dict(needs), ATLAS)
    shuffled.shuffle(items)
    shuffled.shuffle(needs)
    assert plan(items, dict(needs), ATLAS) == expected
    assert len(expected) == 30


def test_a_refurbisher_that_is_not_on_the_map_counts_from_its_region() -> None:
    [lot] = plan([item(1, refurbisher="nouveau")], dict([need(by_distance()[0], laptop=1)]), ATLAS)
    assert lot.allot.reason == "nearest_to_region"
    assert plan([item(1, refurbisher="nouveau", region="mars")], dict([need(by_distance()[0], laptop=1)]), ATLAS) == []


def test_what_waits_says_why() -> None:
    waiting = [item(1, "printer"), item(2, "laptop")]
    assert why_waiting(waiting, [need(by_distance()[0], laptop=1)[1]]) == {"printer": "unwanted", "laptop": "next_turn"}

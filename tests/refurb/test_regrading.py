"""A past grade under the rules of its day, and what another version would make of the stock."""

from collections import Counter
from dataclasses import replace
from datetime import date
from uuid import UUID

import pytest

from services.refurb.domain import grading, regrading
from services.refurb.domain.device import Device, Finding
from services.refurb.domain.regrading import Change, Regraded
from services.refurb.settings import DATA, document
from shared.events.base import Medium
from tests.refurb.samples import AUDITED, HDD, RULES

SSD = Medium(serial="S-1", kind="ssd", bytes=256 * 10**9)
READY = Device(
    status="ready",
    refurbisher="trira",
    device_ref="PE-1",
    device_type="laptop",
    audit=AUDITED.model_copy(update={"media": (SSD,), "os": "Windows 10"}),
    category="A",
    points=9,
    grade_rules="2026",
)


PARTS = (("cpu_mark", 3), ("ram_gb", 4), ("disks", 3))


def test_a_grade_comes_out_again_under_the_rules_of_its_day() -> None:
    now = regrading.regraded(READY, RULES, "2026")
    assert now == Regraded(category="A", points=3 + 4 + 3, parts=PARTS)
    device = replace(READY, points=10)
    assert regrading.stands(device, RULES)
    assert not regrading.stands(replace(device, points=9), RULES)
    assert not regrading.stands(replace(device, category="B"), RULES)
    older = regrading.regraded(device, RULES, "2025")
    capped = (*older.parts[:-1], ("caps", 7 - sum(points for _, points in older.parts[:-1])))
    assert older == Regraded(category="B", points=7, parts=capped), "2025 caps what runs Windows 10"
    assert regrading.reasons(device, RULES) == PARTS
    assert regrading.reasons(replace(device, points=9), RULES) == (), "what does not come out again has no reasons to show"
    assert regrading.stands(replace(device, category="B", points=7, grade_rules="2025"), RULES)
    assert regrading.stands(replace(device, category=None), RULES), "what has no grade has none to come out again"


def test_what_cannot_be_graded_says_why() -> None:
    assert regrading.regraded(replace(READY, audit=None), RULES, "2026") == Regraded(category=None, why="device_not_audited")
    bare = replace(READY, audit=AUDITED.model_copy(update={"media": ()}))
    assert regrading.regraded(bare, RULES, "2026") == Regraded(category=None, why="no_disk_to_grade")
    with pytest.raises(ValueError, match="no rules '2031'"):
        regrading.regraded(READY, RULES, "2031")


def test_a_destroyed_medium_counts_no_more() -> None:
    both = AUDITED.model_copy(update={"media": (HDD, SSD)})
    shredded = Finding(medium=HDD, accepted=True, reason="ok", method_class="Destroy")
    device = replace(READY, audit=both, findings=(shredded,))
    assert regrading.left(device) == [SSD]
    assert regrading.regraded(device, RULES, "2026").points == 10


def test_a_telephone_keeps_its_rule() -> None:
    phone = Medium(serial="490154203237518", kind="phone", bytes=64 * 10**9)
    audit = AUDITED.model_copy(update={"media": (phone,), "ram_gb": 4, "benchmark_thousands": 200})
    device = replace(READY, device_type="smartphone", audit=audit, grade_rules="phone-2023")
    found = regrading.regraded(device, RULES, "phone-2023")
    assert found == regrading.regraded(device, RULES, "2023")
    assert regrading.stands(replace(device, category=found.category, points=found.points), RULES)


def test_the_effect_of_a_version_on_the_stock() -> None:
    ids = [UUID(int=n) for n in range(4)]
    bare = replace(READY, device_ref="PE-2", audit=AUDITED.model_copy(update={"media": ()}))
    low = replace(READY, device_ref="PE-3", category="D")
    none = replace(READY, category=None)
    found = regrading.effect(zip(ids, (READY, bare, low, none), strict=True), RULES, "2025")
    assert (found.devices, found.up, found.down, found.same, found.ungradable) == (3, 1, 1, 0, 1)
    assert found.moves == Counter({("A", "B"): 1, ("A", None): 1, ("D", "B"): 1})
    assert found.changes == [
        Change(device_id=ids[0], device_ref="PE-1", refurbisher="trira", now="A", then="B", why=None),
        Change(device_id=ids[1], device_ref="PE-2", refurbisher="trira", now="A", then=None, why="no_disk_to_grade"),
        Change(device_id=ids[2], device_ref="PE-3", refurbisher="trira", now="D", then="B", why=None),
    ]
    assert regrading.effect([(ids[0], READY)] * 5, RULES, "2025", most=2).changes == found.changes[:1] * 2


def test_the_versions_have_their_days() -> None:
    said = [(version["id"], version["from"]) for version in regrading.dates(RULES)]
    assert said == [
        ("2026", date(2026, 1, 1)),
        ("2025", date(2025, 10, 1)),
        ("2025-06", date(2025, 6, 1)),
        ("2023", date(2023, 9, 1)),
    ]


def test_a_draft_that_there_is_not_stops_the_start() -> None:
    rules = grading.rules(document(DATA / "grading.yaml"))
    assert (grading.draft(rules, ""), grading.draft(rules, "2025")) == ("", "2025")
    with pytest.raises(ValueError, match="no draft rules '2027'"):
        grading.draft(rules, "2027")

from collections.abc import Mapping
from typing import Any

import pytest

from services.intake.domain import triage
from services.intake.domain.triage import Verdict, judge
from shared.events.base import DeviceType, DonorStatus
from shared.events.intake import Outcome
from tests.intake.samples import RULES

FACTS: dict[str, Any] = {
    "condition": "working",
    "age": "3_to_5_years",
    "media": "inside",
    "sensitivity": "ordinary",
    "required_class": "Clear",
    "access": (),
    "pallets": None,
}


@pytest.mark.parametrize(
    "declared, status, changes, outcome, reasons, conditions",
    [
        ({"laptop": 12}, "company", {}, "accepted", ("wanted_first",), ()),
        ({"desktop": 10}, "association", {"age": "5_to_10_years"}, "accepted", ("still_useful",), ()),
        ({"laptop": 12}, "company", {"age": "over_10_years"}, "accepted_with_conditions", ("still_useful",), ("sorted_first",)),
        (
            {"laptop": 12},
            "company",
            {"condition": "broken"},
            "accepted_with_conditions",
            ("wanted_first",),
            ("broken_first_look", "swollen_batteries_apart"),
        ),
        (
            {"laptop": 12},
            "company",
            {"sensitivity": "sensitive"},
            "accepted_with_conditions",
            ("wanted_first",),
            ("sensitive_by_hand",),
        ),
        ({"laptop": 12}, "company", {"sensitivity": "sensitive", "media": "erased"}, "accepted", ("wanted_first",), ()),
        (
            {"laptop": 12},
            "company",
            {"access": ("lift", "no_truck")},
            "accepted_with_conditions",
            ("wanted_first",),
            ("small_vehicle",),
        ),
        ({"laptop": 500}, "company", {}, "accepted_with_conditions", ("wanted_first",), ("inventory_wanted",)),
        ({"laptop": 499}, "company", {}, "accepted", ("wanted_first",), ()),
        ({"laptop": 9}, "company", {}, "reception_point", ("few_devices",), ()),
        ({"laptop": 10}, "company", {}, "accepted", ("wanted_first",), ()),
        ({"laptop": 3}, "company", {"condition": "mixed"}, "reception_point", ("few_devices",), ("swollen_batteries_apart",)),
        ({"screen": 40, "printer": 2}, "company", {}, "recycling", ("nothing_to_equip_with",), ()),
        ({"laptop": 12}, "public", {"age": "over_10_years"}, "recycling", ("public_over_ten_years",), ()),
        ({"laptop": 12}, "person", {"age": "over_10_years", "condition": "broken"}, "recycling", ("old_and_broken",), ()),
        ({"laptop": 9_999}, "company", {}, "accepted_with_conditions", ("wanted_first",), ("inventory_wanted",)),
        ({"laptop": 5_000, "desktop": 5_000}, "company", {}, "refused", ("too_many_at_once",), ()),
    ],
)
def test_every_answer_has_its_reason(
    declared: Mapping[DeviceType, int],
    status: DonorStatus,
    changes: dict[str, Any],
    outcome: Outcome,
    reasons: tuple[str, ...],
    conditions: tuple[str, ...],
) -> None:
    verdict = judge(RULES, declared, status, FACTS | changes)
    assert verdict == Verdict(outcome=outcome, reasons=reasons, conditions=conditions, rules="triage-2026-01")


def test_every_code_has_words_and_every_rule_can_decide() -> None:
    assert {rule.outcome for rule in RULES.rules} == set(triage.HARDEST_FIRST)
    for rule in RULES.rules:
        assert RULES.say(rule.code) == rule.say
        assert rule.say.endswith(".")
    assert RULES.say("nothing_against") == "Rien ne s’y oppose."
    assert RULES.say("a_code_of_an_older_version") == "a_code_of_an_older_version"


@pytest.mark.parametrize(
    "wrong",
    [
        "version: x\ncertainty: assumed\nby_hand: {}\nrules: [{code: a, outcome: maybe, when: [], say: b}]",
        "version: x\ncertainty: assumed\nby_hand: {}\nrules: [{code: a, outcome: refused, when: [{fact: total}], say: b}]",
        "version: x\ncertainty: assumed\nby_hand: {}\nrules: [{code: a, outcome: refused, when: [{fact: wieght, below: 1}], say: b}]",
        "version: x\ncertainty: assumed\nby_hand: {a: b}\nrules: [{code: a, outcome: refused, when: [], say: b}]",
        "version: x\nby_hand: {}\nrules: []",
    ],
    ids=["outcome", "no comparison", "fact", "code twice", "no certainty"],
)
def test_rules_with_a_slip_are_not_read(wrong: str) -> None:
    with pytest.raises(ValueError, match="validation error"):
        triage.read(wrong)

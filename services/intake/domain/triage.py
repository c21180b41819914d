"""Which donations we take: rules that are data, a pure function, and a reason for every answer.

A rule holds when all its conditions hold. Of the rules that hold, the hardest outcome decides; what decided is the reason.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.events.base import DeviceType, DonorStatus
from shared.events.intake import Outcome

HARDEST_FIRST: tuple[Outcome, ...] = ("refused", "recycling", "reception_point", "accepted_with_conditions", "accepted")
DECLINED: frozenset[Outcome] = frozenset({"refused", "recycling"})

Fact = Literal[
    "total", "usable", "laptop", "desktop", "screen", "tablet", "smartphone", "printer", "other",
    "status", "condition", "age", "media", "sensitivity", "required_class", "access", "pallets",
]  # fmt: skip
"""`usable`: devices that people can be equipped with, that is laptops, desktops, tablets and smartphones."""
USABLE: tuple[DeviceType, ...] = ("laptop", "desktop", "tablet", "smartphone")


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Test(_Data):
    """One condition on one fact. Exactly one of the comparisons is given."""

    fact: Fact
    equals: str | int | None = None
    among: tuple[str, ...] | None = Field(None, strict=False)
    at_least: int | None = None
    below: int | None = None
    has: str | None = None

    @model_validator(mode="after")
    def one_comparison(self) -> "Test":
        given = [name for name in ("equals", "among", "at_least", "below", "has") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"a test on {self.fact!r} needs one comparison, not {given}")
        return self

    def holds(self, facts: Mapping[Fact, Any]) -> bool:
        """Tell whether `facts` meet it. A fact that nobody told meets nothing."""
        value = facts.get(self.fact)
        if value is None:
            return False
        if self.equals is not None:
            return bool(value == self.equals)
        if self.among is not None:
            return value in self.among
        if self.has is not None:
            return self.has in value
        return bool(value >= self.at_least) if self.at_least is not None else bool(value < self.below)


class Rule(_Data):
    """When all of `when` holds, `outcome`; `say` tells the donor why, in French."""

    code: str = Field(pattern=r"^[a-z0-9_]+$")
    outcome: Outcome
    when: tuple[Test, ...] = Field(strict=False)
    say: str


class Rules(_Data):
    """One version of the rules."""

    version: str
    certainty: Literal["known", "likely", "assumed"]
    rules: tuple[Rule, ...] = Field(strict=False)
    by_hand: Mapping[str, str]
    """Reasons that staff give when they decide otherwise: code -> words."""

    @model_validator(mode="after")
    def codes_are_unique(self) -> "Rules":
        codes = [rule.code for rule in self.rules] + list(self.by_hand)
        if len(set(codes)) != len(codes):
            raise ValueError("a code is given twice")
        return self

    def say(self, code: str) -> str:
        """The words of a reason; the code itself where an older version gave it."""
        return next((rule.say for rule in self.rules if rule.code == code), self.by_hand.get(code, code))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the rules say. `conditions` are what the donor must know for a yes to hold."""

    outcome: Outcome
    reasons: tuple[str, ...]
    conditions: tuple[str, ...]
    rules: str


def read(text: str) -> Rules:
    """Read one version of the rules. Raises ValueError when it is not whole."""
    return Rules.model_validate(yaml.safe_load(text))


def judge(rules: Rules, declared: Mapping[DeviceType, int], status: DonorStatus, answers: Mapping[str, Any]) -> Verdict:
    """Decide on a donation. Every outcome has at least one reason: where no rule speaks, `nothing_against`."""
    facts: dict[Fact, Any] = {name: answers.get(name) for name in get_args(Fact)}
    facts |= {kind: declared.get(kind, 0) for kind in get_args(DeviceType)}
    facts["total"] = sum(declared.values())
    facts["usable"] = sum(declared.get(name, 0) for name in USABLE)
    facts["status"] = status
    held = [rule for rule in rules.rules if all(test.holds(facts) for test in rule.when)]
    outcome: Outcome = next((one for one in HARDEST_FIRST if any(rule.outcome == one for rule in held)), "accepted")
    deciding = "accepted" if outcome == "accepted_with_conditions" else outcome
    return Verdict(
        outcome=outcome,
        reasons=tuple(rule.code for rule in held if rule.outcome == deciding) or ("nothing_against",),
        conditions=() if outcome in DECLINED else tuple(rule.code for rule in held if rule.outcome == "accepted_with_conditions"),
        rules=rules.version,
    )

"""Grades in other times: a past grade computed again under the rules of its day, and what another version would make of the stock.

A grade that was given stays as it was given. Nothing here writes.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from services.refurb.domain import grading
from services.refurb.domain.device import Device
from services.refurb.domain.grading import Rules, Ungradable
from shared.events.base import Category, Medium

ORDER: tuple[Category, ...] = ("D", "C", "B", "A", "PREMIUM")
"""Worst first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Regraded:
    """`category` is None where the rules say nothing about such a device; `why` is then their code. `parts`: what gave the points."""

    category: Category | None
    points: int | None = None
    parts: tuple[tuple[str, int], ...] = ()
    why: str | None = None


def regraded(device: Device, rules: Rules, version: str) -> Regraded:
    """Grade what is kept of a device under one version of the rules for computers. Telephones have one rule so far.

    Raises ValueError for a version that there is not.
    """
    if version not in rules.versions and version != rules.smartphone["id"]:
        raise ValueError(f"no rules {version!r}")
    if device.audit is None:
        return Regraded(category=None, why="device_not_audited")
    asked = replace(rules, computers=version) if version in rules.versions else rules
    try:
        category, grade = grading.grade(
            device.device_type or "other",
            left(device),
            rules=asked,
            cpu_mark=device.audit.cpu_mark,
            ram_gb=device.audit.ram_gb,
            os=device.audit.os,
            benchmark_thousands=device.audit.benchmark_thousands,
            weighting_percent=device.audit.weighting_percent,
        )
    except Ungradable as refusal:
        return Regraded(category=None, why=refusal.code)
    return Regraded(category=category, points=grade.points, parts=grade.parts)


def left(device: Device) -> list[Medium]:
    """The media that the device still has: those that were destroyed count no more."""
    destroyed = {f.medium for f in device.findings if f.accepted and f.method_class == "Destroy"}
    return [medium for medium in (device.audit.media if device.audit else ()) if medium not in destroyed]


def stands(device: Device, rules: Rules) -> bool:
    """Whether the grade that a device has is what the rules of its day make of it today."""
    if device.category is None or device.grade_rules is None:
        return True
    again = regraded(device, rules, device.grade_rules)
    return (again.category, again.points) == (device.category, device.points)


def reasons(device: Device, rules: Rules) -> tuple[tuple[str, int], ...]:
    """What gave a device its points, under the rules of its day. Nothing where they do not come out again."""
    if device.grade_rules is None or not stands(device, rules):
        return ()
    return regraded(device, rules, device.grade_rules).parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A device that another version would put in another category (None: in none)."""

    device_id: UUID
    device_ref: str
    refurbisher: str
    now: Category
    then: Category | None
    why: str | None


@dataclass(slots=True, kw_only=True)
class Effect:
    """What a version would make of the graded stock. `moves`: (now, then) -> how many devices."""

    version: str
    devices: int = 0
    moves: Counter[tuple[Category, Category | None]] = field(default_factory=Counter)
    changes: list[Change] = field(default_factory=list)

    @property
    def graded(self) -> set[Category]:
        """The categories that devices have today."""
        return {now for now, _ in self.moves}

    @property
    def up(self) -> int:
        return sum(count for (now, then), count in self.moves.items() if then and ORDER.index(then) > ORDER.index(now))

    @property
    def down(self) -> int:
        return sum(count for (now, then), count in self.moves.items() if then and ORDER.index(then) < ORDER.index(now))

    @property
    def ungradable(self) -> int:
        return sum(count for (_, then), count in self.moves.items() if then is None)

    @property
    def same(self) -> int:
        return sum(count for (now, then), count in self.moves.items() if now == then)


def effect(devices: Iterable[tuple[UUID, Device]], rules: Rules, version: str, most: int = 1_000) -> Effect:
    """Grade each graded device under `version` too. Lists at most `most` of those that would change."""
    found = Effect(version=version)
    for device_id, device in devices:
        if device.category is None:
            continue
        again = regraded(device, rules, version)
        found.devices += 1
        found.moves[device.category, again.category] += 1
        if again.category != device.category and len(found.changes) < most:
            found.changes.append(
                Change(
                    device_id=device_id,
                    device_ref=device.device_ref,
                    refurbisher=device.refurbisher,
                    now=device.category,
                    then=again.category,
                    why=again.why,
                )
            )
    return found


def dates(rules: Rules) -> list[Mapping[str, Any]]:
    """The versions, the newest first, each with the day from which it holds and its remark."""
    versions = [
        {"id": name, "from": version["effective_from"], "remark": str(version.get("status", ""))}
        for name, version in rules.versions.items()
    ]
    return sorted(versions, key=lambda version: (version["from"], version["id"]), reverse=True)

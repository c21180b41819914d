"""Puts a device in a category under one version of the charity's public rules. Rules are data (`data/grading.yaml`), with dates.

A grade keeps the version of the rules and the points. What the rules do not cover is refused, never guessed: `Ungradable` says why.
"""

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from shared.errors import Refused
from shared.events.base import Category, DeviceType, Medium

DiskType = Literal["hdd", "ssd", "nvme"]
COMPUTERS: frozenset[DeviceType] = frozenset({"laptop", "desktop"})
PHONES: frozenset[DeviceType] = frozenset({"smartphone", "tablet"})
"""Assumed: no public rule speaks of tablets, so that of smartphones is used for them."""
GB = 1_000_000_000


class Ungradable(Refused):
    """The rules say nothing about such a device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """A disk of a computer, whole GB."""

    type: DiskType
    gb: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Computer:
    """What the rules for computers look at. The first disk is the one that holds the system."""

    cpu_mark: int
    ram_gb: int
    disks: tuple[Disk, ...]
    os: str = ""
    weighting: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Telephone:
    """What the rule for smartphones looks at."""

    ram_gb: int
    storage_gb: int
    benchmark_thousands: int
    weighting_percent: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """`category` is as the version of the rules names it. `parts`: what each part gave, and what the caps took away."""

    category: str
    points: int
    rules: str
    parts: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """All versions, and those in force."""

    versions: Mapping[str, Mapping[str, Any]]
    smartphone: Mapping[str, Any]
    crosswalk: Mapping[str, Category]
    computers: str
    """The version in force for computers."""


def rules(data: Mapping[str, Any], computers: str = "2026") -> Rules:
    """Make the rules of the file. Raises ValueError for a version that it does not hold."""
    versions = {str(version["id"]): version for version in data["versions"]}
    if computers not in versions:
        raise ValueError(f"no rules {computers!r} among {', '.join(versions)}")
    crosswalk: dict[str, Category] = {"D": "D", **data["crosswalk"]}
    return Rules(versions=versions, smartphone=data["smartphone"], crosswalk=crosswalk, computers=computers)


def draft(known: Rules, version: str) -> str:
    """The version that runs in shadow, "" for none. Raises ValueError for one that there is not: better at the start than unseen."""
    if version and version not in known.versions:
        raise ValueError(f"no draft rules {version!r} among {', '.join(known.versions)}")
    return version


def grade_computer(computer: Computer, version: Mapping[str, Any]) -> Grade:
    """Points of each part, then what the version adds, then its caps."""
    if not computer.disks:
        raise Ungradable("no_disk_to_grade")
    first = computer.disks[0]
    tolerance = version.get("tolerance", 1)
    parts = [
        ("cpu_mark", points_of("cpu_mark", computer.cpu_mark, version, tolerance)),
        ("ram_gb", points_of("ram_gb", computer.ram_gb, version, tolerance)),
        ("disks", disk_points(computer.disks, version, tolerance)),
    ]
    if "weighting" in version:
        parts.append(("weighting", computer.weighting))
    bonus = version.get("bonus", {})
    if first.type == "nvme" and computer.cpu_mark >= bonus.get("cpu_mark_at_least", 0):
        parts.append(("nvme", bonus.get("nvme", 0)))
    whole = points = sum(given for _, given in parts)
    for cap in version.get("caps_on_points", ()):
        if applies(cap, computer):
            points = min(points, cap["max"])
    if "caps_on_points" in version:
        points = max(points, 0)
    parts.append(("caps", points - whole))
    category = band(points, version["bands"])
    order: Sequence[str] = version["categories"]
    for cap in version.get("caps_on_category", ()):
        if applies(cap, computer):
            category = min(category, cap["max"], key=order.index)
            break
    told = tuple((part, given) for part, given in parts if given or part not in {"weighting", "nvme", "caps"})
    return Grade(category=category, points=points, rules=str(version["id"]), parts=told)


def points_of(part: str, value: int, version: Mapping[str, Any], tolerance: float) -> int:
    table = version["points"][part]
    return int(table["points"][bisect_right([limit * tolerance for limit in table["thresholds"]], value)])


def disk_points(disks: Sequence[Disk], version: Mapping[str, Any], tolerance: float) -> int:
    """How several disks count differs between the versions."""

    def points(type_: str, gb: int) -> int:
        part = f"{type_}_gb" if f"{type_}_gb" in version["points"] else "ssd_gb"
        return points_of(part, gb, version, tolerance)

    match version["disks"]:
        case "points of both added, at most 4":
            return min(sum(points(disk.type, disk.gb) for disk in disks), 4)
        case "sizes added, type of the first":
            return points(disks[0].type, sum(disk.gb for disk in disks))
        case "the first only":
            return points(disks[0].type, disks[0].gb)
        case other:
            raise ValueError(f"no such way to count disks: {other!r}")


def applies(cap: Mapping[str, Any], computer: Computer) -> bool:
    first = cap.get("first_disk")
    return (
        ("cpu_mark_below" not in cap or computer.cpu_mark < cap["cpu_mark_below"])
        and ("every_disk" not in cap or all(disk.type == cap["every_disk"] for disk in computer.disks))
        and (first is None or computer.disks[0].type in ([first] if isinstance(first, str) else first))
        and ("os" not in cap or cap["os"].casefold() in computer.os.casefold())
    )


def band(points: int, bands: Sequence[Mapping[str, Any]]) -> str:
    return next(str(b["category"]) for b in bands if "below" not in b or points < b["below"])


def grade_telephone(telephone: Telephone, rule: Mapping[str, Any]) -> Grade:
    """Each value takes the last entry that it reaches."""

    def points(part: str, value: int) -> int:
        reached = [int(p) for start, p in rule[part].items() if start <= value]
        if not reached:
            raise Ungradable("out_of_the_rules", part=part)
        return reached[-1]

    parts = [
        ("ram_gb", points("ram_gb", telephone.ram_gb)),
        ("storage_gb", points("storage_gb", telephone.storage_gb)),
        ("index_thousands", points("index_thousands", telephone.benchmark_thousands)),
    ]
    total = sum(given for _, given in parts)
    score = math.floor(total * (100 + telephone.weighting_percent) / 100 + 0.5)
    if score != total:
        parts.append(("weighting", score - total))
    category = [str(b["category"]) for b in rule["bands"] if b["from"] <= score][-1]
    return Grade(category=category, points=score, rules=str(rule["id"]), parts=tuple(parts))


def grade(
    kind: DeviceType,
    media: Sequence[Medium],
    *,
    rules: Rules,
    cpu_mark: int | None,
    ram_gb: int | None,
    os: str | None,
    benchmark_thousands: int | None,
    weighting_percent: int,
) -> tuple[Category, Grade]:
    """Grade what an audit read. Raises Ungradable with the part that is missing. Destroyed media are to be left out by the caller."""
    if kind not in COMPUTERS | PHONES:
        raise Ungradable("no_rules_for_type", device_type=kind)
    if ram_gb is None:
        raise Ungradable("ram_missing")
    if kind in PHONES:
        storage = sum(m.bytes or 0 for m in media)
        if benchmark_thousands is None or not storage:
            raise Ungradable("benchmark_missing" if benchmark_thousands is None else "storage_missing")
        phone = Telephone(
            ram_gb=ram_gb,
            storage_gb=round(storage / GB),
            benchmark_thousands=benchmark_thousands,
            weighting_percent=weighting_percent,
        )
        found = grade_telephone(phone, rules.smartphone)
    else:
        if cpu_mark is None:
            raise Ungradable("cpu_mark_missing")
        computer = Computer(cpu_mark=cpu_mark, ram_gb=ram_gb, disks=disks(media), os=os or "")
        found = grade_computer(computer, rules.versions[rules.computers])
    return rules.crosswalk[found.category], found


def disks(media: Sequence[Medium]) -> tuple[Disk, ...]:
    """The media as the rules for computers see them. Assumed: soldered flash counts as an SSD."""
    types: Mapping[str, DiskType] = {"hdd": "hdd", "ssd": "ssd", "nvme": "nvme", "emmc": "ssd"}
    found = []
    for medium in media:
        if medium.kind not in types or medium.bytes is None:
            raise Ungradable("disk_unknown")
        found.append(Disk(type=types[medium.kind], gb=round(medium.bytes / GB)))
    return tuple(found)


DISK_TYPES: Mapping[str, DiskType] = {
    "hdd": "hdd",
    "sata hdd": "hdd",
    "ssd": "ssd",
    "sata ssd": "ssd",
    "nvme": "nvme",
    "nvme ssd": "nvme",
}
"""As the charity's forms write them."""


def disk_type(name: str) -> DiskType:
    """A type of disk by its name. Raises ValueError for one that the rules do not know."""
    found = DISK_TYPES.get(" ".join(name.casefold().split()))
    if found is None:
        raise ValueError(f"no such type of disk: {name!r}")
    return found

"""Categories under the public rules, against cases computed by an independent script."""

import csv

import pytest

from services.refurb.domain import grading
from shared.events.base import Category, Medium
from tests.refurb.samples import RULES, TESTS

with (TESTS / "grading_cases.csv").open(encoding="utf-8") as _file:
    CASES = list(csv.DictReader(_file))


@pytest.mark.parametrize("version", ["2023", "2025-06", "2025", "2026"])
def test_computers_are_graded_as_the_independent_script_does(version: str) -> None:
    found, right = [], []
    for row in CASES:
        disks = tuple(
            grading.Disk(type=grading.disk_type(row[f"disk{n}_type"]), gb=int(row[f"disk{n}_gb"]))
            for n in (1, 2)
            if row[f"disk{n}_type"]
        )
        computer = grading.Computer(cpu_mark=int(row["cpu_mark"]), ram_gb=int(row["ram_gb"]), disks=disks, os=row["os"])
        grade = grading.grade_computer(computer, RULES.versions[version])
        found.append((row["id"], grade.points, grade.category))
        right.append((row["id"], int(row[f"points_{version}"]), row[f"category_{version}"]))
    assert len(CASES) == 120
    assert found == right


@pytest.mark.parametrize(
    ("ram", "storage", "benchmark", "weighting", "points", "category"),
    [
        (4, 64, 300, 0, 213, "B"),
        (1, 0, 0, 0, 70, "D"),
        (8, 256, 950, 10, 616, "PREMIUM"),
        (8, 128, 500, -50, 171, "B"),
        (3, 32, 120, -100, 0, "D"),
        (6, 128, 250, 0, 262, "A"),
    ],
)
def test_a_telephone_is_graded_by_the_rule_for_smartphones(
    ram: int, storage: int, benchmark: int, weighting: int, points: int, category: str
) -> None:
    phone = grading.Telephone(ram_gb=ram, storage_gb=storage, benchmark_thousands=benchmark, weighting_percent=weighting)
    grade = grading.grade_telephone(phone, RULES.smartphone)
    assert (grade.points, RULES.crosswalk[grade.category], grade.rules) == (points, category, "phone-2023")


SSD = Medium(kind="ssd", bytes=256_060_514_304)


@pytest.mark.parametrize(
    ("kind", "media", "cpu_mark", "ram_gb", "code"),
    [
        ("laptop", (SSD,), None, 8, "cpu_mark_missing"),
        ("laptop", (SSD,), 5000, None, "ram_missing"),
        ("laptop", (), 5000, 8, "no_disk_to_grade"),
        ("desktop", (Medium(kind="unknown", bytes=10**12),), 5000, 8, "disk_unknown"),
        ("desktop", (Medium(kind="hdd"),), 5000, 8, "disk_unknown"),
        ("screen", (), 5000, 8, "no_rules_for_type"),
        ("smartphone", (Medium(kind="phone", bytes=64 * 10**9),), None, 4, "benchmark_missing"),
    ],
)
def test_what_the_rules_do_not_cover_is_refused(
    kind: str, media: tuple[Medium, ...], cpu_mark: int | None, ram_gb: int | None, code: str
) -> None:
    with pytest.raises(grading.Ungradable) as refused:
        grade(kind, media, cpu_mark, ram_gb)
    assert refused.value.code == code


def grade(kind: str, media: tuple[Medium, ...], cpu_mark: int | None, ram_gb: int | None) -> tuple[Category, grading.Grade]:
    return grading.grade(
        kind,  # type: ignore[arg-type]  # one of the types, by the parameters above
        media,
        rules=RULES,
        cpu_mark=cpu_mark,
        ram_gb=ram_gb,
        os=None,
        benchmark_thousands=None,
        weighting_percent=0,
    )


def test_sizes_are_rounded_to_whole_gigabytes() -> None:
    category, found = grade("laptop", (SSD,), 5000, 8)
    assert (category, found) == ("A", grading.Grade(category="A", points=9, rules="2026"))


def test_unknown_rules_stop_the_start() -> None:
    with pytest.raises(ValueError, match="no rules '1999'"):
        grading.rules({"versions": [{"id": "2026"}], "crosswalk": {}, "smartphone": {}}, "1999")

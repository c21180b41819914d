"""Categories under the public rules, against cases computed by an independent script."""

import csv
import subprocess
import sys

import pytest

from services.refurb.domain import gradesheet, grading
from shared.events.base import Category, Medium
from tests.refurb.samples import RULES, TESTS

with (TESTS / "grading_cases.csv").open(encoding="utf-8") as _file:
    CASES = list(csv.DictReader(_file))


COLUMNS = ["id", "cpu_mark", "ram_gb", "disk1_type", "disk1_gb", "disk2_type", "disk2_gb", "os"]
VERSIONS = ["2023", "2025-06", "2025", "2026"]


@pytest.mark.parametrize("version", VERSIONS)
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


PARTS = (("cpu_mark", 3), ("ram_gb", 3), ("disks", 3))


def test_sizes_are_rounded_to_whole_gigabytes() -> None:
    category, found = grade("laptop", (SSD,), 5000, 8)
    assert (category, found) == ("A", grading.Grade(category="A", points=9, rules="2026", parts=PARTS))


def test_unknown_rules_stop_the_start() -> None:
    with pytest.raises(ValueError, match="no rules '1999'"):
        grading.rules({"versions": [{"id": "2026"}], "crosswalk": {}, "smartphone": {}}, "1999")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_a_table_comes_back_with_the_category_as_last_column(version: str, delimiter: str) -> None:
    given = [COLUMNS, *([row[name] for name in COLUMNS] for row in CASES)]
    right = [[*COLUMNS, "category"], *([*(row[name] for name in COLUMNS), row[f"category_{version}"]] for row in CASES)]
    text = "\r\n".join(delimiter.join(row) for row in given)
    assert gradesheet.graded(text, RULES, version) == "".join(delimiter.join(row) + "\n" for row in right)


PHONES = "id,ram_gb,storage_gb,index_thousands,weighting_percent"


def test_a_table_of_telephones_is_graded_by_the_rule_for_them() -> None:
    text = f"{PHONES}\nP1,4,64,300,\nP2,8,256,950,10\nP3,3,32,120,-100\n"
    right = f"{PHONES},category\nP1,4,64,300,,B\nP2,8,256,950,10,PREMIUM\nP3,3,32,120,-100,HC\n"
    assert gradesheet.graded(text, RULES, "2026") == right


HEAD = ",".join(COLUMNS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1, column cpu_mark: not in the header"),
        ("id,cpu_mark,ram_gb,disk1_type\n", "line 1, column disk1_gb: not in the header"),
        ("cpu_mark,cpu_mark\n", "line 1, column cpu_mark: the name stands twice in the header"),
        (f"{HEAD}\nG1,fast,8,ssd,256,,,\n", "line 2, column cpu_mark: 'fast' is not a whole number"),
        (f"{HEAD}\nG1,2600,8,ssd,256,,,\n\nG2,,8,ssd,256,,,\n", "line 4, column cpu_mark: missing"),
        (f"{HEAD}\nG1,2600,-8,ssd,256,,,\n", "line 2, column ram_gb: '-8' is not a whole number"),
        (f"{HEAD}\nG1,2600,8,ssd,256.5,,,\n", "line 2, column disk1_gb: '256.5' is not a whole number"),
        (f"{HEAD}\nG1,2600,8,floppy,256,,,\n", "line 2, column disk1_type: 'floppy' is none of hdd, ssd, nvme"),
        (f"{HEAD}\nG1,2600,8,ssd,,,,\n", "line 2, column disk1_gb: missing"),
        (f"{HEAD}\nG1,2600,8,ssd,256,,100,\n", "line 2, column disk2_type: missing, though a size is given"),
        (f"{HEAD}\nG1,2600,8,,,,,\n", "line 2, column disk1_type: the rules do not cover this (no_disk_to_grade)"),
        (f"{HEAD}\nG1,2600,8,ssd\n", "line 2: 4 fields, 8 expected"),
        (f'{HEAD}\nG1,2600,"8,ssd,256,,,\n', "line 2: unexpected end of data"),
        (f"{HEAD}\nG1,{'9' * 5000},8,ssd,256,,,\n", f"line 2, column cpu_mark: '{'9' * 5000}' is not a whole number"),
        (f"{PHONES}\nP1,0,64,300,\n", "line 2, column ram_gb: the rules do not cover this (out_of_the_rules)"),
        (f"{PHONES}\nP1,4,64,,\n", "line 2, column index_thousands: missing"),
        (f"{PHONES}\nP1,4,64,300,7\n", "line 2, column weighting_percent: 7 is none of [-100, -50, -10, -5, 0, 5, 10]"),
    ],
)
def test_a_table_that_cannot_be_graded_says_where(text: str, said: str) -> None:
    with pytest.raises(gradesheet.BadTable) as refused:
        gradesheet.graded(text, RULES, "2026")
    assert str(refused.value) == said


@pytest.mark.parametrize(
    ("given", "status", "out", "err"),
    [
        (f"{HEAD}\nG1,2600,8,SATA SSD,256,,,Linux\n", 0, f"{HEAD},category\nG1,2600,8,SATA SSD,256,,,Linux,B\n", ""),
        (f"{HEAD}\nG1,2600,8,tape,256,,,\n", 2, "", "grade: line 2, column disk1_type: 'tape' is none of hdd, ssd, nvme\n"),
    ],
)
def test_the_command_grades_its_standard_input(given: str, status: int, out: str, err: str) -> None:
    command = [sys.executable, "-m", "services.refurb", "grade", "--rules", "2025"]
    ran = subprocess.run(command, input=given.encode("cp1252"), capture_output=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout.decode(), ran.stderr.decode()) == (status, out, err)

"""Grades the rows of a CSV table under one version of the rules, for `python -m services.refurb grade`.

Computers have the columns cpu_mark, ram_gb, disk1_type, disk1_gb, and if they like disk2_type, disk2_gb, os, weighting; telephones ram_gb,
storage_gb, index_thousands, and if they like weighting_percent. Other columns are passed on. A row that cannot be graded stops all of it.
"""

import csv
import io

from services.refurb.domain import grading
from services.refurb.domain.grading import Rules, Ungradable

COMPUTER = ("cpu_mark", "ram_gb", "disk1_type", "disk1_gb")
TELEPHONE = ("ram_gb", "storage_gb", "index_thousands")
MOST = 10**9
"""No figure of a device is larger."""
MISSING = {"no_disk_to_grade": "disk1_type"}
"""The column that a refusal of the rules is about, where the rules name none."""


class BadTable(ValueError):
    """Raised for a table that cannot be graded: where, and what is wrong there."""

    def __init__(self, line: int, column: str, said: str) -> None:
        super().__init__(f"line {line}, column {column}: {said}" if column else f"line {line}: {said}")


def graded(text: str, rules: Rules, version: str) -> str:
    """The same table with the category as last column. Raises BadTable."""
    head = text.partition("\n")[0]
    delimiter = ";" if ";" in head and "," not in head else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
    try:
        header = next(reader, [])
        names = [name.strip() for name in header]
        check(names)
        writer.writerow([*header, "category"])
        for row in reader:
            if not row:
                continue
            if len(row) != len(header):
                raise BadTable(reader.line_num, "", f"{len(row)} fields, {len(header)} expected")
            writer.writerow([*row, category(dict(zip(names, row, strict=True)), reader.line_num, rules, version)])
    except csv.Error as error:
        raise BadTable(reader.line_num, "", str(error)) from error
    return out.getvalue()


def check(names: list[str]) -> None:
    """Refuse a header that does not say what its columns are."""
    if len(set(names)) != len(names):
        raise BadTable(1, next(name for name in names if names.count(name) > 1), "the name stands twice in the header")
    for name in TELEPHONE if is_telephone(names) else COMPUTER:
        if name not in names:
            raise BadTable(1, name, "not in the header")


def is_telephone(names: list[str]) -> bool:
    return "cpu_mark" not in names and ("storage_gb" in names or "index_thousands" in names)


def category(row: dict[str, str], line: int, rules: Rules, version: str) -> str:
    """The category of one row, as the version names it."""
    try:
        if is_telephone(list(row)):
            return grading.grade_telephone(telephone(row, line, rules), rules.smartphone).category
        return grading.grade_computer(computer(row, line), rules.versions[version]).category
    except Ungradable as refusal:
        column = str(refusal.detail.get("part") or MISSING.get(refusal.code, ""))
        raise BadTable(line, column, f"the rules do not cover this ({refusal.code})") from refusal


def computer(row: dict[str, str], line: int) -> grading.Computer:
    disks = []
    for kind, size in (("disk1_type", "disk1_gb"), ("disk2_type", "disk2_gb")):
        named, sized = row.get(kind, "").strip(), row.get(size, "").strip()
        if not named and not sized:
            continue
        if not named:
            raise BadTable(line, kind, "missing, though a size is given")
        try:
            disks.append(grading.Disk(type=grading.disk_type(named), gb=whole(row, size, line)))
        except BadTable:
            raise
        except ValueError as error:
            raise BadTable(line, kind, f"{named!r} is none of hdd, ssd, nvme") from error
    return grading.Computer(
        cpu_mark=whole(row, "cpu_mark", line),
        ram_gb=whole(row, "ram_gb", line),
        disks=tuple(disks),
        os=row.get("os", ""),
        weighting=whole(row, "weighting", line, signed=True) if row.get("weighting", "").strip() else 0,
    )


def telephone(row: dict[str, str], line: int, rules: Rules) -> grading.Telephone:
    weighting = whole(row, "weighting_percent", line, signed=True) if row.get("weighting_percent", "").strip() else 0
    if weighting not in rules.smartphone["weighting_percent"]:
        raise BadTable(line, "weighting_percent", f"{weighting} is none of {rules.smartphone['weighting_percent']}")
    return grading.Telephone(
        ram_gb=whole(row, "ram_gb", line),
        storage_gb=whole(row, "storage_gb", line),
        benchmark_thousands=whole(row, "index_thousands", line),
        weighting_percent=weighting,
    )


def whole(row: dict[str, str], column: str, line: int, *, signed: bool = False) -> int:
    """A whole number: no unit, no decimals. A missing one is an error, never a low grade."""
    given = row.get(column, "").strip()
    if not given:
        raise BadTable(line, column, "missing")
    digits = given.removeprefix("-") if signed else given
    if not digits.isascii() or not digits.isdecimal() or len(digits) > 10 or int(digits) > MOST:
        raise BadTable(line, column, f"{given!r} is not a whole number")
    return int(given)

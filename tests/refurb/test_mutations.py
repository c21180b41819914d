"""No mutation of an accepted report is accepted: bytes flipped, lines dropped, doubled or swapped, drives exchanged, the text cut.

A slice of about 1,500 in the usual run; MUTATIONS=<number> asks for as many of each report. The seed is the report's name: a mutation
that is taken can be made again.
"""

import os
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from services.refurb.domain.readers import nwipe
from tests.refurb.samples import case, judged

MANY = int(os.environ.get("MUTATIONS", "0"))
NWIPE = re.compile(
    rb"notice: (?!Opened)(?!/dev/\S+ (USB|has))(?=.*/dev/)|(banner  |method  |rounds  |verify  ) =|\* (Error Summary|Drive Status) \*"
    rb"|^!   Device|Total Through|info: Nwipe|^[! ] +(sda|nvme0n1) "
)
BLANCCO = re.compile(
    rb'"(state|start_time|end_time|cleaned_sectors|failed_sectors|total_errors|\w+_rounds|verification_percentage|capacity)"'
    rb'|^ {12}.*"(serial|model)"|<entries name="(erasures?|target|disk)">|integrity'
)
NVME = re.compile(
    rb'"(device|started_at|ended_at|sn|sanicap|tnvmcap|nvme0|sprog|sstat|media_\w+|global_erased|no_\w+|status|cdw10_\w+)"'
)
HDPARM = re.compile(rb"\S")
RESET = re.compile(rb'"(form|version|imei|storage_\w+|account_\w+|method|started_at|ended_at|first_\w+|verifier)"')
DESTRUCTION = re.compile(rb'"(form|version|method|media|serial|started_at|ended_at|verifier)"')
DATE = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:?\d\d")
"""A date moved by a digit is still a date: nothing else in a report tells the time."""
FREE = {
    "nwipe": re.compile(
        rb"Found \S+,(.*),|\| +\d+ [A-Z]?B/s \| \S+ \| (.*)/|Throughput +(\d+ [A-Z]?)B|blk/dev (\S+/)|nwipe (.*)"
    ),
    "blancco": re.compile(rb"<author>(.*)</author>"),
    "nvme": re.compile(rb'"sanicap": (\d)|"tnvmcap": (\d+)'),
    "hdparm": re.compile(rb"code = (\d+)|(\d+min) for|ENH|password=?:? ?\"(.)\"|set-pass (.)|enhanced (.) /|\xff"),
    "reset": re.compile(rb'"verifier": "(.*)"'),
    "destruction": re.compile(rb'"verifier": "(.*)"'),
}
"""What proves nothing and binds to nothing: models and speeds, versions, sector sizes, who signed when it is still somebody.

Of a controller, what it can do and how large it is: a sanitize covers all of it, and less than the audit found is refused elsewhere."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A report that is accepted, and the lines that the verdict on its first medium rests on."""

    name: str
    form: str
    rests_on: re.Pattern[bytes]
    kinds: tuple[str, ...]
    slice: int = 90
    whole: bool = True
    """Its device is accepted, not only the first of its media."""


ORDERED = ("flip", "flip", "flip", "drop", "double", "swap", "cut")
NAMED = ("flip", "flip", "flip", "flip", "drop", "cut")
"""In XML and JSON the order of named values says nothing."""
REPORTS = [
    *(Accepted(name, "nwipe", NWIPE, ORDERED, 130) for name in ("d01", "d07", "d09")),
    *(Accepted(name, "nwipe", NWIPE, ORDERED, 130, whole=False) for name in ("d04", "d08")),
    *(Accepted(name, "blancco", BLANCCO, NAMED) for name in ("d13", "d14", "d16")),
    *(Accepted(name, "nvme", NVME, NAMED) for name in ("d17", "d18")),
    Accepted("d20", "hdparm", HDPARM, ORDERED, 150),
    Accepted("d22", "reset", RESET, NAMED),
    Accepted("d24", "destruction", DESTRUCTION, NAMED),
]


def mutations(report: Accepted, data: bytes, rng: random.Random, number: int) -> Iterator[tuple[str, bytes]]:
    """That many texts, each with a line changed that the verdict rests on."""
    lines = data.split(b"\n")
    rests = [i for i, line in enumerate(lines) if report.rests_on.search(line) and b"/dev/sdb" not in line]
    made = 0
    while made < number:
        kind, i, changed = rng.choice(report.kinds), rng.choice(rests), list(lines)
        if kind == "flip":
            at = rng.randrange(len(lines[i]))
            if is_free(report, lines[i], at):
                continue
            flipped = bytearray(lines[i])
            flipped[at] ^= rng.randrange(1, 256)
            if report.kinds == NAMED and not bytes((lines[i][at], flipped[at])).strip():
                continue
            changed[i] = bytes(flipped)
        elif kind == "drop":
            del changed[i]
        elif kind == "double":
            changed.insert(rng.choice(rests), lines[i])
        elif kind == "swap":
            j = rng.choice(rests)
            changed[i], changed[j] = changed[j], changed[i]
        else:
            changed = [*changed[:i], lines[i][: rng.randrange(len(lines[i]))]]
        mutated = b"\n".join(changed)
        if mutated != data and not harmless(report, kind, lines[i], mutated, data):
            made += 1
            yield f"{kind} of line {i + 1}: {lines[i]!r}", mutated


def is_free(report: Accepted, line: bytes, at: int) -> bool:
    """Whether a byte of a line proves nothing: indentation too, where it may be any blank."""
    if report.form == "nwipe" and line.startswith(b"[") and at < 22:
        return True
    if b"B/s | " in line and line.index(b"B/s | ") - 8 <= at < line.index(b"B/s | ") + 16:
        return True
    if report.form not in {"nwipe", "hdparm"} and at < len(line) - len(line.lstrip()):
        return True
    spans = [match.span(n) for match in FREE[report.form].finditer(line) for n in range(1, (match.lastindex or 0) + 1)]
    return any(low <= at < high for low, high in [*spans, *(match.span() for match in DATE.finditer(line))])


def harmless(report: Accepted, kind: str, line: bytes, mutated: bytes, data: bytes) -> bool:
    """Lines of other media swapped among themselves say the same of the first one; so do those of one block of hdparm."""
    if kind != "swap" or sorted(mutated.split(b"\n")) != sorted(data.split(b"\n")):
        return False
    if report.form == "hdparm":
        return line.startswith((b"\t", b"ATA")) or mutated.replace(b"\n\n", b"\n") == data.replace(b"\n\n", b"\n")
    return facts(mutated) == facts(data) and b"sd" in line


def facts(data: bytes) -> object:
    return [run.model_dump(exclude={"line"}) for run in nwipe.read(data.decode("cp1252"))]


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.name)
def test_no_mutation_of_an_accepted_report_is_accepted(report: Accepted) -> None:
    labelled, files = case(report.name)
    ((file, data),) = files.items()
    assert accepted(report, judged(labelled, files))
    taken = [
        (what, found["media"])
        for what, mutated in mutations(report, data, random.Random(report.name), MANY or report.slice)  # noqa: S311 seeded
        if accepted(report, found := judged(labelled, {file: mutated}))
    ]
    assert taken == []


def accepted(report: Accepted, found: Mapping[str, Any]) -> bool:
    """Whether what the report proves is taken for proven."""
    return bool(found["device_accepted"] if report.whole else found["media"][0]["accepted"])


@pytest.mark.parametrize("within", [b"target", b"disk", b"<root>"])
def test_drives_exchanged_in_a_report_prove_nothing(within: bytes) -> None:
    """In what was erased, in what the machine has, or everywhere: then sizes do not fit the audit."""
    labelled, files = case("d16")
    ((file, data),) = files.items()
    exchanged = {b"CT48000SYN01": b"FAKE9X210001", b"FAKE9X210001": b"CT48000SYN01"}
    parts = re.split(rb"(?=%b)" % (b'"%b"' % within if within[:1] != b"<" else within), data)
    changed = b"".join(
        re.sub(rb"CT48000SYN01|FAKE9X210001", lambda m: exchanged[m[0]], part, count=0 if within == b"<root>" else 1)
        if n
        else part
        for n, part in enumerate(parts)
    )
    assert changed != data
    assert not judged(labelled, {file: changed})["device_accepted"]


@pytest.mark.parametrize("report", REPORTS[:5], ids=lambda report: report.name)
def test_no_figure_that_counts_may_change(report: Accepted) -> None:
    labelled, files = case(report.name)
    data = files["nwipe.log"]
    lines = data.split(b"\n")
    taken = []
    for i, line in enumerate(lines):
        if not NWIPE.search(line) or b"/dev/sdb" in line:
            continue
        for at in range(len(line)):
            if line[at : at + 1].isdigit() and not is_free(report, line, at):
                digit = b"%d" % ((int(line[at : at + 1]) + 1) % 10)
                changed = b"\n".join([*lines[:i], line[:at] + digit + line[at + 1 :], *lines[i + 1 :]])
                if judged(labelled, {"nwipe.log": changed})["media"][0]["accepted"]:
                    taken.append((line, at))
    assert taken == []

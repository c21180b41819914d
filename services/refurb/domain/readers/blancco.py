"""Reads reports of Blancco Drive Eraser, as XML (`entries`/`entry`) and as the JSON of its management console.

Checked against the names that public parsers and writers of such reports use (the schema varies by version, and no document of the
vendor was at hand): `blancco_data`, `description`, `blancco_erasure_report`/`erasures`/`erasure`/`target`,
`blancco_hardware_report`/`disks`/`disk`, and `reports[].blancco_data…` as lists of one-name objects. `verification_percentage` is assumed.
Each erasure must say all that a verdict rests on, once, and agree with itself and with the disk of the same serial number.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from xml.parsers import expat

from services.refurb.domain.readers.facts import DEEPEST, Facts, Unusable, identifier, moment, words
from shared.events.refurb import ErasureRun

MOST_ELEMENTS = 50_000
MOST_RUNS = 200
STATES = {
    "successful": "ok",
    "failed": "failed",
    "erased with exceptions": "failed",
    "successful with exceptions": "failed",
    "canceled": "aborted",
    "cancelled": "aborted",
    "aborted": "aborted",
    "interrupted": "aborted",
    "in progress": "in_progress",
    "running": "in_progress",
    "not started": "not_an_erasure",
}
NUMBER = re.compile(r"0|[1-9]\d{0,18}")
COUNTS = ("cleaned_sectors", "failed_sectors", "total_errors", "overwriting_rounds", "firmware_rounds", "total_erasure_rounds")
TEXTS = ("state", "erasure_standard_name", "start_time", "end_time")
TYPES = {"string", "uint", "int", "boolean", "bool", "float", "double", "date", "time", "datetime"}
NUMBERS = {*COUNTS, "verification_percentage", "capacity"}
SECTOR = 512
JSON = "json"
"""Name of the root of what came as JSON. The console leaves the tool's own log of the document out."""


@dataclass(slots=True)
class Group:
    """Named values and groups of them. `odd`: a value twice, a stray text, a type that does not fit."""

    name: str
    values: dict[str, str] = field(default_factory=dict)
    groups: list["Group"] = field(default_factory=list)
    odd: bool = False

    def put(self, name: str, value: str, *, odd: bool = False) -> None:
        self.odd |= odd or name in self.values
        self.values.setdefault(name, value)

    def named(self, name: str) -> Iterator["Group"]:
        """All groups of that name, at any depth."""
        for group in self.groups:
            if group.name == name:
                yield group
            else:
                yield from group.named(name)

    @property
    def spoilt(self) -> bool:
        """Something is odd in it, or in what it holds."""
        return self.odd or any(group.spoilt for group in self.groups)


def read_xml(text: str) -> Facts | None:
    """Read an XML report. None: it is XML, of another kind. Raises Unusable."""
    root = tree(text)
    return Facts(tool="blancco", runs=tuple(runs(root))) if any(root.named("blancco_data")) else None


def tree(text: str) -> Group:
    """Parse XML without a DOCTYPE, not deep and not large. Raises Unusable."""
    if re.search(r"<!(DOCTYPE|ENTITY)", text, re.IGNORECASE):
        raise Unusable("hostile_input")
    builder = Builder()
    parser = expat.ParserCreate(encoding="utf-8")
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    parser.buffer_text = True
    try:
        parser.Parse(text.encode("utf-8", "surrogatepass"), True)
    except expat.ExpatError as error:
        hostile = error.code == expat.errors.codes[expat.errors.XML_ERROR_BAD_CHAR_REF]
        raise Unusable("hostile_input" if hostile else "unreadable") from error
    return builder.root


class Builder:
    """Makes groups of elements: `entries` and others are groups, `entry` and leaves are values."""

    def __init__(self) -> None:
        self.root = Group("")
        self.path: list[tuple[str, dict[str, str], Group, list[str]]] = []
        self.elements = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.elements += 1
        if len(self.path) >= DEEPEST:
            raise Unusable("hostile_input")
        if self.elements > MOST_ELEMENTS:
            raise Unusable("too_large")
        above = self.path[-1][2] if self.path else self.root
        if self.path and self.path[-1][0] == "entry":
            above.odd = True
        self.path.append((tag, attributes, Group(attributes.get("name", tag) if tag == "entries" else tag), []))

    def text(self, data: str) -> None:
        if self.path:
            self.path[-1][3].append(data)

    def end(self, tag: str) -> None:
        _, attributes, group, texts = self.path.pop()
        above = self.path[-1][2] if self.path else self.root
        text = "".join(texts)
        leaf = not group.groups and not group.values
        if tag == "entry":
            name, kind = attributes.get("name", ""), attributes.get("type")
            digits = kind == "uint" and not NUMBER.fullmatch(text)
            odd = set(attributes) != {"name", "type"} or kind not in TYPES or digits or (name in NUMBERS) > (kind == "uint")
            above.put(name, text, odd=odd or not leaf or group.odd)
        elif leaf and text.strip():
            above.put(tag, text, odd=tag == "entries")
        else:
            group.odd |= bool(text.strip())
            above.groups.append(group)


def looks_like(content: Any) -> bool:
    """Tell whether JSON may hold such a report: alone, or in the console's list."""
    return isinstance(content, Mapping) and any(name in content for name in ("blancco_data", "report", "reports"))


def facts(content: Any) -> Facts:
    """Read the console's JSON. Raises Unusable."""
    root = Group(JSON)
    fill(root, content, [0])
    return Facts(tool="blancco", runs=tuple(runs(root)))


def fill(group: Group, content: Any, elements: list[int]) -> None:
    """The same groups. In the console's form a group is a list of objects with one name each."""
    for item in content if isinstance(content, list) else [content]:
        for key, value in item.items() if isinstance(item, Mapping) else ():
            several = isinstance(value, list) and not all(isinstance(one, Mapping) and len(one) == 1 for one in value)
            for one in value if several else [value]:
                elements[0] += 1
                if elements[0] > MOST_ELEMENTS:
                    raise Unusable("too_large")
                if isinstance(one, Mapping | list):
                    inner = Group(str(key))
                    fill(inner, one, elements)
                    group.groups.append(inner)
                elif isinstance(one, str | int) and not isinstance(one, bool):
                    group.put(str(key), str(one))


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the erasures of one report share."""

    disks: Sequence[Group] | None
    """Of its hardware report. None: there is no such report."""
    written: Sequence[Group]
    version: str | None
    console: bool
    spoilt: bool


def runs(root: Group) -> list[ErasureRun]:
    """The erasures of all reports of a file."""
    found = []
    console = root.name == JSON
    for data in root.named("blancco_data"):
        hardware = [part for part in data.named("blancco_hardware_report") if part.groups or part.values]
        parts = list(data.named("blancco_erasure_report"))
        named = all(any(group.name == "erasures" for group in part.groups) for part in parts)
        report = Report(
            disks=[disk for part in hardware for disk in part.named("disk")] if hardware else None,
            written=list(data.named("log_entry")),
            version=next((group.values.get("product_version") for group in data.named("author")), None),
            console=console,
            spoilt=data.spoilt or not (named or console),
        )
        for erasure in (erasure for part in parts for erasure in within(part)):
            found.append(run(report, erasure))
            if len(found) > MOST_RUNS:
                raise Unusable("too_large")
    if not found:
        raise Unusable("not_an_erasure")
    return found


def within(part: Group) -> Iterator[Group]:
    """The erasures of a report: groups of that name, or whatever has a target."""
    for group in part.groups:
        if group.name == "erasure" or any(inner.name == "target" for inner in group.groups):
            yield group
        else:
            yield from within(group)


def run(report: Report, erasure: Group) -> ErasureRun:
    """What the report says of one erasure."""
    targets = [group for group in erasure.groups if group.name == "target"]
    target = targets[0] if len(targets) == 1 else Group("target", odd=True)
    values = erasure.values
    started, ended = moment(values.get("start_time")), moment(values.get("end_time"))
    outcome = STATES.get(values.get("state", "").casefold(), "failed")
    serial = identifier(target.values.get("serial"))
    if outcome == "ok":
        outcome = doubts(report, erasure, target)
    if outcome == "ok" and (report.spoilt or not vouched(report, ended)):
        outcome = "contradictory"
    cleaned = number(values.get("cleaned_sectors"))
    percent = number(values.get("verification_percentage"))
    standard = words(values.get("erasure_standard_name")) or ""
    purged = "purge" in standard.casefold().split() and (number(values.get("firmware_rounds")) or 0) >= 1
    return ErasureRun(
        serial=serial,
        model=words(target.values.get("model")),
        outcome=outcome,
        covered_bytes=(cleaned or 0) * SECTOR,
        verified=percent is not None and 0 < percent <= 100,
        method_class="Purge" if purged else "Clear",
        technique=standard,
        tool="blancco",
        tool_version=words(report.version),
        started_at=started.astimezone(UTC) if started else None,
        ended_at=ended.astimezone(UTC) if ended else None,
    )


def number(given: str | None) -> int | None:
    return int(given) if given is not None and NUMBER.fullmatch(given) else None


def doubts(report: Report, erasure: Group, target: Group) -> str:
    """`ok`, or what speaks against an erasure that calls itself successful."""
    values = erasure.values
    counts = {name: number(values.get(name)) for name in COUNTS}
    if any(counts[name] for name in ("failed_sectors", "total_errors")):
        return "write_errors"
    if not {*COUNTS, *TEXTS} <= set(values) or not {"serial", "capacity"} <= set(target.values):
        return "contradictory"
    if None in counts.values() or target.odd or not (report.console or erasure.name == "erasure"):
        return "contradictory"
    percent, capacity = values.get("verification_percentage"), number(target.values["capacity"])
    if percent is not None and (number(percent) is None or int(percent) > 100):
        return "contradictory"
    rounds = (counts["overwriting_rounds"] or 0) + (counts["firmware_rounds"] or 0)
    covered = (counts["cleaned_sectors"] or 0) * SECTOR
    if rounds != counts["total_erasure_rounds"] or capacity is None or covered > capacity:
        return "contradictory"
    if covered < capacity:
        return "capacity_short"
    same = [disk for disk in report.disks or () if disk.values.get("serial") == target.values["serial"]]
    if report.disks is None:
        return "ok"
    if len(same) != 1 or any(same[0].values.get(name) != target.values.get(name) for name in ("model", "capacity")):
        return "contradictory"
    return "ok"


def vouched(report: Report, ended: datetime | None) -> bool:
    """The tool says that the report is whole, and it was written after the erasure."""
    if report.console and not report.written:
        return True
    whole = bool(report.written) and all(entry.values.get("integrity") == "Ok" for entry in report.written)
    dates = [moment(entry.values.get("date")) for entry in report.written]
    return whole and ended is not None and all(at is not None and at >= ended for at in dates)

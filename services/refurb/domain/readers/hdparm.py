"""Reads the transcript of an ATA secure erase: commands after `# `, and what hdparm, date and cmp printed to each.

Checked against transcripts of hdparm 9.x in public guides: `-I`, `--security-set-pass`, `--security-erase[-enhanced]`. The tool's exit
status is not in a transcript, so its silence is the proof of success, and every line that it does not print on success counts against
it. What the drive is must be said the same before and after; its capacity must agree in each place where it stands. A comparison with
zero (`cmp /dev/zero`) that ends at the last byte of the drive is the verification.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from services.refurb.domain.readers.facts import Facts, Unusable, identifier, moment
from shared.events.refurb import ErasureRun

MOST_LINES = 20_000
MOST_COMMANDS = 500
PROMPT = "# "
DEV = r"(/dev/[a-z]+)"
DATE = re.compile(r"date (-Is|-Iseconds|--iso-8601=seconds)")
IDENTIFY = re.compile(rf"hdparm -I {DEV}")
SET_PASS = re.compile(rf"hdparm (?:--user-master u )?--security-set-pass (\S+) {DEV}")
ERASE = re.compile(rf"hdparm (?:--user-master u )?--security-(erase|erase-enhanced) (\S+) {DEV}")
COMPARE = re.compile(rf"cmp /dev/zero {DEV}|cmp {DEV} /dev/zero")
AT_END = re.compile(rf"cmp: EOF on {DEV} after byte (\d+)(, in line 1)?")
DIFFERS = re.compile(r"(/dev/\S+ /dev/\S+) differ: (byte|char) (\d+), line \d+")
FIELDS = {
    "model": re.compile(r"\tModel Number: +(\S.*?) *"),
    "serial": re.compile(r"\tSerial Number: +(\S.*?) *"),
    "sectors": re.compile(r"\tLBA48  user addressable sectors: +(\d+)"),
    "sector": re.compile(r"\tLogical  Sector size: +(\d+) bytes.*"),
    "MiB": re.compile(r"\tdevice size with M = 1024\*1024: +(\d+) MBytes"),
    "MB": re.compile(r"\tdevice size with M = 1000\*1000: +(\d+) MBytes.*"),
    "checksum": re.compile(r"Checksum: (correct)"),
}
STATES = ("supported", "enabled", "locked", "frozen", "expired: security count", "supported: enhanced erase")
SECURITY = re.compile(
    rf"\t(not)?\t({'|'.join(STATES)})"
    r"|\tMaster password revision code = \d+|\tSecurity level (?:high|maximum)"
    r"|\t\d+min for SECURITY ERASE UNIT\.( \d+min for ENHANCED SECURITY ERASE UNIT\.)?[ ]*"
)


@dataclass(frozen=True, slots=True)
class Told:
    """A command and what was printed to it."""

    line: int
    command: str
    printed: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What `hdparm -I` said of a drive. `odd`: some of it is missing, doubled or at odds."""

    model: str | None
    serial: str | None
    capacity: int
    odd: bool
    kept: tuple[str, ...]
    """All lines but those about the state of security, which an erasure changes."""
    security: frozenset[str]


@dataclass(slots=True)
class Erasure:
    """One erase command."""

    line: int
    enhanced: bool
    started: datetime | None
    before: Identity | None
    failed: int | None = None
    odd: int | None = None
    ended: datetime | None = None
    after: Identity | None = None
    compared: int | None = None
    differs: int | None = None


@dataclass(slots=True)
class Transcript:
    """What was said so far."""

    now: datetime | None = None
    known: dict[str, list[Identity]] = field(default_factory=dict)
    erasures: dict[str, list[Erasure]] = field(default_factory=dict)
    strange: int | None = None
    """Line of the first thing that is no part of such a transcript: then nothing in it proves anything."""
    times: list[datetime] = field(default_factory=list)


def looks_like(text: str) -> bool:
    """Tell whether a text may be such a transcript at all."""
    return any(line.startswith((f"{PROMPT}hdparm ", f"{PROMPT}sudo hdparm ")) for line in text.split("\n", 200)[:200])


def facts(text: str) -> Facts:
    """The facts of a transcript. Raises Unusable."""
    return Facts(tool="hdparm", runs=tuple(read(text)))


def read(text: str) -> list[ErasureRun]:
    """Every erase command as a run, in the order of the text. Raises Unusable."""
    lines = text.replace("\r\n", "\n").rstrip("\n").split("\n")
    if len(lines) > MOST_LINES:
        raise Unusable("too_large")
    told = list(commands(lines))
    if len(told) > MOST_COMMANDS:
        raise Unusable("too_large")
    transcript = Transcript(strange=None if told and told[0].line == 1 else 1)
    for step in told:
        take(transcript, step)
    if not transcript.erasures:
        raise Unusable("not_an_erasure" if transcript.known else "unreadable")
    return [run(transcript, path, one, lines) for path, all_ in transcript.erasures.items() for one in all_]


def commands(lines: Sequence[str]) -> Iterator[Told]:
    starts = [n for n, line in enumerate(lines) if line.startswith(PROMPT)]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        yield Told(start + 1, lines[start].removeprefix(PROMPT).removeprefix("sudo "), lines[start + 1 : end])


def take(transcript: Transcript, told: Told) -> None:
    """Take in one command. What it printed must be what it prints."""
    printed = [line for line in told.printed if line.strip()]
    if DATE.fullmatch(told.command):
        at = moment(printed[0]) if len(printed) == 1 else None
        if at is None:
            transcript.strange = transcript.strange or told.line
            return
        transcript.now = at
        transcript.times.append(at)
        for erasure in (e for all_ in transcript.erasures.values() for e in all_):
            erasure.ended = erasure.ended or at
    elif match := IDENTIFY.fullmatch(told.command):
        found = identity(match[1], told.printed)
        if found.odd:
            transcript.strange = transcript.strange or told.line
        transcript.known.setdefault(match[1], []).append(found)
        for erasure in transcript.erasures.get(match[1], [])[-1:]:
            erasure.after = erasure.after or found
    elif match := SET_PASS.fullmatch(told.command):
        issued = f' Issuing SECURITY_SET_PASS command, password="{match[1]}", user=user, mode=high'
        if printed != [f'security_password: "{match[1]}"', f"{match[2]}:", issued]:
            transcript.strange = transcript.strange or told.line
    elif match := ERASE.fullmatch(told.command):
        transcript.erasures.setdefault(match[3], []).append(erased(transcript, told, match, printed))
    elif match := COMPARE.fullmatch(told.command):
        compare(transcript, told, match[1] or match[2], printed)
    else:
        transcript.strange = transcript.strange or told.line


def erased(transcript: Transcript, told: Told, match: re.Match[str], printed: Sequence[str]) -> Erasure:
    password, path = match[2], match[3]
    known = transcript.known.get(path)
    erasure = Erasure(told.line, match[1] == "erase-enhanced", transcript.now, known[-1] if known else None)
    issued = f' Issuing SECURITY_ERASE command, password="{password}", user=user'
    expected = [f'security_password: "{password}"', f"{path}:", issued]
    for number, line in enumerate(told.printed, told.line + 1):
        if line.strip() and line not in expected:
            erasure.failed = erasure.failed or number
    if list(printed) != expected:
        erasure.odd = told.line
    return erasure


def compare(transcript: Transcript, told: Told, path: str, printed: Sequence[str]) -> None:
    erasures = transcript.erasures.get(path)
    end = AT_END.fullmatch(printed[0]) if len(printed) == 1 else None
    differs = DIFFERS.fullmatch(printed[0]) if len(printed) == 1 else None
    if not erasures or not (end or differs) or (end and end[1] != path) or (differs and path not in differs[1].split()):
        transcript.strange = transcript.strange or told.line
    elif differs:
        erasures[-1].differs = told.line + 1
    elif end:
        erasures[-1].compared = int(end[2])


def identity(path: str, printed: Sequence[str]) -> Identity:
    """Read what `hdparm -I` printed."""
    lines = [line for line in printed if line.strip()]
    found: dict[str, list[str]] = {name: [m[1] for line in lines if (m := form.fullmatch(line))] for name, form in FIELDS.items()}
    begin = next((n for n, line in enumerate(lines) if line.rstrip(" ") == "Security:"), len(lines))
    end = next((n for n in range(begin + 1, len(lines)) if not lines[n].startswith("\t")), len(lines))
    security = [SECURITY.fullmatch(line) for line in lines[begin + 1 : end]]
    once = all(len(said) == 1 for said in found.values())
    capacity = int(found["sectors"][0]) * int(found["sector"][0]) if once else 0
    agree = once and (int(found["MiB"][0]), int(found["MB"][0])) == (capacity // 2**20, capacity // 10**6)
    flags = [(m[1] or "", m[2]) for m in security if m and m[2]]
    others = [line for line, m in zip(lines[begin + 1 : end], security, strict=True) if m and not m[2]]
    complete = sorted(what for _, what in flags) == sorted(STATES) and sum("Master" in o or "min for" in o for o in others) == 2
    return Identity(
        model=found["model"][0] if once else None,
        serial=identifier(found["serial"][0]) if len(found["serial"]) == 1 else None,
        capacity=capacity,
        odd=not agree or not all(security) or not complete or lines[:1] != [f"{path}:"],
        kept=tuple(lines[:begin] + [line for line in others if "level" not in line] + lines[end:]),
        security=frozenset(f"{no} {what}".strip() for no, what in flags),
    )


def run(transcript: Transcript, path: str, erasure: Erasure, lines: Sequence[str]) -> ErasureRun:
    """What is known of one erase command."""
    known = transcript.known.get(path, [])
    serials = tuple(dict.fromkeys(i.serial for i in known if i.serial))
    outcome, line = outcome_of(transcript, erasure, known)
    if outcome == "ok" and len(serials) > 1:
        outcome, line = "contradictory", erasure.line
    capacity = max((i.capacity for i in known), default=0)
    return ErasureRun(
        serial=serials[0] if len(serials) == 1 else None,
        doubtful_serials=serials if len(serials) > 1 else (),
        model=known[0].model if known else None,
        outcome=outcome,
        line=line,
        said=lines[line - 1].strip()[:200] if line and line != erasure.line else None,
        covered_bytes=capacity,
        verified=erasure.differs is None and erasure.compared == capacity and capacity > 0,
        method_class="Purge" if erasure.enhanced else "Clear",
        technique="ATA enhanced secure erase" if erasure.enhanced else "ATA secure erase",
        tool="hdparm",
        started_at=erasure.started.astimezone(UTC) if erasure.started else None,
        ended_at=erasure.ended.astimezone(UTC) if erasure.ended else None,
    )


def outcome_of(transcript: Transcript, erasure: Erasure, known: Sequence[Identity]) -> tuple[str, int]:
    """`ok` or what went wrong, and the line that it rests on."""
    if erasure.failed:
        return "failed", erasure.failed
    if erasure.odd:
        return ("contradictory" if erasure.ended else "truncated"), erasure.odd
    if erasure.differs:
        return "verification_errors", erasure.differs
    if erasure.ended is None:
        return "truncated", erasure.line
    if transcript.strange or erasure.started is None or not known or any(i.odd for i in known):
        return "contradictory", transcript.strange or erasure.line
    if len({i.kept for i in known}) != 1:
        return "contradictory", erasure.line
    refused = erasure.before is not None and {"frozen", "locked", "not supported"} & erasure.before.security
    unable = erasure.enhanced and any("supported: enhanced erase" not in i.security for i in known)
    still = erasure.after is not None and not {"not enabled", "not locked"} <= erasure.after.security
    beyond = erasure.compared is not None and erasure.compared > known[0].capacity
    if refused or unable or still or beyond:
        return "contradictory", erasure.line
    if sorted(transcript.times) != transcript.times and erasure.ended >= erasure.started:
        return "contradictory", erasure.line
    return "ok", erasure.line

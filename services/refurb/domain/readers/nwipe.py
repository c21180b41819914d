"""Reads logs of nwipe (and ShredOS): bytes of text in, one typed fact for each medium that each run touched.

Strict, since a verdict rests on it: a run counts as done only when every line that the tool prints for it is there, once, in order,
and all of them agree (sizes, rounds, passes, method, verification, both places that name the serial number). The tables outrank the
closing sentence. What is missing, doubled or at odds makes the run `truncated` or `contradictory`; nothing is guessed.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from services.refurb.domain.readers.facts import LOCAL, Facts, Unusable, identifier
from shared.events.refurb import ErasureRun

MOST_RUNS = 200
LONGEST_LINE = 4_000
"""Characters. The tool's own are below 300."""
MOST_LINES = 20_000
"""A run of 20 media with 7 verified passes in 3 rounds prints about 3,000. Above: `too_large`, so that reading stays below a second."""
TIME = r"\[(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d)\] "
DEV = r"(/dev/[\w/]+)"
LINE = re.compile(TIME + r"(  debug|   info| notice|warning|  error|  fatal| sanity): (.*)")
FOUND = re.compile(r"Found " + DEV + r", +[A-Z0-9-]{3,9}, (.*), +(\d+) ([KMGTPE]?)B, S/N=(.*)")
OPTION = re.compile(r"  (banner  |method  |rounds  |verify  ) = (.*)")
IN_FIGURES = r"(\d+)/(\d+), round (\d+)/(\d+), on " + DEV
IN_WORDS = r"(\d+) of (\d+), round (\d+) of (\d+), on "
STEPS = {
    "size": re.compile(DEV + r", sect/blk/dev (?:512|520|1024|2048|4096)/(?:512|1024|2048|4096|8192)/(\d+)"),
    "invoke": re.compile(r"Invoking method '(.*)' on " + DEV),
    "round": re.compile(r"Starting round (\d+) of (\d+) on " + DEV),
    "pass": re.compile(r"Starting pass " + IN_FIGURES),
    "wrote": re.compile(r"(\d+) bytes written to " + DEV),
    "verifying": re.compile(r"Verifying pass " + IN_WORDS + DEV),
    "read": re.compile(r"(\d+) bytes read from " + DEV),
    "verified": re.compile(r"Verified pass " + IN_WORDS + "'" + DEV + r"'\."),
    "passed": re.compile(r"Finished pass " + IN_FIGURES),
    "rounded": re.compile(r"Finished round (\d+) of (\d+) on " + DEV),
    "final": re.compile(r"Finished final round (\d+) of (\d+) on " + DEV),
    "blank": re.compile(r"Blanking device " + DEV),
    "empty?": re.compile(r"Verifying that " + DEV + r" is empty\."),
    "empty": re.compile(r"\[SUCCESS\] Verified that " + DEV + r" is empty\."),
    "blanked": re.compile(r"\[SUCCESS\] Blanked device " + DEV),
    "random": re.compile(r"Writing final random pattern to '" + DEV + r"'\."),
    "random?": re.compile(r"Verifying final random pattern FRP on " + DEV),
    "randomly": re.compile(r"\[SUCCESS\] Verified FRP on '" + DEV + r"' matches"),
}
TABLES = {
    "Error Summary": r"!   Device | Pass Errors | Verifications Errors | Fdatasync I\O Errors",
    "Erasure Summary": r"!   Device |      Bytes Erased |      Bytes Total | Percentage Erased",
    "Drive Status": r"!   Device | Status | Thru-put | HH:MM:SS | Model/Serial Number",
}
TITLE = re.compile(r"\*+ (Error Summary|Erasure Summary|Drive Status) \*+")
ROWS = {
    "Error Summary": re.compile(r"(?=.{10} \|)([! ]) +(\S+) \| +(\d+) \| +(\d+) \| +(\d+)"),
    "Erasure Summary": re.compile(r"(?=.{10} \|)([! ]) +(\S+) \| +(\d+) \| +(\d+) \| +(\d+\.\d+)%"),
    "Drive Status": re.compile(r"(?=.{10} \|)([! ]) +(\S+) \|(.{8})\| +\d+ [KMGTPE]?B/s \| (\d\d:\d\d:\d\d) \| (.*)/(.*)"),
}
TOTAL = re.compile(TIME + r"Total Throughput +\d+ [KMGTPE]?B/s, (.*), (\d+)R\+(B|NB)\+(NV|VL|VA)")
CLOSINGS = {
    "Nwipe successfully completed. See summary table for details.": True,
    "Nwipe exited with errors, check the log & summary table for individual drive status.": False,
    "Nwipe was aborted by the user. Check the summary table for the drive status.": False,
}
VERIFY = {"0 (off)": "NV", "1 (last pass)": "VL", "2 (all passes)": "VA"}
UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18}
WITHOUT_BLANKING = "RCMP TSSIT OPS-II"
"""Ends with a random pattern of its own, whatever the option says."""


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the tool about one medium."""

    name: str
    args: tuple[str, ...]
    at: datetime
    line: int


@dataclass(slots=True)
class Drive:
    """What one run says of one medium."""

    path: str
    found: list[tuple[str, str, int, int]] = field(default_factory=list)
    """Model, serial number, size by its label, unit of the label."""
    hidden: bool = False
    steps: list[Step] = field(default_factory=list)
    complaint: int | None = None
    """Line of the first error about it."""
    rows: dict[str, list[tuple[int, tuple[str, ...]]]] = field(default_factory=dict)

    @property
    def touched(self) -> bool:
        return bool(self.steps or self.rows or self.complaint)


@dataclass(slots=True)
class Run:
    """One start of the tool."""

    drives: dict[str, Drive] = field(default_factory=dict)
    options: dict[str, list[str]] = field(default_factory=dict)
    loose_error: int | None = None
    disorder: int | None = None
    """Line of the first thing that stands where the tool does not print it."""
    titles: list[str] = field(default_factory=list)
    totals: list[tuple[int, tuple[str, ...]]] = field(default_factory=list)
    closing: bool | None = None
    times: list[datetime] = field(default_factory=list)

    def drive(self, path: str) -> Drive:
        return self.drives.setdefault(path, Drive(path))

    @property
    def fragment(self) -> bool:
        """Not a whole start of the tool: its beginning is missing, or it found no medium and yet went on. An error after the end is one."""
        touched = any(drive.touched for drive in self.drives.values())
        if "banner" in self.options:
            return not self.drives
        return touched or bool(self.totals or self.titles) or self.closing is not None or self.loose_error is not None


def looks_like(text: str) -> bool:
    """Tell whether a text may be such a log at all."""
    return any(LINE.fullmatch(line) for line in text.split("\n", 50)[:50])


def facts(text: str) -> Facts:
    """The facts of a log. Raises Unusable."""
    return Facts(tool="nwipe", runs=tuple(read(text)))


def read(text: str) -> list[ErasureRun]:
    """Every medium that every run touched, in the order of the text. One fragment among the runs makes all of them doubtful.

    Raises Unusable above MOST_LINES or MOST_RUNS.
    """
    if text.count("\n") > MOST_LINES:
        raise Unusable("too_large")
    lines = text.replace("\r\n", "\n").split("\n")
    if max(map(len, lines)) > LONGEST_LINE:
        raise Unusable("too_large")
    found = list(runs(lines))
    facts = [fact for run in found for fact in facts_of(run, lines)]
    if len(facts) > MOST_RUNS:
        raise Unusable("too_large")
    if any(run.fragment for run in found):
        facts = [fact.model_copy(update={"outcome": "contradictory"}) if fact.outcome == "ok" else fact for fact in facts]
    return facts


def runs(lines: list[str]) -> Iterator[Run]:
    """Cut the log into runs: a new one begins after a closing sentence, or when discovery begins again after the options."""
    run, table, due = Run(), "", ""
    for number, line in enumerate(lines, 1):
        if due:
            table, due = (due if line == TABLES[due] else ""), ""
            continue
        if table and line[:1] in {"*", "["}:
            table = ""
        if table and (row := ROWS[table].fullmatch(line)):
            drive = run.drive(f"/dev/{row[2]}")
            drive.rows.setdefault(table, []).append((number, row.groups()))
            continue
        if not line.startswith("["):
            title = TITLE.fullmatch(line)
            if title:
                due = title[1]
                run.titles.append(due)
            elif line in TABLES.values() or any(row.fullmatch(line) for row in ROWS.values()):
                run.disorder = run.disorder or number
            continue
        total = TOTAL.fullmatch(line)
        parsed = total or LINE.fullmatch(line)
        at = moment(parsed[1]) if parsed else None
        if parsed is None or at is None:
            continue
        begins = not total and (FOUND.fullmatch(parsed[3]) or parsed[3].startswith("  banner   = "))
        if run.closing is not None or (begins and "banner" in run.options):
            yield run
            run = Run()
        run.times.append(at)
        if total:
            run.totals.append((number, total.groups()[1:]))
        else:
            take(run, number, at, parsed[2].strip(), parsed[3])
    yield run


def take(run: Run, number: int, at: datetime, level: str, said: str) -> None:
    """Take in one line of the log."""
    if level == "notice" and (found := FOUND.fullmatch(said)):
        run.drive(found[1]).found.append((found[2].strip(), found[5].strip(), int(found[3]), UNITS[found[4]]))
    elif level == "notice" and (option := OPTION.fullmatch(said)):
        run.options.setdefault(option[1].strip(), []).append(option[2])
    elif level == "info" and said in CLOSINGS:
        run.closing = CLOSINGS[said]
    elif level == "notice" and (step := step_of(said)):
        path, name, args = step
        run.drive(path).steps.append(Step(name, args, at, number))
        if tuple(run.options) != ("banner", "method", "rounds", "verify"):
            run.disorder = run.disorder or number
    else:
        named = [run.drives[path] for path in dict.fromkeys(re.findall(DEV, said)) if path in run.drives]
        hidden = "HIDDEN SECTORS" in said
        failed = level in {"error", "fatal", "sanity"} or "[FAILURE]" in said
        for drive in named:
            drive.hidden |= hidden
            if failed or (level == "warning" and drive.steps):
                drive.complaint = drive.complaint or number
        if not named and (failed or hidden):
            run.loose_error = run.loose_error or number


def step_of(said: str) -> tuple[str, str, tuple[str, ...]] | None:
    """The path, the name and the figures of a line about one medium."""
    for name, pattern in STEPS.items():
        if match := pattern.fullmatch(said):
            groups = match.groups()
            path = next(g for g in groups if g.startswith("/dev/"))
            return path, name, tuple(g for g in groups if g is not path)
    return None


def moment(text: str) -> datetime | None:
    """The time of a line. Not by `strptime`, which takes longer than all the rest of the reading."""
    try:
        return datetime(
            int(text[:4]), int(text[5:7]), int(text[8:10]), int(text[11:13]), int(text[14:16]), int(text[17:]), tzinfo=LOCAL
        )
    except ValueError:
        return None


def facts_of(run: Run, lines: list[str]) -> Iterator[ErasureRun]:
    """What the run says of each medium that it touched."""
    for drive in run.drives.values():
        if not drive.touched:
            continue
        serials = tuple(
            dict.fromkeys(s for s in [*(f[1] for f in drive.found), *in_table(drive)] if legible(s) and identifier(s))
        )
        blind = not serials and all(not legible(f[1]) for f in drive.found) and drive.found
        outcome, line = outcome_of(run, drive)
        if outcome == "ok" and len(serials) > 1:
            outcome, line = "contradictory", None
        wrote = [int(step.args[0]) for step in drive.steps if step.name == "wrote"]
        invoked = [step for step in drive.steps if step.name == "invoke"]
        method = invoked[0].args[0] if invoked else ""
        yield ErasureRun(
            serial=None if blind or len(serials) != 1 else serials[0],
            doubtful_serials=serials if len(serials) > 1 else (),
            model=drive.found[0][0] if drive.found else None,
            outcome=outcome,
            line=line,
            said=lines[line - 1].strip()[:200] if line else None,
            covered_bytes=min(wrote, default=0),
            hidden_area=drive.hidden,
            verified=is_verified(drive) and run.options.get("verify") != ["0 (off)"],
            method_class="Clear" if method and not method.startswith("Verify ") else None,
            technique=method,
            tool="nwipe",
            tool_version=run.options.get("banner", [""])[0].removeprefix("nwipe ") or None,
            started_at=invoked[0].at.astimezone(UTC) if invoked else None,
            ended_at=drive.steps[-1].at.astimezone(UTC) if drive.steps else None,
        )


def in_table(drive: Drive) -> list[str]:
    return [row[5].strip() for _, row in drive.rows.get("Drive Status", [])]


def legible(serial: str) -> bool:
    """A serial that the tool hid or could not read is none."""
    return bool(set(serial) - set("?X "))


def is_verified(drive: Drive) -> bool:
    """Whether the last thing written was read back and found right."""
    names = [step.name for step in drive.steps]
    last = max((i for i, name in enumerate(names) if name == "wrote"), default=len(names))
    return names[last + 1 : last + 4] in (
        ["verifying", "read", "verified"],
        ["empty?", "read", "empty"],
        ["random?", "read", "randomly"],
    )


def outcome_of(run: Run, drive: Drive) -> tuple[str, int | None]:
    """`ok` or what went wrong with this medium, and the line that it rests on. The tables come first."""
    status = drive.rows.get("Drive Status", [])
    if len(status) != 1 or run.closing is None:
        many = len(status) > 1
        return (
            ("contradictory", status[1][0]) if many else ("truncated", drive.steps[-1].line if drive.steps else drive.complaint)
        )
    number, (flag, _, word, lasted, model, _) = status[0]
    if word == "UABORTED":
        return "aborted", number
    if word != " Erased ":
        return "failed", number
    errors = drive.rows.get("Error Summary", [])
    if len(errors) != 1:
        return "contradictory" if errors else "truncated", number
    for count, code in zip(errors[0][1][2:], ("write_errors", "verification_errors", "write_errors"), strict=True):
        if int(count):
            return code, errors[0][0]
    if drive.complaint:
        return "contradictory", drive.complaint
    if flag != " " or errors[0][1][0] != " ":
        return "contradictory", number
    if run.disorder or not closes_well(run):
        return "contradictory", run.disorder or run.loose_error
    invoked = [step for step in drive.steps if step.name == "invoke"]
    if len(invoked) == 1 and invoked[0].args[0].startswith("Verify "):
        return "not_an_erasure", invoked[0].line
    own = {found[1] for found in drive.found if legible(found[1])}  # of two media with one number, neither is known
    twin = any(other is not drive and own & {found[1] for found in other.found} for other in run.drives.values())
    if twin or (drive.steps and hurried(drive.steps[0].at, drive.steps[-1].at, lasted)):
        return "contradictory", number
    return whole(run, drive, model.strip())


def hurried(first: datetime, last: datetime, lasted: str) -> bool:
    """Whether the table claims more than twice the time that passed between the lines. It counts more than they show, never that much."""
    hours, minutes, seconds = map(int, lasted.split(":"))
    return 2 * (last - first).total_seconds() + 1 < 3600 * hours + 60 * minutes + seconds


def closes_well(run: Run) -> bool:
    """Whether the closing sentence, the tables and the lines between agree about the run."""
    words = [row[2] for drive in run.drives.values() for _, row in drive.rows.get("Drive Status", [])]
    broken = any(word != " Erased " for word in words)
    return (run.closing is True and not broken and run.loose_error is None) or (run.closing is False and broken)


def whole(run: Run, drive: Drive, model: str) -> tuple[str, int | None]:
    """Whether every line of an erasure is there, once, in order, and agrees with the others."""
    last = drive.steps[-1].line if drive.steps else None
    options = [run.options.get(name, []) for name in ("banner", "method", "rounds", "verify")]
    if any(len(given) != 1 for given in options) or len(run.totals) != 1 or len(drive.found) != 1:
        return "contradictory", last
    (banner,), (method,), (rounds,), (verify,) = options
    total_line, (named, times, blank, verified) = run.totals[0]
    if (named, times, verified) != (method, rounds, VERIFY.get(verify)) or not re.fullmatch(r"nwipe \d+(\.\d+)+", banner):
        return "contradictory", last
    rows = [number for row in ("Error Summary", "Erasure Summary", "Drive Status") for number, _ in drive.rows.get(row, [])]
    order = [*(step.line for step in drive.steps), *rows, total_line]
    if order != sorted(order) or len(set(run.titles)) != len(run.titles):
        return "contradictory", last
    sizes = [step for step in drive.steps if step.name == "size"]
    if len(sizes) != 1 or not rounds.isdecimal():
        return "contradictory", last
    size = sizes[0].args[0]
    short = next((s for s in drive.steps if s.name == "wrote" and int(s.args[0]) < int(size)), None)
    if short:
        return "capacity_short", short.line
    erased = drive.rows.get("Erasure Summary", [])
    if any(int(row[2]) < int(row[3]) for _, row in erased):
        return "capacity_short", erased[0][0]
    expected = sequence(drive, method, int(rounds), size, verify, blanking=blank == "B")
    told = [(step.name, step.args) for step in drive.steps]
    label, unit = drive.found[0][2], drive.found[0][3]
    same = drive.found[0][0].startswith(model) and in_table(drive) == [drive.found[0][1]] and drive.found[0][0].isascii()
    if told != expected or not same or not label * unit <= int(size) < (label + 1) * unit or len(erased) > 1:
        return "contradictory", last
    if sorted(run.times) != run.times and drive.steps[-1].at >= drive.steps[0].at:
        return "contradictory", last
    return "ok", last


def sequence(
    drive: Drive, method: str, rounds: int, size: str, verify: str, *, blanking: bool
) -> list[tuple[str, tuple[str, ...]]]:
    """What the tool prints for a whole erasure. Where a read-back is left to the version of the tool, as the log has it."""
    seen = {(step.name, step.args) for step in drive.steps}
    passes = next((int(step.args[1]) for step in drive.steps if step.name == "pass"), 0)
    off = verify == "0 (off)"
    steps: list[tuple[str, tuple[str, ...]]] = [("size", (size,)), ("invoke", (method,))]
    for r in range(1, min(rounds, 100) + 1):
        steps.append(("round", (str(r), str(rounds))))
        for p in range(1, min(passes, 100) + 1):
            at = (str(p), str(passes), str(r), str(rounds))
            steps += [("pass", at), ("wrote", (size,))]
            if verify == "2 (all passes)" or (not off and ("verifying", at) in seen):
                steps += [("verifying", at), ("read", (size,)), ("verified", at)]
            steps.append(("passed", at))
        steps.append(("final" if r == rounds else "rounded", (str(r), str(rounds))))
    if method == WITHOUT_BLANKING:
        steps += [("random", ()), ("wrote", (size,))]
        steps += [] if off else [("random?", ()), ("read", (size,)), ("randomly", ())]
    elif blanking:
        steps += [("blank", ()), ("wrote", (size,))]
        steps += [] if off else [("empty?", ()), ("read", (size,)), ("empty", ())]
        steps.append(("blanked", ()))
    return steps if passes else []

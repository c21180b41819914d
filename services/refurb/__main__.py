"""`python -m services.refurb` runs the service; with a word after it, a tool.

contract [--check]          write docs/partners/ from the code, or fail when it differs
judge CASE_DIR…             judge labelled cases (case.yaml and its files), one line of JSON each
grade --rules VERSION       read CSV on stdin, print it with the category as last column
originals FOLDER            read every original of an evidence store against its hash; name what is damaged or missing; writes nothing there
original FOLDER SHA256      write one to stdout, as it came
key                         make an API key for a partner and show its SHA-256
"""

import argparse
import hashlib
import json
import re
import secrets
import sys
from pathlib import Path

import yaml

from services.refurb.domain import cases, contract, gradesheet, grading, judge
from services.refurb.domain.readers.facts import LARGEST
from services.refurb.domain.readers.recognise import decoded
from services.refurb.settings import DATA, RefurbSettings, document
from services.refurb.store import checking
from shared.errors import Outage

PARTNERS = Path(__file__).parents[2] / "docs" / "partners"


def write_contract(folder: Path, *, check: bool) -> int:
    """Write the documents, or name those that differ from the code. Returns the exit status."""
    files = contract.files()
    strangers = {str(p.relative_to(folder)) for p in folder.glob("schemas/*.json")} - set(files)
    if not check:
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, "utf-8")
        for path in strangers:
            (folder / path).unlink()
        return 0
    differ = [path for path, text in files.items() if not (folder / path).exists() or (folder / path).read_text("utf-8") != text]
    for path in sorted([*differ, *strangers]):
        print(f"docs/partners/{path} is not what the code says: run python -m services.refurb contract", file=sys.stderr)
    return 1 if differ or strangers else 0


def judge_cases(folders: list[Path]) -> int:
    """Print the verdicts on each case. A folder that holds no case is told on stderr, and the others are judged all the same."""
    policy = judge.policy(document(DATA / "erasure.yaml"), RefurbSettings.model_fields["refurb_policy"].default)
    status = 0
    for folder in folders:
        try:
            case = yaml.safe_load((folder / "case.yaml").read_text("utf-8"))
            files = {name: original(inside(folder, name)) for name in case["files"]}
            print(json.dumps(cases.judged(case, files, policy), ensure_ascii=False), flush=True)
        except (OSError, KeyError, TypeError, ValueError, RecursionError, yaml.YAMLError) as error:
            print(f"{folder}: no case to judge: {error!r}", file=sys.stderr)
            status = 2
    return status


def inside(folder: Path, name: str) -> Path:
    """A file of the case: what stands elsewhere is none of it. Raises ValueError."""
    file = folder / name
    if not file.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{name}: not in the folder of the case")
    return file


def original(file: Path) -> bytes:
    """A report, or as much of it as shows that it is too large."""
    with file.open("rb") as opened:
        return opened.read(LARGEST + 1)


def grade_rows(version: str) -> int:
    """Grade each row of the CSV on stdin."""
    rules = grading.rules(document(DATA / "grading.yaml"), version)
    text = decoded(sys.stdin.buffer.read())
    try:
        if text is None:
            raise gradesheet.BadTable(1, "", "neither UTF-8 nor Windows-1252")
        print(gradesheet.graded(text, rules, version), end="")
    except gradesheet.BadTable as error:
        print(f"grade: {error}", file=sys.stderr)
        return 2
    return 0


def check_originals(folder: Path) -> int:
    """Count what is well, and name what is not."""
    try:
        found = checking.checked(folder)
    except checking.Unusable as error:
        print(f"{folder}: {error.why}", file=sys.stderr)
        return 2
    unread = [
        {"pack": u.pack, "start": u.start, "bytes": u.length, "sha256": u.sha256, "unfinished": u.unfinished}
        for u in found.unread
    ]
    print(json.dumps({"well": found.well, "damaged": found.damaged, "unread": unread}))
    return 1 if found.damaged or unread else 0


def write_original(folder: Path, sha256: str) -> int:
    """Write one original to stdout."""
    try:
        data = checking.fetched(folder, sha256) if re.fullmatch("[0-9a-f]{64}", sha256) else None
    except checking.Unusable as error:
        print(f"{folder}: {error.why}", file=sys.stderr)
        return 2
    except Outage as error:
        print(f"{sha256}: {error}", file=sys.stderr)
        return 1
    if data is None:
        print(f"{sha256}: there is no such original in {folder}", file=sys.stderr)
        return 2
    sys.stdout.buffer.write(data)
    return 0


def tool(arguments: list[str]) -> int:
    """Run one of the tools."""
    parser = argparse.ArgumentParser(prog="python -m services.refurb", description=__doc__)
    words = parser.add_subparsers(dest="word", required=True)
    words.add_parser("contract").add_argument("--check", action="store_true")
    words.add_parser("judge").add_argument("cases", nargs="+", type=Path)
    versions = [str(version["id"]) for version in document(DATA / "grading.yaml")["versions"]]
    words.add_parser("grade").add_argument("--rules", required=True, choices=versions)
    words.add_parser("originals").add_argument("folder", type=Path)
    one = words.add_parser("original")
    one.add_argument("folder", type=Path)
    one.add_argument("sha256")
    words.add_parser("key")
    given = parser.parse_args(arguments)
    match given.word:
        case "contract":
            return write_contract(PARTNERS, check=given.check)
        case "judge":
            return judge_cases(given.cases)
        case "grade":
            return grade_rows(given.rules)
        case "originals":
            return check_originals(given.folder)
        case "original":
            return write_original(given.folder, given.sha256)
        case _:
            key = secrets.token_urlsafe(24)
            print(json.dumps({"key": key, "sha256": hashlib.sha256(key.encode()).hexdigest()}))
            return 0


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(tool(sys.argv[1:]))
    from services.refurb.app import build  # the tools need neither web nor database
    from shared.run import run

    run(build, RefurbSettings)

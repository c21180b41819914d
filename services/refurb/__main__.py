"""`python -m services.refurb` runs the service; with a word after it, a tool.

contract [--check]          write docs/partners/ from the code, or fail when it differs
judge CASE_DIR…             judge labelled cases (case.yaml and its files), one line of JSON each
grade --rules VERSION       read CSV on stdin, print it with points and category
key                         make an API key for a partner and show its SHA-256
"""

import argparse
import csv
import hashlib
import json
import secrets
import sys
from pathlib import Path

import yaml

from services.refurb.app import build, document
from services.refurb.domain import cases, contract, grading
from services.refurb.settings import DATA, RefurbSettings
from shared.run import run

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
    """Print the verdicts on each case."""
    for folder in folders:
        case = yaml.safe_load((folder / "case.yaml").read_text("utf-8"))
        print(json.dumps(cases.judged(case, {name: (folder / name).read_bytes() for name in case["files"]}), ensure_ascii=False))
    return 0


def grade_rows(version: str) -> int:
    """Grade each row of the CSV on stdin."""
    rules = grading.rules(document(DATA / "grading.yaml"), version)
    reader = csv.DictReader(sys.stdin)
    writer = csv.DictWriter(sys.stdout, [*(reader.fieldnames or ()), "points", "category"])
    writer.writeheader()
    for row in reader:
        disks = tuple(
            grading.Disk(type=grading.disk_type(row[f"disk{n}_type"]), gb=int(row[f"disk{n}_gb"]))
            for n in (1, 2)
            if row.get(f"disk{n}_type")
        )
        computer = grading.Computer(cpu_mark=int(row["cpu_mark"]), ram_gb=int(row["ram_gb"]), disks=disks, os=row.get("os") or "")
        found = grading.grade_computer(computer, rules.versions[version])
        writer.writerow({**row, "points": found.points, "category": found.category})
    return 0


def tool(arguments: list[str]) -> int:
    """Run one of the tools."""
    parser = argparse.ArgumentParser(prog="python -m services.refurb", description=__doc__)
    words = parser.add_subparsers(dest="word", required=True)
    words.add_parser("contract").add_argument("--check", action="store_true")
    words.add_parser("judge").add_argument("cases", nargs="+", type=Path)
    words.add_parser("grade").add_argument("--rules", required=True)
    words.add_parser("key")
    given = parser.parse_args(arguments)
    match given.word:
        case "contract":
            return write_contract(PARTNERS, check=given.check)
        case "judge":
            return judge_cases(given.cases)
        case "grade":
            return grade_rows(given.rules)
        case _:
            key = secrets.token_urlsafe(24)
            print(json.dumps({"key": key, "sha256": hashlib.sha256(key.encode()).hexdigest()}))
            return 0


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(tool(sys.argv[1:]))
    run(build, RefurbSettings)

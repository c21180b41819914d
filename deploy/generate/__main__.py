"""`python -m deploy.generate`: write what is generated. `--check`: name what differs, change nothing.

Checking needs no broker and no database: schema.sql is compared by a test, which has one. Writing brings a database of its own. A
committed schema of an event is a promise: neither writing nor checking lets more than fields with a default be added to it.
"""

import argparse
import asyncio
import importlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from deploy.generate import contracts, tables
from deploy.generate.evolution import broken
from deploy.local.jars import ROOT

CONTRACTS = ROOT / "docs" / "contracts"
PARTNERS = ROOT / "docs" / "partners"
MEND = "python -m deploy.generate"


def generated() -> dict[Path, str]:
    """Every file that comes from code alone."""
    partners: Mapping[str, str] = importlib.import_module("services.refurb.domain.contract").files()
    return {
        **{CONTRACTS / name: text for name, text in contracts.files().items()},
        **{PARTNERS / name: text for name, text in partners.items()},
    }


def strangers(files: Mapping[Path, str]) -> list[Path]:
    """Generated once, and not any more: a schema of an event that is gone."""
    there = [*(CONTRACTS / "events").glob("*"), *(PARTNERS / "schemas").glob("*")]
    return sorted(path for path in there if path not in files)


def changes() -> list[str]:
    """What breaks a contract that is committed."""
    found = []
    types = contracts.event_types()
    for path in sorted((CONTRACTS / "events").glob("*.json")):
        name = path.name.removesuffix(".json")
        where = path.relative_to(ROOT)
        if name not in types:
            found.append(f"{where}: {name} is gone from shared/events; every version that was published stays readable")
            continue
        lines = broken(json.loads(path.read_text("utf-8")), contracts.schema(types[name]))
        found += [f"{where}: {line} (only fields with a default may be added: make it a new type, or a .v2)" for line in lines]
    return [*found, "where it was never published: delete that file, then generate"] if found else []


def check() -> list[str]:
    """What is committed and is not what the code says."""
    files = generated()
    differ = [path for path, text in files.items() if not path.exists() or path.read_text("utf-8") != text]
    lines = [f"{path.relative_to(ROOT)} is not what the code says: {MEND}" for path in sorted(differ)]
    return [*lines, *(f"{path.relative_to(ROOT)} is not generated any more: {MEND}" for path in strangers(files))]


def write(files: Mapping[Path, str]) -> None:
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            print(path.relative_to(ROOT))


def main() -> int:
    parser = argparse.ArgumentParser(prog=MEND, description="Write what is generated and committed.")
    parser.add_argument("--check", action="store_true", help="name what differs, change nothing")
    asked = parser.parse_args()
    lines = changes()
    if asked.check:
        lines += check()
    if lines:
        print("\n".join(lines), file=sys.stderr)
        return 1
    if asked.check:
        return 0
    files = generated()
    for path in strangers(files):
        path.unlink()
    write(files)
    write(asyncio.run(tables.all_tables()))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The tables as the migrations say: columns, keys, checks and defaults read from their own text, so that there is no second list."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.simulation.expressions import Compiled, compiled

Key = tuple[Any, ...]
Row = Mapping[str, Any]

BARE = {"int": 31, "bigint": 63}


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What a table holds and refuses."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    bits: Mapping[str, int]
    """Columns of whole numbers and how many bits those may have."""
    required: frozenset[str]
    defaults: Mapping[str, Any]
    checks: Mapping[str, Compiled]
    """Name of the constraint and what must hold of a row."""
    numbered: str | None = None
    """The column that the database numbers itself."""

    def key_of(self, row: Row) -> Key:
        return tuple(row[name] for name in self.key)


def split(text: str) -> list[str]:
    """Cut at commas that stand in no brackets."""
    parts, depth, last = [], 0, 0
    for at, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            parts.append(text[last:at].strip())
            last = at + 1
    return [*parts, text[last:].strip()]


def closing(text: str, opening: int) -> int:
    """Give where the bracket opened at `opening` closes."""
    depth = 0
    for at in range(opening, len(text)):
        depth += (text[at] == "(") - (text[at] == ")")
        if depth == 0:
            return at
    raise ValueError(text)


def table(name: str, body: str) -> Table:
    """Read what stands between the brackets of CREATE TABLE."""
    columns: list[str] = []
    key: tuple[str, ...] = ()
    bits: dict[str, int] = {}
    required: set[str] = set()
    defaults: dict[str, Any] = {}
    checks: dict[str, str] = {}
    numbered = None
    for part in split(body):
        if match := re.match(r"PRIMARY KEY \(([^)]*)\)", part):
            key = tuple(column.strip() for column in match[1].split(","))
            continue
        column, _, rest = part.partition(" ")
        column = column.strip('"')
        columns.append(column)
        if (kind := rest.split(" ", 1)[0]) in BARE:
            bits[column] = BARE[kind]
        if "PRIMARY KEY" in rest:
            key = (column,)
        if "NOT NULL" in rest and "DEFAULT now()" not in rest:  # its clock is nobody's business here
            required.add(column)
        if match := re.search(r"DEFAULT (\d+)", rest):
            defaults[column] = int(match[1])
        if "GENERATED ALWAYS AS IDENTITY" in rest:
            numbered = column
        if (at := rest.find("CHECK (")) >= 0:
            opening = at + len("CHECK ")
            checks[f"{name}_{column}_check"] = rest[opening + 1 : closing(rest, opening)]
    return Table(
        name=name,
        columns=tuple(columns),
        key=key,
        bits=bits,
        required=frozenset(required) | frozenset(key),
        defaults=defaults,
        checks={constraint: compiled(text, columns, name) for constraint, text in checks.items()},
        numbered=numbered,
    )


def read(script: str) -> dict[str, Table]:
    """Read the tables that a migration creates. Raises ValueError at anything else: what is not understood must be said."""
    found: dict[str, Table] = {}
    bare = re.sub(r"--[^\n]*|\$\$.*?\$\$", "", script, flags=re.DOTALL)
    for statement in (" ".join(s.split()) for s in bare.split(";")):
        match = re.match(r"CREATE TABLE (?:IF NOT EXISTS )?(\w+) \(", statement)
        if match:
            opening = match.end() - 1
            found[match[1]] = table(match[1], statement[opening + 1 : closing(statement, opening)].strip())
        elif match := re.match(r"CREATE TRIGGER .* ON (\w+) FOR ", statement):
            del found[match[1]]  # what a trigger does is not played: a statement on its table is then unknown, and said
        elif statement and not re.match(r"CREATE (UNIQUE )?INDEX \w+ ON \w+ |CREATE OR REPLACE FUNCTION ", statement):
            raise ValueError(f"the database stand-in does not know: {statement}")
    return found


@dataclass(frozen=True, slots=True)
class Schema:
    """All tables of a database."""

    tables: dict[str, Table] = field(default_factory=dict)

    @classmethod
    def of(cls, folders: Sequence[Path], *scripts: str) -> "Schema":
        """Read the migrations in `folders`, and `scripts`."""
        texts = [file.read_text("utf-8") for folder in folders for file in sorted(folder.glob("[0-9]*.sql"))]
        found: dict[str, Table] = {}
        for text in (*texts, *scripts):
            found |= read(text)
        return cls(found)

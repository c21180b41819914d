"""The state of a plain aggregate as one row of one table: a column for each field, so there is no second list to forget one in.

A table holds `id uuid PRIMARY KEY`, `version int NOT NULL` and a column named after each field of the state. Plain values become
plain columns (for queries and constraints); what has parts of its own (tuples, mappings, nested values) becomes `jsonb`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from functools import cached_property
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints
from uuid import UUID

from pydantic import TypeAdapter

from shared.aggregate import Versioned
from shared.db import Row, Tx

PLAIN: Mapping[Any, str] = {
    str: "text",
    int: "bigint",
    bool: "boolean",
    float: "float8",
    bytes: "bytea",
    UUID: "uuid",
    datetime: "timestamptz",
    date: "date",
}


def column_type(hint: object) -> str | None:
    """Name the SQL type of a field, or None for what is kept as jsonb."""
    if get_origin(hint) in (Union, UnionType):
        inner = [arg for arg in get_args(hint) if arg is not NoneType]
        kinds = {column_type(arg) for arg in inner}
        return kinds.pop() if len(kinds) == 1 else None
    if get_origin(hint) is Literal:
        return PLAIN.get(type(get_args(hint)[0]))
    return PLAIN.get(hint)


@dataclass(frozen=True, slots=True)
class Column:
    """A field of the state and how it is stored."""

    name: str
    sql: str
    nested: TypeAdapter[Any] | None


@dataclass(frozen=True)
class Rows:
    """Loads and saves states of the dataclass `state` in `table`, many at a time: one query each."""

    table: str
    state: type

    @cached_property
    def columns(self) -> list[Column]:
        hints = get_type_hints(self.state)
        found = []
        for field in fields(self.state):
            sql = column_type(hints[field.name])
            found.append(Column(field.name, sql or "jsonb", None if sql else TypeAdapter(hints[field.name])))
        return found

    @cached_property
    def select(self) -> str:
        return f"SELECT id, version, {', '.join(c.name for c in self.columns)} FROM {self.table}"  # noqa: S608 names come from code

    @cached_property
    def upsert(self) -> str:
        names = [c.name for c in self.columns]
        given = ", ".join(f"${n}::{'text' if c.nested else c.sql}[]" for n, c in enumerate(self.columns, 3))
        casts = ", ".join(f"{c.name}::jsonb" if c.nested else c.name for c in self.columns)
        listed = ", ".join(names)
        return (
            f"INSERT INTO {self.table} (id, version, {listed}) "  # noqa: S608 names come from code
            f"SELECT id, version, {casts} FROM unnest($1::uuid[], $2::int[], {given}) AS _(id, version, {listed}) "
            f"ON CONFLICT (id) DO UPDATE SET (version, {listed}) = ROW (excluded.version, "
            f"{', '.join(f'excluded.{name}' for name in names)})"
        )

    def read(self, row: Row) -> Versioned:
        """Make the state of a row that has at least the aggregate's columns."""
        values = {c.name: c.nested.validate_json(row[c.name]) if c.nested else row[c.name] for c in self.columns}
        return Versioned(self.state(**values), row["version"])

    async def load(self, tx: Tx, ids: Sequence[UUID]) -> dict[UUID, Versioned]:
        """Fetch those of `ids` that are known."""
        rows = await tx.connection.fetch(f"{self.select} WHERE id = ANY ($1::uuid[])", ids)
        return {row["id"]: self.read(row) for row in rows}

    async def save(self, tx: Tx, states: Mapping[UUID, Versioned]) -> None:
        """Write each state as it now is, in the order of the ids: writers that meet wait for each other, never in a ring."""
        ids = sorted(states, key=lambda i: i.int)
        values = [
            [c.nested.dump_json(getattr(states[i].state, c.name)).decode() for i in ids]
            if c.nested
            else [getattr(states[i].state, c.name) for i in ids]
            for c in self.columns
        ]
        await tx.connection.execute(self.upsert, ids, [states[i].version for i in ids], *values)

    async def find(self, tx: Tx, where: str = "true", *args: object) -> dict[UUID, Versioned]:
        """Fetch states by a condition of ours, such as `"status = $1 ORDER BY id LIMIT 100"`. Never build `where` from input."""
        return {row["id"]: self.read(row) for row in await tx.connection.fetch(f"{self.select} WHERE {where}", *args)}

    async def page(self, tx: Tx, after: UUID, limit: int) -> dict[UUID, int]:
        """Give up to `limit` ids after `after` with their versions, in order."""
        query = f"SELECT id, version FROM {self.table} WHERE id > $1 ORDER BY id LIMIT $2"  # noqa: S608 names come from code
        return {row["id"]: row["version"] for row in await tx.connection.fetch(query, after, limit)}

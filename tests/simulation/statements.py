"""The kernel's SQL, understood: each statement by its shape, the few knotty ones word by word. One that is not known is an error.

Knowing shapes rather than texts lets a changed statement mean what it says now: a broken one shows by what it does, not by being
strange. Each shape has a handler of its own; `tests/simulation/test_stand_ins.py` holds them against the real server.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from typing import Any

import asyncpg

from tests.simulation.database import Transaction, violation
from tests.simulation.expressions import Compiled, Unknown, compiled
from tests.simulation.knotty import KNOTTY
from tests.simulation.schema import Key, Row, Schema, Table, closing, read, split


@dataclass(frozen=True, slots=True)
class Result:
    """What a statement gives: rows, and how many it touched."""

    rows: Sequence[Row] = ()
    count: int = 0


Handler = Callable[[Transaction, Sequence[Any]], Awaitable[Result]]
Match = re.Match[str]
NO_ROW: Row = {}
NO_ARGS: Sequence[Any] = ()
TRUE: Compiled = lambda _row, _new, _args, _sets: True  # noqa: E731 an expression among others


@dataclass(frozen=True, slots=True)
class Condition:
    """A WHERE clause, and the sets it names, made once for each call."""

    holds: Compiled
    pairs: tuple[tuple[int, ...], ...] = ()

    @classmethod
    def of(cls, text: str | None, table: Table, alias: str | None = None) -> "Condition":
        if not text:
            return cls(TRUE)
        pairs: list[tuple[int, ...]] = []

        def named(match: Match) -> str:
            pairs.append(tuple(int(n) - 1 for n in re.findall(r"\$(\d+)", match[1])))
            return f"IN \x00{len(pairs) - 1}\x00"

        bare = re.sub(r"IN \(SELECT (?:DISTINCT )?\* FROM unnest\(([^)]*)\)\)", named, text)
        return cls(compiled(bare, table.columns, table.name, *([alias] if alias else [])), tuple(pairs))

    def filter(self, rows: Mapping[Key, Row], args: Sequence[Any]) -> list[tuple[Key, Row]]:
        sets = [set(zip(*(args[n] for n in numbers), strict=True)) for numbers in self.pairs]
        holds = self.holds
        return [(key, row) for key, row in rows.items() if holds(row, NO_ROW, args, sets)]


async def delete(tx: Transaction, table: Table, condition: Condition, args: Sequence[Any]) -> list[Row]:
    """Delete what matches."""
    gone = condition.filter(tx.view(table.name), args)
    for key, _ in gone:
        await tx.claim(table.name, key)
        tx.check_first(table.name, key)
        tx.put(table, key, None)
    return [row for _, row in gone]


@dataclass(frozen=True, slots=True)
class Insert:
    """INSERT … SELECT … FROM unnest(…) or VALUES (…), with what is to be done where the row is there."""

    table: Table
    columns: tuple[str, ...]
    arrays: tuple[int, ...] | None
    """The arguments that hold a value for each row; None for VALUES."""
    names: tuple[str, ...]
    """What those are called in `values`."""
    values: tuple[Compiled, ...]
    conflict: dict[str, Compiled] | None
    """What becomes of the row that is there; empty: nothing. None: that is an error."""

    @classmethod
    def of(cls, text: str, schema: Schema) -> "Insert":
        match = re.match(r"INSERT INTO (\w+)(?: \(([^)]*)\))? (SELECT|VALUES) ?", text)
        if match is None or match[1] not in schema.tables:
            raise Unknown(text)
        table = schema.tables[match[1]]
        columns = tuple(c.strip().strip('"') for c in match[2].split(",")) if match[2] else table.columns
        body, _, rest = text[match.end() :].partition(" ON CONFLICT ")
        conflict = updates(rest, table) if rest else None
        if match[3] == "VALUES":
            values = tuple(compiled(part, ()) for part in split(body.strip()[1:-1]))
            return cls(table, columns, None, (), values, conflict)
        picked, _, source = body.partition(" FROM unnest(")
        arrays = tuple(int(n) - 1 for n in re.findall(r"\$(\d+)", source[: closing("(" + source, 0) - 1]))
        alias = re.search(r"AS _ ?\(([^)]*)\)", source)
        names = tuple(n.strip() for n in alias[1].split(",")) if alias else tuple(f"a{n}" for n in range(len(arrays)))
        parts = [part for p in split(picked) for part in (names if p == "*" else [p])]
        values = tuple(compiled(part, names) for part in parts)
        return cls(table, columns, arrays, names, values, conflict)

    def rows(self, args: Sequence[Any]) -> list[dict[str, Any]]:
        given: list[dict[str, Any]] = [{}]
        if self.arrays is not None:
            given = [dict(zip(self.names, row, strict=True)) for row in zip_longest(*(args[n] for n in self.arrays))]
        return [
            {**dict.fromkeys(self.table.columns), **self.table.defaults}
            | {c: v(row, NO_ROW, args, ()) for c, v in zip(self.columns, self.values, strict=True)}
            for row in given
        ]

    async def into(self, tx: Transaction, args: Sequence[Any]) -> list[Row]:
        """Insert, or do what the conflict's clause says. Gives the rows as they are then."""
        table, done, written = self.table, list[Row](), set[Any]()
        tx.view(table.name)
        for row in self.rows(args):
            if table.numbered:
                tx.database.numbers += 1
                row[table.numbered] = tx.database.numbers
            key = table.key_of(row)
            if key in written and self.conflict:
                raise asyncpg.CardinalityViolationError("a row twice in one statement")
            written.add(key)
            await tx.claim(table.name, key)
            there = tx.latest(table.name, key)
            if there is not None:
                if self.conflict is None:
                    tx.database.clashing(tx, table.name, key)
                    raise violation(asyncpg.UniqueViolationError, f"{table.name}_pkey")
                tx.check_first(table.name, key)
                if not self.conflict:
                    continue
                row = {**there, **{c: v(there, row, args, ()) for c, v in self.conflict.items()}}  # noqa: PLW2901
            tx.put(table, key, row)
            done.append(row)
        return done


def updates(rest: str, table: Table) -> dict[str, Compiled]:
    """Read what stands behind ON CONFLICT."""
    if rest.endswith("DO NOTHING"):
        return {}
    _, _, listed = rest.partition(" DO UPDATE SET ")
    if match := re.fullmatch(r"\(([^)]*)\) = ROW \((.*)\)", listed):
        pairs = list(zip((c.strip() for c in match[1].split(",")), split(match[2]), strict=True))
    else:
        pairs = [(c, expression) for c, _, expression in (part.partition(" = ") for part in split(listed))]
    return {c: compiled(expression, table.columns, table.name) for c, expression in pairs}


def inserting(match: Match, schema: Schema) -> Handler:
    insert = Insert.of(match[0], schema)

    async def handle(tx: Transaction, args: Sequence[Any]) -> Result:
        return Result(count=len(await insert.into(tx, args)))

    return handle


def recording(match: Match, schema: Schema) -> Handler:
    """Events, and beside them their numbers in the outbox."""
    events, outbox = Insert.of(match[1], schema), schema.tables["outbox"]
    chosen = Condition.of(match[2], schema.tables["events"])

    async def handle(tx: Transaction, args: Sequence[Any]) -> Result:
        kept = await events.into(tx, args)
        for row in kept:
            if chosen.holds(row, NO_ROW, args, ()):
                told = {c: row[c] for c in outbox.columns}
                await tx.claim(outbox.name, outbox.key_of(told))
                tx.put(outbox, outbox.key_of(told), told)
        return Result(count=len(kept))

    return handle


def deleting_and_inserting(match: Match, schema: Schema) -> Handler:
    table = schema.tables[match[1]]
    condition, insert = Condition.of(match[2], table), Insert.of(match[3], schema)

    async def handle(tx: Transaction, args: Sequence[Any]) -> Result:
        await delete(tx, table, condition, args)
        return Result(count=len(await insert.into(tx, args)))

    return handle


def deleting(match: Match, schema: Schema) -> Handler:
    table = schema.tables[match[1]]
    condition = Condition.of(match[3], table, match[2])
    given = [c.strip().rpartition(".")[2] for c in match[4].split(",")] if match[4] else []

    async def handle(tx: Transaction, args: Sequence[Any]) -> Result:
        gone = await delete(tx, table, condition, args)
        return Result([{c: row[c] for c in given} for row in gone] if given else (), len(gone))

    return handle


def updating(match: Match, schema: Schema) -> Handler:
    table = schema.tables[match[1]]
    condition = Condition.of(match[3], table)
    changes = {
        c: compiled(e.replace("||", "+"), table.columns, table.name) for c, _, e in (p.partition(" = ") for p in split(match[2]))
    }

    async def handle(tx: Transaction, args: Sequence[Any]) -> Result:
        found = condition.filter(tx.view(table.name), args)
        for key, row in found:
            await tx.claim(table.name, key)
            tx.check_first(table.name, key)
            tx.put(table, key, {**row, **{c: v(row, NO_ROW, args, ()) for c, v in changes.items()}})
        return Result(count=len(found))

    return handle


def selecting(match: Match, schema: Schema) -> Handler:
    """Plain rows of one table."""
    if match["table"] not in schema.tables:
        raise Unknown(match[0])
    table = schema.tables[match["table"]]
    condition = Condition.of(match["where"], table)
    columns = list(table.columns) if match["columns"] == "*" else [c.strip() for c in match["columns"].split(",")]
    if unknown := set(columns) - set(table.columns):
        raise Unknown(f"columns {unknown} in {match[0]}")
    order = [c.strip() for c in match["order"].split(",")] if match["order"] else []
    limit = int(match["limit"]) - 1 if match["limit"] else None

    async def handle(tx: Transaction, args: Sequence[Any]) -> Result:
        found = [row for _, row in condition.filter(tx.view(table.name), args)]
        if match["distinct"]:
            found = list({tuple(row[c] for c in columns): row for row in found}.values())
        if order:
            found.sort(key=lambda row: [row[c] for c in order])
        if limit is not None:
            found = found[: args[limit]]
        return Result([{c: row[c] for c in columns} for row in found], len(found))

    return handle


def counting(match: Match, schema: Schema) -> Handler:
    table = schema.tables[match[1]]
    condition = Condition.of(match[2], table)

    async def handle(tx: Transaction, args: Sequence[Any]) -> Result:
        return Result([{"count": len(condition.filter(tx.view(table.name), args))}], 1)

    return handle


def locking(match: Match, _schema: Schema) -> Handler:
    async def handle(tx: Transaction, args: Sequence[Any]) -> Result:
        name, session = (match[1], *args), tx.session
        free = tx.database.advisory.setdefault(name, session) is session
        return Result([{"locked": free}], 1)

    return handle


def queueing(match: Match, _schema: Schema) -> Handler:
    async def handle(tx: Transaction, _args: Sequence[Any]) -> Result:
        await tx.claim("advisory", (match[1],))
        return Result([{"locked": None}], 1)

    return handle


def creating(match: Match, schema: Schema) -> Handler:
    if unknown := set(read(match[0])) - set(schema.tables):
        raise Unknown(f"tables {unknown}")

    async def handle(_tx: Transaction, _args: Sequence[Any]) -> Result:
        return Result()

    return handle


def saying(match: Match, _schema: Schema) -> Handler:
    value = {"true": True, "1": 1}.get(match[1]) if match.re.groups else None

    async def handle(_tx: Transaction, _args: Sequence[Any]) -> Result:
        return Result([{"said": value}], 1)

    return handle


def who_am_i(_match: Match, _schema: Schema) -> Handler:
    async def handle(tx: Transaction, _args: Sequence[Any]) -> Result:
        return Result([{"pg_backend_pid": id(tx.session)}], 1)

    return handle


RECORDING = (
    r"WITH kept AS \( ?(INSERT INTO events .*?) RETURNING topic, seq ?\) "
    r"INSERT INTO outbox \(topic, seq\) SELECT topic, seq FROM kept WHERE (.*)"
)
SELECTING = (
    r"SELECT (?P<distinct>DISTINCT )?(?P<columns>[\w, ]+|\*) FROM (?P<table>\w+)(?: WHERE (?P<where>.*?))?"
    r"(?: ORDER BY (?P<order>[\w, ]+))?(?: LIMIT \$(?P<limit>\d+))?"
)
SHAPES: tuple[tuple[str, Callable[[Match, Schema], Handler]], ...] = (
    (r"SELECT (true|1)", saying),
    (r"SELECT pg_backend_pid\(\)", who_am_i),
    (r"SET LOCAL \w+ = '\w+'", saying),
    (r"SELECT pg_advisory_xact_lock\((.*)\)", queueing),
    (r"SELECT pg_try_advisory_lock\(hashtext\(current_schema\(\)\), hashtext\((.*)\)\)", locking),
    (RECORDING, recording),
    (r"WITH gone AS \(DELETE FROM (\w+) WHERE (.*?)\) (INSERT INTO .*)", deleting_and_inserting),
    (r"INSERT INTO .*", inserting),
    (r"DELETE FROM (\w+)(?: (?!WHERE|RETURNING)(\w+))?(?: WHERE (.*?))?(?: RETURNING (.*))?", deleting),
    (r"UPDATE (\w+) SET (.*) WHERE (.*)", updating),
    (r"SELECT count\(\*\) FROM (\w+)(?: WHERE (.*))?", counting),
    (r"(?:CREATE TABLE|--) .*", creating),
    (SELECTING, selecting),
)


@cache
def plain(sql: str) -> str:
    """One line, single blanks."""
    return " ".join(sql.split())


_KNOWN: dict[tuple[int, str], Handler] = {}


def understood(schema: Schema, sql: str) -> Handler:
    """Give what carries out a statement. Raises Unknown, which names it."""
    place = (id(schema), sql)
    handler = _KNOWN.get(place)
    if handler is None:
        handler = _KNOWN[place] = first_fit(schema, sql)
    return handler


def first_fit(schema: Schema, sql: str) -> Handler:
    text = plain(sql)
    if text in KNOTTY:
        answer = KNOTTY[text]

        async def handle(tx: Transaction, args: Sequence[Any]) -> Result:
            return Result(*await answer(tx, schema, args))

        return handle
    whole = sql.strip() if "CREATE TABLE" in sql else text
    for shape, make in SHAPES:
        match = re.fullmatch(shape, whole, re.DOTALL)
        if match is not None:
            return make(match, schema)
    raise Unknown(f"the database stand-in does not know: {text}")

"""`maillon rebuild`: the rows of a service made again from its events, by the `evolve` of today (docs/ops/recovery.md).

In one transaction that holds every writer off: today's rows are made in temporary tables like the real ones (same columns, same
constraints, no right to make schemas needed, nothing left behind by a crash), compared, and only what differs is put in place. Events,
positions, parked messages and what no event says (drafts, links, sealed data) are not touched.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

import asyncpg
import typer

from deploy.operate import DryRun, Stack, attempted, run
from deploy.places import Place, Unreachable, built
from shared.aggregate import Aggregate, Aggregates
from shared.audit import fold
from shared.db import REFUSED, Tx
from shared.history import SLICE, Contracts, contracts
from shared.migrate import migrate
from shared.outbox import LOCK
from shared.rows import Rows

AT_WORK = """
SELECT DISTINCT application_name FROM pg_stat_activity
WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid() AND application_name = ANY ($1::text[])
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Rows of one table: as they were against as events make them."""

    table: str
    rows: int
    missing: int
    differing: int
    surplus: int

    @property
    def same(self) -> bool:
        return not (self.missing or self.differing or self.surplus)

    def __str__(self) -> str:
        found = "as they were" if self.same else f"{self.missing} missing, {self.differing} other, {self.surplus} without events"
        return f"{self.table}: {self.rows} rows by its events, {found}"


def rebuild(
    *,
    service: Annotated[str, typer.Option("--service", help="The service, which must be stopped.")],
    dry_run: DryRun = False,
    stack: Stack = None,
) -> None:
    """Make a service's rows again from its events, compare, and put in place what differs: rows were lost, or an `evolve` changed."""
    run(stack, [service], lambda found: _rebuild(found[0], dry_run=dry_run))


async def _rebuild(place: Place, *, dry_run: bool) -> int:
    service = built(place.service)
    async with place.database() as pool, alone(pool, place.service):
        if not dry_run:
            await migrate(pool, service.migrations)
        try:
            found = await attempted(pool, lambda tx: made_again(tx, service.aggregates), dry_run=dry_run)
        except (AssertionError, KeyError, ValueError) as error:
            typer.echo(f"{place.service}: the archive cannot be folded: {error}; nothing was changed", err=True)
            return 1
        except REFUSED as error:
            typer.echo(f"{place.service}: a table refuses what the events say: {error}; nothing was changed", err=True)
            return 1
        except asyncpg.UndefinedColumnError as error:
            older = "its tables are of an older release; without --dry-run they are migrated"
            raise Unreachable(f"{place.service}: {error}: {older}") from None
        except asyncpg.LockNotAvailableError:
            raise Unreachable(f"{place.service}: somebody writes to its events: end that session first") from None
    for compared in found:
        typer.echo(f"{place.service}  {compared}")
    changed = sum(c.missing + c.differing + c.surplus for c in found)
    done = f"{changed} rows {'would be' if dry_run else 'were'} put right" if changed else "nothing to put right"
    typer.echo(f"{place.service}: {sum(c.rows for c in found)} rows made from its events, {done}")
    return 1 if changed and dry_run else 0


@asynccontextmanager
async def alone(pool: "asyncpg.Pool[asyncpg.Record]", service: str) -> AsyncIterator[None]:
    """Raises Unreachable while a process of the service has the database. Its relay's lock is held meanwhile, so none sends."""
    async with pool.acquire() as connection:
        names = [row[0] for row in await connection.fetch(AT_WORK, [service, f"{service} vault", "relay"])]
        if names or not await connection.fetchval(LOCK):
            raise Unreachable(
                f"{service}: the service is at work on this database ({', '.join(names) or 'relay'}): stop it first, all its processes"
            )
        yield


async def made_again(tx: Tx, aggregates: Aggregates) -> list[Compared]:
    """Make every aggregate's rows from its events and put right what differs. `tx` must not have looked at anything yet."""
    await tx.connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
    await tx.connection.execute("LOCK TABLE events IN EXCLUSIVE MODE")  # before the first look: what it lets through is then seen
    known, schema = contracts(aggregates), await tx.connection.fetchval("SELECT current_schema()")
    kinds = {row["type"] for row in await tx.connection.fetch("SELECT DISTINCT type FROM events")}
    if unknown := sorted(kinds - known.keys()):
        raise AssertionError(f"this release does not know {', '.join(unknown)}")
    found = []
    for aggregate in sorted(set(aggregates.values()), key=lambda a: a.name):
        if not isinstance(aggregate.rows, Rows):
            raise AssertionError(f"{aggregate.name} keeps its states in its own way, and this command knows only rows")  # noqa: TRY004 about the service
        table = aggregate.rows.table
        await tx.connection.execute(f"CREATE TEMPORARY TABLE {table} (LIKE {schema}.{table} INCLUDING ALL) ON COMMIT DROP")
        rows = await replay(tx, aggregate, known)
        found.append(await put_right(tx, f"{schema}.{table}", f"pg_temp.{table}", table, rows))
        await tx.connection.execute(f"DROP TABLE pg_temp.{table}")
    return found


async def replay(tx: Tx, aggregate: Aggregate, known: Contracts) -> int:
    """Fold every stream of an aggregate into the table that its name now means. Returns how many."""
    types, after, count = [event.type for event in aggregate.events], UUID(int=0), 0
    while True:
        streams = [
            row["stream"]
            for row in await tx.connection.fetch(
                "SELECT DISTINCT stream FROM events WHERE stream > $1 AND type = ANY ($2::text[]) ORDER BY stream LIMIT $3",
                after,
                types,
                SLICE,
            )
        ]
        if not streams:
            return count
        rows = await tx.connection.fetch(
            "SELECT stream, version, type, data FROM events WHERE stream = ANY ($1::uuid[]) ORDER BY stream, version", streams
        )
        await aggregate.rows.save(tx, fold(rows, known))
        after, count = streams[-1], count + len(streams)


async def put_right(tx: Tx, real: str, made: str, table: str, rows: int) -> Compared:
    """Replace in `real` what is not as in `made`, row by row: a table of the same rows is not written to."""
    await tx.connection.execute(f"ANALYZE {made}")
    other = "to_jsonb(o) IS DISTINCT FROM to_jsonb(n)"
    counted = await tx.connection.fetchrow(
        "SELECT count(*) FILTER (WHERE o.id IS NULL) AS missing, count(*) FILTER (WHERE n.id IS NULL) AS surplus, "  # noqa: S608 names come from code
        f"count(*) FILTER (WHERE o.id = n.id AND {other}) AS differing "
        f"FROM {real} o FULL JOIN {made} n USING (id)"
    )
    compared = Compared(table=table, rows=rows, **dict(counted or {}))
    if not compared.same:
        names = ", ".join(await columns(tx, made))
        await tx.connection.execute(
            f"DELETE FROM {real} o WHERE NOT EXISTS (SELECT FROM {made} n WHERE n.id = o.id AND NOT ({other}))"  # noqa: S608
        )
        await tx.connection.execute(
            f"INSERT INTO {real} ({names}) SELECT {names} FROM {made} n WHERE NOT EXISTS (SELECT FROM {real} o WHERE o.id = n.id)"  # noqa: S608
        )
    return compared


async def columns(tx: Tx, table: str) -> Sequence[str]:
    rows = await tx.connection.fetch(
        "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        table,
    )
    return [row["attname"] for row in rows]

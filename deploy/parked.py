"""`maillon parked`: what services have set aside is listed, shown, tried again or passed over for good (docs/ops/commands.md)."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated
from uuid import UUID

import asyncpg
import typer

from deploy import aside
from deploy.operate import DryRun, Services, Stack, age, attempted, opened, run
from deploy.places import Place
from shared.db import Tx, transaction

parked = typer.Typer(no_args_is_help=True, help="Messages that a service has set aside.")

Stream = Annotated[UUID, typer.Argument(help="The stream, as `maillon parked list` names it.")]


@parked.command("list")
def list_parked(
    *,
    service: Services = None,
    stack: Stack = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1_000_000, help="At most so many of each service.")] = 50,
) -> None:
    """List what is set aside: heads of streams first (`>`), with why, since when, and how many wait behind."""
    run(stack, service, lambda found: _list_parked(found, limit))


async def _list_parked(found: Sequence[Place], limit: int) -> int:
    async with opened(found) as pools:
        for name, pool in pools.items():
            async with transaction(pool, readonly=True) as tx:
                rows = await tx.connection.fetch(aside.LISTED, limit)
                total = await tx.connection.fetchval("SELECT count(*) FROM parked")
            for row in rows:
                where = f"{row['topic']} {row['stream']} {row['version']}"
                waits = f"tried {row['tries'] + 1}x, {row['waiting']} waiting in its stream" if row["head"] else "waits its turn"
                typer.echo(
                    f"{'>' if row['head'] else ' '} {name}  {where}  {row['type']}  {row['why']}: {row['reason']}  "
                    f"({age(row['at'])}, {waits})"
                )
            typer.echo(f"{name}: {total} set aside" + (f", {len(rows)} shown (--limit)" if total > len(rows) else ""))
    return 0


@parked.command("show")
def show_parked(
    stream: Stream,
    version: Annotated[int, typer.Argument(min=1, max=2**31 - 1, help="Its number in the stream.")],
    *,
    service: Services = None,
    stack: Stack = None,
) -> None:
    """Show one message whole: place, reason, headers and bytes. It may hold what a partner should not have sent: do not pass it on."""
    run(stack, service, lambda found: _show_parked(found, stream, version))


async def _show_parked(found: Sequence[Place], stream: UUID, version: int) -> int:
    shown = 0
    async with opened(found) as pools:
        for name, pool in pools.items():
            async with transaction(pool, readonly=True) as tx:
                rows = await tx.connection.fetch(aside.SHOWN, stream, version)
            for row in rows:
                shown += 1
                typer.echo(f"service   {name}")
                for field in ("topic", "partition", "offset", "stream", "version", "type", "time", "why", "reason", "fault"):
                    typer.echo(f"{field:<9} {row[field]}")
                typer.echo(f"since     {row['at']} ({age(row['at'])}), tried {row['tries'] + 1} times")
                for header, value in json.loads(row["headers"]).items():
                    typer.echo(f"header    {header}: {value}")
                typer.echo(row["value"].decode("utf-8", "backslashreplace"))
    return 0 if shown else nothing(found, f"number {version} of stream {stream}")


def nothing(found: Sequence[Place], what: str) -> int:
    names = ", ".join(place.service for place in found)
    typer.echo(f"{what} is not parked in {names}: `maillon parked list` names what is", err=True)
    return 1


async def holders(pools: Mapping[str, "asyncpg.Pool[asyncpg.Record]"], stream: UUID) -> list[str]:
    return [n for n, pool in pools.items() if await pool.fetchval("SELECT EXISTS (SELECT FROM parked WHERE stream = $1)", stream)]


@parked.command("release")
def release_parked(
    stream: Annotated[UUID | None, typer.Argument(help="The stream, as `maillon parked list` names it.")] = None,
    *,
    topic: Annotated[str | None, typer.Option("--topic", help="All that is parked of a topic.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that is parked.")] = False,
    dry_run: DryRun = False,
    service: Services = None,
    stack: Stack = None,
) -> None:
    """Have what is parked tried again, in the order of each stream, once its cause is mended. A fork is not released: skip it."""
    if (stream is not None) + (topic is not None) + everything != 1:
        typer.echo("say what: one of STREAM, --topic and --all", err=True)
        raise typer.Exit(2)
    if stream is None:
        run(stack, service, lambda found: _release_many(found, topic, dry_run=dry_run))
        return
    only = stream

    async def release(tx: Tx) -> str | None:
        count = await aside.release(tx, only)
        return f"{count} {'would' if dry_run else 'will'} be tried again, in order" if count else None

    why = "only a fork is parked there: `maillon parked skip` passes over it"
    run(stack, service, lambda found: _act(found, only, release, why, dry_run=dry_run))


async def _release_many(found: Sequence[Place], topic: str | None, *, dry_run: bool) -> int:
    async def released(tx: Tx) -> tuple[int, int, int]:
        streams, forks = await tx.connection.fetchrow(aside.WAITING, topic) or (0, 0)
        return streams, forks, await aside.release(tx, topic=topic)

    total = 0
    async with opened(found) as pools:
        for name, pool in pools.items():
            streams, forks, count = await attempted(pool, released, dry_run=dry_run)
            total += count
            if count:
                typer.echo(
                    f"{name}: {count} messages of {streams} streams {'would' if dry_run else 'will'} be tried again, in order"
                )
            if forks:
                typer.echo(f"{name}: {forks} forks stay: `maillon parked list` names them")
    if total == 0:
        typer.echo(f"nothing{f' of {topic}' if topic else ''} is parked in {', '.join(pools)} that could be released", err=True)
    return 0 if total else 1


@parked.command("skip")
def skip_parked(
    stream: Stream,
    version: Annotated[
        int, typer.Argument(min=1, max=2**31 - 1, help="Its number in the stream: only the head can be passed over.")
    ],
    *,
    reason: Annotated[
        str, typer.Option("--reason", help="Why it may be lost. Kept for ever, with the message's place and mark.")
    ],
    topic: Annotated[str | None, typer.Option("--topic", help="From which topic, where two have that number.")] = None,
    service: Services = None,
    stack: Stack = None,
) -> None:
    """Pass over the head of a stream for good: it never has its effect here, and what follows it goes on."""
    if len(reason.strip()) < 5:
        typer.echo("say why in --reason: whoever asks later has only that", err=True)
        raise typer.Exit(2)

    async def skip(tx: Tx) -> str | None:
        names = [row["topic"] for row in await tx.connection.fetch(aside.TOPICS, stream, version)]
        if len(names) > 1 and topic is None:
            typer.echo(f"number {version} waits from {' and from '.join(names)}: say with --topic which is passed over", err=True)
            raise typer.Exit(2)
        count = await aside.skip(tx, stream, version, reason.strip(), topic)
        return f"passed over for good ({count}), the reason is kept" if count else None

    why = f"number {version} is not the head of that stream: `maillon parked list` marks heads with >"
    run(stack, service, lambda found: _act(found, stream, skip, why))


async def _act(
    found: Sequence[Place],
    stream: UUID,
    act: Callable[[Tx], Awaitable[str | None]],
    otherwise: str,
    *,
    dry_run: bool = False,
) -> int:
    """Do something about a parked stream in the one service that holds it."""
    async with opened(found) as pools:
        names = await holders(pools, stream)
        if not names:
            return nothing(found, f"stream {stream}")
        if len(names) > 1:
            typer.echo(f"stream {stream} is parked in {' and '.join(names)}: say which with --service", err=True)
            return 1
        said = await attempted(pools[names[0]], act, dry_run=dry_run)
        typer.echo(f"{names[0]}: {said or otherwise}", err=said is None)
        return 0 if said else 1

"""Commands for a running maillon: sending again, how far behind, whether anything was lost, rows against events.

Exit status 0: done, all is well; 1: something is there to look at, or nothing was found to act on; 2: the command could not be
carried out, and the one line on stderr says why. What only looks does so in read-only transactions. docs/ops/commands.md
"""

import asyncio
import os
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Annotated, Any, TypeVar
from uuid import UUID

import asyncpg
import typer

from deploy.places import Place, Unreachable, built, find
from shared import audit
from shared.db import CLASH, Tx, transaction
from shared.kafka.ends import Reach

T = TypeVar("T")
Services = Annotated[list[str] | None, typer.Option("--service", help="Only this service (can be repeated). All by default.")]
Stack = Annotated[
    Path | None, typer.Option("--stack", help="Folder with env/<service>.env. By default the environment, else .local/demo.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done and do nothing.")]


def run(stack: Path | None, services: list[str] | None, work: Callable[[Sequence[Place]], Coroutine[Any, Any, int]]) -> None:
    """End with the status that `work` gives; what it cannot reach is one line, not a traceback."""
    try:
        status = asyncio.run(work(find(stack, services or (), os.environ)))
    except Unreachable as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    if status:
        raise typer.Exit(status)


@asynccontextmanager
async def opened(found: Sequence[Place]) -> AsyncIterator[dict[str, "asyncpg.Pool[asyncpg.Record]"]]:
    """Every service's database at once: one that is away is told before anything is done."""
    async with AsyncExitStack() as stack:
        yield {place.service: await stack.enter_async_context(place.database()) for place in found}


async def attempted(
    pool: "asyncpg.Pool[asyncpg.Record]", act: Callable[[Tx], Awaitable[T]], *, dry_run: bool = False, tries: int = 10
) -> T:
    """Give what `act` gives, in one transaction; of a dry run nothing stays. The service is at work: where it was quicker, again."""
    for turn in range(tries):
        try:
            async with transaction(pool) as tx:
                inner = tx.connection.transaction()
                await inner.start()
                found = await act(tx)
                await (inner.rollback() if dry_run else inner.commit())
                return found
        except CLASH:
            await asyncio.sleep(random.random() * 0.02 * 2**turn)  # noqa: S311 spreads writers apart, no secret
    raise Unreachable("the service wrote to the same rows each time: nothing was changed, try again")


def age(since: datetime) -> str:
    """Say how long ago that was, in one unit."""
    seconds = int((datetime.now(UTC) - since).total_seconds())
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


# ── sending again ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def resend(
    *,
    stream: Annotated[UUID | None, typer.Option("--stream", help="Only this stream.")] = None,
    topic: Annotated[str | None, typer.Option("--topic", help="A whole topic, such as refurb.devices.trira.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that was ever published: the broker lost it.")] = False,
    dry_run: DryRun = False,
    service: Services = None,
    stack: Stack = None,
) -> None:
    """Publish events again from the archive, in order: for a consumer or a broker that lost them. Who has them drops the repeats."""
    if (stream is not None) + (topic is not None) + everything != 1:
        typer.echo("say what: one of --stream, --topic and --all", err=True)
        raise typer.Exit(2)
    run(stack, service, lambda found: _resend(found, stream, topic, dry_run=dry_run))


async def _resend(found: Sequence[Place], stream: UUID | None, topic: str | None, *, dry_run: bool) -> int:
    total = 0
    async with opened(found) as pools:
        for name, pool in pools.items():
            count = await attempted(pool, lambda tx: audit.resend(tx, stream=stream, topic=topic), dry_run=dry_run)
            if count:
                typer.echo(f"{name}: {count} events {'would' if dry_run else 'will'} be sent again")
            total += count
    if total == 0:
        what = f"stream {stream}" if stream else f"topic {topic}" if topic else "all topics"
        typer.echo(f"{what}: none of {', '.join(pools)} has published it (or all of it still waits to be sent)", err=True)
    return 0 if total else 1


# ── how far behind ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def lag(
    *,
    service: Services = None,
    stack: Stack = None,
    everything: Annotated[bool, typer.Option("--all", help="Topics read to their end too.")] = False,
) -> None:
    """Say how many messages each service has not yet read, and what it has not yet sent."""
    run(stack, service, lambda found: _lag(found, everything=everything))


async def _lag(found: Sequence[Place], *, everything: bool) -> int:
    async with opened(found) as pools:
        for place in found:
            topics = [f"{family}.{cell}" for family, kind in built(place.service).hears.items() for cell in place.cells[kind]]
            async with transaction(pools[place.service], readonly=True) as tx:
                read = {
                    (r["topic"], r["partition"]): r["next"]
                    for r in await tx.connection.fetch("SELECT topic, partition, next FROM cursor")
                }
                unsent = await tx.connection.fetchrow(
                    "SELECT n, at FROM (SELECT count(*) AS n, min(seq) AS first FROM outbox) _ LEFT JOIN events ON seq = first"
                )
            behind, reached = count_lag(await place.reach(topics), read)
            for topic in topics:
                if topic not in reached:
                    typer.echo(f"{place.service}  {topic}  not there: `maillon topics apply`")
                elif behind[topic] or everything:
                    typer.echo(f"{place.service}  {topic}  {behind[topic]} of {reached[topic]} not yet read")
            waiting = unsent["n"] if unsent is not None else 0
            oldest = f", the oldest for {age(unsent['at'])}" if unsent is not None and unsent["at"] else ""
            typer.echo(f"{place.service}: {sum(behind.values())} messages not yet read, {waiting} events not yet sent{oldest}")
    return 0


def count_lag(ends: Reach, read: Mapping[tuple[str, int], int]) -> tuple[dict[str, int], dict[str, int]]:
    """For each topic: messages that were not read, and messages that it holds. What retention took away is not counted."""
    behind: defaultdict[str, int] = defaultdict(int)
    held: defaultdict[str, int] = defaultdict(int)
    for (topic, partition), (begin, end) in ends.items():
        behind[topic] += max(0, end - max(begin, read.get((topic, partition), begin)))
        held[topic] += end - begin
    return behind, held


# ── was anything lost ───────────────────────────────────────────────────────────────────────────────────────────────────────────

Sums = Mapping[str, tuple[int, int]]
"""Topic -> streams, and the sum of their last numbers."""


@dataclass(frozen=True, slots=True)
class Missing:
    """What a consumer has not seen of what a publisher has told. Below zero: it saw what the publisher does not know."""

    topic: str
    publisher: str
    consumer: str
    streams: int
    numbers: int

    def __str__(self) -> str:
        if self.streams < 0 or self.numbers < 0:
            return (
                f"{self.topic}: {self.consumer} has seen {-self.streams} streams and {-self.numbers} numbers more than {self.publisher} "
                "has: was that database put back in time? (start it, it takes in what its topics know)"
            )
        return f"{self.topic}: {self.consumer} lacks {self.streams} streams and {self.numbers} numbers of {self.publisher}"


def compare(told: Mapping[str, Sums], seen: Mapping[str, Sums], hears: Mapping[str, Sequence[str]]) -> list[Missing]:
    """Set each publisher's sums against those of every service that hears the topic."""
    found = []
    for publisher, sums in told.items():
        for topic, (streams, numbers) in sums.items():
            for consumer, families in hears.items():
                if topic.rpartition(".")[0] in families:
                    had = seen[consumer].get(topic, (0, 0))
                    if had != (streams, numbers):
                        found.append(Missing(topic, publisher, consumer, streams - had[0], numbers - had[1]))
    return sorted(found, key=lambda m: (m.topic, m.consumer))


def tally(
    *,
    stack: Stack = None,
    service: Services = None,
    wait_s: Annotated[
        float, typer.Option("--wait", min=0, max=3600, help="Seconds in which what is under way may still arrive.")
    ] = 5,
) -> None:
    """Compare what each service has published with what each reader has seen. Status 1 when they differ: which topic, who, how much."""
    run(stack, service, lambda found: _tally(found, wait_s))


async def _tally(found: Sequence[Place], wait_s: float) -> int:
    hears = {place.service: list(built(place.service).hears) for place in found}
    ends = monotonic() + wait_s
    async with opened(found) as pools:
        while True:
            told, seen = await sums(pools, audit.published), await sums(pools, audit.consumed)
            missing = compare(told, seen, hears)
            if not missing or monotonic() > ends:
                break
            await asyncio.sleep(0.25)
        for difference in missing:
            waiting = await explained(pools, difference)
            typer.echo(f"{difference}{waiting}")
    pairs = sum(topic.rpartition(".")[0] in families for s in told.values() for topic in s for families in hears.values())
    numbers = sum(n for s in told.values() for _, n in s.values())
    typer.echo(f"{numbers} events in {sum(map(len, told.values()))} topics, {pairs} readings compared, {len(missing)} differ")
    return 1 if missing else 0


async def sums(
    pools: Mapping[str, "asyncpg.Pool[asyncpg.Record]"], ask: Callable[[Tx], Awaitable[dict[str, tuple[int, int]]]]
) -> dict[str, Sums]:
    answers: dict[str, Sums] = {}
    for name, pool in pools.items():
        async with transaction(pool, readonly=True) as tx:
            answers[name] = await ask(tx)
    return answers


async def explained(pools: Mapping[str, "asyncpg.Pool[asyncpg.Record]"], difference: Missing) -> str:
    """Say what of a difference is known to wait somewhere: the rest is lost."""
    parked_now = "SELECT count(*) FROM parked WHERE topic = $1"
    unsent = "SELECT count(*) FROM outbox WHERE topic = $1"
    aside_now = await pools[difference.consumer].fetchval(parked_now, difference.topic)
    waiting = await pools[difference.publisher].fetchval(unsent, difference.topic)
    if not aside_now and not waiting:
        return (
            f" (nothing waits: `maillon lag`, then `maillon resend --topic {difference.topic}`)" if difference.numbers > 0 else ""
        )
    return f" ({aside_now} parked there, {waiting} not yet sent)"


# ── rows against events ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def fold(
    *,
    check: Annotated[bool, typer.Option("--check", help="Compare, change nothing: the only thing this command does.")] = False,
    service: Services = None,
    stack: Stack = None,
    first: Annotated[int, typer.Option("--first", min=1, help="Show so many differences of each service.")] = 20,
) -> None:
    """Compare each state with the fold of its events. Status 1 when one differs; the first differences are named."""
    if not check:
        typer.echo("say `maillon fold --check`: rows are compared with their events, nothing is changed", err=True)
        raise typer.Exit(2)
    run(stack, service, lambda found: _fold(found, first))


async def _fold(found: Sequence[Place], first: int) -> int:
    differ = 0
    async with opened(found) as pools:
        for name, pool in pools.items():
            count = 0
            try:
                async for difference in audit.fold_check(pool, built(name).aggregates):
                    count += 1
                    if count <= first:
                        typer.echo(f"{name}  {difference.aggregate} {difference.stream}  {difference.what}")
            except (AssertionError, KeyError) as error:  # a number is missing, or a type is unknown: the archive itself is wrong
                count += 1
                typer.echo(f"{name}  the archive cannot be folded: {error}")
            typer.echo(f"{name}: {'rows are what their events say' if not count else f'{count} differ'}")
            differ += count
    return 1 if differ else 0

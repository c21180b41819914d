"""`maillon cursors forget`: what services remember of the places of a topic that was made again (docs/ops/recovery.md).

A cursor says how far a partition is read, `sent` how far our own is acknowledged: both are offsets of one topic that was. In a topic
made again under the name they point past what is there, or into its middle: what stands before would be passed over in silence.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import typer

from deploy.operate import DryRun, Services, Stack, attempted, opened, run
from deploy.places import Place, built
from shared.db import Tx, transaction
from shared.events.base import stream_id
from shared.kafka.ends import Reach

cursors = typer.Typer(no_args_is_help=True, help="How far services have read the topics, by their own memory.")

AT_ONCE = 20_000
KNOWN = "SELECT topic, partition, next FROM cursor UNION ALL SELECT topic, partition, next FROM sent ORDER BY 1, 2"


@dataclass(frozen=True, slots=True)
class Memory:
    """What a service remembers of a topic: the furthest place of each partition, and what the broker says of them."""

    topic: str
    places: Mapping[int, int]
    held: Mapping[int, int]
    """Partition -> where it ends now. Empty: the broker has no such topic."""

    @property
    def why(self) -> str | None:
        """Why it can only be the memory of another topic; None while the topic still has what it says."""
        if not self.held:
            return "the broker has no such topic"
        beyond = [(p, at, self.held.get(p, 0)) for p, at in sorted(self.places.items()) if at > self.held.get(p, 0)]
        return f"partition {beyond[0][0]} ends at {beyond[0][2]}, was dealt with up to {beyond[0][1]}" if beyond else None


def remembered(rows: Sequence[tuple[str, int, int]], reached: Reach) -> list[Memory]:
    """Set what is remembered against how far topics reach."""
    places: defaultdict[str, dict[int, int]] = defaultdict(dict)
    for topic, partition, at in rows:
        places[topic][partition] = max(at, places[topic].get(partition, 0))
    return [
        Memory(topic, found, {p: end for (name, p), (_, end) in reached.items() if name == topic})
        for topic, found in sorted(places.items())
    ]


@cursors.command("forget")
def forget(
    *,
    topics: Annotated[list[str] | None, typer.Option("--topic", help="Only this topic (can be repeated).")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every topic that was made again.")] = False,
    again: Annotated[
        bool, typer.Option("--read-again", help="Also where the topic still has what was read: all of it is read again.")
    ] = False,
    dry_run: DryRun = False,
    service: Services = None,
    stack: Stack = None,
) -> None:
    """Forget the places of topics that were made again, so that they are read from their beginning. Repeats are dropped.

    A topic that still has what was read of it is left alone.
    """
    if bool(topics) == everything:
        typer.echo("say what: either --topic or --all", err=True)
        raise typer.Exit(2)
    run(stack, service, lambda found: _forget(found, topics or (), again=again, dry_run=dry_run))


async def _forget(found: Sequence[Place], only: Sequence[str], *, again: bool, dry_run: bool) -> int:
    count, refused = 0, False
    async with opened(found) as pools:
        for place in found:
            pool = pools[place.service]
            async with transaction(pool, readonly=True) as tx:
                rows = [(r["topic"], r["partition"], r["next"]) for r in await tx.connection.fetch(KNOWN)]
            rows = [row for row in rows if not only or row[0] in only]
            for memory in remembered(rows, await place.reach(sorted({topic for topic, _, _ in rows}))) if rows else ():
                why = memory.why or ("to be read again" if again else None)
                if why is None:
                    if only:
                        refused = True
                        kept = "it still has what was dealt with: left (--read-again reads all of it again)"
                        typer.echo(f"{place.service}  {memory.topic}: {kept}", err=True)
                    continue
                by_place = is_partners(place, memory.topic)
                places = await attempted(pool, partial(drop, memory=memory, by_place=by_place), dry_run=dry_run)
                count += 1
                more = f", {places} messages known by their place only" if places else ""
                typer.echo(f"{place.service}  {memory.topic}: {'would be ' if dry_run else ''}forgotten{more} ({why})")
    if count == 0 and not refused:
        typer.echo(f"{', '.join(pools)}: nothing to forget: every topic has what was dealt with of it", err=True)
    return 0 if count and not refused else 1


def is_partners(place: Place, topic: str) -> bool:
    outside = built(place.service).outside
    return outside is not None and topic.rpartition(".")[0] == outside.family


async def drop(tx: Tx, memory: Memory, *, by_place: bool) -> int:
    """Forget a topic's places; also the messages of partners that had no name but their place. Returns how many of those there were."""
    await tx.connection.execute("DELETE FROM cursor WHERE topic = $1", memory.topic)
    await tx.connection.execute("DELETE FROM sent WHERE topic = $1", memory.topic)
    return await drop_by_place(tx, memory) if by_place else 0


async def drop_by_place(tx: Tx, memory: Memory) -> int:
    """What comes to the same place of the new topic is another message: it must not be taken for a repeat, or it gets no receipt."""
    count = 0
    for partition, end in memory.places.items():
        for first in range(0, end, AT_ONCE):
            named = [stream_id("message", memory.topic, partition, n) for n in range(first, min(end, first + AT_ONCE))]
            status = await tx.connection.execute(
                "DELETE FROM seen WHERE topic = $1 AND stream = ANY ($2::uuid[]) AND parked_from IS NULL", memory.topic, named
            )
            count += int(status.split()[-1])
    return count

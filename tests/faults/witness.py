"""A witness: hears every topic of the house and counts, for each stream, how often something was told. Nothing in it knows a repeat.

The services' rules bear repeats, which is well for them and bad for a proof: here only the kernel's positions stand between a message
that comes twice and a count that is wrong. `python -m tests.faults.witness`
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar
from uuid import UUID

from shared.aggregate import Aggregate, Aggregates
from shared.events import certs, distribution, intake, refurb, routing
from shared.events.base import Event, stream_id
from shared.message import Message
from shared.rows import Rows
from shared.run import Service, run
from shared.settings import Settings

NAME = "witness"
HEARS = {
    "intake.donations": "regions",
    "routing.consignments": "refurbishers",
    "refurb.devices": "refurbishers",
    "refurb.receipts": "refurbishers",
    "certs.certificates": "refurbishers",
    **{f"distribution.{kind}": "regions" for kind in ("stock", "orders", "vouchers", "sales")},
}


class Sighted(Event):
    """Something was told in a stream."""

    type: ClassVar[str] = "witness.sighted.v1"

    topic: str
    stream: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """Count it."""

    id: UUID
    topic: str
    stream: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Sightings:
    """How often."""

    topic: str = ""
    stream: UUID | None = None
    times: int = 0


def decide(_: Sightings, command: Sight) -> Sequence[Sighted]:
    return [Sighted(topic=command.topic, stream=command.stream)]


def evolve(seen: Sightings, event: Sighted) -> Sightings:
    return replace(seen, topic=event.topic, stream=event.stream, times=seen.times + 1)


def sight(message: Message, _: Event) -> Sequence[Sight]:
    return [Sight(id=stream_id("sightings", message.topic, message.stream), topic=message.topic, stream=message.stream)]


def own(_: Sightings) -> None:
    """It tells nobody."""


SIGHTINGS = Aggregate(
    name="sightings",
    events=(Sighted,),
    new=Sightings(),
    decide=decide,
    evolve=evolve,
    topic=own,
    rows=Rows("sightings", Sightings),
)
AGGREGATES: Aggregates = {Sight: SIGHTINGS}
TYPES = {
    found
    for module in (intake, routing, refurb, certs, distribution)
    for found in vars(module).values()
    if isinstance(found, type) and issubclass(found, Event) and "type" in vars(found)
}


def build(settings: Settings) -> Service:
    return Service(
        settings=settings,
        aggregates=AGGREGATES,
        reactions=dict.fromkeys(TYPES, sight),
        hears=HEARS,
        migrations=Path(__file__).with_name("migrations"),
    )


if __name__ == "__main__":
    run(build, Settings)

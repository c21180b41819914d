"""What a message says of media that other devices may name too -> commands on where they are, and on which run served whom."""

from collections.abc import Sequence
from datetime import timedelta

from services.refurb.domain import holding
from services.refurb.domain.holding import medium_stream
from services.refurb.domain.readers.hardware import serial
from services.refurb.reactions.names import device_stream
from shared.aggregate import Command
from shared.errors import Coded, Refused
from shared.events.refurb import ErasureRun
from shared.message import Message

LONGEST = timedelta(days=14)
"""A run that took longer has a wrong date: what it claims would keep others' reports out for as long."""


def place(message: Message, device_ref: str) -> holding.Place:
    return holding.Place(
        device_id=device_stream(message.cell, device_ref), device_ref=device_ref.strip(), refurbisher=message.cell
    )


def spans(runs: Sequence[ErasureRun], here: holding.Place, where: str) -> list[Command]:
    """Claim when each medium of a report was worked on. A number that is none names no medium; a run of weeks is a wrong date."""
    found: dict[str, list[holding.Span]] = {}
    for run in runs:
        ends = [moment for moment in (run.started_at, run.ended_at) if moment]
        if ends and (name := serial(run.serial)):
            if max(ends) - min(ends) > LONGEST:
                raise Refused("erasure_too_long", where=where, medium=name, days=LONGEST.days)
            found.setdefault(name, []).append(holding.Span(started_at=min(ends), ended_at=max(ends)))
    return [
        holding.ClaimRuns(
            id=medium_stream(name),
            serial=name,
            device_id=here.device_id,
            refurbisher=here.refurbisher,
            spans=tuple(dict.fromkeys(found[name])),
        )
        for name in sorted(found)
    ]


def disputed(message: Message, error: Exception, device_ref: str | None) -> list[Command]:
    """What a refused audit leaves for people: a medium that two devices name."""
    if not isinstance(error, Coded) or error.code != "medium_elsewhere" or device_ref is None:
        return []
    return [holding.DisputeMedium(id=medium_stream(str(error.detail["medium"])), place=place(message, device_ref))]

"""Load and lateness of each refurbisher, day by day: what one event adds to the figures, and the view that pages read.

A view only: whatever decides reads Postgres. It is counted from the topics, and can be counted again from them.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal, get_args

from shared.events.base import Event
from shared.events.refurb import DeviceReady, DeviceScrapped
from shared.events.routing import CollectionFailed, ConsignmentAssigned, ConsignmentDelivered, ConsignmentEnded

Counted = ConsignmentAssigned | ConsignmentDelivered | ConsignmentEnded | CollectionFailed | DeviceReady | DeviceScrapped
CONTRACTS: Mapping[str, type[Event]] = {contract.type: contract for contract in get_args(Counted)}
"""The events that count, by their published type."""
Figures = Mapping[str, int]
FIGURES = ("assigned", "given_back", "arrived", "deliveries", "late", "late_days", "failed", "ready", "scrapped")
"""Devices given, given back, arrived; deliveries, those that were late, and by how many days in all; collections that failed;
devices ready and scrapped."""


def adds(event: Event, at: datetime, delivered_within_days: int) -> dict[str, int]:
    """What an event of `CONTRACTS` adds to its refurbisher's day. Late = more days after the planned collection than the rules allow."""
    match event:
        case ConsignmentAssigned(declared=declared):
            return {"assigned": sum(declared.values())}
        case ConsignmentEnded(declared=declared):
            return {"given_back": declared or 0}
        case ConsignmentDelivered(counted=counted, corrects=int(before)):
            return {"arrived": counted - before}
        case ConsignmentDelivered(counted=counted, planned=planned):
            late_days = max(0, (at.date() - planned).days - delivered_within_days) if planned else 0
            return {"arrived": counted, "deliveries": 1, "late": int(late_days > 0), "late_days": late_days}
        case CollectionFailed():
            return {"failed": 1}
        case DeviceReady():
            return {"ready": 1}
        case DeviceScrapped():
            return {"scrapped": 1}
        case _:
            return {}


@dataclass(slots=True)
class View:
    """What is known now, for the page. Filled by `streams.py`, never waited for."""

    state: Literal["rebuilding", "ready", "late"] = "rebuilding"
    """`late`: it did not come up in time, and is still tried."""
    last_right: datetime | None = None
    """When all that was published had been counted."""
    days: Mapping[tuple[str, date], Figures] = field(default_factory=dict)
    """Refurbisher and day (UTC) -> figures."""
    skipped: int = 0
    """Messages that could not be read, since the start."""

    def by_week(self) -> list[tuple[date, str, Figures]]:
        """Monday of the week, refurbisher, figures: the latest week first."""
        weeks: defaultdict[tuple[date, str], dict[str, int]] = defaultdict(lambda: dict.fromkeys(FIGURES, 0))
        for (refurbisher, day), figures in self.days.items():
            week = weeks[date.fromordinal(day.toordinal() - day.weekday()), refurbisher]
            for name in FIGURES:
                week[name] += figures.get(name, 0)
        return [(monday, slug, weeks[monday, slug]) for monday, slug in sorted(weeks, key=lambda w: (-w[0].toordinal(), w[1]))]

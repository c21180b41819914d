"""What goes with each sale: the warranty, and the offer of training. Both are data with a version."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

FRANCE = ZoneInfo("Europe/Paris")
"""Whose calendar dates a voucher and a warranty: in the overseas departments the day may differ by some hours."""

Answer = Literal["booked", "later", "declined"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Warranty:
    """The legal warranty as the charity's purchase sheet words it (`data/warranty.yaml`)."""

    id: str
    years: int
    promises: tuple[str, ...]
    excluded: tuple[str, ...]

    def until(self, sold_on: date) -> date:
        """The last day: same day, `years` later; 29 February becomes 1 March, in the buyer's favour."""
        year = sold_on.year + self.years
        if (sold_on.month, sold_on.day) == (2, 29):
            return date(year, 3, 1)
        return sold_on.replace(year=year)


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What is offered with each sale (`data/training.yaml`)."""

    id: str
    name: str
    about: str
    lasts: str


def read_warranty(document: Mapping[str, Any]) -> Warranty:
    """Read `data/warranty.yaml`."""
    return Warranty(
        id=document["id"],
        years=document["years"],
        promises=tuple(document["promises"]),
        excluded=tuple(document["excluded"]),
    )


def read_trainings(document: Mapping[str, Any]) -> tuple[Training, ...]:
    """Read `data/training.yaml`."""
    return tuple(Training(**row) for row in document["trainings"])


def day(moment: datetime) -> date:
    """The day in France of a moment."""
    return moment.astimezone(FRANCE).date()

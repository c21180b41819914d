"""What a device costs: the price list by type and category, never above the legal ceiling, free only with a reason.

The ceilings (décret of 7 November 2022, see `data/price.yaml`) bind what a public body gave, whatever became of the device since: an
exchange, a bundle, another grade. A device without a ceiling of its own that a public body gave cannot be sold at all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from shared.errors import Refused
from shared.events.base import Category, DeviceType

PRICED_AS: Mapping[DeviceType, str] = {
    "laptop": "laptop",
    "desktop": "desktop_set",
    "smartphone": "smartphone",
    "tablet": "tablet",
    "screen": "screen",
    "printer": "printer",
}
"""Our types -> the lines of the price list. A printer that also scans has a higher ceiling; we cannot tell, so the lower one holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """One version of the price list, in cents."""

    id: str
    effective_from: date
    list_cents: Mapping[str, Mapping[Category, int]]
    ceiling_cents: Mapping[str, int]
    free_reasons: Mapping[str, str]
    """Code -> what people read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A price and what made it: the list, the ceiling, or a reason to give it free."""

    price_cents: int
    list_cents: int
    ceiling_cents: int | None
    free_reason: str | None
    rules: str

    @property
    def because(self) -> Literal["list", "ceiling", "free"]:
        if self.free_reason is not None:
            return "free"
        return "list" if self.price_cents == self.list_cents else "ceiling"


def read(document: Mapping[str, Any]) -> Prices:
    """Read a price list as `data/price.yaml` writes it, in euros."""
    return Prices(
        id=document["id"],
        effective_from=document["effective_from"],
        list_cents={
            line: {category: cents(euros) for category, euros in row.items()} for line, row in document["prices"].items()
        },
        ceiling_cents={line: cents(euros) for line, euros in document["legal_ceilings"]["eur"].items()},
        free_reasons=dict(document["free_reasons"]["codes"]),
    )


def cents(euros: object) -> int:
    """Turn whole euros into cents. A price list with half cents is a mistake that we would rather hear of."""
    if not isinstance(euros, int) or isinstance(euros, bool) or euros < 0:
        raise ValueError(f"not a price in whole euros: {euros!r}")
    return euros * 100


def in_force(versions: Sequence[Prices], on: date) -> Prices:
    """Pick the version for a day: the latest that has begun."""
    begun = [prices for prices in versions if prices.effective_from <= on]
    if not begun:
        raise Refused("no_prices_yet", on=on.isoformat())
    return max(begun, key=lambda prices: (prices.effective_from, prices.id))


def quote(
    prices: Prices, device_type: DeviceType, category: Category, *, donor_public: bool, free_reason: str | None = None
) -> Quote:
    """Say what the device costs, and why."""
    line = PRICED_AS.get(device_type, "")
    listed = prices.list_cents.get(line, {}).get(category)
    if listed is None:
        raise Refused("not_priced", device_type=device_type, category=category)
    ceiling = prices.ceiling_cents.get(line) if donor_public else None
    if donor_public and ceiling is None:
        raise Refused("no_legal_ceiling", device_type=device_type)
    if free_reason is not None and free_reason not in prices.free_reasons:
        raise Refused("free_without_reason", known=list(prices.free_reasons))
    due = listed if ceiling is None else min(listed, ceiling)
    return Quote(
        price_cents=0 if free_reason is not None else due,
        list_cents=listed,
        ceiling_cents=ceiling,
        free_reason=free_reason,
        rules=prices.id,
    )

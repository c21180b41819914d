"""The rules and places that distribution works by, read once at the start and passed down."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from services.distribution.domain.offers import Training, Warranty
from services.distribution.domain.places import Atlas
from services.distribution.domain.price import Prices, Quote, in_force, quote
from services.distribution.domain.stock import Item


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """Everything that is data. `prices` holds all versions: the day of a sale picks one."""

    atlas: Atlas
    prices: tuple[Prices, ...]
    warranty: Warranty
    trainings: tuple[Training, ...]

    def quote(self, item: Item, on: date, free_reason: str | None = None) -> Quote:
        """Say what the device costs on that day, and why."""
        return quote(
            in_force(self.prices, on), item.device_type, item.category, donor_public=item.donor_public, free_reason=free_reason
        )

    @property
    def free_reasons(self) -> Mapping[str, str]:
        """Every reason ever known, with its words: those of old sales too."""
        return {code: words for prices in self.prices for code, words in prices.free_reasons.items()}

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.distribution.app import document, read_book
from services.distribution.domain import price
from services.distribution.domain.price import PRICED_AS, Prices, Quote, in_force, quote
from shared.errors import Refused
from shared.events.base import Category, DeviceType

BOOK = read_book()
PRICES = BOOK.prices[0]
CATEGORIES: tuple[Category, ...] = ("PREMIUM", "A", "B", "C", "D")
CEILINGS = {"laptop": 180, "desktop": 150, "tablet": 100, "smartphone": 100, "screen": 30, "printer": 30}
"""The law's, in euros, written here a second time."""


@pytest.mark.parametrize(
    ("kind", "category", "public", "euros", "because"),
    [
        ("laptop", "B", False, 75, "list"),
        ("laptop", "B", True, 75, "list"),
        ("laptop", "PREMIUM", False, 190, "list"),
        ("laptop", "PREMIUM", True, 180, "ceiling"),
        ("desktop", "PREMIUM", True, 150, "ceiling"),
        ("desktop", "D", False, 15, "list"),
        ("smartphone", "PREMIUM", True, 100, "ceiling"),
        ("smartphone", "PREMIUM", False, 105, "list"),
        ("tablet", "A", True, 65, "list"),
        ("screen", "PREMIUM", True, 30, "list"),
        ("printer", "C", False, 15, "list"),
    ],
)
def test_the_price_list(kind: DeviceType, category: Category, public: bool, euros: int, because: str) -> None:
    found = quote(PRICES, kind, category, donor_public=public)
    assert (found.price_cents, found.because, found.rules) == (euros * 100, because, "price-2026-01")


def test_a_quote_tells_what_made_it() -> None:
    assert quote(PRICES, "laptop", "PREMIUM", donor_public=True, free_reason="lockdown") == Quote(
        price_cents=0, list_cents=19_000, ceiling_cents=18_000, free_reason="lockdown", rules="price-2026-01"
    )


def test_free_needs_a_reason_that_is_known() -> None:
    with pytest.raises(Refused, match="free_without_reason"):
        quote(PRICES, "laptop", "B", donor_public=False, free_reason="because")
    with pytest.raises(Refused, match="free_without_reason"):
        quote(PRICES, "laptop", "B", donor_public=False, free_reason="")


def test_what_has_no_price_or_no_ceiling_is_not_sold() -> None:
    with pytest.raises(Refused, match="not_priced"):
        quote(PRICES, "other", "B", donor_public=False)
    bare = Prices(
        id="bare",
        effective_from=date(2026, 1, 1),
        list_cents=PRICES.list_cents,
        ceiling_cents={},
        free_reasons={},
    )
    with pytest.raises(Refused, match="no_legal_ceiling"):
        quote(bare, "laptop", "B", donor_public=True)
    assert quote(bare, "laptop", "B", donor_public=False).ceiling_cents is None


@given(
    table=st.dictionaries(
        st.sampled_from(sorted(set(PRICED_AS.values()))),
        st.fixed_dictionaries({category: st.integers(0, 100_000) for category in CATEGORIES}),
    ),
    kind=st.sampled_from([*PRICED_AS, "other"]),
    category=st.sampled_from(CATEGORIES),
    public=st.booleans(),
    free=st.one_of(st.none(), st.sampled_from([*PRICES.free_reasons, "made-up"])),
)
def test_whatever_the_list_says_the_legal_ceiling_holds(
    table: dict[str, dict[Category, int]], kind: DeviceType, category: Category, public: bool, free: str | None
) -> None:
    prices = Prices(
        id="any",
        effective_from=date(2026, 1, 1),
        list_cents=table,
        ceiling_cents=PRICES.ceiling_cents,
        free_reasons=PRICES.free_reasons,
    )
    try:
        found = quote(prices, kind, category, donor_public=public, free_reason=free)
    except Refused:
        return
    if public:
        assert found.price_cents <= CEILINGS[kind] * 100
        assert found.ceiling_cents == CEILINGS[kind] * 100
    assert found.price_cents == 0 if free else found.price_cents == min(found.list_cents, found.ceiling_cents or found.list_cents)
    assert 0 <= found.price_cents <= found.list_cents


def test_the_version_in_force_is_that_of_the_day() -> None:
    later = Prices(
        id="price-2027-01",
        effective_from=date(2027, 1, 1),
        list_cents={},
        ceiling_cents={},
        free_reasons={},
    )
    assert in_force([later, PRICES], date(2026, 12, 31)) == PRICES
    assert in_force([later, PRICES], date(2027, 1, 1)) == later
    with pytest.raises(Refused, match="no_prices_yet"):
        in_force([later, PRICES], date(2025, 12, 31))


def test_half_a_price_list_stops_the_start() -> None:
    good = document(read_book.__defaults__[0] / "price.yaml")  # type: ignore[index]
    for wrong in (12.5, -1, "12", True, None):
        with pytest.raises(ValueError, match="whole euros"):
            price.read({**good, "prices": {"laptop": {"A": wrong}}})

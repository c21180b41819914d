from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest

from services.distribution.app import SALE as SALES
from services.distribution.app import read_book
from services.distribution.domain import till
from services.distribution.domain.sales import BookTraining, Sale, SellDevice, sale_stream
from services.distribution.domain.stock import Item, LeaveStock
from services.distribution.domain.vouchers import SpendVoucher, Voucher
from shared.errors import Coded
from shared.events.distribution import DeviceSold, TrainingBooked
from tests.distribution.samples import (
    CONSIGNMENT,
    DEVICE,
    DONATION,
    ELSEWHERE,
    HERE,
    NEED,
    NOON,
    OTHER_DEVICE,
    SALE,
)
from tests.support.given import given

BOOK = read_book()
VOUCHER = UUID(int=7)
ITEM = Item(
    status="delivered",
    device_id=DEVICE,
    region="ara",
    refurbisher="trira",
    device_ref="GRPC26-0008",
    device_type="laptop",
    category="PREMIUM",
    donor_public=True,
    consignment_id=CONSIGNMENT,
    donation_id=DONATION,
    ready_at=NOON,
    times=1,
    structure=HERE,
    structure_region="idf",
    need_id=NEED,
)
SOLD = DeviceSold(
    sale_id=SALE,
    device_id=DEVICE,
    consignment_id=CONSIGNMENT,
    donation_id=DONATION,
    refurbisher="trira",
    device_type="laptop",
    category="PREMIUM",
    structure=HERE,
    voucher_id=VOUCHER,
    price_cents=18_000,
    ceiling_cents=18_000,
    free_reason=None,
    price_rules="price-2026-01",
    sold_at=NOON,
    warranty_until=date(2028, 11, 23),
    region="idf",
    device_ref="GRPC26-0008",
    donor_public=True,
    list_price_cents=19_000,
    warranty_rules="warranty-2026-01",
    times=1,
)


def basket(**changed: Any) -> till.Basket:
    told: dict[str, Any] = {
        "sale_id": SALE,
        "voucher_id": VOUCHER,
        "item": ITEM,
        "structure": BOOK.atlas.structures[HERE],
    }
    return till.Basket(**(told | changed))


def sell(**changed: Any) -> SellDevice:
    command = till.sell(basket(**changed), BOOK, NOON)[-1]
    assert isinstance(command, SellDevice)
    return command


def test_a_sale_is_three_commands_voucher_first() -> None:
    kinds = [type(command) for command in till.sell(basket(), BOOK, NOON)]
    assert kinds == [SpendVoucher, LeaveStock, SellDevice]


def test_a_device_is_sold_under_its_ceiling_with_what_made_the_price() -> None:
    given(SALES).when(sell()).then(SOLD)


def test_the_same_sale_again_is_the_same_answer() -> None:
    later = datetime(2027, 2, 1, tzinfo=UTC)
    given(SALES, SOLD).when(sell()).then()
    given(SALES, SOLD).when(replace(sell(), sold_at=later)).then()


@pytest.mark.parametrize(
    ("changed", "differs"),
    [
        ({"voucher_id": UUID(int=8)}, ["voucher"]),
        ({"item": replace(ITEM, device_id=OTHER_DEVICE)}, ["device"]),
        ({"structure": BOOK.atlas.structures[ELSEWHERE]}, ["structure"]),
        ({"free_reason": "lockdown"}, ["free_reason"]),
    ],
)
def test_another_sale_under_its_id_is_refused(changed: dict[str, Any], differs: list[str]) -> None:
    given(SALES, SOLD).when(sell(**changed)).refuses("sale_differs", differs=differs)


def test_the_person_pays_what_was_told() -> None:
    given(SALES).when(sell(quoted_cents=17_000)).refuses("price_changed", quoted_cents=17_000, price_cents=18_000)
    given(SALES).when(sell(quoted_cents=18_000)).then(SOLD)


def test_free_with_a_reason() -> None:
    free = SOLD.model_copy(update={"price_cents": 0, "free_reason": "disaster"})
    given(SALES).when(sell(free_reason="disaster")).then(free)
    given(SALES).when(sell(free_reason="no such")).refuses("free_without_reason")


def test_the_offer_of_training_is_answered_and_changed() -> None:
    later, booked = (TrainingBooked(sale_id=SALE, answer="later"), TrainingBooked(sale_id=SALE, answer="booked"))
    book = BookTraining(id=sale_stream(SALE), answer="booked")
    given(SALES).when(book).refuses("sale_unknown")
    given(SALES, SOLD, later).when(book).then(booked)
    given(SALES, SOLD, later, booked).when(book).then()


def test_a_warranty_sold_on_29_february_ends_on_1_march() -> None:
    assert BOOK.warranty.until(date(2028, 2, 29)) == date(2030, 3, 1)
    assert BOOK.warranty.until(date(2026, 2, 28)) == date(2028, 2, 28)


def test_the_label_means_the_device_that_can_be_sold_here() -> None:
    there = replace(ITEM, device_id=OTHER_DEVICE, refurbisher="ares", structure=ELSEWHERE)
    assert till.choose([there, ITEM], HERE) == ITEM
    assert till.choose([there], HERE) == there
    old = replace(ITEM, device_id=OTHER_DEVICE, status="sold")
    assert till.choose([old, ITEM], HERE) == ITEM
    assert till.choose([old, ITEM], HERE, Sale(status="sold", device_id=OTHER_DEVICE)) == old


def refusal(items: list[Item], structure: str | None = HERE) -> str:
    with pytest.raises(Coded) as caught:
        till.choose(items, structure)
    return caught.value.code


def test_a_label_that_means_nothing_or_two_devices_sells_none() -> None:
    assert refusal([]) == "device_unknown"
    assert refusal([ITEM, replace(ITEM, device_id=OTHER_DEVICE, refurbisher="ares")]) == "device_ambiguous"
    assert refusal([ITEM, replace(ITEM, device_id=OTHER_DEVICE, structure=ELSEWHERE)], None) == "device_ambiguous"


@pytest.mark.parametrize(
    ("item", "voucher", "code"),
    [
        (ITEM, None, "voucher_unknown"),
        (ITEM, Voucher(status="spent", device_type="laptop", spent_at=NOON), "voucher_already_spent"),
        (ITEM, Voucher(status="revoked", device_type="laptop"), "voucher_revoked"),
        (ITEM, Voucher(status="issued", device_type="laptop", expires=date(2026, 11, 22)), "voucher_expired"),
        (ITEM, Voucher(status="issued", device_type="tablet", expires=date(2026, 12, 18)), "voucher_other_type"),
        (
            replace(ITEM, structure=ELSEWHERE),
            Voucher(status="issued", device_type="laptop", expires=date(2026, 12, 18)),
            "device_elsewhere",
        ),
        (
            replace(ITEM, status="allotted"),
            Voucher(status="issued", device_type="laptop", expires=date(2026, 12, 18)),
            "device_not_here",
        ),
    ],
)
def test_a_rehearsal_refuses_what_the_sale_would(item: Item, voucher: Voucher | None, code: str) -> None:
    with pytest.raises(Coded) as caught:
        till.rehearse(basket(item=item), voucher, BOOK, NOON)
    assert caught.value.code == code


def test_a_rehearsal_of_a_good_sale_says_nothing() -> None:
    till.rehearse(basket(), Voucher(status="issued", device_type="laptop", expires=date(2026, 12, 18)), BOOK, NOON)

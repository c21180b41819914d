"""A sale is three facts at once: the voucher is spent, the device leaves the stock, the sale is made. All of them or none."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.distribution.domain import sales, stock, vouchers
from services.distribution.domain.book import Book
from services.distribution.domain.offers import day
from services.distribution.domain.places import Structure
from services.distribution.domain.price import in_force
from services.distribution.domain.sales import Sale, SellDevice, sale_stream
from services.distribution.domain.stock import Item, LeaveStock, item_id
from services.distribution.domain.vouchers import SpendVoucher, Voucher
from shared.errors import NotYet, Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Basket:
    """What lies on the counter."""

    sale_id: UUID
    voucher_id: UUID
    item: Item
    structure: Structure
    free_reason: str | None = None
    quoted_cents: int | None = None


def choose(items: Sequence[Item], structure: str | None, sold: Sale | None = None) -> Item:
    """Pick the device that was meant among those with that label: the one of this sale, else the one that can be sold here.

    `structure` is where the till stands, or None for the staff, whose till stands where the device is.
    """
    if sold is not None:
        items = [item for item in items if item.device_id == sold.device_id] or items
    if not items:
        raise NotYet("device_unknown")
    near = [item for item in items if structure is None or item.structure == structure] or list(items)
    ready = [item for item in near if item.status == "delivered"]
    if sold is None and len(ready) > 1:
        raise Refused("device_ambiguous", refurbishers=sorted({item.refurbisher for item in ready}))
    return ready[0] if ready else near[0]


def sell(basket: Basket, book: Book, now: datetime, sold: Sale | None = None) -> list[SpendVoucher | LeaveStock | SellDevice]:
    """Make the commands of the sale, the voucher first: what is wrong with it is what the person at the till must hear first.

    `sold` is what is already known under this sale's id: then only the sale itself is asked whether this is the same one, since the
    device may have had other adventures meanwhile.
    """
    item = basket.item
    if item.device_id is None or item.consignment_id is None or item.donation_id is None:
        raise NotYet("device_unknown")
    sale = SellDevice(
        id=sale_stream(basket.sale_id),
        sale_id=basket.sale_id,
        device_id=item.device_id,
        consignment_id=item.consignment_id,
        donation_id=item.donation_id,
        refurbisher=item.refurbisher,
        device_ref=item.device_ref,
        device_type=item.device_type,
        category=item.category,
        donor_public=item.donor_public,
        times=item.times,
        structure=basket.structure.id,
        region=basket.structure.region,
        voucher_id=basket.voucher_id,
        free_reason=basket.free_reason,
        quoted_cents=basket.quoted_cents,
        prices=in_force(book.prices, day(now)),
        warranty=book.warranty,
        sold_at=now,
    )
    if sold is not None:
        return [sale]
    return [
        SpendVoucher(
            id=basket.voucher_id,
            sale_id=basket.sale_id,
            structure=basket.structure.id,
            device_type=item.device_type,
            at=now,
            on=day(now),
        ),
        LeaveStock(
            id=item_id(item.device_id),
            sale_id=basket.sale_id,
            structure=basket.structure.id,
            device_type=item.device_type,
            category=item.category,
            donor_public=item.donor_public,
            times=item.times,
        ),
        sale,
    ]


def rehearse(basket: Basket, voucher: Voucher | None, book: Book, now: datetime) -> None:
    """Say what the sale would be refused for, before the person pays. The sale itself asks again."""
    for command in sell(basket, book, now):
        match command:
            case SpendVoucher():
                vouchers.decide(voucher or Voucher(), command)
            case LeaveStock():
                stock.decide(basket.item, command)
            case SellDevice():
                sales.decide(Sale(), command)

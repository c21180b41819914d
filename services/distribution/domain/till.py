"""A sale is three facts at once: the voucher is spent, the device leaves the stock, the sale is made. All of them or none."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.distribution.domain.offers import Warranty, day
from services.distribution.domain.places import Structure
from services.distribution.domain.price import Prices
from services.distribution.domain.sales import SellDevice, sale_stream
from services.distribution.domain.stock import Item, LeaveStock, item_id
from services.distribution.domain.vouchers import SpendVoucher
from shared.errors import NotYet


@dataclass(frozen=True, slots=True, kw_only=True)
class Basket:
    """What lies on the counter."""

    sale_id: UUID
    voucher_id: UUID
    item: Item
    structure: Structure
    free_reason: str | None = None
    quoted_cents: int | None = None


def sell(basket: Basket, prices: Prices, warranty: Warranty, now: datetime) -> list[SpendVoucher | LeaveStock | SellDevice]:
    """Make the commands of the sale, the voucher first: what is wrong with it is what the person at the till must hear first."""
    item = basket.item
    if item.device_id is None or item.consignment_id is None or item.donation_id is None:
        raise NotYet("device_unknown")
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
        SellDevice(
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
            prices=prices,
            warranty=warranty,
            sold_at=now,
        ),
    ]

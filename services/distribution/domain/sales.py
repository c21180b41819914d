"""One sale: what was paid and why, until when it is under warranty, and the answer to the offer of training. Stream `("sale", sale_id)`."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Literal, assert_never
from uuid import UUID

from services.distribution.domain import price
from services.distribution.domain.offers import Answer, Warranty, day
from shared.errors import NotYet, Refused
from shared.events.base import Category, DeviceType, stream_id
from shared.events.distribution import DeviceSold, SaleEvent, TrainingBooked


def sale_stream(sale_id: UUID) -> UUID:
    """Name the stream of a sale from the id that its seller made."""
    return stream_id("sale", sale_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """What we know of a sale."""

    status: Literal["unknown", "sold"] = "unknown"
    sale_id: UUID | None = None
    device_id: UUID | None = None
    device_ref: str = ""
    device_type: DeviceType = "other"
    category: Category = "D"
    structure: str = ""
    region: str = ""
    refurbisher: str = ""
    voucher_id: UUID | None = None
    donor_public: bool = False
    price_cents: int = 0
    list_price_cents: int | None = None
    ceiling_cents: int | None = None
    free_reason: str | None = None
    price_rules: str = ""
    warranty_rules: str = ""
    warranty_until: date | None = None
    sold_at: datetime | None = None
    times: int = 1
    training: Answer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SellDevice:
    """A person buys the device with a voucher. `quoted_cents` is the price that the person was told, where someone told one."""

    id: UUID
    sale_id: UUID
    device_id: UUID
    consignment_id: UUID
    donation_id: UUID
    refurbisher: str
    device_ref: str
    device_type: DeviceType
    category: Category
    donor_public: bool
    times: int
    structure: str
    region: str
    voucher_id: UUID
    free_reason: str | None
    quoted_cents: int | None
    prices: price.Prices
    warranty: Warranty
    sold_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BookTraining:
    """The person answers the offer; a later answer replaces the earlier one."""

    id: UUID
    answer: Answer


Command = SellDevice | BookTraining


def decide(sale: Sale, command: Command) -> list[SaleEvent]:
    """Say what happens, or refuse. The same sale again is no second sale; another one under its id is refused."""
    match command:
        case SellDevice():
            if sale.status == "unknown":
                return [sell(command)]
            told = {
                "device": sale.device_id == command.device_id,
                "voucher": sale.voucher_id == command.voucher_id,
                "structure": sale.structure == command.structure,
                "free_reason": sale.free_reason == command.free_reason,
            }
            if not all(told.values()):
                raise Refused("sale_differs", differs=[what for what, same in told.items() if not same])
            return []
        case BookTraining(answer=answer):
            if sale.status == "unknown" or sale.sale_id is None:
                raise NotYet("sale_unknown")
            return [] if sale.training == answer else [TrainingBooked(sale_id=sale.sale_id, answer=answer)]
        case _:
            assert_never(command)


def sell(command: SellDevice) -> DeviceSold:
    """Make the price here, from the rules: who sells cannot choose it. A price told to the person must be this one."""
    quote = price.quote(
        command.prices,
        command.device_type,
        command.category,
        donor_public=command.donor_public,
        free_reason=command.free_reason,
    )
    if command.quoted_cents is not None and command.quoted_cents != quote.price_cents:
        raise Refused("price_changed", quoted_cents=command.quoted_cents, price_cents=quote.price_cents)
    return DeviceSold(
        sale_id=command.sale_id,
        device_id=command.device_id,
        consignment_id=command.consignment_id,
        donation_id=command.donation_id,
        refurbisher=command.refurbisher,
        device_type=command.device_type,
        category=command.category,
        structure=command.structure,
        voucher_id=command.voucher_id,
        price_cents=quote.price_cents,
        ceiling_cents=quote.ceiling_cents,
        free_reason=quote.free_reason,
        price_rules=quote.rules,
        sold_at=command.sold_at,
        warranty_until=command.warranty.until(day(command.sold_at)),
        region=command.region,
        device_ref=command.device_ref,
        donor_public=command.donor_public,
        list_price_cents=quote.list_cents,
        warranty_rules=command.warranty.id,
        times=command.times,
    )


def evolve(sale: Sale, event: SaleEvent) -> Sale:
    """Give the sale after the event."""
    match event:
        case DeviceSold():
            return Sale(
                status="sold",
                sale_id=event.sale_id,
                device_id=event.device_id,
                device_ref=event.device_ref,
                device_type=event.device_type,
                category=event.category,
                structure=event.structure,
                region=event.region,
                refurbisher=event.refurbisher,
                voucher_id=event.voucher_id,
                donor_public=event.donor_public,
                price_cents=event.price_cents,
                list_price_cents=event.list_price_cents,
                ceiling_cents=event.ceiling_cents,
                free_reason=event.free_reason,
                price_rules=event.price_rules,
                warranty_rules=event.warranty_rules,
                warranty_until=event.warranty_until,
                sold_at=event.sold_at,
                times=event.times,
            )
        case TrainingBooked(answer=answer):
            return replace(sale, training=answer)
        case _:
            assert_never(event)

"""One ready device in the stock: received, allotted, shipped, delivered, sold; or withdrawn. Stream `("stock", device_id)`."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, assert_never
from uuid import UUID

from shared.errors import NotYet, Refused
from shared.events.base import Category, DeviceType, stream_id
from shared.events.distribution import (
    DeviceDelivered,
    DeviceShipped,
    LotAllocated,
    LotReleased,
    StockEvent,
    StockLeft,
    StockReceived,
    StockRegraded,
    StockWithdrawn,
)

Status = Literal["unknown", "available", "allotted", "shipped", "delivered", "sold", "withdrawn"]


def item_id(device_id: UUID) -> UUID:
    """Name the stock item of a device."""
    return stream_id("stock", device_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What we know of a device in stock. `owed_to` is a need to be opened again, because this device will not meet it."""

    status: Status = "unknown"
    device_id: UUID | None = None
    region: str = ""
    refurbisher: str = ""
    device_ref: str = ""
    device_type: DeviceType = "other"
    category: Category = "D"
    donor_public: bool = False
    consignment_id: UUID | None = None
    donation_id: UUID | None = None
    maker: str | None = None
    model: str | None = None
    ready_at: datetime | None = None
    times: int = 0
    structure: str | None = None
    structure_region: str | None = None
    need_id: UUID | None = None
    distance_km: int | None = None
    candidates: int | None = None
    reason: str | None = None
    owed_to: UUID | None = None
    sale_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiveStock:
    """The refurbisher says that the device is ready."""

    id: UUID
    device_id: UUID
    consignment_id: UUID
    donation_id: UUID
    region: str
    refurbisher: str
    device_ref: str
    device_type: DeviceType
    category: Category
    donor_public: bool
    maker: str | None
    model: str | None
    ready_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Allot:
    """Give the device to a structure whose need it meets."""

    id: UUID
    structure: str
    structure_region: str
    need_id: UUID
    distance_km: int
    reason: str
    candidates: int
    runner_up: str | None
    runner_up_km: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseLot:
    """The need that the withdrawn device was to meet is being opened again, in the same transaction."""

    id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Ship:
    """It leaves for its structure."""

    id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliver:
    """`structure` says that it is there."""

    id: UUID
    structure: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveStock:
    """It is sold, in the structure that has it, as what the quote was made for."""

    id: UUID
    sale_id: UUID
    structure: str
    device_type: DeviceType
    category: Category
    donor_public: bool
    times: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawStock:
    """The refurbisher says that it will not be sold, that it came back, or that it cannot be found."""

    id: UUID
    reason: Literal["scrapped", "taken_back", "lost"]


Command = ReceiveStock | Allot | ReleaseLot | Ship | Deliver | LeaveStock | WithdrawStock


def decide(item: Item, command: Command) -> list[StockEvent]:
    """Say what happens, or refuse. A command already carried out yields no event."""
    match command:
        case ReceiveStock():
            return receive(item, command)
        case Allot():
            return allot(item, command)
        case ReleaseLot():
            if item.owed_to is None or item.device_id is None:
                return []
            return [LotReleased(device_id=item.device_id, need_id=item.owed_to)]
        case Ship():
            if item.status in {"shipped", "delivered", "sold"}:
                return []
            if item.status != "allotted":
                raise Refused("device_not_allotted", status=item.status)
            return [DeviceShipped(device_id=known(item), structure=item.structure or "")]
        case Deliver(structure=structure):
            return deliver(item, structure)
        case LeaveStock():
            return leave(item, command)
        case WithdrawStock(reason=reason):
            if item.status in {"unknown", "withdrawn"} or (item.status == "sold" and reason != "taken_back"):
                return []
            return [StockWithdrawn(device_id=known(item), reason=reason)]
        case _:
            assert_never(command)


def known(item: Item) -> UUID:
    """Give the device's id, which every item in stock has."""
    if item.device_id is None:
        raise NotYet("device_unknown")
    return item.device_id


def receive(item: Item, command: ReceiveStock) -> list[StockEvent]:
    """Take it in. Ready again while in stock: only its category may be new. Ready after a sale it did not come back from: no."""
    if item.status == "sold":
        raise Refused("device_already_sold", sale_id=str(item.sale_id))
    if item.status in {"available", "allotted", "shipped", "delivered"}:
        if command.category == item.category:
            return []
        return [StockRegraded(device_id=command.device_id, category=command.category)]
    return [
        StockReceived(
            device_id=command.device_id,
            consignment_id=command.consignment_id,
            donation_id=command.donation_id,
            refurbisher=command.refurbisher,
            device_type=command.device_type,
            category=command.category,
            donor_public=command.donor_public,
            region=command.region,
            device_ref=command.device_ref,
            maker=command.maker,
            model=command.model,
            ready_at=command.ready_at,
            times=item.times + 1,
        )
    ]


def allot(item: Item, command: Allot) -> list[StockEvent]:
    """Give it away once: what waits, to a structure in need."""
    if item.need_id == command.need_id and item.status in {"allotted", "shipped", "delivered", "sold"}:
        return []
    if item.status != "available" or item.owed_to is not None:
        raise Refused("device_not_waiting", status=item.status, structure=item.structure)
    return [
        LotAllocated(
            device_id=known(item),
            structure=command.structure,
            structure_region=command.structure_region,
            need_id=command.need_id,
            distance_km=command.distance_km,
            reason=command.reason,
            candidates=command.candidates,
            runner_up=command.runner_up,
            runner_up_km=command.runner_up_km,
        )
    ]


def deliver(item: Item, structure: str) -> list[StockEvent]:
    """Only the structure it was given to can have it. A structure may confirm before anyone wrote down that it was shipped."""
    if item.status == "unknown":
        raise NotYet("device_unknown")
    if item.structure != structure:
        raise Refused("device_elsewhere")
    if item.status in {"delivered", "sold"}:
        return []
    if item.status not in {"allotted", "shipped"}:
        raise Refused("device_withdrawn", reason=item.reason)
    return [DeviceDelivered(device_id=known(item), structure=structure)]


def leave(item: Item, command: LeaveStock) -> list[StockEvent]:
    """Sell it once, where it is, as what the quote was made for."""
    if item.status == "unknown":
        raise NotYet("device_unknown")
    if item.status == "sold":
        if item.sale_id == command.sale_id:
            return []
        raise Refused("device_already_sold")
    if item.structure != command.structure:
        raise Refused("device_elsewhere")
    if item.status == "withdrawn":
        raise Refused("device_withdrawn", reason=item.reason)
    if item.status != "delivered":
        raise Refused("device_not_here", status=item.status)
    if (item.device_type, item.category, item.donor_public, item.times) != (
        command.device_type,
        command.category,
        command.donor_public,
        command.times,
    ):
        raise Refused("price_changed", category=item.category)
    return [StockLeft(device_id=known(item), sale_id=command.sale_id)]


def evolve(item: Item, event: StockEvent) -> Item:
    """Give the item after the event."""
    match event:
        case StockReceived():
            return Item(
                status="available",
                device_id=event.device_id,
                region=event.region,
                refurbisher=event.refurbisher,
                device_ref=event.device_ref,
                device_type=event.device_type,
                category=event.category,
                donor_public=event.donor_public,
                consignment_id=event.consignment_id,
                donation_id=event.donation_id,
                maker=event.maker,
                model=event.model,
                ready_at=event.ready_at,
                times=event.times,
                owed_to=item.owed_to,
            )
        case StockRegraded(category=category):
            return replace(item, category=category)
        case LotAllocated():
            return replace(
                item,
                status="allotted",
                structure=event.structure,
                structure_region=event.structure_region,
                need_id=event.need_id,
                distance_km=event.distance_km,
                candidates=event.candidates,
                reason=event.reason,
            )
        case LotReleased():
            return replace(item, owed_to=None)
        case DeviceShipped():
            return replace(item, status="shipped")
        case DeviceDelivered():
            return replace(item, status="delivered")
        case StockLeft(sale_id=sale_id):
            return replace(item, status="sold", sale_id=sale_id)
        case StockWithdrawn(reason=reason):
            owed = item.owed_to if item.status in {"sold", "available"} else item.need_id
            return replace(item, status="withdrawn", reason=reason, owed_to=owed)
        case _:
            assert_never(event)

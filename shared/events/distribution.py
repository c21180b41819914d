"""What distribution tells the others. Topics: `distribution.{stock,orders,vouchers,sales}.<region>`.

Streams: stock `("stock", device_id)` in the region of the refurbisher; orders `("need", structure, campaign)` in the structure's region;
vouchers `("voucher", code)` and sales `("sale", sale_id)` in the structure's region.
"""

from datetime import date, datetime
from typing import ClassVar, Literal
from uuid import UUID

from shared.events.base import Category, DeviceType, Event


class StockReceived(Event):
    """A ready device can be allotted."""

    type: ClassVar[str] = "distribution.stock_received.v1"

    device_id: UUID
    consignment_id: UUID
    donation_id: UUID
    refurbisher: str
    device_type: DeviceType
    category: Category
    donor_public: bool


class LotAllocated(Event):
    """A device goes to a structure, and why that one. In the device's stock stream."""

    type: ClassVar[str] = "distribution.lot_allocated.v1"

    device_id: UUID
    structure: str
    structure_region: str
    need_id: UUID
    distance_km: int
    reason: str


class DeviceShipped(Event):
    """It left for the structure."""

    type: ClassVar[str] = "distribution.device_shipped.v1"

    device_id: UUID
    structure: str


class DeviceDelivered(Event):
    """The structure has it."""

    type: ClassVar[str] = "distribution.device_delivered.v1"

    device_id: UUID
    structure: str


class StockLeft(Event):
    """It left the stock by a sale or a hand-over."""

    type: ClassVar[str] = "distribution.stock_left.v1"

    device_id: UUID
    sale_id: UUID


class NeedAsked(Event):
    """A campaign asked a structure for its needs."""

    type: ClassVar[str] = "distribution.need_asked.v1"

    structure: str
    campaign: str
    answer_by: date | None = None


class NeedExpressed(Event):
    """A structure said what it needs; a later answer replaces the earlier one."""

    type: ClassVar[str] = "distribution.need_expressed.v1"

    structure: str
    campaign: str
    wanted: dict[DeviceType, int]


class NeedMet(Event):
    """One device of the need was allotted."""

    type: ClassVar[str] = "distribution.need_met.v1"

    structure: str
    device_id: UUID
    device_type: DeviceType


class VoucherIssued(Event):
    """A referrer gave a person the right to one device. The person is known to the referrer alone."""

    type: ClassVar[str] = "distribution.voucher_issued.v1"

    structure: str
    device_type: DeviceType
    expires: date


class VoucherSpent(Event):
    """Once, by one sale."""

    type: ClassVar[str] = "distribution.voucher_spent.v1"

    sale_id: UUID


class VoucherRevoked(Event):
    """Taken back before use."""

    type: ClassVar[str] = "distribution.voucher_revoked.v1"

    reason: str


class DeviceSold(Event):
    """A person has the device. A price of 0 has a reason."""

    type: ClassVar[str] = "distribution.device_sold.v1"

    sale_id: UUID
    device_id: UUID
    consignment_id: UUID
    donation_id: UUID
    refurbisher: str
    device_type: DeviceType
    category: Category
    structure: str
    voucher_id: UUID
    price_cents: int
    ceiling_cents: int | None = None
    """The legal ceiling that applied, for devices given by a public body."""
    free_reason: str | None = None
    price_rules: str
    sold_at: datetime
    warranty_until: date
    training_offered: bool = True


class TrainingBooked(Event):
    """The offer of training was answered."""

    type: ClassVar[str] = "distribution.training_booked.v1"

    sale_id: UUID
    answer: Literal["booked", "later", "declined"]


DistributionEvent = (
    StockReceived
    | LotAllocated
    | DeviceShipped
    | DeviceDelivered
    | StockLeft
    | NeedAsked
    | NeedExpressed
    | NeedMet
    | VoucherIssued
    | VoucherSpent
    | VoucherRevoked
    | DeviceSold
    | TrainingBooked
)

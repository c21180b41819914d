"""What distribution tells the others. Topics: `distribution.{stock,orders,vouchers,sales}.<region>`.

Streams: stock `("stock", device_id)` in the region of the refurbisher; orders `("need", structure, campaign)` in the structure's region;
vouchers `("voucher", SHA-256 of the code)`, since the code itself is a secret, and sales `("sale", sale_id)` in the structure's region.
"""

from datetime import date, datetime
from typing import ClassVar, Literal
from uuid import UUID

from shared.events.base import Category, DeviceType, Event


class StockReceived(Event):
    """A ready device can be allotted. Again after it came back: then it is counted from anew (`times`)."""

    type: ClassVar[str] = "distribution.stock_received.v1"

    device_id: UUID
    consignment_id: UUID
    donation_id: UUID
    refurbisher: str
    device_type: DeviceType
    category: Category
    donor_public: bool
    region: str = ""
    """Where the refurbisher works: the topic's region, for ever."""
    device_ref: str = ""
    """The refurbisher's own id, as its label says."""
    maker: str | None = None
    model: str | None = None
    ready_at: datetime | None = None
    times: int = 1
    """How often it has entered the stock, this time included."""


class StockRegraded(Event):
    """A device in stock has another category; the price follows, and so does the ceiling."""

    type: ClassVar[str] = "distribution.stock_regraded.v1"

    device_id: UUID
    category: Category


class LotAllocated(Event):
    """A device goes to a structure, and why that one. In the device's stock stream."""

    type: ClassVar[str] = "distribution.lot_allocated.v1"

    device_id: UUID
    structure: str
    structure_region: str
    need_id: UUID
    distance_km: int
    reason: str
    """A code: `nearest`, or `nearest_to_region` where the refurbisher's place is not known."""
    candidates: int = 1
    """Structures with the same need unmet at that moment, this one included."""
    runner_up: str | None = None
    runner_up_km: int | None = None


class LotReleased(Event):
    """The need this device was to meet has been opened again, since the device was withdrawn."""

    type: ClassVar[str] = "distribution.lot_released.v1"

    device_id: UUID
    need_id: UUID


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


class StockWithdrawn(Event):
    """It cannot be sold any more: scrapped, taken back, or lost."""

    type: ClassVar[str] = "distribution.stock_withdrawn.v1"

    device_id: UUID
    reason: Literal["scrapped", "taken_back", "lost"]


class NeedAsked(Event):
    """A campaign asked a structure for its needs."""

    type: ClassVar[str] = "distribution.need_asked.v1"

    structure: str
    campaign: str
    answer_by: date | None = None
    region: str = ""
    """The structure's region: the topic's, for ever."""


class NeedExpressed(Event):
    """A structure said what it needs; a later answer replaces the earlier one."""

    type: ClassVar[str] = "distribution.need_expressed.v1"

    structure: str
    campaign: str
    wanted: dict[DeviceType, int]
    region: str = ""


class NeedReminded(Event):
    """A structure that had not answered was asked again."""

    type: ClassVar[str] = "distribution.need_reminded.v1"

    structure: str
    campaign: str


class NeedMet(Event):
    """One device of the need was allotted."""

    type: ClassVar[str] = "distribution.need_met.v1"

    structure: str
    device_id: UUID
    device_type: DeviceType


class NeedReopened(Event):
    """A device that was to meet the need will not come."""

    type: ClassVar[str] = "distribution.need_reopened.v1"

    structure: str
    device_id: UUID
    device_type: DeviceType


class VoucherIssued(Event):
    """A referrer gave a person the right to one device. The person is known to the referrer alone."""

    type: ClassVar[str] = "distribution.voucher_issued.v1"

    structure: str
    device_type: DeviceType
    expires: date
    """Its last day, in France."""
    region: str = ""
    """The issuing structure's region: the topic's, for ever."""


class VoucherSpent(Event):
    """Once, by one sale."""

    type: ClassVar[str] = "distribution.voucher_spent.v1"

    sale_id: UUID
    structure: str = ""
    """Where it was spent: any till will do."""
    spent_at: datetime | None = None


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
    region: str = ""
    """The structure's region: the topic's, for ever."""
    device_ref: str = ""
    donor_public: bool = False
    list_price_cents: int | None = None
    """By the price rules alone, before the ceiling and before a reason to give it free."""
    warranty_rules: str = ""
    times: int = 1
    """Which of the device's stays in stock this sale ended (`StockReceived.times`): each can be sold once."""


class TrainingBooked(Event):
    """The offer of training was answered."""

    type: ClassVar[str] = "distribution.training_booked.v1"

    sale_id: UUID
    answer: Literal["booked", "later", "declined"]


StockEvent = (
    StockReceived | StockRegraded | LotAllocated | LotReleased | DeviceShipped | DeviceDelivered | StockLeft | StockWithdrawn
)
NeedEvent = NeedAsked | NeedExpressed | NeedReminded | NeedMet | NeedReopened
VoucherEvent = VoucherIssued | VoucherSpent | VoucherRevoked
SaleEvent = DeviceSold | TrainingBooked
DistributionEvent = StockEvent | NeedEvent | VoucherEvent | SaleEvent

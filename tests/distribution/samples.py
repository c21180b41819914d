"""Ready-made events and places for the tests of distribution: change one thing at a time with `model_copy`."""

from datetime import UTC, date, datetime
from uuid import UUID

from services.distribution.domain.needs import need_id
from services.distribution.domain.stock import item_id
from shared.events.base import stream_id
from shared.events.distribution import (
    DeviceDelivered,
    LotAllocated,
    NeedAsked,
    NeedExpressed,
    StockReceived,
    VoucherIssued,
    VoucherSpent,
)

DEVICE = stream_id("device", "trira", "GRPC26-0008")
ITEM = item_id(DEVICE)
OTHER_DEVICE = stream_id("device", "trira", "GRPC26-0009")
CONSIGNMENT = UUID(int=1)
DONATION = UUID(int=2)
SALE = UUID(int=3)
OTHER_SALE = UUID(int=4)
HERE = "STR-0001"
ELSEWHERE = "STR-0002"
CAMPAIGN = "hiver-2026"
NEED = need_id(HERE, CAMPAIGN)
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

RECEIVED = StockReceived(
    device_id=DEVICE,
    consignment_id=CONSIGNMENT,
    donation_id=DONATION,
    refurbisher="trira",
    device_type="laptop",
    category="B",
    donor_public=False,
    region="ara",
    device_ref="GRPC26-0008",
    maker="Exempla",
    model="ProBook 14",
    ready_at=NOON,
)
ALLOCATED = LotAllocated(
    device_id=DEVICE,
    structure=HERE,
    structure_region="idf",
    need_id=NEED,
    distance_km=410,
    reason="nearest",
    candidates=2,
    runner_up=ELSEWHERE,
    runner_up_km=420,
)
DELIVERED = DeviceDelivered(device_id=DEVICE, structure=HERE)
ASKED = NeedAsked(structure=HERE, campaign=CAMPAIGN, answer_by=date(2026, 12, 1), region="idf")
EXPRESSED = NeedExpressed(structure=HERE, campaign=CAMPAIGN, wanted={"laptop": 2, "smartphone": 1}, region="idf")
ISSUED = VoucherIssued(structure=HERE, device_type="laptop", expires=date(2026, 12, 18), region="idf")
SPENT = VoucherSpent(sale_id=SALE, structure=HERE, spent_at=NOON)

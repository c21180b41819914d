from uuid import UUID

import pytest

from services.distribution.app import STOCK
from services.distribution.domain.stock import Allot, Deliver, LeaveStock, ReceiveStock, ReleaseLot, Ship, WithdrawStock
from shared.events.distribution import (
    DeviceDelivered,
    DeviceShipped,
    LotReleased,
    StockLeft,
    StockRegraded,
    StockWithdrawn,
)
from tests.distribution.samples import (
    ALLOCATED,
    CONSIGNMENT,
    DELIVERED,
    DEVICE,
    DONATION,
    ELSEWHERE,
    HERE,
    ITEM,
    NEED,
    NOON,
    OTHER_SALE,
    RECEIVED,
    SALE,
)
from tests.support.given import given

LEFT = StockLeft(device_id=DEVICE, sale_id=SALE)
SHIPPED = DeviceShipped(device_id=DEVICE, structure=HERE)
WITHDRAWN = StockWithdrawn(device_id=DEVICE, reason="scrapped")
TAKEN_BACK = StockWithdrawn(device_id=DEVICE, reason="taken_back")


def receive(**changed: object) -> ReceiveStock:
    told = {
        "id": ITEM,
        "device_id": DEVICE,
        "consignment_id": CONSIGNMENT,
        "donation_id": DONATION,
        "region": "ara",
        "refurbisher": "trira",
        "device_ref": "GRPC26-0008",
        "device_type": "laptop",
        "category": "B",
        "donor_public": False,
        "maker": "Exempla",
        "model": "ProBook 14",
        "ready_at": NOON,
    }
    return ReceiveStock(**(told | changed))  # type: ignore[arg-type]


def allot(need: UUID = NEED, structure: str = HERE) -> Allot:
    return Allot(
        id=ITEM,
        structure=structure,
        structure_region="idf",
        need_id=need,
        distance_km=410,
        reason="nearest",
        candidates=2,
        runner_up=ELSEWHERE,
        runner_up_km=420,
    )


def leave(**changed: object) -> LeaveStock:
    told = {
        "id": ITEM,
        "sale_id": SALE,
        "structure": HERE,
        "device_type": "laptop",
        "category": "B",
        "donor_public": False,
        "times": 1,
    }
    return LeaveStock(**(told | changed))  # type: ignore[arg-type]


def test_a_ready_device_enters_the_stock() -> None:
    given(STOCK).when(receive()).then(RECEIVED)


def test_the_same_again_changes_nothing() -> None:
    given(STOCK, RECEIVED, ALLOCATED).when(receive()).then()


def test_ready_again_with_another_category_is_a_regrade() -> None:
    given(STOCK, RECEIVED, ALLOCATED).when(receive(category="C")).then(StockRegraded(device_id=DEVICE, category="C"))


def test_it_is_given_once() -> None:
    given(STOCK, RECEIVED).when(allot()).then(ALLOCATED)
    given(STOCK, RECEIVED, ALLOCATED).when(allot()).then()
    given(STOCK, RECEIVED, ALLOCATED).when(allot(UUID(int=9), ELSEWHERE)).refuses("device_not_waiting")


def test_it_is_shipped_then_delivered() -> None:
    given(STOCK, RECEIVED).when(Ship(id=ITEM)).refuses("device_not_allotted")
    given(STOCK, RECEIVED, ALLOCATED).when(Ship(id=ITEM)).then(SHIPPED)
    given(STOCK, RECEIVED, ALLOCATED, SHIPPED).when(Ship(id=ITEM)).then()
    delivered = DeviceDelivered(device_id=DEVICE, structure=HERE)
    given(STOCK, RECEIVED, ALLOCATED, SHIPPED).when(Deliver(id=ITEM, structure=HERE)).then(delivered)
    given(STOCK, RECEIVED, ALLOCATED).when(Deliver(id=ITEM, structure=HERE)).then(delivered)
    given(STOCK, RECEIVED, ALLOCATED, delivered).when(Deliver(id=ITEM, structure=HERE)).then()


def test_only_its_own_structure_can_confirm() -> None:
    given(STOCK, RECEIVED, ALLOCATED).when(Deliver(id=ITEM, structure=ELSEWHERE)).refuses("device_elsewhere")
    given(STOCK).when(Deliver(id=ITEM, structure=HERE)).refuses("device_unknown")


def test_it_is_sold_once_where_it_is() -> None:
    here = given(STOCK, RECEIVED, ALLOCATED, DELIVERED)
    here.when(leave()).then(LEFT)
    here.when(leave(structure=ELSEWHERE)).refuses("device_elsewhere")
    sold = given(STOCK, RECEIVED, ALLOCATED, DELIVERED, LEFT)
    sold.when(leave()).then()
    sold.when(leave(sale_id=OTHER_SALE)).refuses("device_already_sold")


@pytest.mark.parametrize("changed", [{"category": "A"}, {"device_type": "desktop"}, {"donor_public": True}, {"times": 2}])
def test_it_is_not_sold_as_something_else(changed: dict[str, object]) -> None:
    given(STOCK, RECEIVED, ALLOCATED, DELIVERED).when(leave(**changed)).refuses("price_changed")


def test_what_is_not_here_is_not_sold() -> None:
    given(STOCK).when(leave()).refuses("device_unknown")
    given(STOCK, RECEIVED).when(leave()).refuses("device_elsewhere")
    given(STOCK, RECEIVED, ALLOCATED).when(leave()).refuses("device_not_here")
    given(STOCK, RECEIVED, ALLOCATED, DELIVERED, WITHDRAWN).when(leave()).refuses("device_withdrawn")


def test_scrapped_leaves_the_stock_unless_sold() -> None:
    scrap = WithdrawStock(id=ITEM, reason="scrapped")
    given(STOCK).when(scrap).then()
    given(STOCK, RECEIVED, ALLOCATED).when(scrap).then(WITHDRAWN)
    given(STOCK, RECEIVED, ALLOCATED, WITHDRAWN).when(scrap).then()
    given(STOCK, RECEIVED, ALLOCATED, DELIVERED, LEFT).when(scrap).then()


def test_a_withdrawn_device_owes_its_need_until_it_is_released() -> None:
    released = LotReleased(device_id=DEVICE, need_id=NEED)
    given(STOCK, RECEIVED, ALLOCATED, WITHDRAWN).when(ReleaseLot(id=ITEM)).then(released)
    given(STOCK, RECEIVED, ALLOCATED, WITHDRAWN, released).when(ReleaseLot(id=ITEM)).then()
    given(STOCK, RECEIVED, WITHDRAWN).when(ReleaseLot(id=ITEM)).then()
    again = RECEIVED.model_copy(update={"times": 2})
    given(STOCK, RECEIVED, ALLOCATED, WITHDRAWN, again).when(allot()).refuses("device_not_waiting")
    given(STOCK, RECEIVED, ALLOCATED, WITHDRAWN, again, released).when(allot()).then(ALLOCATED)


def test_taken_back_after_a_sale_it_may_come_again() -> None:
    sold = (RECEIVED, ALLOCATED, DELIVERED, LEFT)
    given(STOCK, *sold).when(receive()).refuses("device_already_sold")
    given(STOCK, *sold).when(WithdrawStock(id=ITEM, reason="taken_back")).then(TAKEN_BACK)
    given(STOCK, *sold, TAKEN_BACK).when(ReleaseLot(id=ITEM)).then()
    given(STOCK, *sold, TAKEN_BACK).when(receive(category="C")).then(RECEIVED.model_copy(update={"category": "C", "times": 2}))

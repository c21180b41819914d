"""Work by the clock: the planner, which gives ready devices to the structures that need them."""

from collections.abc import Awaitable, Callable

import structlog

from services.distribution import store
from services.distribution.domain import allotment
from services.distribution.domain.needs import ReopenNeed
from services.distribution.domain.places import Atlas
from services.distribution.domain.stock import ReleaseLot
from shared.desk import Desk
from shared.errors import Refused

AT_ONCE = 200
"""Devices that one turn of the planner looks at."""
log = structlog.get_logger()


def planner(atlas: Atlas) -> Callable[[Desk], Awaitable[None]]:
    """Make the job: open the needs again that a withdrawn device was to meet, then give away what is available."""

    async def plan(desk: Desk) -> None:
        async with desk.read() as tx:
            owed = await store.owed(tx, AT_ONCE)
            kinds = await store.available_types(tx)
            needs = await store.unmet_needs(tx, kinds) if kinds else {}
            wanted = [kind for kind in kinds if any(need.lacks(kind) > 0 for need in needs.values())]
            items = await store.available(tx, wanted, AT_ONCE) if wanted else []
        for item_id, item in owed.items():
            if item.owed_to is not None and item.device_id is not None:
                await desk.carry_out([ReopenNeed(id=item.owed_to, device_id=item.device_id), ReleaseLot(id=item_id)])
        await give(desk, allotment.plan(items, needs, atlas))

    return plan


async def give(desk: Desk, lots: list[allotment.Lot]) -> None:
    """Carry the plan out, all in one transaction; if something has changed meanwhile, one by one, and the next turn plans anew."""
    if not lots:
        return
    try:
        await desk.carry_out([command for lot in lots for command in (lot.allot, lot.meet)])
    except Refused:
        for lot in lots:
            try:
                await desk.carry_out([lot.allot, lot.meet])
            except Refused as refusal:
                log.info("lot_not_given", device=str(lot.meet.device_id), code=refusal.code)

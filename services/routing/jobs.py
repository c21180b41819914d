"""Work by the clock: the planner, which gives what waits to a refurbisher and keeps a day for every collection. One runner at a time.

Everything here may be repeated: a wish, a refurbisher and a consignment check again what was decided about them, and what is
already so yields no event. What was decided on an old moment is refused whole and decided again at the next turn.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from services.routing import store
from services.routing.domain.consignments import Consignment, EndConsignment, ScheduleConsignment
from services.routing.domain.planning import Country, PlannerCommand, plan, recollect
from services.routing.domain.refurbishers import FreePlaces, TakePlaces, refurbisher_id
from services.routing.domain.weighing import Load
from services.routing.domain.wishes import Wish
from services.routing.domain.workdays import first_collection
from shared.desk import Desk
from shared.errors import Outage, Refused
from shared.log import log

AT_ONCE = 100
"""Wishes, or consignments, in one turn: a turn stays short, the next one comes soon."""


async def assign(desk: Desk, country: Country) -> None:
    """Give new wishes, and those a refurbisher gave back, to a refurbisher; propose the day of collection."""
    async with desk.read() as tx:
        wishes = await store.to_place(tx, AT_ONCE)
        loads = await store.loads(tx, country.network) if wishes else {}
        known = await store.of_donations(tx, wishes) if wishes else {}
    await place(desk, wishes, loads, known, country)


async def try_again(desk: Desk, country: Country) -> None:
    """Weigh again for those that wait: places may be free now."""
    async with desk.read() as tx:
        wishes = await store.waiting(tx, AT_ONCE)
        loads = await store.loads(tx, country.network) if wishes else {}
        known = await store.of_donations(tx, wishes) if wishes else {}
    await place(desk, wishes, loads, known, country)


async def place(
    desk: Desk, wishes: Mapping[UUID, Wish], loads: Mapping[str, Load], known: Mapping[UUID, Consignment], country: Country
) -> None:
    """All in one transaction; one by one when somebody was quicker, so that one wish does not hold the others back."""
    after = dict(loads)
    planned: list[list[PlannerCommand]] = []
    for donation, wish in wishes.items():
        commands = recollect(donation, wish, known) or plan(donation, wish, after, country, desk.now())
        for taken in (command for command in commands if isinstance(command, TakePlaces)):
            after[taken.slug] = after.get(taken.slug, Load(weekly_places={})).plus(taken.devices)
        planned.append(commands)
    together = [command for commands in planned for command in commands]
    if not await carried_out(desk, together) and len(planned) > 1:
        for commands in planned:
            await carried_out(desk, commands)


async def carried_out(desk: Desk, commands: Sequence[PlannerCommand]) -> bool:
    """Tell whether they went through. What is refused is decided again at the next turn, on what is so then.

    So is what the database will not have (`busy`): one wish that it refuses must not stop the others.
    """
    if not commands:
        return True
    try:
        await desk.carry_out(commands)
    except Refused as refused:
        log.info("planner_decides_again", code=refused.code, **refused.detail)
        return False
    except Outage as outage:
        if outage.code != "busy":
            raise
        log.error("planner_cannot_store", about=[str(command.id) for command in commands][:5], of=len(commands))
        return False
    return True


async def give_up(desk: Desk) -> None:
    """End the consignments of donations that were withdrawn, where they did not leave yet, and free their places."""
    async with desk.read() as tx:
        consignments = await store.given_up(tx, AT_ONCE)
    for i, consignment in consignments.items():
        await carried_out(
            desk,
            [
                EndConsignment(id=i, reason="withdrawn"),
                FreePlaces(id=refurbisher_id(consignment.refurbisher), consignment_id=i),
            ],
        )


async def propose_days(desk: Desk, country: Country) -> None:
    """A new day for each collection that failed."""
    async with desk.read() as tx:
        consignments = await store.without_date(tx, AT_ONCE)
    today = desk.now().date()
    for i in consignments:
        day = first_collection(decided=today, available_from=today, lead_days=country.rules.collection_lead_days)
        await carried_out(desk, [ScheduleConsignment(id=i, collection_date=day)])


async def turn(desk: Desk, country: Country) -> None:
    """One turn of the planner."""
    await assign(desk, country)
    await give_up(desk)
    await propose_days(desk, country)

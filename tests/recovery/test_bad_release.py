"""A release with a bug parks what it cannot deal with; the mended one lets it go, in order, by one command."""

import asyncio
from typing import Any

from deploy.places import built
from shared.cell import Cell
from shared.consumer import Consumer
from shared.events.intake import DonationOffered
from shared.kafka.wire import Access
from tests.recovery.conftest import DONATIONS, Chain
from tests.support.platform import until


def broken(_: object, __: object) -> Any:
    """A reaction as no test had seen it."""
    raise KeyError("floor")


async def test_what_a_bad_release_parked_goes_in_order_after_the_mended_one(chain: Chain) -> None:
    await chain.stack.stop("routing")
    await chain.give(3)
    pool, routing = chain.pools["routing"], built("routing")

    async def parked(count: int) -> bool:
        return bool(await pool.fetchval("SELECT count(*) FROM parked") == count)

    access = Access(chain.stack.kafka_bootstrap, "routing", chain.stack.secrets["kafka.routing"])
    bad = Consumer(pool, routing.aggregates, {**routing.reactions, DonationOffered: broken})
    cell = Cell("ara", "routing", "0", [DONATIONS], bad, access)
    at_work = asyncio.create_task(cell.run())
    await until(lambda: parked(6), 60)
    cell.stopping.set()
    await at_work

    said = await chain.manual.follow(
        "A bad release parked messages", acts={"deploy the mended release of routing": chain.act("start", "routing")}
    )
    heads = [line for line in said["maillon parked list"].lines if line.startswith(">")]
    assert len(heads) == 3
    assert all(f"{DONATIONS} " in line and "bug: KeyError: 'floor'" in line for line in heads)
    assert said["maillon parked release --all --dry-run"].lines == [
        "routing: 6 messages of 3 streams would be tried again, in order"
    ]
    assert said["maillon parked release --all"].lines == ["routing: 6 messages of 3 streams will be tried again, in order"]
    assert said["maillon tally --wait 60"].last.endswith("0 differ")
    await chain.settled()

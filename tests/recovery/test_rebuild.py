"""Rows are made again from events: identical ones, or those of a changed `evolve`; or nothing at all."""

from tests.recovery.conftest import Chain
from tests.support.command import maillon

HEADING = "A service's rows are wrong or lost, its events are there"


async def test_lost_and_spoilt_rows_come_back_as_they_were(chain: Chain) -> None:
    where = ("--service", "routing", "--stack", chain.stack.folder)
    refused = await maillon("rebuild", *where)
    assert (refused.code, refused.last) == (
        2,
        "routing: the service is at work on this database (relay, routing): stop it first, all its processes",
    )
    before = await chain.rows("routing")
    pool, given = chain.pools["routing"], len(chain.given)

    async def stop() -> None:
        await chain.act("stop", "routing")()
        await pool.execute("TRUNCATE wishes")
        await pool.execute(
            "UPDATE consignments SET postal_code = '00000' WHERE id = (SELECT min(id::text)::uuid FROM consignments)"
        )
        await pool.execute(
            "INSERT INTO refurbishers SELECT gen_random_uuid(), 1, 'nobody', weekly_places, NULL, held FROM refurbishers LIMIT 1"
        )

    said = await chain.manual.follow(
        HEADING, expected={"maillon rebuild --service routing --dry-run": (1,)}, acts={"stop routing": stop}
    )
    told = said["maillon rebuild --service routing"].lines
    assert told == [
        f"routing  consignments: {given} rows by its events, 0 missing, 1 other, 0 without events",
        "routing  refurbishers: 1 rows by its events, 0 missing, 0 other, 1 without events",
        f"routing  wishes: {given} rows by its events, {given} missing, 0 other, 0 without events",
        f"routing: {2 * given + 1} rows made from its events, {given + 2} rows were put right",
    ]
    assert [line.replace("would be", "were") for line in said["maillon rebuild --service routing --dry-run"].lines] == told
    assert await chain.rows("routing") == before
    await chain.give(1)
    await chain.settled()

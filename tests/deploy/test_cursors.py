"""What is remembered of a topic is forgotten where it can only be another topic's, with the messages that had no name but a place."""

from uuid import uuid4

import asyncpg

from deploy.cursors import Memory, drop, remembered
from shared.db import transaction
from shared.events.base import stream_id
from shared.migrate import migrate

INBOUND = "refurb.inbound.trira"


def test_a_topic_was_made_again_where_it_ends_before_what_was_dealt_with() -> None:
    rows = [("gone", 0, 3), ("made", 0, 5), ("made", 1, 9), ("same", 0, 5), ("same", 0, 4), ("same", 1, 1)]
    reached = {("made", 0): (0, 7), ("made", 1): (0, 8), ("same", 0): (2, 5), ("same", 1): (0, 1)}
    gone, made, same = remembered(rows, reached)
    assert (gone.topic, gone.why) == ("gone", "the broker has no such topic")
    assert (made.topic, made.why) == ("made", "partition 1 ends at 8, was dealt with up to 9")
    assert same == Memory("same", {0: 5, 1: 1}, {0: 5, 1: 1})
    assert same.why is None


async def test_a_partners_message_known_by_its_place_alone_is_forgotten_with_it(database: str) -> None:
    """Another message will come to that place, and must get its receipt."""
    pool = await asyncpg.create_pool(database, min_size=1, max_size=1)
    try:
        await migrate(pool, None)
        named, nameless, waiting = uuid4(), stream_id("message", INBOUND, 1, 2), stream_id("message", INBOUND, 0, 0)
        await pool.execute(
            "INSERT INTO seen SELECT s, t, 1, '', p FROM unnest($1::uuid[], $2::text[], $3::int[]) AS _(s, t, p)",
            [named, nameless, nameless, waiting],
            [INBOUND, INBOUND, "refurb.inbound.ares", INBOUND],
            [None, None, None, 1],
        )
        for table in ("cursor", "sent"):
            await pool.execute(f"INSERT INTO {table} VALUES ($1, 0, 1), ($1, 1, 3), ('refurb.inbound.ares', 1, 3)", INBOUND)  # noqa: S608
        async with transaction(pool) as tx:
            assert await drop(tx, Memory(INBOUND, {0: 1, 1: 3}, {}), by_place=True) == 1
        left = await pool.fetch("SELECT stream, topic FROM seen")
        assert {tuple(row) for row in left} == {(named, INBOUND), (nameless, "refurb.inbound.ares"), (waiting, INBOUND)}
        for table in ("cursor", "sent"):
            assert [tuple(r) for r in await pool.fetch(f"SELECT * FROM {table}")] == [("refurb.inbound.ares", 1, 3)]  # noqa: S608
    finally:
        await pool.close()

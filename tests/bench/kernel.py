"""The kernel at the same work: a cell, a consumer, a relay, in one process."""

import asyncio
import time

from shared.cell import Cell
from shared.consumer import Consumer
from shared.db import connect
from shared.kafka.wire import Access, Sender
from shared.outbox import Relay
from tests.shared.counter import AGGREGATES, REACTIONS


async def run(url: str, access: Access, topic: str, count: int, replica: str = "0") -> float:
    """Deal with `count` messages of `topic`, alone or beside others of the group, and send all that follows. Returns seconds."""
    pool = await connect(url, name="bench")
    sender = Sender(access, "/maillon/bench", timeout_s=60)
    await sender.started()
    relay = Relay(url, sender.send, ("ara",))
    cell = Cell("ara", "bench", replica, [topic], Consumer(pool, AGGREGATES, REACTIONS, committed=relay.wake.set), access)
    tasks = [asyncio.create_task(relay.run())]
    while replica == "0" and not relay.held:  # noqa: ASYNC110 once
        await asyncio.sleep(0.01)
    tasks.append(asyncio.create_task(cell.run()))
    await cell.joined.wait()
    started = time.perf_counter()
    while True:
        row = await pool.fetchrow(
            "SELECT (SELECT coalesce(sum(next), 0) FROM cursor) AS read, (SELECT coalesce(sum(next), 0) FROM sent) AS sent"
        )
        assert row is not None
        if row["read"] >= count and row["sent"] >= count:
            break
        await asyncio.sleep(0.02)
    seconds = time.perf_counter() - started
    cell.stopping.set()
    await tasks[1]
    tasks[0].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await sender.stop()
    await pool.close()
    return seconds

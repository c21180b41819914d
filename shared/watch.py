"""Looks at what waits, so that people need not: gauges of what is parked and unsent, and an error for what is early for too long."""

import asyncio
from datetime import timedelta
from time import monotonic
from typing import get_args

from shared import metrics
from shared.db import AWAY
from shared.desk import Desk
from shared.log import log
from shared.parked import ALARM_AFTER, Why

PARKED = "SELECT why, count(*) AS n, min(at) AS oldest FROM parked GROUP BY why"
UNSENT = "SELECT n, at FROM (SELECT count(*) AS n, min(seq) AS first FROM outbox) _ LEFT JOIN events ON seq = first"
COMPLAIN_EVERY_S = 60


async def watch(desk: Desk, every_s: float = 5) -> None:
    """Look for the life of the process; an error in the log, once a minute, while something has been early for longer than ALARM_AFTER."""
    complained = -float(COMPLAIN_EVERY_S)
    while True:
        try:
            early = await look(desk)
            if early > ALARM_AFTER and monotonic() - complained >= COMPLAIN_EVERY_S:
                complained = monotonic()
                log.error("early_for_long", oldest_s=round(early.total_seconds()), see="maillon parked list")
        except AWAY as error:
            log.warning("watch_waits", error=repr(error))
        await asyncio.sleep(every_s)


async def look(desk: Desk) -> timedelta:
    """Set the gauges. Returns how long the oldest early message has waited."""
    async with desk.read() as tx:
        parked = await tx.connection.fetch(PARKED)
        unsent = await tx.connection.fetchrow(UNSENT)
    metrics.POOL_BUSY.set(desk.pool.get_size() - desk.pool.get_idle_size())
    counts = {row["why"]: row["n"] for row in parked}
    for why in get_args(Why):
        metrics.PARKED_NOW.labels(why).set(counts.get(why, 0))
    ages: dict[str, timedelta] = {row["why"]: tx.now - row["oldest"] for row in parked}
    metrics.PARKED_AGE.set(max(ages.values(), default=timedelta()).total_seconds())
    if unsent is not None:
        metrics.UNSENT.set(unsent["n"])
        metrics.UNSENT_AGE.set((tx.now - unsent["at"]).total_seconds() if unsent["at"] else 0)
    return ages.get("early", timedelta())

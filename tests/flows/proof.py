"""What must hold of all five services at the end of a walk, however it went."""

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import asyncpg

from deploy.demo.figures import asked, counted, disagreements
from deploy.demo.stage import Stage
from deploy.topology import SERVICES
from services.certs.app import AGGREGATES as CERTS
from services.certs.store import custody
from services.distribution.app import AGGREGATES as DISTRIBUTION
from services.intake.app import AGGREGATES as INTAKE
from services.refurb.app import AGGREGATES as REFURB
from services.routing.app import AGGREGATES as ROUTING
from shared.aggregate import Aggregates
from shared.audit import consumed, fold_check, published
from shared.db import Tx, transaction

AGGREGATES: Mapping[str, Aggregates] = {
    "intake": INTAKE,
    "routing": ROUTING,
    "refurb": REFURB,
    "certs": CERTS,
    "distribution": DISTRIBUTION,
}
HEARD = {
    ("routing", "intake.donations.ara"),
    ("intake", "routing.consignments.trira"),
    ("refurb", "routing.consignments.trira"),
    ("certs", "routing.consignments.trira"),
    ("intake", "refurb.devices.trira"),
    ("routing", "refurb.devices.trira"),
    ("certs", "refurb.devices.trira"),
    ("certs", "intake.donations.ara"),
    ("certs", "distribution.stock.ara"),
    ("certs", "distribution.sales.ara"),
    ("distribution", "refurb.devices.trira"),
    ("intake", "certs.certificates.trira"),
    ("intake", "distribution.sales.ara"),
    ("refurb", "distribution.sales.ara"),
}
"""Who must have heard what, of a donation in Lyon that went to Trira and was sold nearby."""


async def faults(stage: Stage) -> list[str]:
    """What is not as it must be at this moment."""
    found: list[str] = []
    told: dict[str, tuple[int, int]] = {}
    heard: dict[tuple[str, str], tuple[int, int]] = {}
    for service in SERVICES:
        pool = await asyncpg.create_pool(stage.stack.database_url(service), min_size=1, max_size=1, timeout=5)
        try:
            async with transaction(pool, readonly=True) as tx:
                told |= await published(tx)
                heard |= {(service, topic): sums for topic, sums in (await consumed(tx)).items()}
                unsent = await tx.connection.fetchval("SELECT count(*) FROM outbox")
                found += await unsound(tx) if service == "certs" else []
                parked = await tx.connection.fetch("SELECT topic, type, why, reason FROM parked")
            found += [f"{service} has {unsent} unsent"] if unsent else []
            found += [f"{service} parked {dict(row)}" for row in parked]
            found += [f"{service}: {difference}" async for difference in fold_check(pool, AGGREGATES[service])]
        finally:
            await pool.close()
    found += [f"{service} never heard {topic}" for service, topic in HEARD - heard.keys()]
    found += [
        f"{service} heard {sums} of {topic}, told were {told[topic]}"
        for (service, topic), sums in heard.items()
        if topic in told and told[topic] != sums
    ]
    return found


async def unsound(tx: Tx) -> list[str]:
    """What breaks the chain of custody, without patience: nothing may be missing once everybody has heard everything."""
    now = datetime.now(UTC)
    accounts = [await custody.account_now(tx, donation, timedelta(0), now) for donation in await custody.donations(tx)]
    return [f"audit of {one.reference}: {noted.breach}" for one in accounts for noted in one.noted]


async def settled(stage: Stage, seconds: float = 60) -> None:
    """Wait until every service has dealt with everything, then all must agree: rows, events, topics, figures."""
    deadline = time.monotonic() + seconds
    await stage.stack.ready(seconds)
    while found := await faults(stage):
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.5)
    told = await asked(stage.stack.origin, stage.stack.secrets["staff_code"])
    assert disagreements(await counted(stage.stack), told) == []

"""All the SQL of routing."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from services.routing.domain.consignments import Consignment
from services.routing.domain.network import Network
from services.routing.domain.refurbishers import Refurbisher
from services.routing.domain.weighing import Load
from services.routing.domain.wishes import Wish
from shared.db import Tx
from shared.rows import Rows

WISHES = Rows("wishes", Wish)
REFURBISHERS = Rows("refurbishers", Refurbisher)
CONSIGNMENTS = Rows("consignments", Consignment)


async def to_place(tx: Tx, limit: int) -> dict[UUID, Wish]:
    """Wishes of which something has no refurbisher and nobody was weighed yet, the oldest first."""
    found = await WISHES.find(tx, "open AND waits_code IS NULL ORDER BY accepted_at, id LIMIT $1", limit)
    return {i: versioned.state for i, versioned in found.items()}


async def waiting(tx: Tx, limit: int) -> dict[UUID, Wish]:
    """Wishes that wait for a refurbisher that can take them, the oldest first."""
    found = await WISHES.find(tx, "open AND waits_code IS NOT NULL ORDER BY accepted_at, id LIMIT $1", limit)
    return {i: versioned.state for i, versioned in found.items()}


async def refurbisher_states(tx: Tx) -> dict[str, Refurbisher]:
    """What is known of each refurbisher, by slug."""
    return {found.state.slug: found.state for found in (await REFURBISHERS.find(tx)).values()}


async def loads(tx: Tx, network: Network) -> dict[str, Load]:
    """Places and devices of each refurbisher of the network; a refurbisher that never spoke has the places that our data assume."""
    states = await refurbisher_states(tx)
    return {
        workshop.slug: states.get(workshop.slug, Refurbisher()).load(workshop.weekly_places) for workshop in network.refurbishers
    }


async def given_up(tx: Tx, limit: int) -> dict[UUID, Consignment]:
    """Consignments still with a donor who does not give any more."""
    found = await CONSIGNMENTS.find(
        tx,
        """status IN ('assigned', 'scheduled', 'refused')
           AND donation_id IN (SELECT id FROM wishes WHERE status = 'dropped') ORDER BY id LIMIT $1""",
        limit,
    )
    return {i: versioned.state for i, versioned in found.items()}


async def without_date(tx: Tx, limit: int) -> dict[UUID, Consignment]:
    """Consignments whose collection failed and that have no new day yet."""
    found = await CONSIGNMENTS.find(tx, "status = 'assigned' AND collection_date IS NULL ORDER BY id LIMIT $1", limit)
    return {i: versioned.state for i, versioned in found.items()}


async def of_donations(tx: Tx, donations: Collection[UUID]) -> dict[UUID, Consignment]:
    """All consignments of these donations."""
    found = await CONSIGNMENTS.find(tx, "donation_id = ANY ($1::uuid[])", list(donations))
    return {i: versioned.state for i, versioned in found.items()}


async def under_way(tx: Tx, limit: int) -> dict[UUID, Consignment]:
    """Consignments that are not there yet, by day of collection."""
    found = await CONSIGNMENTS.find(
        tx, "status NOT IN ('delivered', 'ended') ORDER BY collection_date NULLS FIRST, reference LIMIT $1", limit
    )
    return {i: versioned.state for i, versioned in found.items()}


async def lately_settled(tx: Tx, limit: int) -> dict[UUID, Consignment]:
    """Consignments that arrived or ended, the latest first."""
    found = await CONSIGNMENTS.find(
        tx,
        "status IN ('delivered', 'ended') ORDER BY collection_date DESC NULLS LAST, reference LIMIT $1",
        limit,
    )
    return {i: versioned.state for i, versioned in found.items()}


async def consignment(tx: Tx, wanted: UUID) -> Consignment | None:
    """One consignment."""
    found = (await CONSIGNMENTS.load(tx, [wanted])).get(wanted)
    return found.state if found else None


async def everyone_waiting(tx: Tx, limit: int) -> dict[UUID, Wish]:
    """Wishes of which something has no refurbisher, the oldest first."""
    found = await WISHES.find(tx, "open ORDER BY accepted_at, id LIMIT $1", limit)
    return {i: versioned.state for i, versioned in found.items()}


async def history(tx: Tx, stream: UUID) -> list[tuple[datetime, str, str]]:
    """What happened to a consignment, in order: when, type, data."""
    rows = await tx.connection.fetch("SELECT at, type, data FROM events WHERE stream = $1 ORDER BY version", stream)
    return [(row["at"], row["type"], row["data"]) for row in rows]


async def counts(tx: Tx) -> dict[str, object]:
    """Figures by which the chain is compared with the other services'."""
    statuses = await tx.connection.fetch("SELECT status, count(*) AS n FROM consignments GROUP BY status ORDER BY status")
    totals = await tx.connection.fetchrow(
        """SELECT (SELECT count(*) FROM wishes) AS donations,
                  (SELECT count(*) FROM wishes WHERE open) AS waiting,
                  count(*) AS consignments,
                  coalesce(sum(collected), 0)::bigint AS collected,
                  coalesce(sum(delivered), 0)::bigint AS delivered
           FROM consignments"""
    )
    return {**dict(totals or {}), "by_status": {row["status"]: row["n"] for row in statuses}}


async def devices_under_way(tx: Tx) -> int:
    """Declared devices of consignments that left, or will leave, and are not there yet."""
    found = await tx.connection.fetchval(
        """SELECT coalesce(sum(n.value::bigint), 0)::bigint FROM consignments, jsonb_each_text(declared) AS n
           WHERE status NOT IN ('delivered', 'ended', 'refused')"""
    )
    return int(found)

"""All the SQL of refurb: the states of its aggregates, and what pages and programs ask for."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

from services.refurb.domain.arrival import Arrival, Capacity
from services.refurb.domain.consignment import Consignment, EvidenceUse
from services.refurb.domain.device import Device
from services.refurb.domain.holding import Holding
from services.refurb.domain.receipt import Receipt
from services.refurb.domain.whereabouts import Step, Whereabouts
from shared.aggregate import Versioned
from shared.db import Tx
from shared.rows import Column, Rows

DEVICES = Rows("devices", Device)
ARRIVALS = Rows("arrivals", Arrival)
CAPACITIES = Rows("capacities", Capacity)
RECEIPTS = Rows("receipts", Receipt)
CONSIGNMENTS = Rows("consignments", Consignment)
EVIDENCE_USES = Rows("evidence_uses", EvidenceUse)
WHEREABOUTS = Rows("whereabouts", Whereabouts)


class Media(Rows):
    """Where media are, each with whether its holder still names it: `Holding.left` is of the device's row, in the same moment."""

    @cached_property
    def columns(self) -> list[Column]:
        return [column for column in super().columns if column.name != "left"]

    async def load(self, tx: Tx, ids: Sequence[UUID]) -> dict[UUID, Versioned]:
        """Fetch those of `ids` that are known. Before its first audit, a device has what it was said to have."""
        found = await super().load(tx, ids)
        left = await tx.connection.fetch(
            """
            SELECT m.id FROM media m JOIN devices d ON d.id = m.holder WHERE m.id = ANY ($1::uuid[])
              AND jsonb_typeof(d.audit) = 'object'
              AND NOT d.audit -> 'media' @> jsonb_build_array(jsonb_build_object('serial', m.serial))
            """,
            list(found),
        )
        for (medium_id,) in left:
            found[medium_id] = Versioned(replace(found[medium_id].state, left=True), found[medium_id].version)
        return found


MEDIA = Media("media", Holding)

DISPUTED = (
    """d.id IN (SELECT (p ->> 'device_id')::uuid FROM media m, jsonb_array_elements(m.disputed) p WHERE m.disputed <> '[]')"""
)
"""An audit of it was refused: it names a medium that another device has."""
TWIN = """upper(o.serial) = upper(d.serial) AND o.id <> d.id AND o.status IN ('received', 'ready')
    AND ($1::text IS NULL OR o.refurbisher = $1)"""
"""Another device (`o`) that is here bears its serial number: one was read wrongly, or is told twice. Settled by people, never merged."""
SHARED = f"EXISTS (SELECT 1 FROM devices o WHERE {TWIN})"  # noqa: S608 the condition is ours
EXCEPTION = f"""(d.blocked IS NOT NULL OR jsonb_typeof(d.audit) = 'object'
    AND (d.model IS NULL OR d.audit -> 'media' @> '[{{"serial": null}}]') OR {DISPUTED} OR {SHARED})"""
"""What `Device.exception` tells, in SQL, and what no device can know of another."""
VIEWS: Mapping[str, str] = {
    "a-traiter": f"d.status = 'received' AND {EXCEPTION}",
    "en-cours": f"d.status = 'received' AND NOT {EXCEPTION}",
    "prets": "d.status = 'ready'",
    "vendus": "d.status IN ('sold', 'in_repair')",
    "rebut": "d.status IN ('scrapped', 'lost')",
}
"""The views of the list of devices, each with its condition."""


LAST_DAYS = 14
"""How long a rejected message is shown as one that asks for something."""


async def devices(tx: Tx, refurbisher: str | None, view: str, limit: int = 200) -> list[tuple[UUID, Device, datetime]]:
    """Devices of one view, the one that waits longest first, with the moment of its last event. None: of all refurbishers."""
    rows = await tx.connection.fetch(
        f"""
        SELECT d.*, e.at FROM devices d JOIN events e ON e.stream = d.id AND e.version = d.version
        WHERE {VIEWS[view]} AND ($1::text IS NULL OR d.refurbisher = $1) ORDER BY e.seq LIMIT $2
        """,  # noqa: S608 the condition is one of ours
        refurbisher,
        limit,
    )
    return [(row["id"], DEVICES.read(row).state, row["at"]) for row in rows]


async def counts(tx: Tx, refurbisher: str | None) -> dict[str, int]:
    """How many devices each view has."""
    columns = ", ".join(f'count(*) FILTER (WHERE {where}) AS "{name}"' for name, where in VIEWS.items())
    row = await tx.connection.fetchrow(
        f"SELECT {columns} FROM devices d WHERE $1::text IS NULL OR d.refurbisher = $1",  # noqa: S608 the names are ours
        refurbisher,
    )
    return {name: int(row[name]) for name in VIEWS} if row else {}


async def devices_called(tx: Tx, refurbisher: str | None, typed: str, limit: int = 50) -> list[tuple[UUID, Device, datetime]]:
    """Devices by their reference or serial number, as a scan gives it, each with the moment of its last event."""
    rows = await tx.connection.fetch(
        """
        SELECT d.*, e.at FROM devices d JOIN events e ON e.stream = d.id AND e.version = d.version
        WHERE (upper(d.device_ref) = $2 OR upper(d.serial) = $2) AND d.status <> 'expected'
          AND ($1::text IS NULL OR d.refurbisher = $1) ORDER BY d.device_ref, d.id LIMIT $3
        """,
        refurbisher,
        typed.strip().upper(),
        limit,
    )
    return [(row["id"], DEVICES.read(row).state, row["at"]) for row in rows]


async def sharing(tx: Tx, refurbisher: str | None, ids: Sequence[UUID]) -> dict[UUID, list[tuple[UUID, str]]]:
    """Of each of these devices, the others that are here under its serial number (id and reference)."""
    rows = await tx.connection.fetch(
        f"""
        SELECT d.id, o.id AS other, o.device_ref FROM devices d JOIN devices o ON {TWIN}
        WHERE d.id = ANY ($2::uuid[]) AND d.status IN ('received', 'ready') ORDER BY o.device_ref, o.id LIMIT 500
        """,  # noqa: S608 the condition is ours
        refurbisher,
        list(ids),
    )
    found: dict[UUID, list[tuple[UUID, str]]] = {}
    for row in rows:
        found.setdefault(row["id"], []).append((row["other"], row["device_ref"]))
    return found


async def steps(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, Step]:
    """Where each of these devices is, as far as distribution told."""
    rows = await tx.connection.fetch("SELECT device_id, step FROM whereabouts WHERE device_id = ANY ($1::uuid[])", list(ids))
    return {row["device_id"]: row["step"] for row in rows}


async def history(tx: Tx, stream: UUID) -> list[tuple[datetime, str, str]]:
    """The events of a device: when, which, and their JSON."""
    rows = await tx.connection.fetch("SELECT at, type, data FROM events WHERE stream = $1 ORDER BY version LIMIT 500", stream)
    return [(row["at"], row["type"], row["data"]) for row in rows]


async def consignments(tx: Tx, refurbisher: str | None, limit: int = 50) -> list[dict[str, Any]]:
    """Consignments that go on, with what was counted and how many devices were announced of each."""
    rows = await tx.connection.fetch(
        """
        SELECT c.consignment_id, c.reference, c.refurbisher, c.declared, c.collection_date, a.counted, a.status AS arrival,
               (SELECT count(*) FROM devices d WHERE d.consignment_id = c.consignment_id AND d.status <> 'expected') AS announced,
               (SELECT count(*) FROM devices d WHERE d.consignment_id = c.consignment_id
                 AND d.status IN ('ready', 'sold', 'in_repair', 'scrapped', 'lost')) AS settled,
               (SELECT count(*) FROM devices d WHERE d.consignment_id = c.consignment_id AND d.status = 'lost') AS lost
        FROM consignments c LEFT JOIN arrivals a ON a.consignment_id = c.consignment_id
        WHERE c.status = 'expected' AND ($1::text IS NULL OR c.refurbisher = $1)
        ORDER BY c.collection_date NULLS LAST, c.reference LIMIT $2
        """,
        refurbisher,
        limit,
    )
    return [{**dict(row), "declared": json.loads(row["declared"] or "{}")} for row in rows]


async def receipts(tx: Tx, refurbisher: str | None, rejected: bool, limit: int = 200) -> list[tuple[datetime, Receipt]]:  # noqa: FBT001
    """The latest receipts; of rejections, those of the last days: what nobody mended since will not be."""
    rows = await tx.connection.fetch(
        """
        SELECT r.*, e.at FROM receipts r JOIN events e ON e.stream = r.id AND e.version = 1
        WHERE ($1::text IS NULL OR r.refurbisher = $1)
          AND (NOT $2 OR r.outcome = 'rejected' AND e.at > now() - make_interval(days => $4)) ORDER BY e.seq DESC LIMIT $3
        """,
        refurbisher,
        rejected,
        limit,
        LAST_DAYS,
    )
    return [(row["at"], RECEIPTS.read(row).state) for row in rows]


async def receipts_after(tx: Tx, topic: str, after: int, limit: int) -> list[tuple[int, datetime, str, str]]:
    """Receipts of one refurbisher in the order of a number that only grows. Never past one that a transaction may still put before."""
    rows = await tx.connection.fetch(
        """
        SELECT seq, at, type, data FROM events
        WHERE topic = $1 AND seq > $2 AND type IN ('refurb.report_accepted.v1', 'refurb.report_rejected.v1')
          AND age(xmin) > age(pg_snapshot_xmin(pg_current_snapshot())::xid)
        ORDER BY seq LIMIT $3
        """,
        topic,
        after,
        limit,
    )
    return [(row["seq"], row["at"], row["type"], row["data"]) for row in rows]


async def figures(tx: Tx, cells: Sequence[str] | None = None) -> dict[str, Any]:
    """Counts for staff and tests, of all refurbishers or of some."""
    fetch = tx.connection.fetchrow
    devices_row = await fetch(
        """
        SELECT count(*) FILTER (WHERE status <> 'expected') AS devices, count(*) FILTER (WHERE status = 'ready') AS ready,
               count(*) FILTER (WHERE status IN ('sold', 'in_repair')) AS sold, count(*) FILTER (WHERE status = 'scrapped') AS scrapped,
               count(*) FILTER (WHERE status = 'lost') AS lost, coalesce(sum(returns), 0)::bigint AS returned,
               count(*) FILTER (WHERE status = 'received' AND blocked IS NOT NULL) AS blocked
        FROM devices WHERE $1::text[] IS NULL OR refurbisher = ANY ($1)
        """,
        cells,
    )
    erasures = await fetch(
        """
        SELECT count(*) FILTER (WHERE type = 'refurb.medium_sanitised.v1') AS erasures_accepted,
               count(*) FILTER (WHERE type = 'refurb.sanitisation_rejected.v1') AS erasures_rejected
        FROM events WHERE type IN ('refurb.medium_sanitised.v1', 'refurb.sanitisation_rejected.v1')
          AND ($1::text[] IS NULL OR topic = ANY (SELECT 'refurb.devices.' || c FROM unnest($1::text[]) AS _(c)))
        """,
        cells,
    )
    receipts_row = await fetch(
        """
        SELECT count(*) FILTER (WHERE outcome = 'accepted') AS reports_accepted,
               count(*) FILTER (WHERE outcome = 'rejected') + coalesce(sum(jsonb_array_length(reused)), 0)::bigint AS reports_rejected
        FROM receipts WHERE $1::text[] IS NULL OR refurbisher = ANY ($1)
        """,
        cells,
    )
    arrived = await fetch(
        """
        SELECT count(*) FILTER (WHERE status = 'received') AS consignments_received,
               coalesce(sum(counted), 0)::bigint AS counted
        FROM arrivals WHERE $1::text[] IS NULL OR refurbisher = ANY ($1)
        """,
        cells,
    )
    return {key: value for row in (devices_row, erasures, receipts_row, arrived) if row for key, value in row.items()}

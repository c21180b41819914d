"""What the pages of a workshop count and compare: arrivals against what was announced, gifts of one donor, media, the pace of work."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from services.refurb.domain.device import Device
from services.refurb.domain.holding import Holding, Place, medium_stream
from services.refurb.store.rows import DEVICES, MEDIA
from shared.db import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Gift:
    """What one donor gave, as far as it was unpacked."""

    donor: str
    name: str | None
    devices: int
    scrapped: int
    lost: int

    @property
    def percent(self) -> int:
        """Scrapped among the unpacked, in whole percent."""
        return round(100 * self.scrapped / self.devices) if self.devices else 0


async def gifts(tx: Tx, refurbisher: str | None, *, least: int, limit: int = 100) -> list[Gift]:
    """Donors with at least `least` devices unpacked, the highest share of scrapped ones first."""
    rows = await tx.connection.fetch(
        """
        SELECT c.donor, max(c.donor_name) AS name, count(*)::int AS devices,
               (count(*) FILTER (WHERE d.status = 'scrapped'))::int AS scrapped,
               (count(*) FILTER (WHERE d.status = 'lost'))::int AS lost
        FROM consignments c JOIN devices d ON d.consignment_id = c.consignment_id
        WHERE c.donor IS NOT NULL AND d.status <> 'expected' AND ($1::text IS NULL OR c.refurbisher = $1)
        GROUP BY c.donor HAVING count(*) >= $2
        ORDER BY (count(*) FILTER (WHERE d.status = 'scrapped'))::float / count(*) DESC, c.donor LIMIT $3
        """,
        refurbisher,
        least,
        limit,
    )
    return [Gift(**dict(row)) for row in rows]


async def consignment(tx: Tx, refurbisher: str | None, consignment_id: UUID) -> dict[str, Any] | None:
    """One consignment that goes on, with the refurbisher's word on its arrival."""
    row = await tx.connection.fetchrow(
        """
        SELECT c.consignment_id, c.reference, c.refurbisher, c.declared, c.collection_date, a.counted, a.status AS arrival,
               EXISTS (SELECT 1 FROM devices d WHERE d.consignment_id = c.consignment_id AND d.status <> 'expected') AS announced
        FROM consignments c LEFT JOIN arrivals a ON a.consignment_id = c.consignment_id
        WHERE c.status = 'expected' AND c.consignment_id = $2 AND ($1::text IS NULL OR c.refurbisher = $1)
        """,
        refurbisher,
        consignment_id,
    )
    return {**dict(row), "declared": json.loads(row["declared"] or "{}")} if row else None


async def sent(tx: Tx, consignment_id: UUID | None) -> dict[str, Any] | None:
    """The reference of a consignment, and whether it goes on. None of one that we have not heard of."""
    row = await tx.connection.fetchrow(
        "SELECT reference, status = 'expected' AS going FROM consignments WHERE consignment_id = $1", consignment_id
    )
    return dict(row) if row else None


async def capacity(tx: Tx, refurbisher: str | None) -> dict[str, int]:
    """What a refurbisher last said that it takes in a week."""
    found = await tx.connection.fetchval("SELECT weekly_places FROM capacities WHERE refurbisher = $1", refurbisher)
    places: dict[str, int] = json.loads(found or "{}")
    return places


async def with_medium(tx: Tx, refurbisher: str | None, serial: str, limit: int = 20) -> list[tuple[UUID, Device]]:
    """Devices that have, or had, the medium with this serial number."""
    named = [{"serial": serial}]
    had = [{"medium": {"serial": serial}}]
    rows = await tx.connection.fetch(
        """
        SELECT * FROM devices WHERE ($1::text IS NULL OR refurbisher = $1)
          AND (audit -> 'media' @> $2::jsonb OR (removed <> '[]' AND removed @> $3::jsonb)) ORDER BY id LIMIT $4
        """,
        refurbisher,
        json.dumps(named),
        json.dumps(had),
        limit,
    )
    return [(row["id"], DEVICES.read(row).state) for row in rows]


async def unplaced(tx: Tx, limit: int = 200) -> list[tuple[str, list[Place]]]:
    """Serial numbers of media of which nothing is kept, each with the devices whose audit names it: those longest known first."""
    rows = await tx.connection.fetch(
        """
        SELECT n.serial, array_agg(ROW (d.id, d.device_ref, d.refurbisher) ORDER BY e.seq) AS places
        FROM devices d JOIN events e ON e.stream = d.id AND e.version = 1
        CROSS JOIN LATERAL (
            SELECT DISTINCT m ->> 'serial' AS serial
            FROM jsonb_array_elements(CASE jsonb_typeof(d.audit) WHEN 'object' THEN d.audit -> 'media' ELSE '[]' END) m
        ) n
        WHERE n.serial <> '' AND NOT EXISTS (SELECT 1 FROM media h WHERE h.serial = n.serial)
        GROUP BY n.serial ORDER BY n.serial LIMIT $1
        """,
        limit,
    )
    return [
        (row["serial"], [Place(device_id=place[0], device_ref=place[1], refurbisher=place[2]) for place in row["places"]])
        for row in rows
    ]


async def disputes(tx: Tx, refurbisher: str | None, limit: int = 50) -> list[tuple[UUID, Holding]]:
    """Media that a device of this workshop names while another has them."""
    found = await MEDIA.find(
        tx,
        """disputed <> '[]' AND ($1::text IS NULL OR disputed @> jsonb_build_array(jsonb_build_object('refurbisher', $1::text)))
        ORDER BY serial LIMIT $2""",
        refurbisher,
        limit,
    )
    return [(medium_id, row.state) for medium_id, row in found.items()]


async def holding(tx: Tx, serial: str) -> tuple[UUID, Holding] | None:
    """What is kept of the medium with this serial number, and whether it left its holder."""
    found = await MEDIA.load(tx, [medium_stream(serial)])
    return next(((medium_id, row.state) for medium_id, row in found.items()), None)


async def in_lot(tx: Tx, refurbisher: str | None, lot: str, limit: int = 240) -> list[tuple[UUID, Device]]:
    """The devices of a lot or pallet, by their references."""
    rows = await tx.connection.fetch(
        """
        SELECT * FROM devices WHERE status <> 'expected' AND ($1::text IS NULL OR refurbisher = $1)
          AND (upper(lot) = upper($2) OR upper(pallet) = upper($2)) ORDER BY device_ref LIMIT $3
        """,
        refurbisher,
        lot,
        limit,
    )
    return [(row["id"], DEVICES.read(row).state) for row in rows]


async def of_consignment(tx: Tx, refurbisher: str | None, consignment_id: UUID, limit: int = 240) -> list[tuple[UUID, Device]]:
    """The devices of a consignment, by their references."""
    rows = await tx.connection.fetch(
        """
        SELECT * FROM devices WHERE status <> 'expected' AND ($1::text IS NULL OR refurbisher = $1) AND consignment_id = $2
        ORDER BY device_ref LIMIT $3
        """,
        refurbisher,
        consignment_id,
        limit,
    )
    return [(row["id"], DEVICES.read(row).state) for row in rows]


async def graded(tx: Tx, refurbisher: str | None, after: UUID | None, limit: int = 1_000) -> list[tuple[UUID, Device]]:
    """Devices that are ready, in the order of their ids, page by page."""
    rows = await tx.connection.fetch(
        """
        SELECT * FROM devices WHERE status = 'ready' AND ($1::text IS NULL OR refurbisher = $1) AND ($2::uuid IS NULL OR id > $2)
        ORDER BY id LIMIT $3
        """,
        refurbisher,
        after,
        limit,
    )
    return [(row["id"], DEVICES.read(row).state) for row in rows]


async def records(tx: Tx, refurbisher: str | None, after: UUID | None, limit: int = 1_000) -> list[tuple[UUID, Device, datetime]]:
    """All devices in the order of their ids, page by page, each with the moment of its last event."""
    rows = await tx.connection.fetch(
        """
        SELECT d.*, e.at FROM devices d JOIN events e ON e.stream = d.id AND e.version = d.version
        WHERE d.status <> 'expected' AND ($1::text IS NULL OR d.refurbisher = $1) AND ($2::uuid IS NULL OR d.id > $2)
        ORDER BY d.id LIMIT $3
        """,
        refurbisher,
        after,
        limit,
    )
    return [(row["id"], DEVICES.read(row).state, row["at"]) for row in rows]


async def pace(tx: Tx, refurbisher: str | None, weeks: int = 12) -> list[dict[str, Any]]:
    """Week by week, the oldest first: devices received, ready, scrapped, and the median days from arrival to ready of those ready then."""
    rows = await tx.connection.fetch(
        """
        WITH week AS (
            SELECT generate_series(
                date_trunc('week', now()) - make_interval(weeks => $2 - 1), date_trunc('week', now()), '1 week'
            ) AS monday
        ), happened AS (
            SELECT e.stream, e.type, e.at, date_trunc('week', e.at) AS monday FROM events e JOIN devices d ON d.id = e.stream
            WHERE e.at >= date_trunc('week', now()) - make_interval(weeks => $2 - 1) AND ($1::text IS NULL OR d.refurbisher = $1)
              AND e.type IN ('refurb.device_received.v1', 'refurb.device_ready.v1', 'refurb.device_scrapped.v1')
        ), took AS (
            SELECT h.monday, extract(epoch FROM h.at - r.at) / 86400 AS days
            FROM happened h JOIN events r ON r.stream = h.stream AND r.type = 'refurb.device_received.v1'
            WHERE h.type = 'refurb.device_ready.v1'
        )
        SELECT w.monday::date AS monday,
               (SELECT count(*) FROM happened h WHERE h.monday = w.monday AND h.type = 'refurb.device_received.v1')::int AS received,
               (SELECT count(*) FROM happened h WHERE h.monday = w.monday AND h.type = 'refurb.device_ready.v1')::int AS ready,
               (SELECT count(*) FROM happened h WHERE h.monday = w.monday AND h.type = 'refurb.device_scrapped.v1')::int AS scrapped,
               (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY days) FROM took t WHERE t.monday = w.monday) AS median_days
        FROM week w ORDER BY w.monday
        """,
        refurbisher,
        weeks,
    )
    return [dict(row) for row in rows]

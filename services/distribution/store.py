"""All the SQL of distribution."""

import json
import re
from collections.abc import Sequence
from datetime import timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from services.distribution.domain.needs import Need
from services.distribution.domain.sales import Sale, sale_stream
from services.distribution.domain.stock import Item
from services.distribution.domain.vouchers import Voucher
from shared.db import Tx
from shared.events.base import DeviceType
from shared.rows import Rows
from shared.ui import scanned

STOCK = Rows("stock", Item)
NEEDS = Rows("needs", Need)
VOUCHERS = Rows("vouchers", Voucher)
SALES = Rows("sales", Sale)


# ---- the planner


async def available_types(tx: Tx) -> list[DeviceType]:
    """The types of which a device waits to be given."""
    rows = await tx.connection.fetch(
        "SELECT DISTINCT device_type FROM stock WHERE status = 'available' AND owed_to IS NULL ORDER BY device_type"
    )
    return [row["device_type"] for row in rows]


async def available(tx: Tx, types: Sequence[DeviceType], limit: int) -> list[Item]:
    """Devices of these types that wait, the longest ready first."""
    where = "status = 'available' AND owed_to IS NULL AND device_type = ANY ($1::text[]) ORDER BY ready_at, id LIMIT $2"
    return [found.state for found in (await STOCK.find(tx, where, types, limit)).values()]


async def unmet_needs(tx: Tx, types: Sequence[DeviceType]) -> dict[UUID, Need]:
    """Needs that name one of these types and are not fully met."""
    found = await NEEDS.find(tx, "unmet > 0 AND wanted ?| $1::text[] ORDER BY id", types)
    return {need_id: row.state for need_id, row in found.items()}


async def owed(tx: Tx, limit: int) -> dict[UUID, Item]:
    """Withdrawn devices whose needs are still to be opened again."""
    found = await STOCK.find(tx, "owed_to IS NOT NULL ORDER BY id LIMIT $1", limit)
    return {item_id: row.state for item_id, row in found.items()}


# ---- structures


async def items_of(tx: Tx, structure: str) -> list[Item]:
    """Devices given to the structure and not sold yet."""
    where = "structure = $1 AND status IN ('allotted', 'shipped', 'delivered') ORDER BY status, device_type, device_ref, id"
    return [found.state for found in (await STOCK.find(tx, where, structure)).values()]


async def items_called(tx: Tx, typed: str) -> list[Item]:
    """Devices by what stands on the label or in its code, or by id. Two refurbishers may use the same label."""
    name = scanned(typed)
    try:
        found = await STOCK.find(tx, "device_id = $1", UUID(name))
    except ValueError:
        found = await STOCK.find(tx, "upper(device_ref) = $1 ORDER BY id LIMIT 20", name.upper())
    return [row.state for row in found.values()]


async def needs_of(tx: Tx, structure: str) -> list[Need]:
    """Every need of the structure, the one to answer soonest first."""
    found = await NEEDS.find(tx, "structure = $1 ORDER BY answer_by DESC NULLS LAST, campaign", structure)
    return [row.state for row in found.values()]


async def need(tx: Tx, need_id: UUID) -> Need | None:
    """One need."""
    row = (await NEEDS.load(tx, [need_id])).get(need_id)
    return row.state if row else None


async def vouchers_of(tx: Tx, structure: str | None) -> dict[UUID, Voucher]:
    """Vouchers that the structure gave, or all, the newest first; at most 200."""
    found = await VOUCHERS.find(tx, "structure = $1 OR $1 IS NULL ORDER BY expires DESC, id LIMIT 200", structure)
    return {voucher_id: row.state for voucher_id, row in found.items()}


async def voucher(tx: Tx, voucher_id: UUID) -> Voucher | None:
    """One voucher."""
    row = (await VOUCHERS.load(tx, [voucher_id])).get(voucher_id)
    return row.state if row else None


async def sale(tx: Tx, sale_id: UUID) -> Sale | None:
    """One sale, by the id that its seller made."""
    row = (await SALES.load(tx, [sale_stream(sale_id)])).get(sale_stream(sale_id))
    return row.state if row else None


# ---- secret links


LINK_DAYS = 180
"""How long a secret link opens its structure's pages: a campaign, its answers and the devices that follow. Assumed."""


def fingerprint(token: str) -> bytes:
    """What is kept of a secret."""
    return sha256(token.encode()).digest()


async def add_links(tx: Tx, campaign: str, tokens: dict[str, str]) -> None:
    """Keep the fingerprints of new links: structure -> token."""
    await tx.connection.execute(
        "INSERT INTO links (hash, structure, campaign, made_at) SELECT h, s, $3, $4 FROM unnest($1::bytea[], $2::text[]) AS _(h, s)",
        [fingerprint(token) for token in tokens.values()],
        list(tokens),
        campaign,
        tx.now,
    )


async def end_links(tx: Tx, structure: str, campaign: str) -> None:
    """Close the links of a structure to a campaign: a new one replaces them."""
    await tx.connection.execute(
        "UPDATE links SET ended_at = $3 WHERE structure = $1 AND campaign = $2 AND ended_at IS NULL", structure, campaign, tx.now
    )


async def link(tx: Tx, mark: bytes) -> tuple[str, str] | None:
    """Structure and campaign of a secret link that is open, by its fingerprint."""
    row = await tx.connection.fetchrow(
        "SELECT structure, campaign FROM links WHERE hash = $1 AND ended_at IS NULL AND made_at > $2",
        mark,
        tx.now - timedelta(days=LINK_DAYS),
    )
    return (row["structure"], row["campaign"]) if row else None


def role(structure: str, token: str) -> str:
    """The role of who came by a secret link. It names the link, and ends with it."""
    return f"structure:{structure}:{fingerprint(token).hex()}"


async def structure_of(tx: Tx, held: str) -> str | None:
    """The structure that this role speaks for; None for another kind of role, and once its link is closed."""
    kind, _, rest = held.partition(":")
    structure, _, mark = rest.partition(":")
    if kind != "structure" or not re.fullmatch(r"[0-9a-f]{64}", mark):
        return None
    opened = await link(tx, bytes.fromhex(mark))
    return structure if opened and opened[0] == structure else None


# ---- the staff


async def campaign(tx: Tx, name: str) -> list[Need]:
    """The answers of one campaign, those who have not answered first."""
    found = await NEEDS.find(tx, "campaign = $1 ORDER BY status, region, structure", name)
    return [row.state for row in found.values()]


async def asked_already(tx: Tx, name: str) -> set[str]:
    """Structures that the campaign has asked, or that answered it unasked."""
    return {row["structure"] for row in await tx.connection.fetch("SELECT structure FROM needs WHERE campaign = $1", name)}


async def campaigns(tx: Tx) -> list[dict[str, object]]:
    """Each campaign with its counts, the latest first."""
    rows = await tx.connection.fetch(
        """
        SELECT campaign, max(answer_by) AS answer_by, count(*) AS structures, count(*) FILTER (WHERE status = 'expressed') AS answered
        FROM needs GROUP BY campaign ORDER BY max(answer_by) DESC NULLS LAST, campaign
        """
    )
    return [dict(row) for row in rows]


async def stock(tx: Tx, limit: int) -> list[Item]:
    """Devices in stock anywhere, those that wait first; at most `limit`."""
    where = (
        "status IN ('available', 'allotted', 'shipped', 'delivered') ORDER BY status = 'available' DESC, ready_at, id LIMIT $1"
    )
    return [found.state for found in (await STOCK.find(tx, where, limit)).values()]


async def counts(tx: Tx) -> dict[str, Any]:
    """Everything in figures, of one moment."""
    row = await tx.connection.fetchrow(
        """
        WITH by_stock AS (SELECT status, count(*) AS n FROM stock GROUP BY status),
            by_voucher AS (SELECT status, count(*) AS n FROM vouchers GROUP BY status),
            by_training AS (SELECT coalesce(training, 'open') AS answer, count(*) AS n FROM sales GROUP BY training)
        SELECT json_build_object(
            'stock', (SELECT coalesce(json_object_agg(status, n), '{}') FROM by_stock),
            'vouchers', (SELECT coalesce(json_object_agg(status, n), '{}') FROM by_voucher),
            'training', (SELECT coalesce(json_object_agg(answer, n), '{}') FROM by_training),
            'asked', (SELECT count(*) FROM needs),
            'answered', (SELECT count(*) FROM needs WHERE status = 'expressed'),
            'wanted', (SELECT coalesce(sum(n::int), 0) FROM needs, jsonb_each_text(wanted) AS _(kind, n)),
            'met', (SELECT count(*) FROM needs, jsonb_object_keys(met)),
            'sold', (SELECT count(*) FROM sales),
            'free', (SELECT count(*) FROM sales WHERE price_cents = 0),
            'paid_cents', (SELECT coalesce(sum(price_cents), 0) FROM sales)
        )
        """
    )
    found: dict[str, Any] = json.loads(row[0]) if row else {}
    return found

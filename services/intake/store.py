"""All the SQL of intake, and the sealing of drafts."""

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.intake.domain.chain import Certificate, Consignment, Device, Sale
from services.intake.domain.donation import Donation
from services.intake.domain.offer import Offer, token
from shared.db import Tx
from shared.rows import Rows
from shared.vault import Vault

DONATIONS = Rows("donations", Donation)
CONSIGNMENTS = Rows("consignments", Consignment)
DEVICES = Rows("devices", Device)
CERTIFICATES = Rows("certificates", Certificate)
SALES = Rows("sales", Sale)

Typed = Mapping[str, Mapping[str, str | tuple[str, ...]]]
"""What was typed so far: question -> field -> text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A form half filled in, or the donation that it became."""

    typed: Typed
    donation_id: UUID | None
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """All that intake knows of one donation, as of one moment."""

    id: UUID
    donation: Donation
    consignments: Mapping[UUID, Consignment]
    devices: Mapping[UUID, Device]
    certificates: Mapping[UUID, Certificate]
    sales: Mapping[UUID, Sale]


def _mark(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


# ---- drafts ----


def _box(secret: str) -> AESGCM:
    """The key of a draft comes from its address, of which the table has only a hash: a copy of the database opens no draft."""
    return AESGCM(hmac.new(secret.encode(), b"draft", hashlib.sha256).digest())


async def save_draft(tx: Tx, secret: str, typed: Typed, *, keep: timedelta) -> bool:
    """Keep what was typed. False when the draft has been sent meanwhile: then it stays as it is."""
    nonce = secrets.token_bytes(12)
    body = nonce + _box(secret).encrypt(nonce, json.dumps(typed).encode(), None)
    saved = await tx.connection.fetchval(
        """
        INSERT INTO drafts (token_sha256, body, expires_at) VALUES ($1, $2, $3)
        ON CONFLICT (token_sha256) DO UPDATE SET body = excluded.body, expires_at = excluded.expires_at
            WHERE drafts.donation_id IS NULL
        RETURNING true
        """,
        _mark(secret),
        body,
        tx.now + keep,
    )
    return bool(saved)


async def load_draft(tx: Tx, secret: str) -> Draft | None:
    """Open a draft; null when there is none under that address, or no longer."""
    row = await tx.connection.fetchrow(
        "SELECT body, donation_id, expires_at FROM drafts WHERE token_sha256 = $1 AND expires_at > $2", _mark(secret), tx.now
    )
    if row is None:
        return None
    typed: dict[str, dict[str, Any]] = {}
    if row["body"] is not None:
        try:
            typed = json.loads(_box(secret).decrypt(row["body"][:12], row["body"][12:], None))
        except InvalidTag:
            return None
    return Draft(
        typed={
            question: {name: tuple(text) if isinstance(text, list) else text for name, text in fields.items()}
            for question, fields in typed.items()
        },
        donation_id=row["donation_id"],
        expires_at=row["expires_at"],
    )


async def draft_became(tx: Tx, secret: str, donation_id: UUID) -> None:
    """Forget what was typed: it is a donation now, and its private parts are in the vault."""
    await tx.connection.execute(
        "UPDATE drafts SET body = NULL, donation_id = $2 WHERE token_sha256 = $1", _mark(secret), donation_id
    )


async def drop_expired_drafts(tx: Tx) -> int:
    """Delete what nobody came back for."""
    return len(await tx.connection.fetch("DELETE FROM drafts WHERE expires_at <= $1 RETURNING 1", tx.now))


# ---- tracking links ----


async def keep_private(tx: Tx, vault: Vault, key: bytes, offer: Offer) -> None:
    """With the first offer: its people into the vault, and a tracking link. A repeat does nothing: the forgotten stay forgotten."""
    stream = offer.command.id
    if await tx.connection.fetchval("SELECT true FROM tracking_links WHERE donation_id = $1", stream):
        return
    for person, texts in offer.people.items():
        await vault.keep(tx, person, texts)
    await _link(tx, key, stream, 1)


async def _link(tx: Tx, key: bytes, donation_id: UUID, turn: int) -> str:
    secret = token(key, "tracking", donation_id, turn)
    await tx.connection.execute(
        "INSERT INTO tracking_links (token_sha256, donation_id, turn, made_at) VALUES ($1, $2, $3, $4)",
        _mark(secret),
        donation_id,
        turn,
        tx.now,
    )
    return secret


async def tracking_token(tx: Tx, key: bytes, donation_id: UUID) -> str | None:
    """The secret of the tracking page, derived anew and checked against its hash; null when `key` has changed since."""
    row = await tx.connection.fetchrow(
        "SELECT token_sha256, turn FROM tracking_links WHERE donation_id = $1 ORDER BY turn DESC LIMIT 1", donation_id
    )
    if row is None:
        return None
    secret = token(key, "tracking", donation_id, row["turn"])
    return secret if hmac.compare_digest(_mark(secret), row["token_sha256"]) else None


def tracking_url(site: str, token: str) -> str:
    """The address that a donor keeps. `site` is where the service is reached from outside."""
    return f"{site.rstrip('/')}/intake/suivi/{token}"


async def change_link(tx: Tx, key: bytes, donation_id: UUID) -> str:
    """Give the tracking page a new address; the old one opens nothing any more, nor does that of the form, which showed the link."""
    turn = await tx.connection.fetchval(
        "SELECT turn FROM tracking_links WHERE donation_id = $1 ORDER BY turn DESC LIMIT 1 FOR UPDATE", donation_id
    )
    await tx.connection.execute("DELETE FROM tracking_links WHERE donation_id = $1", donation_id)
    # ended, not deleted: a tab that had looked before would make the draft anew (the clock deletes it in some minutes)
    await tx.connection.execute("UPDATE drafts SET expires_at = $2 WHERE donation_id = $1", donation_id, tx.now)
    return await _link(tx, key, donation_id, (turn or 0) + 1)


async def by_link(tx: Tx, secret: str) -> UUID | None:
    """The donation that this secret opens."""
    found: UUID | None = await tx.connection.fetchval(
        "SELECT donation_id FROM tracking_links WHERE token_sha256 = $1", _mark(secret)
    )
    return found


# ---- what pages show ----


async def hear(tx: Tx, donation_id: UUID) -> Heard | None:
    """All that is known of a donation; null when there is none."""
    found = await DONATIONS.load(tx, [donation_id])
    if donation_id not in found:
        return None
    parts = {}
    for rows, order in ((CONSIGNMENTS, "assigned_at"), (DEVICES, "received_at"), (CERTIFICATES, "issued_at"), (SALES, "sold_at")):
        states = await rows.find(tx, f"donation_id = $1 ORDER BY {order}, id", donation_id)
        parts[rows.table] = {stream: versioned.state for stream, versioned in states.items()}
    return Heard(id=donation_id, donation=found[donation_id].state, **parts)


async def search(tx: Tx, text: str, status: str, *, limit: int, offset: int) -> list[dict[str, Any]]:
    """Donations, latest first: by reference, postal code, SIREN or a part of the organisation's name; `status` empty for all."""
    pattern = "%" + "".join("\\" + c if c in "%_\\" else c for c in text) + "%"
    rows = await tx.connection.fetch(
        """
        SELECT id, reference, status, outcome, region, donor ->> 'name' AS name, donor ->> 'status' AS donor_status,
               codes ->> 'postal_code' AS postal_code, offered_at,
               (SELECT sum(value::int) FROM jsonb_each_text(codes -> 'declared')) AS declared
        FROM donations
        WHERE ($1 = '' OR status = $1)
          AND ($2 = '' OR reference ILIKE $3 OR donor ->> 'name' ILIKE $3 OR donor ->> 'siren' = replace($2, ' ', '')
               OR codes ->> 'postal_code' = $2)
        ORDER BY offered_at DESC, id
        LIMIT $4 OFFSET $5
        """,
        status,
        text,
        pattern,
        limit,
        offset,
    )
    return [dict(row) for row in rows]


async def count_by_status(tx: Tx) -> dict[str, int]:
    """How many donations there are in each state."""
    rows = await tx.connection.fetch("SELECT status, count(*) AS number FROM donations GROUP BY status")
    return {row["status"]: row["number"] for row in rows}


async def figures(tx: Tx) -> dict[str, Any]:
    """Counts, for the staff and for whoever compares the services with one another."""
    row = await tx.connection.fetchrow(
        """
        SELECT (SELECT count(*) FROM donations) AS donations,
               (SELECT coalesce(sum(value::int), 0) FROM donations, jsonb_each_text(codes -> 'declared')) AS declared,
               (SELECT count(*) FROM consignments) AS consignments,
               (SELECT count(*) FROM consignments WHERE ended IS NULL) AS consignments_open,
               (SELECT count(*) FROM devices) AS devices,
               (SELECT count(*) FROM devices WHERE status = 'ready') AS ready,
               (SELECT count(*) FROM devices WHERE status = 'scrapped') AS scrapped,
               (SELECT count(*) FROM certificates WHERE replaced_by IS NULL) AS certificates,
               (SELECT count(*) FROM sales) AS sold
        """
    )
    return dict(row or {}) | {"by_status": await count_by_status(tx)}

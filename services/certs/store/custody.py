"""The SQL of the chain of custody: trails, and what the audit finds in them."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from services.certs.domain.account import Account, NoteAccount, account_id, decide_account, evolve_account
from services.certs.domain.ledger import judge
from services.certs.domain.trail import Trail
from services.certs.store.tables import ACCOUNTS, TRAILS
from shared.db import Tx

FACTS = "concat_ws('.', count(*), sum(version))"
"""What was said of a donation as one word, which is another one after each step."""

FROM_BEFORE = """
SELECT EXISTS (
    SELECT FROM custodies c WHERE c.donation_id = $1 AND c.reference IS NOT NULL AND NOT EXISTS (
        SELECT FROM trails t WHERE t.kind = 'consignment' AND t.subject = c.consignment_id AND t.steps @> '[{"what": "assigned"}]'
    )
)
"""


async def moved(tx: Tx, now: datetime, limit: int) -> list[UUID]:
    """Donations of which something was said since they were judged, and those that are to be judged again by now."""
    rows = await tx.connection.fetch(
        f"""
        SELECT donation_id FROM trails t LEFT JOIN judged j USING (donation_id)
        GROUP BY donation_id, j.facts, j.again_at HAVING {FACTS} IS DISTINCT FROM j.facts OR j.again_at <= $1
        ORDER BY donation_id LIMIT $2
        """,  # noqa: S608 our own words
        now,
        limit,
    )
    return [row["donation_id"] for row in rows]


async def facts(tx: Tx, donation: UUID) -> str:
    """The word for what was said of a donation as it is."""
    word: str = await tx.connection.fetchval(f"SELECT {FACTS} FROM trails WHERE donation_id = $1", donation)  # noqa: S608 our own words
    return word


async def keep_judged(tx: Tx, donation: UUID, word: str, again_at: datetime) -> None:
    """Remember on what a donation was judged, and when it is to be judged again though nothing is said."""
    await tx.connection.execute(
        """
        INSERT INTO judged (donation_id, facts, again_at) VALUES ($1, $2, $3)
        ON CONFLICT (donation_id) DO UPDATE SET facts = excluded.facts, again_at = excluded.again_at
        """,
        donation,
        word,
        again_at,
    )


async def trails(tx: Tx, donation: UUID) -> list[Trail]:
    """All that was said of a donation; nothing of one whose consignments were assigned before steps were kept: half of it is no chain."""
    if await tx.connection.fetchval(FROM_BEFORE, donation):
        return []
    found = await TRAILS.find(tx, "donation_id = $1", donation)
    return [trail.state for trail in found.values()]


async def twins(tx: Tx, of: Sequence[Trail]) -> list[Trail]:
    """The devices, of any donation, that ever named a serial number which two devices name, one of them among these."""
    names = sorted({name for trail in of for name in trail.named})
    rows = await tx.connection.fetch(
        """
        SELECT name FROM trails, jsonb_array_elements_text(named) AS _(name)
        WHERE named ?| $1::text[] GROUP BY name HAVING count(*) > 1
        """,
        names,
    )
    shared = sorted({row["name"] for row in rows} & set(names))
    found = await TRAILS.find(tx, "named ?| $1::text[]", shared) if shared else {}
    return [trail.state for trail in found.values()]


async def account(tx: Tx, donation: UUID) -> Account:
    """What the audit last found of a donation."""
    found = await ACCOUNTS.load(tx, [account_id(donation)])
    return next((kept.state for kept in found.values()), Account())


async def judged(tx: Tx, donation: UUID, patience: timedelta, now: datetime) -> tuple[Account, NoteAccount]:
    """The account of a donation as it was kept, and what is found of it now."""
    its = await trails(tx, donation)
    verdict = judge(its, await twins(tx, its), now)
    found = NoteAccount(id=account_id(donation), donation_id=donation, verdict=verdict, patience=patience, noted_at=now)
    return await account(tx, donation), found


async def account_now(tx: Tx, donation: UUID, patience: timedelta, now: datetime) -> Account:
    """How a donation stands now, whether that was kept already or not."""
    before, found = await judged(tx, donation, patience, now)
    events = decide_account(before, found)
    return evolve_account(before, events[0]) if events else before


async def accounts(tx: Tx, limit: int) -> list[Account]:
    """The donations as they were last judged: what is broken first, then what is waited for, the latest first."""
    where = """
        true ORDER BY array_position(ARRAY['broken', 'waiting', 'open', 'holds'], state), noted_at DESC, donation_id LIMIT $1
    """
    found = await ACCOUNTS.find(tx, where, limit)
    return [kept.state for kept in found.values()]


async def standings(tx: Tx) -> Mapping[str, Any]:
    """How many donations stand how."""
    rows = await tx.connection.fetch("SELECT state, count(*) AS donations FROM accounts GROUP BY state")
    return {row["state"]: row["donations"] for row in rows}


async def donations(tx: Tx, reference: str | None = None) -> list[UUID]:
    """The donations of which something was said, or the one of that reference."""
    rows = await tx.connection.fetch(
        """
        SELECT donation_id FROM trails
        WHERE $1::text IS NULL OR kind <> 'device' AND split_part(reference, '/', 1) = $1
        GROUP BY donation_id ORDER BY min(reference), donation_id
        """,
        reference,
    )
    return [row["donation_id"] for row in rows]

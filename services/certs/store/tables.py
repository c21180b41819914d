"""All the SQL of certs, but that of the chain of custody (`custody`)."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from services.certs.domain import merkle
from services.certs.domain.account import Account
from services.certs.domain.certificate import Certificate, Checkpoint, Draft
from services.certs.domain.custody import Custody, Held
from services.certs.domain.drift import Drift
from services.certs.domain.statement import digest
from services.certs.domain.trail import Trail
from shared.db import Tx
from shared.rows import Rows

CUSTODIES = Rows("custodies", Custody)
HELD = Rows("held", Held)
DRAFTS = Rows("drafts", Draft)
CERTIFICATES = Rows("certificates", Certificate)
CHECKPOINTS = Rows("checkpoints", Checkpoint)
DRIFTS = Rows("drifts", Drift)
TRAILS = Rows("trails", Trail)
ACCOUNTS = Rows("accounts", Account)

FACTS = "concat_ws('.', c.version, count(h.id), sum(h.version))"
"""A consignment's facts as one word, which is another one after each event about it or about one of its devices."""


SETTLED = "count(*) >= c.counted AND bool_and(h.outcome <> 'open')"
"""What `domain.custody.settled` asks of the devices of a consignment that is assigned and not ended, which has one at least."""
TOO_MUCH = "certified = 'erased' AND now IS DISTINCT FROM 'erased'"
"""`Finding.says_too_much`."""


async def ripe(tx: Tx, limit: int) -> list[UUID]:
    """Consignments that are settled, as `domain.custody.settled` says, and have no draft; the rule is asked again on what they hold."""
    rows = await tx.connection.fetch(
        f"""
        SELECT c.consignment_id FROM custodies c JOIN held h USING (consignment_id)
        WHERE c.reference IS NOT NULL AND c.ended IS NULL
          AND NOT EXISTS (SELECT FROM drafts d WHERE d.consignment_id = c.consignment_id)
          AND NOT EXISTS (SELECT FROM certificates i WHERE i.consignment_id = c.consignment_id)
        GROUP BY c.consignment_id, c.counted HAVING {SETTLED}
        ORDER BY c.consignment_id LIMIT $1
        """,  # noqa: S608 our own words
        limit,
    )
    return [row["consignment_id"] for row in rows]


async def to_correct(tx: Tx, quiet_since: datetime, limit: int) -> list[UUID]:
    """Consignments whose last certificate is issued and outrun since `quiet_since`; `domain.drift.to_correct` is asked again.

    One that says too much counts from the first such note on, any other from the last, once every device is settled.
    """
    rows = await tx.connection.fetch(
        f"""
        SELECT f.consignment_id FROM drifts f
        WHERE f.kind IS NOT NULL AND f.kind <> 'ended'
          AND EXISTS (SELECT FROM drafts d JOIN certificates i ON i.number = d.number AND i.superseded_by IS NULL
                      WHERE d.consignment_id = f.consignment_id)
        GROUP BY f.consignment_id
        HAVING min(f.noted_at) FILTER (WHERE {TOO_MUCH}) <= $1
            OR max(f.noted_at) <= $1
               AND EXISTS (SELECT FROM custodies c JOIN held h USING (consignment_id)
                           WHERE c.consignment_id = f.consignment_id AND c.reference IS NOT NULL AND c.ended IS NULL
                           GROUP BY c.counted HAVING {SETTLED})
        ORDER BY f.consignment_id LIMIT $2
        """,  # noqa: S608 our own words
        quiet_since,
        limit,
    )
    return [row["consignment_id"] for row in rows]


async def custody(tx: Tx, consignment: UUID) -> tuple[Custody, list[Held]]:
    """A consignment and its devices, of one moment."""
    custodies = await CUSTODIES.find(tx, "consignment_id = $1", consignment)
    devices = await HELD.find(tx, "consignment_id = $1", consignment)
    return next((c.state for c in custodies.values()), Custody()), [d.state for d in devices.values()]


async def facts(tx: Tx, consignment: UUID) -> str:
    """The word for the consignment's facts as they are."""
    word: str | None = await tx.connection.fetchval(
        f"""
        SELECT {FACTS} FROM custodies c LEFT JOIN held h USING (consignment_id)
        WHERE c.consignment_id = $1 GROUP BY c.version
        """,  # noqa: S608 our own words
        consignment,
    )
    return word or ""


async def moved(tx: Tx, limit: int) -> list[UUID]:
    """Consignments whose certificate is fixed, and whose facts are not those that it was last compared with."""
    rows = await tx.connection.fetch(
        f"""
        SELECT c.consignment_id FROM (SELECT DISTINCT consignment_id FROM drafts) d JOIN custodies c USING (consignment_id)
        LEFT JOIN held h USING (consignment_id) LEFT JOIN compared m USING (consignment_id)
        GROUP BY c.consignment_id, c.version, m.facts HAVING {FACTS} IS DISTINCT FROM m.facts
        ORDER BY c.consignment_id LIMIT $1
        """,  # noqa: S608 our own words
        limit,
    )
    return [row["consignment_id"] for row in rows]


async def keep_compared(tx: Tx, consignment: UUID, word: str, *, again: bool) -> None:
    """Remember with which facts the certificate was compared: at first, when it is fixed, or `again`."""
    then = "UPDATE SET facts = excluded.facts" if again else "NOTHING"
    await tx.connection.execute(
        f"INSERT INTO compared (consignment_id, facts) VALUES ($1, $2) ON CONFLICT (consignment_id) DO {then}",  # noqa: S608 our own words
        consignment,
        word,
    )


async def drifts(tx: Tx, consignment: UUID) -> dict[str, Drift]:
    """Where the facts of a consignment part from its certificate, by `device_ref`."""
    found = await DRIFTS.find(tx, "consignment_id = $1 AND kind IS NOT NULL", consignment)
    return {d.state.device_ref: d.state for d in found.values()}


async def says_too_much(tx: Tx, number: str) -> bool:
    """Whether a certificate calls data erased that no proof calls erased now: `Finding.says_too_much`."""
    found: bool = await tx.connection.fetchval(
        f"SELECT EXISTS (SELECT FROM drifts WHERE number = $1 AND kind IS NOT NULL AND {TOO_MUCH})",  # noqa: S608 our own words
        number,
    )
    return found


async def waiting(tx: Tx, limit: int) -> list[Mapping[str, Any]]:
    """Consignments without a certificate of which something is settled and something is not: the longest received first."""
    rows = await tx.connection.fetch(
        """
        SELECT c.consignment_id, c.reference, c.refurbisher, c.received_at, c.counted,
               count(*) FILTER (WHERE h.outcome <> 'open') AS settled, greatest(c.counted, count(*)) AS devices
        FROM custodies c JOIN held h USING (consignment_id)
        WHERE c.reference IS NOT NULL AND c.ended IS NULL AND c.counted IS NOT NULL
          AND NOT EXISTS (SELECT FROM drafts d WHERE d.consignment_id = c.consignment_id)
          AND NOT EXISTS (SELECT FROM certificates i WHERE i.consignment_id = c.consignment_id)
        GROUP BY c.id HAVING count(*) FILTER (WHERE h.outcome <> 'open') > 0
        ORDER BY c.received_at, c.consignment_id LIMIT $1
        """,
        limit,
    )
    return [dict(row) for row in rows]


async def latest_drifts(tx: Tx, limit: int) -> list[Drift]:
    """The same of all certificates: those with the latest note first, each as a whole and in order."""
    where = """
        kind IS NOT NULL ORDER BY (SELECT max(o.noted_at) FROM drifts o WHERE o.consignment_id = drifts.consignment_id) DESC,
        consignment_id, device_ref LIMIT $1
    """
    found = await DRIFTS.find(tx, where, limit)
    return [d.state for d in found.values()]


async def outrun(tx: Tx) -> int:
    """How many certificates do not say all that is known now."""
    found: int = await tx.connection.fetchval("SELECT count(DISTINCT consignment_id) FROM drifts WHERE kind IS NOT NULL")
    return found


async def unfinished(tx: Tx, limit: int) -> list[UUID]:
    """Consignments whose certificate is drafted and not issued, those in the log first."""
    rows = await tx.connection.fetch(
        """
        SELECT d.consignment_id FROM drafts d
        WHERE NOT EXISTS (SELECT FROM certificates c WHERE c.number = d.number)
        ORDER BY d.leaf_index NULLS LAST, d.issued_at, d.consignment_id LIMIT $1
        """,
        limit,
    )
    return [row["consignment_id"] for row in rows]


async def draft(tx: Tx, consignment: UUID) -> Draft | None:
    """The draft of its last edition: a new one is begun when the one before is issued, so no other can be unfinished."""
    found = await DRAFTS.find(tx, "consignment_id = $1 ORDER BY edition DESC LIMIT 1", consignment)
    return next((d.state for d in found.values()), None)


async def draft_numbered(tx: Tx, number: str) -> Draft | None:
    found = await DRAFTS.find(tx, "number = $1", number)
    return next((d.state for d in found.values()), None)


async def keep_statement(tx: Tx, body: bytes) -> None:
    await tx.connection.execute(
        "INSERT INTO statements (sha256, body) VALUES ($1, $2) ON CONFLICT DO NOTHING", digest(body), body
    )


async def statement(tx: Tx, sha256: str) -> bytes:
    body: bytes = await tx.connection.fetchval("SELECT body FROM statements WHERE sha256 = $1", sha256)
    return body


async def certificate(tx: Tx, number: str) -> Certificate | None:
    found = await CERTIFICATES.find(tx, "number = $1", number)
    return next((c.state for c in found.values()), None)


async def log_size(tx: Tx) -> int:
    """How many entries the log has. They are numbered without a gap: each was added by a transaction that saw the one before.

    Certificates count too: after the loss of a database they come back from our own topic, their drafts do not.
    """
    size: int = await tx.connection.fetchval(
        "SELECT coalesce(max(leaf_index) + 1, 0) FROM (SELECT leaf_index FROM drafts UNION ALL SELECT leaf_index FROM certificates) _"
    )
    return size


async def nodes(tx: Tx, wanted: Iterable[merkle.Node]) -> dict[merkle.Node, bytes]:
    pairs = list(wanted)
    rows = await tx.connection.fetch(
        """
        SELECT level, place, hash FROM nodes
        WHERE (level, place) IN (SELECT * FROM unnest($1::int[], $2::bigint[]))
        """,
        [level for level, _ in pairs],
        [place for _, place in pairs],
    )
    return {(row["level"], row["place"]): row["hash"] for row in rows}


async def grow(tx: Tx) -> None:
    """Complete the tree with the entries that are not in it yet, in the transaction that added them."""
    missing = await tx.connection.fetch(
        """
        SELECT DISTINCT leaf_index, leaf_hash
        FROM (SELECT leaf_index, leaf_hash FROM drafts UNION ALL SELECT leaf_index, leaf_hash FROM certificates) _
        WHERE leaf_index IS NOT NULL AND NOT EXISTS (SELECT FROM nodes WHERE level = 0 AND place = leaf_index)
        ORDER BY leaf_index
        """
    )
    for row in missing:
        await _append(tx, row["leaf_index"], bytes.fromhex(row["leaf_hash"]))


async def _append(tx: Tx, index: int, leaf: bytes) -> None:
    left = await nodes(tx, merkle.needed(lambda read: merkle.append(index, leaf, read)))
    made = merkle.append(index, leaf, merkle.reader(left))
    await tx.connection.execute(
        "INSERT INTO nodes (level, place, hash) SELECT * FROM unnest($1::int[], $2::bigint[], $3::bytea[])",
        [level for level, _ in made],
        [place for _, place in made],
        list(made.values()),
    )


async def latest_checkpoints(tx: Tx, limit: int) -> list[Mapping[str, Any]]:
    """The newest signed states of the log. Which certificate made it grow is for who knows its number: a list would tell too much."""
    rows = await tx.connection.fetch(
        """
        SELECT k.size, k.root_hash, k.note, c.issued_at FROM checkpoints k
        LEFT JOIN certificates c ON c.leaf_index = k.size - 1 ORDER BY k.size DESC LIMIT $1
        """,
        limit,
    )
    return [dict(row) for row in rows]


async def leaves(tx: Tx, start: int, limit: int) -> list[str]:
    rows = await tx.connection.fetch(
        "SELECT hash FROM nodes WHERE level = 0 AND place >= $1 ORDER BY place LIMIT $2", start, limit
    )
    return [row["hash"].hex() for row in rows]


async def figures(tx: Tx) -> dict[str, Any]:
    """Counts of everything, for the staff and for comparing services."""
    row = await tx.connection.fetchrow(
        """
        SELECT (SELECT count(*) FROM custodies WHERE reference IS NOT NULL AND ended IS NULL) AS consignments,
               (SELECT coalesce(sum(counted), 0) FROM custodies WHERE ended IS NULL)::bigint AS counted,
               (SELECT count(*) FROM held) AS devices_known,
               (SELECT count(*) FROM held WHERE outcome = 'open') AS devices_open,
               (SELECT count(*) FROM held WHERE outcome = 'ready') AS devices_ready,
               (SELECT count(*) FROM held WHERE outcome = 'scrapped') AS devices_scrapped,
               (SELECT count(*) FROM drafts) AS drafts,
               (SELECT count(*) FROM nodes WHERE level = 0) AS log_size,
               (SELECT count(*) FROM drifts WHERE kind = 'late') AS late_devices,
               (SELECT count(*) FROM drifts WHERE kind <> 'late' AND device_ref <> '') AS changed_devices,
               (SELECT count(DISTINCT consignment_id) FROM drifts WHERE kind IS NOT NULL) AS certificates_outrun,
               count(*) AS certificates, coalesce(sum(devices), 0)::bigint AS devices, coalesce(sum(erased), 0)::bigint AS erased,
               coalesce(sum(not_erased), 0)::bigint AS not_erased,
               coalesce(sum(devices - erased - not_erased), 0)::bigint AS without_medium,
               count(superseded_by) AS superseded
        FROM certificates
        """
    )
    return dict(row) if row else {}

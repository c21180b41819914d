"""People's data, encrypted with a key of that person. Forgetting a person deletes the key: rows, back-ups and exports go dark.

The sealed data lie in the service's own database, the keys in another one whose back-ups live 30 days at most. The list of the
forgotten is kept in both: whichever comes back from a back-up learns from the other, at each start, whom to forget again.
"""

import json
import os
from collections.abc import Mapping
from uuid import UUID

import asyncpg
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.db import Tx

TABLES = """
CREATE TABLE IF NOT EXISTS keys (person uuid PRIMARY KEY, wrapped bytea NOT NULL);
CREATE TABLE IF NOT EXISTS forgotten (person uuid PRIMARY KEY, at timestamptz NOT NULL DEFAULT now());
"""

LONGEST_WAIT_S = 15
"""For one of the few connections to the keys, as for those to the service's own database: then it is an outage."""


class Vault:
    """Keeps, reads and forgets. AES-256-GCM throughout; each value is bound to its person."""

    def __init__(self, keys: "asyncpg.Pool[asyncpg.Record]", master: bytes) -> None:
        self.keys = keys
        self.master = AESGCM(master)

    async def prepare(self, own: "asyncpg.Pool[asyncpg.Record]") -> None:
        """Make the tables of the keys and replay the list of the forgotten (a restored back-up may have brought people back).

        `own` is the service's database, whose list cannot be shortened. Both are whole afterwards.
        """
        await self.keys.execute(TABLES)
        for source, target in ((own, self.keys), (self.keys, own)):
            listed = await source.fetch("SELECT person, at FROM forgotten")
            await target.executemany("INSERT INTO forgotten VALUES ($1, $2) ON CONFLICT DO NOTHING", [tuple(r) for r in listed])
        await self.keys.execute("DELETE FROM keys WHERE person IN (SELECT person FROM forgotten)")

    async def keep(self, tx: Tx, person: UUID, data: Mapping[str, str]) -> None:
        """Seal what is known of a person, in place of what was. The key is made first: a crash leaves only a spare key."""
        async with self.keys.acquire(timeout=LONGEST_WAIT_S) as keys:
            wrapped = await keys.fetchval(
                """
                INSERT INTO keys (person, wrapped) SELECT $1, $2 WHERE NOT EXISTS (SELECT FROM forgotten WHERE person = $1)
                ON CONFLICT (person) DO UPDATE SET wrapped = keys.wrapped RETURNING wrapped
                """,
                person,
                seal(self.master, AESGCM.generate_key(256), person),
            )
        if wrapped is None:
            raise PermissionError("this person was forgotten and is not taken in again under the same id")
        key = AESGCM(unseal(self.master, wrapped, person))
        await tx.connection.execute(
            "INSERT INTO vault (person, sealed, at) VALUES ($1, $2, $3) "
            "ON CONFLICT (person) DO UPDATE SET sealed = excluded.sealed, at = excluded.at",
            person,
            seal(key, json.dumps(dict(data)).encode(), person),
            tx.now,
        )

    async def read(self, tx: Tx, person: UUID) -> dict[str, str] | None:
        """Give what is known of a person, or None when it is forgotten or was never here."""
        sealed = await tx.connection.fetchval("SELECT sealed FROM vault WHERE person = $1", person)
        async with self.keys.acquire(timeout=LONGEST_WAIT_S) as keys:
            wrapped = await keys.fetchval("SELECT wrapped FROM keys WHERE person = $1", person)
        if sealed is None or wrapped is None:
            return None
        try:
            loaded = json.loads(unseal(AESGCM(unseal(self.master, wrapped, person)), sealed, person))
        except InvalidTag:
            return None
        return {str(k): str(v) for k, v in loaded.items()}

    async def forget(self, own: "asyncpg.Pool[asyncpg.Record]", person: UUID) -> None:
        """Delete the key, for ever. Noted first where no back-up of the keys can take it back."""
        await own.execute("INSERT INTO forgotten VALUES ($1, now()) ON CONFLICT DO NOTHING", person)
        async with self.keys.acquire(timeout=LONGEST_WAIT_S) as connection, connection.transaction():
            await connection.execute("INSERT INTO forgotten (person) VALUES ($1) ON CONFLICT DO NOTHING", person)
            await connection.execute("DELETE FROM keys WHERE person = $1", person)


def seal(key: AESGCM, data: bytes, person: UUID) -> bytes:
    nonce = os.urandom(12)
    return nonce + key.encrypt(nonce, data, person.bytes)


def unseal(key: AESGCM, sealed: bytes, person: UUID) -> bytes:
    return key.decrypt(sealed[:12], sealed[12:], person.bytes)

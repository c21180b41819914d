"""Migrations: numbered SQL files, forward only, each once, in order, and never changed after it ran."""

from hashlib import sha256
from pathlib import Path

import asyncpg

from shared.log import log

KERNEL = Path(__file__).parent / "migrations"
TABLE = """
CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY, sha256 text NOT NULL, at timestamptz NOT NULL DEFAULT now())
"""


class ChangedMigration(Exception):
    """A file that ran is not the file of today. Write a new one instead."""


async def migrate(pool: "asyncpg.Pool[asyncpg.Record]", service: Path | None) -> list[str]:
    """Bring the schema up to date; processes that start together take turns. Returns the names of what ran."""
    folders = [("kernel", KERNEL), *([("service", service)] if service else [])]
    files = [
        (f"{kind}/{file.name}", file.read_text("utf-8")) for kind, folder in folders for file in sorted(folder.glob("[0-9]*.sql"))
    ]
    ran: list[str] = []
    async with pool.acquire() as connection, connection.transaction(isolation="read_committed"):
        await connection.execute("SELECT pg_advisory_xact_lock(hashtext(current_schema()), hashtext('migrate'))")
        await connection.execute("SET LOCAL lock_timeout = '5s'")  # never queue behind a long reader with everybody behind us
        await connection.execute(TABLE)
        known = {row["name"]: row["sha256"] for row in await connection.fetch("SELECT name, sha256 FROM migrations")}
        for name, sql in files:
            digest = sha256(sql.encode()).hexdigest()
            if name not in known:
                await connection.execute(sql)
                await connection.execute("INSERT INTO migrations (name, sha256) VALUES ($1, $2)", name, digest)
                ran.append(name)
            elif known[name] != digest:
                raise ChangedMigration(f"{name} has run and was changed since: restore it and write a new migration")
    if ran:
        log.info("migrated", ran=ran)
    return ran

"""People's data and their keys: who was forgotten stays forgotten, whichever back-up is put back."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio

from deploy.local import postgres
from deploy.local.platform import Platform
from shared.db import transaction
from shared.migrate import migrate
from shared.vault import Vault

CAMILLE, ZOE = uuid4(), uuid4()


@dataclass(frozen=True, slots=True)
class Kept:
    """A vault, the database of what it sealed, and back-ups of both taken before anybody was forgotten."""

    vault: Vault
    own: "asyncpg.Pool[asyncpg.Record]"

    async def read(self, person: UUID) -> Mapping[str, str] | None:
        async with transaction(self.own) as tx:
            return await self.vault.read(tx, person)


async def put_back(pool: "asyncpg.Pool[asyncpg.Record]", tables: Mapping[str, list[asyncpg.Record]]) -> None:
    """As a back-up does: the tables are made anew, with the rows of then."""
    for table, rows in tables.items():
        await pool.execute(f"ALTER TABLE {table} RENAME TO old; CREATE TABLE {table} (LIKE old INCLUDING ALL); DROP TABLE old")
        for row in rows:
            await pool.execute(f"INSERT INTO {table} VALUES ({', '.join(f'${n}' for n in range(1, len(row) + 1))})", *row)  # noqa: S608


async def backup(pool: "asyncpg.Pool[asyncpg.Record]", *tables: str) -> dict[str, list[asyncpg.Record]]:
    return {table: await pool.fetch(f"SELECT * FROM {table}") for table in tables}  # noqa: S608


@pytest_asyncio.fixture(loop_scope="session")
async def kept(platform: Platform) -> AsyncIterator[Kept]:
    made = [await postgres.fresh_database(platform.postgres_url) for _ in range(2)]
    own, keys = [
        await asyncpg.create_pool(postgres.with_role(platform.postgres_url, role, password, name), min_size=1, max_size=2)
        for name, role, password in made
    ]
    await migrate(own, None)
    vault = Vault(keys, b"m" * 32)
    await vault.prepare(own)
    async with transaction(own) as tx:
        await vault.keep(tx, CAMILLE, {"name": "Camille"})
        await vault.keep(tx, ZOE, {"name": "Zoé"})
    yield Kept(vault, own)
    for pool in (own, keys):
        await pool.close()
    for name, role, _ in made:
        await postgres.drop_database(platform.postgres_url, name, role)


async def test_the_forgotten_do_not_return_with_a_back_up_of_the_keys(kept: Kept) -> None:
    old = await backup(kept.vault.keys, "keys", "forgotten")
    await kept.vault.forget(kept.own, CAMILLE)
    assert await kept.read(CAMILLE) is None
    await put_back(kept.vault.keys, old)
    assert await kept.read(CAMILLE) == {"name": "Camille"}, "the back-up brought the key back"
    await kept.vault.prepare(kept.own)
    assert (await kept.read(CAMILLE), await kept.read(ZOE)) == (None, {"name": "Zoé"})
    assert [r["person"] for r in await kept.vault.keys.fetch("SELECT person FROM keys")] == [ZOE]
    async with transaction(kept.own) as tx:
        with pytest.raises(PermissionError):
            await kept.vault.keep(tx, CAMILLE, {"name": "Camille"})


async def test_the_list_comes_back_with_the_keys_where_the_other_database_was_put_back(kept: Kept) -> None:
    old = await backup(kept.own, "vault", "forgotten")
    await kept.vault.forget(kept.own, CAMILLE)
    await put_back(kept.own, old)
    await kept.vault.prepare(kept.own)
    assert [r["person"] for r in await kept.own.fetch("SELECT person FROM forgotten")] == [CAMILLE]
    assert await kept.read(CAMILLE) is None


@pytest.mark.parametrize("statement", ["DELETE FROM forgotten", "UPDATE forgotten SET at = now()", "TRUNCATE forgotten"])
async def test_the_list_of_the_forgotten_only_grows(kept: Kept, statement: str) -> None:
    await kept.vault.forget(kept.own, CAMILLE)
    with pytest.raises(asyncpg.ObjectNotInPrerequisiteStateError, match="forgotten only grows"):
        await kept.own.execute(statement)

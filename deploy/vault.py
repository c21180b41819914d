"""`maillon vault`: the keys of people's data and the list of the forgotten, after a restore and before (docs/ops/recovery.md).

The list stands in the service's database and in that of its keys, and each start makes both whole. A copy kept apart from both
(`maillon vault forgotten`) is for the day on which both come back from a back-up.
"""

import os
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import asyncpg
import typer
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from deploy.operate import DryRun, Stack, attempted, run
from deploy.places import Place, Unreachable
from deploy.rebuild import alone
from shared.db import Tx
from shared.vault import Vault, seal, unseal

vault = typer.Typer(no_args_is_help=True, help="Keys of people's data, and who was forgotten.")

KEYS, MASTER, NEW_MASTER = "MAILLON_KEYS_DATABASE_URL", "MAILLON_VAULT_KEY", "MAILLON_VAULT_KEY_NEW"
Service = Annotated[str, typer.Option("--service", help="The service that keeps these people's data.")]


@dataclass(frozen=True, slots=True)
class Both:
    """A service's own database and that of its keys."""

    own: "asyncpg.Pool[asyncpg.Record]"
    keys: "asyncpg.Pool[asyncpg.Record]"


@asynccontextmanager
async def both(place: Place) -> AsyncIterator[Both]:
    """Open both. The keys' tables must have been made by a first start."""
    there = replace(place, told={**place.told, "MAILLON_DATABASE_URL": place.value(KEYS)})
    async with place.database() as own, there.database() as keys:
        yield Both(own, keys)


def key_of(text: str, name: str) -> bytes:
    """Read a master key: 32 bytes in base64."""
    try:
        key = b64decode(text, validate=True)
    except NotBase64:
        key = b""
    if len(key) != 32:
        raise Unreachable(f"{name} must be 32 bytes in base64")
    return key


def act(stack: Path | None, service: str, work: Callable[[Place, Both], Coroutine[Any, Any, int]]) -> None:
    async def opened(found: list[Place]) -> int:
        async with both(found[0]) as pools:
            return await work(found[0], pools)

    run(stack, [service], lambda found: opened(list(found)))


# ── looking ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@vault.command("check")
def check(*, service: Service, stack: Stack = None) -> None:
    """Say whether a key of a forgotten person is there, whether the two lists agree, and whose data nobody can open."""
    act(stack, service, _check)


async def _check(place: Place, pools: Both) -> int:
    listed = {name: set(await forgotten(pool)) for name, pool in (("own", pools.own), ("keys", pools.keys))}
    keys = {row["person"]: row["wrapped"] for row in await pools.keys.fetch("SELECT person, wrapped FROM keys")}
    sealed = {row["person"] for row in await pools.own.fetch("SELECT person FROM vault")}
    everyone = listed["own"] | listed["keys"]
    master = AESGCM(key_of(place.value(MASTER), MASTER))
    wrong = {
        "forgotten people have a key again": len(everyone & keys.keys()),
        "forgotten people stand in one list only": len(listed["own"] ^ listed["keys"]),
        "people's data have no key: it is gone for good, ask them again": len(sealed - keys.keys() - everyone),
        "keys do not open with this MAILLON_VAULT_KEY": sum(
            not opens(master, person, wrapped) for person, wrapped in keys.items()
        ),
    }
    for what, count in wrong.items():
        if count:
            typer.echo(f"{place.service}: {count} {what}")
    typer.echo(f"{place.service}: {len(sealed)} people's data, {len(keys)} keys, {len(everyone)} forgotten")
    return 1 if any(wrong.values()) else 0


def opens(master: AESGCM, person: UUID, wrapped: bytes) -> bool:
    try:
        unseal(master, wrapped, person)
    except InvalidTag:
        return False
    return True


async def forgotten(pool: "asyncpg.Pool[asyncpg.Record]") -> Mapping[UUID, datetime]:
    return {row["person"]: row["at"] for row in await pool.fetch("SELECT person, at FROM forgotten ORDER BY at, person")}


@vault.command("forgotten")
def list_forgotten(*, service: Service, stack: Stack = None) -> None:
    """Print the list of the forgotten, one a line, the oldest first: to be kept apart from the back-ups of both databases."""
    act(stack, service, _list)


async def _list(_: Place, pools: Both) -> int:
    listed = {**await forgotten(pools.own), **await forgotten(pools.keys)}
    for person, at in sorted(listed.items(), key=lambda entry: (entry[1], entry[0])):
        typer.echo(f"{person} {at.isoformat()}")
    return 0


# ── forgetting ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@vault.command("forget")
def forget(
    person: Annotated[UUID, typer.Argument(help="The person's id, as rows and events name them.")],
    *,
    service: Service,
    stack: Stack = None,
) -> None:
    """Forget a person for good: the key goes, and what is sealed with it can be read nowhere any more, back-ups included."""

    async def work(place: Place, pools: Both) -> int:
        known = await pools.own.fetchval("SELECT EXISTS (SELECT FROM vault WHERE person = $1)", person)
        if not known:
            typer.echo(f"{place.service}: nothing is kept of {person}", err=True)
            return 1
        await Vault(pools.keys, key_of(place.value(MASTER), MASTER)).forget(pools.own, person)
        typer.echo(f"{place.service}: forgotten; keep the list apart: `maillon vault forgotten --service {place.service}`")
        return 0

    act(stack, service, work)


@vault.command("replay")
def replay(
    *,
    file: Annotated[
        Path | None, typer.Option("--from", help="The list kept apart, as `maillon vault forgotten` prints it.")
    ] = None,
    service: Service,
    dry_run: DryRun = False,
    stack: Stack = None,
) -> None:
    """Forget again whom a restored back-up brought back: those of either database, and of the list kept apart."""

    async def work(place: Place, pools: Both) -> int:
        return await _replay(place, pools, read(file) if file else {}, dry_run=dry_run)

    act(stack, service, work)


def read(file: Path) -> dict[UUID, datetime]:
    """Read the list kept apart."""
    try:
        lines = file.read_text("utf-8").splitlines()
    except OSError as error:
        raise Unreachable(f"{file}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise Unreachable(f"{file}: is not text; give the list as `maillon vault forgotten` prints it") from None
    found = {}
    for number, line in enumerate(lines, 1):
        person, _, at = line.partition(" ")
        try:
            found[UUID(person)] = datetime.fromisoformat(at)
        except ValueError:
            raise Unreachable(f"{file}: line {number} is not `<person> <moment>`") from None
    return found


async def _replay(place: Place, pools: Both, apart: Mapping[UUID, datetime], *, dry_run: bool) -> int:
    everyone = {**apart, **await forgotten(pools.keys), **await forgotten(pools.own)}
    back = await pools.keys.fetchval("SELECT count(*) FROM keys WHERE person = ANY ($1::uuid[])", list(everyone))
    if not dry_run:
        await pools.own.executemany("INSERT INTO forgotten VALUES ($1, $2) ON CONFLICT DO NOTHING", list(everyone.items()))
        await Vault(pools.keys, key_of(place.value(MASTER), MASTER)).prepare(pools.own)
    typer.echo(f"{place.service}: {back} of {len(everyone)} {'would be' if dry_run else 'were'} forgotten again")
    return 0


# ── another master key ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@vault.command("rekey")
def rekey(*, service: Service, dry_run: DryRun = False, stack: Stack = None) -> None:
    """Wrap every person's key in another master key, that of MAILLON_VAULT_KEY_NEW. All or none; the service must be stopped."""
    act(stack, service, lambda place, pools: _rekey(place, pools, dry_run=dry_run))


async def _rekey(place: Place, pools: Both, *, dry_run: bool) -> int:
    old = AESGCM(key_of(place.value(MASTER), MASTER))
    new = AESGCM(key_of(os.environ.get(NEW_MASTER, ""), NEW_MASTER))

    async def rekeyed(tx: Tx) -> tuple[int, int]:
        rows = await tx.connection.fetch("SELECT person, wrapped FROM keys ORDER BY person FOR UPDATE")
        turned = []
        for person, wrapped in ((row["person"], row["wrapped"]) for row in rows):
            if opens(new, person, wrapped):
                continue
            if not opens(old, person, wrapped):
                raise Unreachable(f"{place.service}: a key opens with neither master key ({person}): nothing was changed")
            turned.append((person, seal(new, unseal(old, wrapped, person), person)))
        await tx.connection.executemany("UPDATE keys SET wrapped = $2 WHERE person = $1", turned)
        return len(turned), len(rows)

    async with alone(pools.own, place.service):
        turned, known = await attempted(pools.keys, rekeyed, dry_run=dry_run)
    would = "would be" if dry_run else "were"
    typer.echo(f"{place.service}: {turned} of {known} keys {would} wrapped anew; now give the service the new {MASTER}")
    return 0

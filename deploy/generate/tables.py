"""`schema.sql` of each service: its tables as Postgres has them after all migrations. For reading; it is never run."""

import asyncio
import os
import re
import shutil
import tempfile
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

import asyncpg

from deploy.local import postgres
from deploy.local.jars import ROOT
from deploy.local.state import Folder
from deploy.local.supervisor import Supervisor
from deploy.topology import SERVICES
from shared.migrate import migrate

HEAD = "-- Generated from the migrations by `python -m deploy.generate`: what Postgres has. For reading; it is never run.\n\n"
NOISE = re.compile(r"^(--.*|SET .*|SELECT pg_catalog\..*|\\.*)\n", re.MULTILINE)


def services() -> list[str]:
    """The services that have tables of their own."""
    return [name for name in SERVICES if (ROOT / "services" / name / "migrations").is_dir()]


def file(service: str) -> Path:
    return ROOT / "services" / service / "schema.sql"


async def tables(address: str, service: str) -> str:
    """Migrate the empty database at `address` for `service`, and write down what it then has."""
    pool = await asyncpg.create_pool(address, min_size=1, max_size=1)
    try:
        await migrate(pool, ROOT / "services" / service / "migrations")
    finally:
        await pool.close()
    parts = urlsplit(address)
    child = await asyncio.create_subprocess_exec(
        str(postgres.binaries() / "pg_dump"),
        "--schema-only",
        "--no-owner",
        "--no-privileges",
        f"--dbname={urlunsplit(parts._replace(netloc=f'{parts.username}@{parts.hostname}:{parts.port}'))}",
        env={**os.environ, "PGPASSWORD": unquote(parts.password or "")},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await child.communicate()
    if child.returncode:
        raise RuntimeError(f"pg_dump: {err.decode().strip()}")
    text = NOISE.sub("", out.decode()).replace("public.", "")
    return HEAD + re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


async def all_tables() -> dict[Path, str]:
    """Every service's, in a database of our own that is there for these seconds only."""
    (ROOT / ".local").mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=ROOT / ".local", prefix="test-tables-"))
    folder.chmod(0o755)  # where we are root, Postgres runs as nobody and must pass
    try:
        with Folder(folder) as state:
            supervisor = Supervisor(folder / "pids")
            try:
                password = state.secrets(words=("postgres",))["postgres"]
                port = state.ports("postgres", "postgres")["postgres"]
                data = folder / "postgres"
                await asyncio.to_thread(postgres.init, data, password=password, log=state.log("initdb"))
                await supervisor.start(postgres.program(data, port=port, log=state.log("postgres")))
                address = postgres.url(port, postgres.SUPERUSER, password, "postgres")
                await postgres.ready(address)
                return {file(name): await _in_fresh_database(address, name) for name in services()}
            finally:
                await supervisor.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _in_fresh_database(address: str, service: str) -> str:
    name, role, password = await postgres.fresh_database(address)
    try:
        return await tables(postgres.with_role(address, role, password, name), service)
    finally:
        await postgres.drop_database(address, name, role)

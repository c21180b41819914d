"""The database's folder: made once, made again when half made, for root and for ordinary users, in public and private places."""

import asyncio
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from deploy.local import postgres
from deploy.local.ports import free_ports
from deploy.local.supervisor import Supervisor
from tests.support.platform import new_folder


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A folder that only its owner may enter, as pytest makes them."""
    tmp_path.chmod(0o700)
    return tmp_path


@pytest.fixture
def public() -> Iterator[Path]:
    made = new_folder("postgres-")
    yield made
    shutil.rmtree(made, ignore_errors=True)


def _close(folder: Path) -> None:
    folder.chmod(0o700)


async def _serve(folder: Path, statement: str) -> object:
    """Makes the folder if need be, runs the server for one statement."""
    data = folder / "postgres"
    await asyncio.to_thread(postgres.init, data, password="secret", log=folder / "initdb.log")
    supervisor = Supervisor(folder / "pids", lambda _: None)
    with free_ports("postgres") as ports:
        address = postgres.url(ports["postgres"], postgres.SUPERUSER, "secret", "postgres")
        try:
            await supervisor.start(postgres.program(data, port=ports["postgres"], log=folder / "log"))
            await postgres.ready(address, seconds=20)
            connection = await asyncpg.connect(address)
            try:
                return await connection.fetchval(statement)
            finally:
                await connection.close()
        finally:
            await supervisor.close()


async def test_it_runs_in_a_private_folder_and_keeps_its_data(private: Path) -> None:
    assert str(await _serve(private, "SHOW server_version")).startswith("18.")
    await _serve(private, "CREATE TABLE kept AS SELECT 42 AS x")
    assert await _serve(private, "SELECT x FROM kept") == 42


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes users")
async def test_root_may_start_it_in_public_then_in_private(public: Path) -> None:
    data = public / "postgres"
    await _serve(public, "CREATE TABLE kept AS SELECT 42 AS x")
    assert data.stat().st_uid == {"nobody": 65534, "namespace": 0}[postgres.identity(data)]
    _close(public)
    assert postgres.identity(data) == "namespace"
    assert await _serve(public, "SELECT x FROM kept") == 42
    assert data.stat().st_uid == 0


async def test_a_folder_that_was_half_made_is_made_again(private: Path) -> None:
    data = private / "postgres"
    data.mkdir()
    (data / "PG_VERSION").write_text("18\n", encoding="ascii")
    assert await _serve(private, "SELECT 1") == 1


async def test_a_failed_initdb_says_why(private: Path) -> None:
    with pytest.raises(RuntimeError, match="initdb ended with"):
        await asyncio.to_thread(postgres.init, private / "postgres", password="", log=private / "initdb.log")


def test_no_password_is_left_behind(private: Path) -> None:
    postgres.init(private / "postgres", password="s3cret-w0rd", log=private / "initdb.log")
    found = [path for path in private.rglob("*") if path.is_file() and b"s3cret-w0rd" in path.read_bytes()]
    assert found == []


async def test_fresh_databases_are_apart(database: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        await connection.execute("CREATE TABLE mine (x int)")
        assert await connection.fetchval("SELECT current_user = current_database()")
        assert await connection.fetchval("SHOW transaction_isolation") == "repeatable read"
    finally:
        await connection.close()

"""A whole stack without services: what is there again after a kill, a second start, a crash of the one who runs it."""

import asyncio
import base64
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest

from deploy.local.jars import ROOT
from deploy.local.platform import ADMIN_PASSWORD, ADMIN_USER, BOOTSTRAP, POSTGRES_URL, from_environment
from deploy.local.processes import started_at
from deploy.local.stack import Stack
from deploy.local.state import FolderTaken
from shared.kafka.admin import Admin
from tests.support.platform import new_folder, until

OWNER = """
import asyncio, sys
from pathlib import Path
from deploy.local.stack import Stack
async def main():
    async with Stack(Path(sys.argv[1]), ()) as stack:
        await stack.ready(30)
        print("up", *stack.pids().values(), flush=True)
        await asyncio.sleep(600)
asyncio.run(main())
"""


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No platform of the environment's."""
    for name in (BOOTSTRAP, ADMIN_USER, ADMIN_PASSWORD, POSTGRES_URL):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def folder(request: pytest.FixtureRequest) -> Iterator[Path]:
    request.getfixturevalue("alone")
    made = new_folder("stack-")
    yield made
    shutil.rmtree(made, ignore_errors=True)


async def _topics(stack: Stack) -> dict[str, int]:
    platform = stack.platform
    async with Admin(platform.kafka_bootstrap, platform.kafka_admin_user, platform.kafka_admin_password) as admin:
        return await admin.topics()


async def test_two_stacks_side_by_side(two_stacks: tuple[Stack, Stack]) -> None:
    one, other = two_stacks
    await asyncio.gather(one.ready(20), other.ready(20))
    assert one.origin != other.origin
    assert not set(one.pids().values()) & set(other.pids().values())
    assert not set(one.secrets.values()) & set(other.secrets.values())
    assert len(await _topics(one)) >= 106
    connection = await asyncpg.connect(one.database_url("intake"))
    await connection.execute("CREATE TABLE here (x int)")
    elsewhere = await asyncpg.connect(other.database_url("intake"))
    assert await elsewhere.fetchval("SELECT to_regclass('here')") is None
    await connection.execute("DROP TABLE here")
    await asyncio.gather(connection.close(), elsewhere.close())


@pytest.mark.usefixtures("alone")
async def test_a_folder_in_use_is_refused(stack: Stack) -> None:
    with pytest.raises(FolderTaken):
        async with Stack(stack.folder, ()):
            pass


@pytest.mark.parametrize("name", ["kafka", "postgres", "gateway"])
async def test_what_is_killed_comes_back(two_stacks: tuple[Stack, Stack], name: str) -> None:
    stack = two_stacks[1]
    before = await _topics(stack)
    killed = stack.kill(name)
    await until(lambda: stack.pids().get(name, killed) != killed, 20)
    await stack.ready(20)
    assert await _topics(stack) == before


async def test_what_is_frozen_is_silent_until_thawed(two_stacks: tuple[Stack, Stack]) -> None:
    stack = two_stacks[1]
    pid = stack.freeze("gateway")
    with suppress(TimeoutError):
        await stack.ready(0.5)  # a thread on another core may still answer once after the signal is sent
    with pytest.raises(TimeoutError, match="no answer from: gateway"):
        await stack.ready(0.5)
    assert stack.thaw("gateway") == pid
    await stack.ready(10)


async def test_a_program_beside_the_services(two_stacks: tuple[Stack, Stack]) -> None:
    stack = two_stacks[1]
    code = "import os, time; print(os.environ['GREETING'], flush=True); time.sleep(600)"
    log = stack.folder / "logs" / "probe.log"
    await stack.start_program("probe", [sys.executable, "-c", code], {"GREETING": "hello"})
    await _until_says(log, "hello")
    await stack.restart("probe", {"GREETING": "again"})
    await _until_says(log, "again")
    await stack.stop("probe")
    assert "probe" not in stack.pids()


async def _until_says(log: Path, word: str) -> None:
    await until(lambda: log.exists() and word in log.read_text(encoding="utf-8"))


def test_what_a_service_is_told(two_stacks: tuple[Stack, Stack]) -> None:
    stack = two_stacks[1]
    intake, certs = stack.env("intake"), stack.env("certs")
    assert set(intake) - set(certs) == {"MAILLON_KEYS_DATABASE_URL", "MAILLON_VAULT_KEY"}
    assert len(base64.b64decode(intake["MAILLON_VAULT_KEY"])) == 32
    assert intake["MAILLON_SESSION_SECRET"] == certs["MAILLON_SESSION_SECRET"]
    assert (intake["MAILLON_CELLS"], certs["MAILLON_CELLS"]) == ("*", "ares")
    assert intake["MAILLON_KAFKA_USER"] == intake["MAILLON_SERVICE"] == "intake"
    assert intake["MAILLON_PUBLIC_URL"] == stack.origin
    assert intake["MAILLON_DATA_DIR"] == str(stack.folder / "data" / "intake")
    assert not any("ADMIN" in name for name in {**intake, **certs})


async def test_killed_in_the_middle_it_cleans_up_and_finds_its_data_again(folder: Path) -> None:
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OWNER, str(folder), cwd=ROOT, env=dict(os.environ), stdout=asyncio.subprocess.PIPE
    )
    assert owner.stdout is not None
    pids: list[int] = []
    async for line in owner.stdout:
        if line.startswith(b"up"):
            pids = [int(pid) for pid in line.split()[1:]]
            break
    assert len(pids) == 3
    owner.send_signal(signal.SIGKILL)
    await owner.wait()
    said: list[str] = []
    async with Stack(folder, (), say=said.append) as stack:
        assert all(started_at(pid) is None for pid in pids)
        await stack.ready(30)
        assert len(await _topics(stack)) == 106
        assert not any("changes" in line for line in said), "the second start has nothing to make"
    assert stack.pids() == {}


@pytest.mark.usefixtures("alone")
def test_half_a_platform_in_the_environment_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    assert from_environment() is None
    monkeypatch.setenv(BOOTSTRAP, "127.0.0.1:1")
    with pytest.raises(RuntimeError, match=f"missing: {ADMIN_USER}, {ADMIN_PASSWORD}, {POSTGRES_URL}"):
        from_environment()

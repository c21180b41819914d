"""Killed anywhere, frozen, or doubled: what was told has its effect once, and what was made is sent."""

import asyncio
import resource
import signal
from pathlib import Path

import asyncpg
import pytest

from shared import crash
from shared.settings import Settings
from tests.shared.ledger import Ledger
from tests.support.process import process, with_values
from tests.support.service import Ground, free_port


@pytest.mark.parametrize("point", crash.POINTS)
async def test_killed_at_a_named_moment_it_goes_on_as_if_nothing_had_been(
    settings: Settings, ground: Ground, tmp_path: Path, point: str
) -> None:
    ledger = Ledger(ground, settings.database_url.get_secret_value(), careless=True)
    flag = tmp_path / "crashed"
    async with process("tests.shared", settings, tmp_path / "log", start=False) as service:
        await service.start(MAILLON_CRASH_AT=f"{point}:2:{flag}")
        await service.ready()
        for turn in range(6):
            await ledger.tell(50, seed=turn)
            await asyncio.sleep(0.1)
        assert await service.ended() == -signal.SIGKILL
        assert flag.exists()
        assert await ledger.read() == await ledger.dealt_with()
        await service.start()
        await ledger.settled()
        await ledger.judge()


async def test_two_owners_of_the_same_cells_and_a_frozen_one_do_each_thing_once(
    settings: Settings, ground: Ground, tmp_path: Path
) -> None:
    """A zombie and its successor (same group, other replica), and a third that was frozen in the middle and wakes up late."""
    ledger = Ledger(ground, settings.database_url.get_secret_value())
    second = with_values(settings, replica="1", http_port=free_port())
    third = with_values(settings, replica="2", http_port=free_port())
    async with (
        process("tests.shared", settings, tmp_path / "log0") as a,
        process("tests.shared", second, tmp_path / "log1") as b,
        process("tests.shared", third, tmp_path / "log2") as c,
    ):
        await asyncio.gather(a.ready(), b.ready(), c.ready())
        for turn in range(10):
            await ledger.tell(100, seed=turn)
            if turn == 3:
                a.signal(signal.SIGSTOP)
            if turn == 5:
                await b.kill()
            if turn == 6:
                await b.start()
            await asyncio.sleep(0.2)
        a.signal(signal.SIGCONT)
        await ledger.settled(60)
        await ledger.judge()


async def test_a_full_disk_under_its_log_stops_nothing(settings: Settings, ground: Ground, tmp_path: Path) -> None:
    """No file of the process may grow while its relay loses its session, which it would log; then the disk has room again."""
    ledger = Ledger(ground, settings.database_url.get_secret_value())
    async with process("tests.shared", settings, tmp_path / "log") as service:
        await service.ready()
        resource.prlimit(service.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
        connection = await asyncpg.connect(ledger.url, timeout=5)
        try:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_user AND pid <> pg_backend_pid()"
            )
        finally:
            await connection.close()
        await asyncio.sleep(1)
        resource.prlimit(service.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        await ledger.tell(50, seed=1)
        await ledger.settled()
        await ledger.judge()

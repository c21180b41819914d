import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from deploy.local.processes import Program, Records, signal_group, started_at
from deploy.local.supervisor import Supervisor
from tests.support.platform import until

ROOT = Path(__file__).parents[2]
SLEEP = "import time; time.sleep(600)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
PARENT = """
import subprocess, sys, time
deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(600)
"""
TIMED = """
import signal, sys, time
def end(*_):
    print(time.time(), flush=True)
    sys.exit()
signal.signal(signal.SIGTERM, end)
print("on", flush=True)
time.sleep(600)
"""
# A supervisor of its own process, to be killed from outside.
OWNER = """
import asyncio, sys
from pathlib import Path
from deploy.local.processes import Program
from deploy.local.supervisor import Supervisor
async def main():
    folder = Path(sys.argv[1])
    supervisor = Supervisor(folder / "pids")
    for name in ("a", "b"):
        argv = (sys.executable, "-c", "import time; time.sleep(600)")
        await supervisor.start(Program(name=name, argv=argv, log=folder / f"{name}.log"))
    print("begun", flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


def _program(folder: Path, name: str, code: str = SLEEP, *, wave: int = 0, stop_seconds: float = 5) -> Program:
    argv = (sys.executable, "-c", code)
    return Program(name=name, argv=argv, log=folder / f"{name}.log", wave=wave, stop_seconds=stop_seconds)


async def test_a_killed_child_comes_back(tmp_path: Path) -> None:
    said: list[str] = []
    supervisor = Supervisor(tmp_path / "pids", said.append)
    first = await supervisor.start(_program(tmp_path, "child"))
    try:
        assert supervisor.kill("child") == first
        await until(lambda: supervisor.pids().get("child", first) != first)
        assert started_at(first) is None
        assert said == [f"child ended (-9), starts again (see {tmp_path / 'child.log'})"]
    finally:
        await supervisor.close()


async def test_what_a_child_writes_is_nobody_elses_to_read(tmp_path: Path) -> None:
    """Logs, the broker's topics, originals of reports with their operators' names."""
    supervisor = Supervisor(tmp_path / "pids", lambda _: None)
    left = tmp_path / "left"
    code = f"import pathlib, time; pathlib.Path({str(left)!r}).write_text('x'); print('on', flush=True); time.sleep(600)"
    await supervisor.start(_program(tmp_path, "child", code))
    try:
        await until(lambda: "on" in (tmp_path / "child.log").read_text())
        assert [f"{path.stat().st_mode & 0o777:o}" for path in (left, tmp_path / "child.log")] == ["600", "600"]
    finally:
        await supervisor.close()


async def test_one_that_keeps_dying_is_begun_ever_more_slowly(tmp_path: Path) -> None:
    said: list[str] = []
    supervisor = Supervisor(tmp_path / "pids", said.append)
    await supervisor.start(_program(tmp_path, "child", "raise SystemExit(3)"))
    await asyncio.sleep(2)
    await supervisor.close()
    assert 2 <= len(said) <= 5
    assert "child ended (3)" in said[0]


async def test_stopping_ends_the_deaf_and_the_frozen_too(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path / "pids", lambda _: None)
    deaf = await supervisor.start(_program(tmp_path, "deaf", DEAF, stop_seconds=0.3))
    frozen = await supervisor.start(_program(tmp_path, "frozen"))
    await until(lambda: "deaf" in (tmp_path / "deaf.log").read_text())
    supervisor.freeze("frozen")
    await supervisor.close()
    assert started_at(deaf) is None
    assert started_at(frozen) is None
    assert list((tmp_path / "pids").iterdir()) == []


async def test_what_a_child_began_ends_with_it(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path / "pids", lambda _: None)
    await supervisor.start(_program(tmp_path, "parent", PARENT))
    await until(lambda: (tmp_path / "parent.log").read_text().endswith("\n"))
    grandchild = int((tmp_path / "parent.log").read_text())
    assert started_at(grandchild) is not None
    await supervisor.close()
    await until(lambda: started_at(grandchild) is None)


async def test_the_last_wave_is_stopped_first(tmp_path: Path) -> None:
    names = ("broker", "service", "gateway")
    supervisor = Supervisor(tmp_path / "pids", lambda _: None)
    for wave, name in enumerate(names):
        await supervisor.start(_program(tmp_path, name, TIMED, wave=wave))
    await until(lambda: all("on" in (tmp_path / f"{name}.log").read_text() for name in names))
    await supervisor.close()
    ended = {name: float((tmp_path / f"{name}.log").read_text().split()[-1]) for name in names}
    assert sorted(names, key=ended.__getitem__) == ["gateway", "service", "broker"]


async def test_a_program_that_cannot_be_begun_says_so(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path / "pids", lambda _: None)
    with pytest.raises(FileNotFoundError):
        await supervisor.start(Program(name="none", argv=(str(tmp_path / "none"),), log=tmp_path / "log"))
    await supervisor.close()


async def _owner(folder: Path) -> tuple[asyncio.subprocess.Process, dict[str, int]]:
    """A process that supervises two children; answers it and their pids."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OWNER, str(folder), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"begun\n"
    return process, {path.name: json.loads(path.read_text())["pid"] for path in (folder / "pids").iterdir()}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the next start cleans up")
async def test_nothing_survives_the_supervisors_own_death(tmp_path: Path) -> None:
    owner, pids = await _owner(tmp_path)
    assert len(pids) == 2
    owner.kill()
    await owner.wait()
    await until(lambda: all(started_at(pid) is None for pid in pids.values()))


async def test_the_next_start_ends_what_was_left(tmp_path: Path) -> None:
    left = await asyncio.create_subprocess_exec(sys.executable, "-c", SLEEP, start_new_session=True)
    Records(tmp_path / "pids").add("left", left.pid)
    said: list[str] = []
    Supervisor(tmp_path / "pids", said.append)
    assert await asyncio.wait_for(left.wait(), 5) == -signal.SIGKILL
    assert said == ["left: left over from a killed run, ended"]


async def test_another_process_with_the_same_number_is_left_alone(tmp_path: Path) -> None:
    stranger = await asyncio.create_subprocess_exec(sys.executable, "-c", SLEEP, start_new_session=True)
    try:
        folder = tmp_path / "pids"
        folder.mkdir()
        (folder / "kafka").write_text(json.dumps({"pid": stranger.pid, "started": "another moment"}))
        said: list[str] = []
        Supervisor(folder, said.append)
        assert said == []
        assert started_at(stranger.pid) is not None
        assert list(folder.iterdir()) == []
    finally:
        signal_group(stranger.pid, signal.SIGKILL)
        await stranger.wait()


def test_a_process_is_known_by_its_start(tmp_path: Path) -> None:
    assert started_at(os.getpid()) == started_at(os.getpid())
    assert started_at(os.getpid()) != started_at(1)
    assert Records(tmp_path).clean() == []

"""Child processes that never outlive us: how they are begun, known again after a crash, and ended.

A pid alone may by now be another's, so a process is remembered as pid and moment of start. On Linux a child also dies with the
process that began it; elsewhere the record is what the next start cleans up by.
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

NOBODY = 65534
_PR_SET_PDEATHSIG, _CLONE_NEWUSER = 1, 0x10000000
Identity = Literal["ours", "nobody", "namespace"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One thing to keep running. Programs of a higher wave are stopped before those of a lower one."""

    name: str
    argv: tuple[str, ...]
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path = Path("/")
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10.0
    wave: int = 0
    identity: Identity = "ours"


def unprivileged(*needed: Path) -> Identity:
    """As whom a program runs that refuses root and needs these folders: as nobody, where nobody may pass."""
    if os.geteuid() != 0:
        return "ours"
    folders = {folder for path in needed for folder in path.resolve().parents}
    return "nobody" if all(folder.stat().st_mode & 0o001 for folder in folders) else "namespace"


def _become_ordinary(uid: int = 1000) -> None:
    """Root with another number in a user namespace of its own: passes through root's private folders, has no rights beyond."""
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "no user namespace: put the project where everybody may pass, or do not run as root")
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"{uid} 0 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"{uid} 0 1", encoding="ascii")


def before_exec(identity: Identity) -> Callable[[], None]:
    """What the child does between fork and exec: the library is loaded here, since a fresh fork should only call."""
    parent = os.getpid()
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None

    def prepare() -> None:
        os.umask(0o077)  # what it writes is nobody else's to read
        if identity == "namespace":
            _become_ordinary()
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # after any change of user, which would clear it
            if os.getppid() != parent:
                os._exit(1)

    return prepare


def switch(identity: Identity) -> dict[str, Any]:
    """Arguments for subprocess that change the user where that is how it is done."""
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if identity == "nobody" else {}


def run_once(argv: tuple[str, ...], *, env: Mapping[str, str], log: Path, identity: Identity = "ours") -> None:
    """Runs a command to its end; its words go to `log`. Raises RuntimeError with the last lines when it fails."""
    with log.open("ab") as out:
        done = subprocess.run(
            argv,
            cwd="/",
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            timeout=120,
            check=False,
            preexec_fn=before_exec(identity),
            **switch(identity),
        )
    if done.returncode != 0:
        tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
        raise RuntimeError(f"{Path(argv[0]).name} ended with {done.returncode}:\n" + "\n".join(tail))


def started_at(pid: int) -> str | None:
    """A word that is this process's alone, now and after a restart of the machine; None when there is no such process."""
    if sys.platform == "linux":
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        except OSError:
            return None
        return None if fields[0] == "Z" else f"{boot} {fields[19]}"
    answer = subprocess.run(("/bin/ps", "-o", "lstart=", "-p", str(pid)), capture_output=True, text=True, check=False)
    return answer.stdout.strip() or None


def signal_group(pid: int, number: signal.Signals) -> None:
    """To the whole group that a child leads. One that is gone needs no signal."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return


class Records:
    """Who was begun, a small file each, so that the next start can end what a killed one left."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, name: str, pid: int) -> None:
        (self._folder / name).write_text(json.dumps({"pid": pid, "started": started_at(pid)}), encoding="utf-8")

    def remove(self, name: str) -> None:
        (self._folder / name).unlink(missing_ok=True)

    def clean(self) -> list[str]:
        """Ends what a former run left alive; answers the names."""
        left = []
        for path in sorted(self._folder.iterdir()):
            record = json.loads(path.read_text(encoding="utf-8") or "{}")
            pid, started = record.get("pid"), record.get("started")
            if pid and started and started_at(pid) == started:
                signal_group(pid, signal.SIGCONT)
                signal_group(pid, signal.SIGKILL)
                _wait_gone(pid, started)
                left.append(path.name)
            path.unlink()
        return left


def _wait_gone(pid: int, started: str, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while started_at(pid) == started and time.monotonic() < deadline:
        time.sleep(0.02)

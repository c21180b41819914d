"""Ports that no other stack on this machine takes, kept from one start to the next.

They lie below the range from which the system gives client connections theirs: a port of a service that is down for a moment must
not be taken by a passing client. A lock file per port, held for as long as the stack runs, keeps two stacks apart.
"""

import fcntl
import json
import os
import secrets
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self

LOWEST, HIGHEST = 20_000, 32_000


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether nobody listens there; a port that only waits out old connections counts as free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


class Ports:
    """Name -> port, held until `close`."""

    def __init__(self) -> None:
        self._held: dict[str, int] = {}
        self._locks: list[IO[str]] = []
        self._folder = Path(tempfile.gettempdir()) / f"maillon-ports-{os.getuid()}"
        self._folder.mkdir(mode=0o700, exist_ok=True)

    def __getitem__(self, name: str) -> int:
        return self._held[name]

    def as_dict(self) -> dict[str, int]:
        return dict(self._held)

    def hold(self, name: str, wanted: int | None = None) -> int:
        """The wanted port when it is still free, else another."""
        choices = ([wanted] if wanted else []) + [LOWEST + secrets.randbelow(HIGHEST - LOWEST) for _ in range(200)]
        for port in choices:
            lock = (self._folder / str(port)).open("w")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
                continue
            if is_free(port):
                self._locks.append(lock)
                self._held[name] = port
                return port
            lock.close()
        raise RuntimeError(f"no free port between {LOWEST} and {HIGHEST}")

    def close(self) -> None:
        for lock in self._locks:
            lock.close()
        self._locks.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def free_ports(*names: str, wanted: Mapping[str, int] | None = None) -> Ports:
    """One port for each name."""
    ports = Ports()
    for name in names:
        ports.hold(name, (wanted or {}).get(name))
    return ports


def kept_ports(file: Path, *names: str, preferred: Mapping[str, int] | None = None) -> Ports:
    """Those of the last start where still free; `preferred` counts for the first start only."""
    last = json.loads(file.read_text(encoding="utf-8")) if file.exists() else dict(preferred or {})
    ports = free_ports(*names, wanted=last)
    file.write_text(json.dumps(ports.as_dict()), encoding="utf-8")
    return ports

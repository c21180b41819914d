"""What one stack keeps in its folder: the lock that makes it the only one there, secrets, ports."""

import fcntl
import json
import os
import secrets
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Self

from deploy.local.ports import Ports, kept_ports


class FolderTaken(Exception):
    """Another stack runs in this folder."""


class Folder:
    """`with Folder(path) as state`: ours alone until the end, also when we are killed (the lock goes with the process)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: IO[str] | None = None
        self._ports: list[Ports] = []

    def __enter__(self) -> Self:
        self.path.mkdir(parents=True, exist_ok=True)
        lock = (self.path / "lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            owner = lock.read().strip() or "?"
            lock.close()
            raise FolderTaken(f"{self.path}: another stack runs here (process {owner})") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock
        return self

    def __exit__(self, *_: object) -> None:
        for ports in self._ports:
            ports.close()
        if self._lock is not None:
            self._lock.close()

    def log(self, name: str) -> Path:
        logs = self.path / "logs"
        logs.mkdir(exist_ok=True)
        return logs / f"{name}.log"

    def ports(self, group: str, *names: str, preferred: Mapping[str, int] | None = None) -> Ports:
        """Ports under these names, the same at each start while they are free."""
        ports = kept_ports(self.path / f"ports-{group}.json", *names, preferred=preferred)
        self._ports.append(ports)
        return ports

    def write_private(self, name: str, text: str) -> None:
        """Whole or not at all, readable by us only."""
        path = self.path / name
        path.parent.mkdir(exist_ok=True)
        draft = path.with_name(f".{path.name}.new")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        draft.replace(path)

    def secrets(self, words: tuple[str, ...] = (), keys: tuple[str, ...] = ()) -> dict[str, str]:
        """One word per name and 32 random bytes (base64) per key, made when first asked for, kept ever after."""
        path = self.path / "secrets.json"
        known: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        made = {name: secrets.token_urlsafe(24).replace("-", "m").replace("_", "n") for name in words if name not in known}
        made |= {name: b64encode(secrets.token_bytes(32)).decode() for name in keys if name not in known}
        if made:
            known |= made
            self.write_private("secrets.json", json.dumps(known, indent=1))
        return known

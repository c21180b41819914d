"""The evidence store: originals as they came, each under its SHA-256. What is there never changes, so reading it twice is the same.

A folder on this machine holds each original before anything is said about it. Where an archive is set (`refurb_evidence_url`: any
S3-compatible store), a copy goes there a moment later, and what another machine took in comes from there. The archive may be away for
as long as it likes: what waits for it is marked, and nothing stands still meanwhile.
"""

import asyncio
import hashlib
import os
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from services.refurb.store.archive import Archive, StoreAway, place
from services.refurb.store.journal import Journal, sync_folder
from shared.errors import Outage

ALONE = 256 * 1024
"""Bytes from which on an original is synced by itself."""
FORGOTTEN_S = 3_600
"""A mark without its original for so long is of a process that died between the two."""


@dataclass(slots=True)
class Evidence:
    """A folder: `ab/ab12…`. Personal names in originals never leave the store; events carry the hash and what was read."""

    folder: Path
    archive: Archive | None = None
    aside: dict[str, bytes] = field(default_factory=dict, init=False)
    """What is not on the disk yet."""
    one_by_one: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    guard: threading.Lock = field(default_factory=threading.Lock, init=False)
    journal: Journal | None = field(default=None, init=False)

    def path(self, sha256: str) -> Path:
        return self.folder / place(sha256)

    @property
    def marks(self) -> Path:
        """A file for each original that the archive does not have yet."""
        return self.folder / "to-archive"

    def keep(self, data: bytes) -> str:
        """Set an original aside and give its hash. It is on the disk after `settle`: nothing may be said about it before."""
        sha256 = hashlib.sha256(data).hexdigest()
        self.opened()
        if not self.path(sha256).exists():
            self.aside[sha256] = data
        return sha256

    async def kept(self, data: bytes) -> str:
        """Store an original now. What waits goes first, so that a disk that takes nothing leaves no more in memory."""
        await self.settle()
        sha256 = self.keep(data)
        await self.settle()
        return sha256

    async def settle(self) -> None:
        """Bring to the disk all that was set aside. Raises StoreAway when the disk does not take it; it stays aside then."""
        if self.aside:
            async with self.one_by_one:
                try:
                    await asyncio.to_thread(self.write, dict(self.aside))
                except OSError as error:
                    raise StoreAway("evidence_disk", cause=type(error).__name__) from error

    def write(self, originals: Mapping[str, bytes]) -> None:
        """Write originals, durably: each whole or not at all. A large one is synced itself: it would fill the journal."""
        small = {sha256: data for sha256, data in originals.items() if len(data) < ALONE}
        with self.guard:
            journal = self.opened_journal()
            if small:
                journal.append(small)
            for sha256, data in originals.items():
                self.named(sha256, data, synced=sha256 not in small)
                self.aside.pop(sha256, None)
            journal.written()

    def opened(self) -> None:
        """At the first use: what processes that died here had in their journals comes first."""
        if self.journal is None:
            self.write({})

    def opened_journal(self) -> Journal:
        if self.journal is None:
            journal = Journal(self.folder / "journal")
            for left in journal.left_behind():
                for sha256, data in left:
                    self.named(sha256, data)
            self.journal = journal
        return self.journal

    def close(self) -> None:
        """Leave the journal to whoever comes next. Keeping another original opens one again."""
        with self.guard:
            if self.journal is not None:
                self.journal.close()

    def named(self, sha256: str, data: bytes, *, synced: bool = False) -> None:
        """Write one under its name, to be brought to the archive: durable by the journal, unless it is `synced`."""
        if self.archive is not None:  # first, so that none is kept and forgotten
            self.marks.mkdir(parents=True, exist_ok=True)
            (self.marks / sha256).touch()
        whole(self.path(sha256), data, synced=synced)

    def fetch(self, sha256: str) -> bytes | None:
        """Give an original; None when there is none. Raises Outage when what is there is not what was stored, or the archive is away."""
        self.opened()
        path = self.path(sha256)
        data = self.aside.get(sha256)
        try:
            data = data or path.read_bytes()
        except FileNotFoundError:
            if self.archive is None or (data := self.archive.get(sha256)) is None:
                return None
            if hashlib.sha256(data).hexdigest() == sha256:
                whole(path, data)
        if hashlib.sha256(data).hexdigest() != sha256:
            raise Outage("evidence_damaged", sha256=sha256)
        return data

    def to_archive(self) -> Iterator[str]:
        """Hashes of the originals that the archive does not have yet."""
        if self.marks.exists():
            yield from (mark.name for mark in sorted(self.marks.iterdir()))

    def archived(self, sha256: str) -> bool:
        """Bring one to the archive. Returns False when it is not here to be brought. Raises StoreAway while it is away."""
        mark = self.marks / sha256
        try:
            data = self.path(sha256).read_bytes()
        except FileNotFoundError:
            if time.time() - mark.stat().st_mtime > FORGOTTEN_S:
                mark.unlink(missing_ok=True)
            return False
        if self.archive is None or hashlib.sha256(data).hexdigest() != sha256:
            return False
        self.archive.put(sha256, data)
        mark.unlink(missing_ok=True)
        return True


def whole(path: Path, data: bytes, *, synced: bool = False) -> None:
    """Write a file that is there whole or not at all; `synced`: on the disk when this returns, its name too."""
    part = f"{path.parent}/.{uuid4().hex}.part"
    try:
        try:
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(handle, left) :]
            if synced:
                os.fsync(handle)
        finally:
            os.close(handle)
        os.replace(part, path)  # noqa: PTH105 a path object for each costs as much as the call
        if synced:
            sync_folder(path.parent)
    except OSError:
        Path(part).unlink(missing_ok=True)
        raise

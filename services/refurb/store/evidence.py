"""The evidence store: originals as they came, each under its SHA-256. What is there never changes, so reading it twice is the same.

A folder on this machine holds each original before anything is said about it: a small one in a pack, a large one in a file of its own.
Where an archive is set (`refurb_evidence_url`: any S3-compatible store), a copy goes there a moment later, and what another machine took
in comes from there. The archive may be away for as long as it likes: what waits for it is marked, and nothing stands still meanwhile.
"""

import asyncio
import hashlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from services.refurb.store.archive import Archive, StoreAway, place
from services.refurb.store.index import Index
from services.refurb.store.packs import ALONE, Pack, Place, Unread, entries, read, sync_folder
from shared.errors import Outage
from shared.log import log


@dataclass(slots=True)
class Evidence:
    """A folder: `packs`, `ab/ab12…`, `index.sqlite`. Personal names in originals never leave it; events carry a hash and what was read."""

    folder: Path
    archive: Archive | None = None
    index_at: Path | None = None
    """Where its index is, if not in the folder."""
    aside: dict[str, bytes] = field(default_factory=dict, init=False)
    """What is not on the disk yet."""
    one_by_one: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    guard: threading.Lock = field(default_factory=threading.Lock, init=False)
    pack: Pack = field(init=False)
    index: Index = field(init=False)

    def __post_init__(self) -> None:
        self.pack = Pack(self.folder / "packs")
        self.index = Index(self.index_at or self.folder / "index.sqlite", archives=self.archive is not None)

    def path(self, sha256: str) -> Path:
        """Where a large original is."""
        return self.folder / place(sha256)

    def keep(self, data: bytes) -> str:
        """Set an original aside and give its hash. It is on the disk after `settle`: nothing may be said about it before."""
        sha256 = hashlib.sha256(data).hexdigest()
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
                await asyncio.to_thread(self.write, dict(self.aside))

    def write(self, originals: Mapping[str, bytes]) -> None:
        """Write originals that are not there yet, durably: all of them, or none is spoken of. Raises StoreAway."""
        with self.guard, telling():
            index = self.ready()
            self.written({sha256: data for sha256, data in originals.items() if index.find(sha256) is None}, waits=True)
        for sha256 in originals:
            self.aside.pop(sha256, None)

    def written(self, originals: Mapping[str, bytes], *, waits: bool) -> None:
        """Write them, then note where they are: one that is nowhere noted was never spoken of, and its sender repeats it."""
        small = {sha256: data for sha256, data in originals.items() if len(data) < ALONE}
        places = {sha256: Place("", 0, len(data)) for sha256, data in originals.items() if sha256 not in small}
        for sha256 in places:
            whole(self.path(sha256), originals[sha256])
        before = self.pack.size
        try:
            if small:
                places |= self.pack.append(small)
            if places:
                self.index.add(places, waits=waits)
        except BaseException:
            if small:
                self.pack.take_back(before)
            raise

    def ready(self) -> Index:
        """The index, made of what is in the folder where there is none. Raises StoreAway."""
        with telling():
            self.index.open(self.found(say_unread))
        return self.index

    def found(self, unread: Callable[[Unread], None]) -> Iterator[tuple[str, Place]]:
        """What is in the folder, told from the files alone; `unread` is told of stretches of packs that hold no original as it came."""
        for pack in sorted((self.folder / "packs").glob("*.pack")):
            yield from entries(pack, unread)
        for path in sorted(self.folder.glob("[0-9a-f][0-9a-f]/*")):
            if len(path.name) == 64 and path.name.startswith(path.parent.name):
                yield path.name, Place("", 0, path.stat().st_size)

    def close(self) -> None:
        """Leave the folder. Keeping another original opens it again."""
        with self.guard:
            self.pack.close()
            self.index.close()

    def here(self, sha256: str) -> tuple[bool, bytes | None]:
        """Tell whether an original should be in the folder, and give it where it is there as it came. Raises StoreAway."""
        if (data := self.aside.get(sha256)) is not None:
            return True, data
        with telling():
            where = self.ready().find(sha256)
        if where is None:
            return False, None
        try:
            data = read(self.folder / "packs", where) if where.pack else self.path(sha256).read_bytes()
        except FileNotFoundError:
            return True, None
        return True, data if hashlib.sha256(data).hexdigest() == sha256 else None

    def fetch(self, sha256: str) -> bytes | None:
        """Give an original; None when there is none. Raises Outage when what is there is not what was stored, or the archive is away."""
        noted, data = self.here(sha256)
        if data is None and self.archive is not None and (data := self.archive.get(sha256)) is not None:
            if hashlib.sha256(data).hexdigest() != sha256:
                raise Outage("evidence_damaged", sha256=sha256)
            with self.guard, telling():
                self.written({sha256: data}, waits=False)
        if data is None and noted:
            raise Outage("evidence_damaged", sha256=sha256)
        return data

    def to_archive(self) -> Iterator[str]:
        """Hashes of the originals that the archive does not have yet."""
        with telling():
            yield from self.ready().every(waiting=True)

    def archived(self, sha256: str) -> bool:
        """Bring one to the archive. Returns False when it is not here as it came. Raises StoreAway while it is away."""
        _, data = self.here(sha256)
        if self.archive is None or data is None:
            return False
        self.archive.put(sha256, data)
        with telling():
            self.index.archived(sha256)
        return True

    def damaged(self) -> Iterator[tuple[str, bool]]:
        """Read every original that should be here, and tell of each whether it is damaged or missing."""
        with telling():
            for sha256 in self.ready().every():
                yield sha256, self.here(sha256)[1] is None


def say_unread(found: Unread) -> None:
    """Say what an index that is made again leaves out."""
    where = {"pack": found.pack, "start": found.start, "bytes": found.length, "sha256": found.sha256}
    if found.unfinished:
        log.info("evidence_unfinished", **where)
    else:
        log.error("evidence_unread", **where, do="restore this pack from a back-up, or have what is missing sent again")


@contextmanager
def telling() -> Iterator[None]:
    """Say that the disk is away in place of what it raised."""
    try:
        yield
    except StoreAway:
        raise
    except (OSError, sqlite3.Error) as error:
        raise StoreAway("evidence_disk", cause=type(error).__name__) from error


def whole(path: Path, data: bytes) -> None:
    """Write a file that is there whole or not at all: on the disk when this returns, its name too."""
    part = path.parent / f".{uuid4().hex}.part"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(handle, left) :]
            os.fsync(handle)
        finally:
            os.close(handle)
        part.replace(path)
        sync_folder(path.parent)
    except OSError:
        part.unlink(missing_ok=True)
        raise

"""Packs: many originals in one file, one after another, so that a batch of them costs one write and one sync.

A file for each original costs most of what is done about a small one. A pack only ever grows, at its end, by the process that began it,
so a copy of it at any moment is a good one. An entry: SHA-256 (32 bytes), length (8 bytes, big-endian), the original. What the packs hold
can be told from them alone: the index (`index.py`) is made again when it is lost.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

HEAD = 40
"""Bytes before an original."""
FULL = 256 * 1024 * 1024
"""Bytes from which on another pack is begun."""


class Place(NamedTuple):
    """Where an original is: a pack (empty: a file of its own), and there from which byte on, how many."""

    pack: str
    start: int
    length: int


@dataclass(slots=True)
class Pack:
    """The pack that this process writes, in a folder that others may share. Not for several threads at once."""

    folder: Path
    full: int = FULL
    path: Path | None = field(default=None, init=False)
    handle: int = field(default=-1, init=False)
    size: int = field(default=0, init=False)

    def append(self, originals: Mapping[str, bytes]) -> dict[str, Place]:
        """Make them durable, by their SHA-256, and give their places. Raises OSError when the disk takes them not: then none is."""
        if self.path is None or self.size >= self.full:
            self.close()
            self.open()
        assert self.path is not None  # noqa: S101 just opened
        places, parts, end = dict[str, Place](), list[bytes](), self.size
        for sha256, data in originals.items():
            parts += (bytes.fromhex(sha256), len(data).to_bytes(8, "big"), data)
            places[sha256] = Place(self.path.name, end + HEAD, len(data))
            end += HEAD + len(data)
        left = memoryview(b"".join(parts))
        while left:
            left = left[os.write(self.handle, left) :]
        os.fsync(self.handle)
        self.size = end
        return places

    def take_back(self, size: int) -> None:
        """Leave this pack as it was at a size, for good: what did not reach the disk whole is never appended to."""
        if self.path is not None:
            with suppress(OSError):
                os.ftruncate(self.handle, size)
            self.close()

    def close(self) -> None:
        """Leave it. Another is begun when there is something to keep."""
        if self.path is not None:
            os.close(self.handle)
            self.path, self.size = None, 0

    def open(self) -> None:
        """Begin a pack, and make its name durable."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{uuid4().hex}.pack"
        self.handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        self.path = path
        sync_folder(self.folder)


def read(folder: Path, place: Place) -> bytes:
    """Read one, as it stands there. Raises OSError."""
    with (folder / place.pack).open("rb", buffering=0) as file:
        file.seek(place.start)
        return file.read(place.length)


def entries(path: Path) -> Iterator[tuple[str, Place]]:
    """Tell what a pack holds, up to where its process died. What does not have the hash it should is left out."""
    with path.open("rb") as file:
        size, start = os.fstat(file.fileno()).st_size, 0
        while len(head := file.read(HEAD)) == HEAD:
            sha256, length = head[:32].hex(), int.from_bytes(head[32:], "big")
            start += HEAD
            if length > size - start:
                return
            if hashlib.sha256(file.read(length)).hexdigest() == sha256:
                yield sha256, Place(path.name, start, length)
            start += length


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

"""Packs: many originals in one file, one after another, so that a batch of them costs one write and one sync.

A file for each original costs most of what is done about a small one. A pack only ever grows, at its end, by the process that began it,
so a copy of it at any moment is a good one. An entry: SHA-256 (32 bytes), length (8 bytes, big-endian), the original. What the packs hold
can be told from them alone: the index (`index.py`) is made again when it is lost.
"""

import errno
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

HEAD = 40
"""Bytes before an original."""
FULL = 256 * 1024 * 1024
"""Bytes from which on another pack is begun."""
ALONE = 256 * 1024
"""Bytes from which on an original has a file of its own: a copy of the folder then takes it up once, and packs stay of a size."""
EMPTY = hashlib.sha256(b"").digest()
HEADS = re.compile(
    rb"(?=.{32}\0{5}(?:[\1-\3]..|\0[^\0].|\0\0[^\0])|" + re.escape(EMPTY) + rb"\0{8})",
    re.DOTALL,
)
"""Where an entry shorter than ALONE may begin. Zeros begin none, unless they follow the hash of nothing."""
WINDOW = 64 * 1024
"""Bytes that are looked at in one go."""


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


class Unread(NamedTuple):
    """A stretch of a pack in which no original stands as it came."""

    pack: str
    start: int
    length: int
    sha256: str
    """What its first bytes say is in it: empty when there are too few, and anything when these are what was damaged."""
    unfinished: bool
    """It looks like what a process was writing when it died: that was never spoken of. A pack that was cut short looks the same."""


def entries(path: Path, unread: Callable[[Unread], None]) -> Iterator[tuple[str, Place]]:
    """Tell what a pack holds as it came, and tell `unread` what lies between: after a damaged entry comes the next whole one."""
    with path.open("rb", buffering=0) as file:
        handle = file.fileno()
        size, start = os.fstat(handle).st_size, 0
        while start < size:
            if (found := entry(handle, start, size)) is not None:
                sha256, length = found
                yield sha256, Place(path.name, start + HEAD, length)
                start += HEAD + length
                continue
            after = resumed(handle, start, size)
            said = read_at(handle, start, min(32, size - start))
            sha256 = said.hex() if len(said) == 32 else ""
            unread(Unread(path.name, start, after - start, sha256, after == size and unfinished(handle, start, size)))
            start = after


def entry(handle: int, start: int, size: int) -> tuple[str, int] | None:
    """The hash and length of the original whose entry begins there; None when none does, or it is not as it came."""
    head = read_at(handle, start, HEAD)
    length = int.from_bytes(head[32:], "big")
    if len(head) < HEAD or length > size - start - HEAD:
        return None
    return (head[:32].hex(), length) if hashlib.sha256(read_at(handle, start + HEAD, length)).digest() == head[:32] else None


def resumed(handle: int, start: int, size: int) -> int:
    """Where the next whole entry begins after one that is damaged, or the end.

    Where its length leads to one it is believed. Otherwise each place is tried that may be the beginning of one: what hashes to what
    is said of it is an original, wherever it stands.
    """
    head = read_at(handle, start, HEAD)
    end = start + HEAD + int.from_bytes(head[32:], "big")
    if len(head) == HEAD and (end == size or (end < size and entry(handle, end, size) is not None)):
        return end
    for window in range(start + 1, size, WINDOW):
        for head_at in HEADS.finditer(read_at(handle, window, WINDOW + HEAD - 1)):
            if entry(handle, window + head_at.start(), size) is not None:
                return window + head_at.start()
    return size


def unfinished(handle: int, start: int, size: int) -> bool:
    """Tell whether the end of a pack looks as a process leaves it that dies, or a machine: half an entry, or zeros."""
    head = read_at(handle, start, HEAD)
    if len(head) == min(HEAD, size - start) and (
        len(head) < HEAD or size - start - HEAD < int.from_bytes(head[32:], "big") < ALONE
    ):
        return True
    return all(read_at(handle, at, WINDOW) == bytes(min(WINDOW, size - at)) for at in range(start, size, WINDOW))


def read_at(handle: int, start: int, length: int) -> bytes:
    """Read a stretch; nothing where the disk cannot. Raises OSError for any other trouble."""
    try:
        return os.pread(handle, length, start)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return b""


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

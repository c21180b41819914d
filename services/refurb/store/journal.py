"""Originals made durable many at once: one file, appended and synced, until the file system has each under its own name.

To sync each of a batch's files costs more than all else that is done about a message. So all of them go into the journal first, which
is synced once; their own files are written without waiting for the disk. When the journal has grown, `os.sync` brings the files to the
disk, and it starts anew. After a crash, the journals of processes that are no more give back what the disk did not get.

An entry: SHA-256 (32 bytes), length (8 bytes, big-endian), the original. The lock on a journal says that its process lives.
"""

import fcntl
import hashlib
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

HEAD = 40
"""Bytes before an original."""
FULL = 64 * 1024 * 1024
"""Bytes from which on a journal starts anew."""


@dataclass(slots=True)
class Journal:
    """The journal of this process, in a folder that others may share. Not for several threads at once."""

    folder: Path
    full: int = FULL
    path: Path | None = field(default=None, init=False)
    handle: int = field(default=-1, init=False)
    size: int = field(default=0, init=False)

    def append(self, originals: Mapping[str, bytes]) -> None:
        """Make them durable, by their SHA-256. Raises OSError when the disk does not take them: then none of them is."""
        if self.path is None:
            self.open()
        try:
            for sha256, data in originals.items():
                left = memoryview(bytes.fromhex(sha256) + len(data).to_bytes(8, "big") + data)
                self.size += len(left)
                while left:
                    left = left[os.write(self.handle, left) :]
            os.fsync(self.handle)
        except OSError:
            self.renew()  # a part of an entry, or pages that are only thought to be written: never append after them
            raise

    def written(self) -> None:
        """Say that what was appended is written under its own name, too. A full journal ends here."""
        if self.size >= self.full:
            self.renew()

    def renew(self) -> None:
        """Begin another. This one is dropped beside our work, when all files are on the disk: what it holds is needed no more then."""
        if self.path is not None:
            threading.Thread(target=dropped, args=(self.path, self.handle), daemon=True).start()
            self.path, self.size = None, 0

    def close(self) -> None:
        """Leave it: whoever comes next finds what is in it."""
        if self.path is not None:
            os.close(self.handle)
            self.path, self.size = None, 0

    def open(self) -> None:
        """Make a journal, and its name durable."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / uuid4().hex
        self.handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        self.path = path
        fcntl.flock(self.handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        sync_folder(self.folder)

    def left_behind(self) -> Iterator[Iterator[tuple[str, bytes]]]:
        """Give what is in each journal whose process is no more; when the next is asked for, all of it must be written."""
        for path in sorted(self.folder.iterdir()) if self.folder.exists() else ():
            with suppress(FileNotFoundError, BlockingIOError), path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield entries(file)
                os.sync()
                path.unlink()


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def dropped(path: Path, handle: int) -> None:
    """Bring all files to the disk, and drop a journal. One that cannot be dropped is found at the next start."""
    os.sync()
    with suppress(OSError):
        path.unlink(missing_ok=True)
    os.close(handle)


def entries(file: BinaryIO) -> Iterator[tuple[str, bytes]]:
    """Read a journal up to where its process died."""
    while len(head := file.read(HEAD)) == HEAD:
        sha256, length = head[:32].hex(), int.from_bytes(head[32:], "big")
        data = file.read(min(length, os.fstat(file.fileno()).st_size))
        if hashlib.sha256(data).hexdigest() != sha256:
            return
        yield sha256, data

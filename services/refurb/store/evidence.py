"""The evidence store: originals as they came, each under its SHA-256. What is there never changes, so reading it twice is the same.

A folder on this machine holds each original before anything is said about it. Where an archive is set (`refurb_evidence_url`: any
S3-compatible store), a copy goes there a moment later, and what another machine took in comes from there. The archive may be away for
as long as it likes: what waits for it is marked, and nothing stands still meanwhile.
"""

import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from shared.errors import Outage

LIMITS = {"timeout": "20s", "connect_timeout": "5s"}
FORGOTTEN_S = 3_600
"""A mark without its original for so long is of a process that died between the two."""


class ArchiveAway(Outage, OSError):
    """The archive does not answer: whoever needs an original waits, as for a lost disk; it is no message's fault."""


class Archive(Protocol):
    """Where originals are kept for years. Raises ArchiveAway while it is away."""

    def put(self, sha256: str, data: bytes) -> None: ...

    def get(self, sha256: str) -> bytes | None: ...


@dataclass(slots=True)
class ObjectStore:
    """A bucket: `s3://bucket/path`, with the settings of the environment that its library reads (`AWS_…`)."""

    url: str
    store: Any = None

    def opened(self) -> Any:
        """Connect at the first use: the library is not needed where no archive is set."""
        if self.store is None:
            from obstore.store import from_url

            limits: Any = {} if self.url.startswith("file:") else {"client_options": LIMITS, "retry_config": {"max_retries": 2}}
            self.store = from_url(self.url, **limits)
        return self.store

    def put(self, sha256: str, data: bytes) -> None:
        """Keep an original. Under its hash there can be no other, so putting it twice changes nothing."""
        import obstore

        try:
            obstore.put(self.opened(), place(sha256), data)
        except (OSError, obstore.exceptions.BaseError) as error:
            raise ArchiveAway("evidence_archive_away", cause=type(error).__name__) from error

    def get(self, sha256: str) -> bytes | None:
        import obstore

        try:
            return bytes(obstore.get(self.opened(), place(sha256)).bytes())
        except FileNotFoundError:
            return None
        except (OSError, obstore.exceptions.BaseError) as error:
            raise ArchiveAway("evidence_archive_away", cause=type(error).__name__) from error


def place(sha256: str) -> str:
    return f"{sha256[:2]}/{sha256}"


@dataclass(frozen=True, slots=True)
class Evidence:
    """A folder: `ab/ab12…`. Personal names in originals never leave the store; events carry the hash and what was read."""

    folder: Path
    archive: Archive | None = None

    def path(self, sha256: str) -> Path:
        return self.folder / place(sha256)

    @property
    def marks(self) -> Path:
        """A file for each original that the archive does not have yet."""
        return self.folder / "to-archive"

    def keep(self, data: bytes) -> str:
        """Store an original and give its hash. On disk when this returns, before anything is said about it."""
        sha256 = hashlib.sha256(data).hexdigest()
        path = self.path(sha256)
        if not path.exists():
            if self.archive is not None:  # first, so that none is kept and forgotten
                self.marks.mkdir(parents=True, exist_ok=True)
                (self.marks / sha256).touch()
            self.write(path, data)
        return sha256

    def write(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{uuid4().hex}.part")
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def fetch(self, sha256: str) -> bytes | None:
        """Give an original; None when there is none. Raises Outage when what is there is not what was stored, or the archive is away."""
        path = self.path(sha256)
        try:
            data: bytes | None = path.read_bytes()
        except FileNotFoundError:
            data = self.archive.get(sha256) if self.archive is not None else None
        if data is None:
            return None
        if hashlib.sha256(data).hexdigest() != sha256:
            raise Outage("evidence_damaged", sha256=sha256)
        if not path.exists():
            self.write(path, data)
        return data

    def to_archive(self) -> Iterator[str]:
        """Hashes of the originals that the archive does not have yet."""
        if self.marks.exists():
            yield from (mark.name for mark in sorted(self.marks.iterdir()))

    def archived(self, sha256: str) -> bool:
        """Bring one to the archive. Returns False when it is not here to be brought. Raises ArchiveAway while it is away."""
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

"""The evidence store: originals as they came, each under its SHA-256. What is there never changes, so reading it twice is the same."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from shared.errors import Outage


@dataclass(frozen=True, slots=True)
class Evidence:
    """A folder: `ab/ab12…`. Personal names in originals never leave it; events carry the hash and what was read."""

    folder: Path

    def path(self, sha256: str) -> Path:
        return self.folder / sha256[:2] / sha256

    def keep(self, data: bytes) -> str:
        """Store an original and give its hash. On disk when this returns, before anything is said about it."""
        sha256 = hashlib.sha256(data).hexdigest()
        path = self.path(sha256)
        if not path.exists():
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
        return sha256

    def fetch(self, sha256: str) -> bytes | None:
        """Give an original; None when there is none. Raises Outage when what is there is not what was stored."""
        try:
            data = self.path(sha256).read_bytes()
        except FileNotFoundError:
            return None
        if hashlib.sha256(data).hexdigest() != sha256:
            raise Outage("evidence_damaged", sha256=sha256)
        return data

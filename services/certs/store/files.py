"""What certs keeps as files: its keys (made at first start, readable by us only) and the signed documents, named by their hash."""

import os
import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from services.certs.domain import issuer, note
from services.certs.domain.issuer import Keys
from services.certs.domain.statement import digest

SIGNING_KEY, LOG_KEY, TRUST = "signing-key.pem", "log-key.pem", "issuer.pem"


def keys(folder: Path) -> Keys:
    """The keys in `folder`."""
    text = (folder / TRUST).read_bytes()
    return Keys((folder / SIGNING_KEY).read_bytes(), text[text.index(b"-----BEGIN") :], (folder / LOG_KEY).read_bytes())


def trust(folder: Path) -> str:
    """What anyone needs to check our certificates: the log's verifier key, and the issuer's certificate."""
    return (folder / TRUST).read_text("utf-8")


def ensure_keys(folder: Path, name: str, origin: str, now: datetime) -> None:
    """Make the keys if there are none. Of two processes that both do, one wins whole; a crash leaves no half of them."""
    if (folder / TRUST).exists():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    made, attempt = issuer.make(name, now), folder.with_name(f".{folder.name}-{secrets.token_hex(8)}")
    attempt.mkdir(mode=0o700)
    for file, content in (
        (SIGNING_KEY, made.signing_key),
        (LOG_KEY, made.log_key),
        (TRUST, f"log: {note.public(origin, made.log)}\n".encode() + made.certificate),
    ):
        write(attempt / file, content)
    try:
        attempt.rename(folder)
    except OSError:  # the other was first: its keys are there, ours were never used
        for left in attempt.iterdir():
            left.unlink()
        attempt.rmdir()
        if not (folder / TRUST).exists():
            raise


def write(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write and wait until the disk has it; readable by us only, unless `mode` says otherwise."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@dataclass(frozen=True, slots=True)
class Documents:
    """Signed documents by their SHA-256. What a crash leaves over harms nobody: a name is a hash of the content."""

    folder: Path

    def path(self, sha256: str) -> Path:
        return self.folder / sha256[:2] / f"{sha256}.pdf"

    def keep(self, content: bytes) -> str:
        """Store `content`, durably, and give its hash."""
        sha256 = digest(content)
        path = self.path(sha256)
        if self.read(sha256) is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            attempt = path.with_name(f".{sha256}-{secrets.token_hex(8)}")
            write(attempt, content)
            attempt.replace(path)
            holder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(holder)
            finally:
                os.close(holder)
        return sha256

    def read(self, sha256: str) -> bytes | None:
        """The document, or nothing when it is missing or damaged: then it can be made again."""
        try:
            content = self.path(sha256).read_bytes()
        except FileNotFoundError:
            return None
        return content if digest(content) == sha256 else None

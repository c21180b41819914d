"""What a witness adds to a checkpoint: that it saw this state and no other, and when (C2SP tlog-cosignature, Ed25519).

A witness signs only states that grew out of those it signed before: a log that shows two people two histories needs every witness's help.
"""

import struct
from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from services.certs.domain.note import BadNoteError, decode

COSIGNATURE = b"\x04"


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """The name and key (Ed25519, 32 bytes) of a witness, and where it takes checkpoints."""

    name: str
    key: bytes
    url: str = ""

    @property
    def key_id(self) -> bytes:
        return sha256(self.name.encode() + b"\n" + COSIGNATURE + self.key).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{b64encode(COSIGNATURE + self.key).decode()}"


def witness(text: str) -> Witness:
    """Read `name+id+key url`. Raises BadNoteError."""
    written, _, url = text.strip().partition(" ")
    name, _, rest = written.partition("+")
    key_id, _, key = rest.partition("+")
    raw = decode(key)
    if raw[:1] != COSIGNATURE or len(raw) != 33 or not name:
        raise BadNoteError("not the key of a witness")
    found = Witness(name=name, key=raw[1:], url=url.strip())
    if found.key_id.hex() != key_id:
        raise BadNoteError("the key id belongs to another key")
    return found


def witnesses(text: str) -> list[Witness]:
    """Read several, separated by commas. Raises BadNoteError for what is none."""
    return [witness(one) for one in text.split(",") if one.strip()]


def check(note: str, line: str, by: Witness) -> int:
    """When `by` says that it saw the note: seconds since 1970. Raises BadNoteError unless `line` is its cosignature of that very note."""
    dash, _, rest = line.strip("\n").partition(" ")
    name, _, encoded = rest.partition(" ")
    raw = decode(encoded)
    if dash != "\u2014" or name != by.name or raw[:4] != by.key_id or len(raw) != 76:
        raise BadNoteError("not a cosignature by this witness")
    (at,) = struct.unpack(">Q", raw[4:12])
    body, _, _ = note.rpartition("\n\n")
    try:
        Ed25519PublicKey.from_public_bytes(by.key).verify(raw[12:], f"cosignature/v1\ntime {at}\n{body}\n".encode())
    except InvalidSignature as error:
        raise BadNoteError("the cosignature is wrong") from error
    return int(at)

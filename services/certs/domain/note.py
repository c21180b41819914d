"""The public log's words: signed notes (C2SP signed-note, Ed25519), checkpoints (tlog-checkpoint) and proofs (tlog-proof)."""

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519 = b"\x01"
PROOF_HEADER = "c2sp.org/tlog-proof@v1"


class BadNoteError(ValueError):
    """The text is not what it should be, or nobody we know signed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifier:
    """The name and key of who signs notes."""

    name: str
    key: bytes
    """Ed25519, 32 bytes."""

    @property
    def key_id(self) -> bytes:
        return sha256(self.name.encode() + b"\n" + ED25519 + self.key).digest()[:4]

    def __str__(self) -> str:
        """As `verifier keys` are written: name, key id, algorithm and key."""
        return f"{self.name}+{self.key_id.hex()}+{b64encode(ED25519 + self.key).decode()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The state of the log: how many entries, and the root of their tree."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """That an entry is in the log: place, path up to the root, the signed checkpoint, and what the entry commits to."""

    extra: bytes
    index: int
    path: tuple[bytes, ...]
    note: str

    @property
    def text(self) -> str:
        lines = [PROOF_HEADER, f"extra {b64encode(self.extra).decode()}", f"index {self.index}"]
        return "\n".join([*lines, *(b64encode(h).decode() for h in self.path), "", self.note])


def verifier(text: str) -> Verifier:
    """Read a verifier key as `str(Verifier)` writes it."""
    name, _, rest = text.strip().partition("+")
    key_id, _, key = rest.partition("+")
    raw = decode(key)
    if raw[:1] != ED25519 or len(raw) != 33:
        raise BadNoteError("not an Ed25519 key")
    found = Verifier(name=name, key=raw[1:])
    if found.key_id.hex() != key_id:
        raise BadNoteError("the key id belongs to another key")
    return found


def public(name: str, key: Ed25519PrivateKey) -> Verifier:
    return Verifier(name=name, key=key.public_key().public_bytes_raw())


def sign(checkpoint: Checkpoint, key: Ed25519PrivateKey) -> str:
    """The checkpoint as a signed note. Same checkpoint and key, same text."""
    who = public(checkpoint.origin, key)
    signature = b64encode(who.key_id + key.sign(checkpoint.text.encode())).decode()
    return f"{checkpoint.text}\n\u2014 {who.name} {signature}\n"


def opened(note: str, by: Verifier) -> Checkpoint:
    """The checkpoint in `note`. Raises BadNoteError unless `by` signed it."""
    check(note, by)
    checkpoint = unchecked(note)
    if checkpoint.origin != by.name:
        raise BadNoteError("signed by the log of another origin")
    return checkpoint


def check(note: str, by: Verifier) -> None:
    """Raise BadNoteError unless `by` signed the note, whatever it says. Other signatures (of witnesses) are left alone."""
    body, blank, signatures = note.rpartition("\n\n")
    if not blank or not note.endswith("\n"):
        raise BadNoteError("the note is cut short")
    for line in signatures.splitlines():
        dash, _, rest = line.partition(" ")
        name, _, encoded = rest.partition(" ")
        raw = decode(encoded)
        if dash != "\u2014" or not name:
            raise BadNoteError("not a signature line")
        if name != by.name or raw[:4] != by.key_id:
            continue
        try:
            Ed25519PublicKey.from_public_bytes(by.key).verify(raw[4:], f"{body}\n".encode())
        except InvalidSignature as error:
            raise BadNoteError("the signature of the log is wrong") from error
        return
    raise BadNoteError("not signed by this log")


def unchecked(note: str) -> Checkpoint:
    """What the note claims, whoever signed it."""
    lines = note.partition("\n\n")[0].split("\n")
    if len(lines) < 3 or not lines[0] or not lines[1].isdecimal() or lines[1] != str(int(lines[1])):
        raise BadNoteError("not a checkpoint")
    root = decode(lines[2])
    if len(root) != 32:
        raise BadNoteError("the root is not 32 bytes")
    return Checkpoint(origin=lines[0], size=int(lines[1]), root=root)


def proof(text: str) -> Proof:
    """Read a proof as `Proof.text` writes it."""
    head, _, note = text.partition("\n\n")
    lines = head.split("\n")
    if len(lines) < 3 or lines[0] != PROOF_HEADER or not lines[1].startswith("extra ") or not lines[2].startswith("index "):
        raise BadNoteError("not a proof of inclusion")
    index = lines[2].removeprefix("index ")
    if not index.isdecimal() or index != str(int(index)):
        raise BadNoteError("the index is not a number")
    return Proof(extra=decode(lines[1].removeprefix("extra ")), index=int(index), path=tuple(_hashes(lines[3:])), note=note)


def decode(text: str) -> bytes:
    """Standard base64 in its one canonical spelling."""
    try:
        raw = b64decode(text, validate=True)
    except (Base64Error, ValueError) as error:
        raise BadNoteError("not base64") from error
    if b64encode(raw).decode() != text:
        raise BadNoteError("base64 in another spelling")
    return raw


def _hashes(lines: Sequence[str]) -> list[bytes]:
    hashes = [decode(line) for line in lines]
    if any(len(h) != 32 for h in hashes):
        raise BadNoteError("a hash is not 32 bytes")
    return hashes

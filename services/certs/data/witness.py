#!/usr/bin/env python3
"""Witness a log of certificates, or follow it, without maillon. One file, needs `cryptography`.

    python witness.py key WITNESS_NAME witness.key          make a key; prints the line that the log's operator and its readers need
    python witness.py serve witness.key --trust issuer.pem --state FOLDER [--host 0.0.0.0] [--port 8700]
    python witness.py follow https://SITE/certs/log --trust issuer.pem --state FOLDER [--every 3600]

`follow` builds the whole tree from the published hashes at each look (once, or every so many seconds) and compares. Exit status 1, BROKEN:
the log signed what cannot follow from what it signed before: it shrank, or tells another history. The proof stays in FOLDER: `checkpoint`
and `leaves` as they were, `broken` and `broken-leaves` as they are told now. Exit status 2: it could not be checked, which says nothing
against the log: nobody answers, or with what the log did not sign, or with hashes that do not give the root that it signed, whoever cut or
changed them. One answer may take 30 s and a look an hour, however slowly it comes.

`serve` signs states of the log, each only when it grew out of the one signed before. It speaks C2SP tlog-witness
(<https://c2sp.org/tlog-witness>): `POST /add-checkpoint`. For each log it keeps one file with the last state that it signed, on the disk
before the signature goes out. It never signs two states of one size, nor one that does not begin with the last. What is refused: 403
unknown log or wrong signature, 409 another size is the last (the answer says which), 422 the proof is wrong, 500 its own disk.

One program at a time works on a FOLDER. Exit status 2 and a line: it cannot be carried out.
"""

import argparse
import base64
import contextlib
import fcntl
import hashlib
import os
import signal
import struct
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

LARGEST = 64 * 1024
WIDTH = 256
ANSWER_S = 30.0
LOOK_S = 3600.0
LONGEST_WAIT_S = 31 * 86400
EMPTY_ROOT = hashlib.sha256(b"").digest()


class Answer(Exception):
    """A refusal: status and text."""

    def __init__(self, status: int, text: str, kind: str = "text/plain") -> None:
        super().__init__(text)
        self.status, self.text, self.kind = status, text, kind


def decoded(text: str) -> bytes:
    raw = base64.b64decode(text, validate=True)
    if base64.b64encode(raw).decode() != text:
        raise ValueError("base64 in another spelling")
    return raw


@dataclass(frozen=True)
class Log:
    """A log whose states are witnessed: name and key."""

    name: str
    key: bytes

    @classmethod
    def of(cls, trust: str) -> "Log":
        """As `issuer.pem` gives it. Raises ValueError."""
        line = next((line for line in trust.splitlines() if line.startswith("log: ")), "")
        name, _, rest = line.removeprefix("log: ").strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        raw = decoded(encoded)
        if raw[:1] != b"\x01" or len(raw) != 33 or hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4].hex() != key_id:
            raise ValueError("no key of a log in it: get issuer.pem again from the issuer")
        return cls(name, raw[1:])

    def opened(self, note: str) -> tuple[int, bytes]:
        """Size and root of a state that the log signed. Raises Answer."""
        body, blank, signatures = note.rpartition("\n\n")
        lines = body.split("\n")
        try:
            size, root = int(lines[1]), decoded(lines[2])
            if not blank or lines[0] != self.name or lines[1] != str(size) or size < 0 or len(root) != 32:
                raise ValueError("not a checkpoint of this log")
            key_id = hashlib.sha256(self.name.encode() + b"\n\x01" + self.key).digest()[:4]
            for line in signatures.splitlines():
                _, name, encoded = line.split(" ", 2)
                if name == self.name and (raw := decoded(encoded))[:4] == key_id:
                    Ed25519PublicKey.from_public_bytes(self.key).verify(raw[4:], f"{body}\n".encode())
                    return size, root
        except (ValueError, IndexError) as error:
            raise Answer(400, "not a checkpoint") from error
        except InvalidSignature as error:
            raise Answer(403, "the signature of the log is wrong") from error
        raise Answer(403, "not signed by the log")


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def consistent(old: int, size: int, old_root: bytes, root: bytes, proof: list[bytes]) -> bool:
    """Whether the tree of `size` begins with the tree of `old` (RFC 9162, 2.1.4.2)."""
    if old == size:
        return not proof and old_root == root
    if old == 0:
        return not proof and old_root == EMPTY_ROOT
    path = list(proof)
    at, last = old - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    if at and not path:
        return False
    before = after = path.pop(0) if at else old_root
    for sibling in path:
        if last == 0:
            return False
        if at & 1 or at == last:
            before, after = node(sibling, before), node(sibling, after)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            after = node(after, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and before == old_root and after == root


def save(path: Path, content: bytes) -> None:
    """Whole and on the disk, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """One program at a time has the states in `folder`: two could sign, or take for seen, two histories."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(f"{folder}: another witness.py is at work on it, give each a folder of its own") from error
        yield


@dataclass
class Witness:
    """One key, the logs it knows, the last state of each."""

    name: str
    key: Ed25519PrivateKey
    logs: dict[str, Log]
    folder: Path
    guard: threading.Lock = field(default_factory=threading.Lock)

    @property
    def key_id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n\x04" + self.key.public_key().public_bytes_raw()).digest()[:4]

    @property
    def line(self) -> str:
        """What others need to know of it."""
        raw = b"\x04" + self.key.public_key().public_bytes_raw()
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(raw).decode()}"

    def file(self, log: Log) -> Path:
        return self.folder / hashlib.sha256(log.name.encode()).hexdigest()[:32]

    def last(self, log: Log) -> tuple[int, bytes]:
        """The state that was signed last: none is the empty log. One that cannot be read is not taken for none."""
        try:
            size, root = self.file(log).read_text("utf-8").split()
            if len(raw := bytes.fromhex(root)) != 32:
                raise ValueError("no root")
            return int(size), raw
        except FileNotFoundError:
            return 0, EMPTY_ROOT
        except ValueError as error:
            raise Answer(500, f"{self.file(log)}: not the last state of {log.name}, put it back from a copy") from error

    def keep(self, log: Log, size: int, root: bytes) -> None:
        """On the disk before the signature goes out: after a crash, no other state of that size is signed."""
        save(self.file(log), f"{size} {root.hex()}\n".encode())

    def add(self, body: str) -> str:
        """Answer one request with a cosignature. Raises Answer."""
        head, blank, note = body.partition("\n\n")
        first, *proof = head.split("\n")
        log = self.logs.get(note.split("\n", 1)[0])
        if not blank or not first.startswith("old ") or not first[4:].isdecimal():
            raise Answer(400, "not a request")
        if log is None:
            raise Answer(404, "not a log that this witness knows")
        size, root = log.opened(note)
        old = int(first[4:])
        if old > size:
            raise Answer(400, "the old size is larger than the new one")
        with self.guard:
            known, known_root = self.last(log)
            if old != known:
                raise Answer(409, f"{known}\n", "text/x.tlog.size")
            try:
                path = [decoded(line) for line in proof]
            except ValueError as error:
                raise Answer(400, "the proof cannot be read") from error
            if size == known and root != known_root:
                raise Answer(409, f"{known}\n", "text/x.tlog.size")
            if not consistent(known, size, known_root, root, path):
                raise Answer(422, "the proof does not lead from the last state to this one")
            self.keep(log, size, root)
        at = int(time.time())
        text = note.rpartition("\n\n")[0]
        signed = self.key.sign(f"cosignature/v1\ntime {at}\n{text}\n".encode())
        return f"\u2014 {self.name} {base64.b64encode(self.key_id + struct.pack('>Q', at) + signed).decode()}\n"


def server(witness: Witness, host: str, port: int) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        timeout = 20

        def do_POST(self) -> None:
            try:
                length = int(self.headers.get("content-length") or 0)
                if self.path != "/add-checkpoint" or not 0 < length <= LARGEST:
                    raise Answer(404 if self.path != "/add-checkpoint" else 413, "POST /add-checkpoint, 64 KiB at most")
                answer = Answer(200, witness.add(self.rfile.read(length).decode()))
            except Answer as refused:
                answer = refused
            except ValueError:
                answer = Answer(400, "not a request")
            except OSError as error:
                answer = Answer(500, f"the state cannot be kept: {error.strerror}")
            data = answer.text.encode()
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    return ThreadingHTTPServer((host, port), Handler)


# ── following ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Broken(Exception):
    """The log is not what it was, by its own signature."""


class Unchecked(Exception):
    """Nothing can be said, for the log or against it."""


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """TimeoutError for what takes longer in all: timeouts of sockets begin again with each byte. In the main thread only."""

    def end(*_: object) -> None:
        raise TimeoutError(f"no whole answer within {seconds:g} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def web() -> urllib.request.OpenerDirector:
    """HTTP and nothing else, wherever an answer leads."""
    made = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler, urllib.request.HTTPHandler, urllib.request.HTTPSHandler, urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPDefaultErrorHandler, urllib.request.HTTPErrorProcessor, urllib.request.UnknownHandler,
    ):  # fmt: skip
        made.add_handler(handler())
    return made


def fetched(url: str, most: int) -> bytes:
    """What is there, `most` bytes at most. Raises Unchecked."""
    try:
        if not url.startswith(("https://", "http://")):
            raise ValueError("not an address of the web")
        with within(ANSWER_S), web().open(url, timeout=ANSWER_S) as answer:
            body = bytes(answer.read(most + 1))
    except (OSError, HTTPException, ValueError) as error:
        raise Unchecked(f"{url}: {str(error) or type(error).__name__}") from error
    if len(body) > most:
        raise Unchecked(f"{url}: more than {most} bytes")
    return body


def tile_path(place: int, width: int) -> str:
    digits = f"{place:03}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[n : n + 3] for n in range(0, len(digits), 3)]
    name = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
    return f"tile/0/{name}" + ("" if width == WIDTH else f".p/{width}")


def root_of(leaves: bytes) -> bytes:
    """The root over leaf hashes (RFC 6962, 2.1)."""
    row = [leaves[n : n + 32] for n in range(0, len(leaves), 32)]
    while len(row) > 1:
        odd = [row[-1]] if len(row) % 2 else []
        row = [node(row[n], row[n + 1]) for n in range(0, len(row) - 1, 2)] + odd
    return row[0] if row else EMPTY_ROOT


def published(url: str, size: int, leaves: bytes, ends: float) -> bytes:
    """The hashes of `size` entries; of those in `leaves`, full tiles are not asked for again."""
    for place in range(len(leaves) // 32 // WIDTH, -(-size // WIDTH)):
        if time.monotonic() > ends:
            raise Unchecked(f"{url}: not all of {size} entries within {LOOK_S:g} s")
        width = min(WIDTH, size - place * WIDTH)
        tile = fetched(address := f"{url}/{tile_path(place, width)}", 32 * width)
        if len(tile) != 32 * width:
            raise Unchecked(f"{address}: {len(tile)} bytes, {width} hashes have {32 * width}")
        leaves = leaves[: 32 * WIDTH * place] + tile
    return leaves


def remembered(log: Log, folder: Path) -> tuple[int, bytes, bytes]:
    """Size and root that the log signed when it was last looked at, and the hashes, unless these were damaged since."""
    seen, kept = folder / "checkpoint", folder / "leaves"
    if not seen.exists():
        return 0, EMPTY_ROOT, b""
    try:
        size, root = log.opened(seen.read_text("utf-8"))
    except (ValueError, Answer) as error:
        raise Unchecked(
            f"{seen}: not a state that {log.name} signed, put it back from a copy or begin in another folder"
        ) from error
    leaves = kept.read_bytes()[: 32 * size] if kept.exists() else b""
    return size, root, leaves if len(leaves) == 32 * size and root_of(leaves) == root else b""


def look(url: str, log: Log, folder: Path) -> int:
    """Look once. Gives the size of the log. Raises Broken, Unchecked, or OSError of our own disk."""
    ends = time.monotonic() + LOOK_S
    before, before_root, kept = remembered(log, folder)
    note = fetched(f"{url}/checkpoint", LARGEST)
    try:
        size, root = log.opened(note.decode())
    except (ValueError, Answer) as error:
        raise Unchecked(f"{url}/checkpoint: no state that {log.name} signed") from error
    if size < before:
        raise broken(folder, note, b"", f"the log had {before} entries and has {size}")
    if size == before and root != before_root:
        raise broken(folder, note, b"", f"two states of {size} entries are signed")
    leaves = published(url, size, kept, ends)
    if kept and root_of(leaves) != root:
        leaves = published(url, size, b"", ends)
    if root_of(leaves) != root:
        raise Unchecked(f"{url}: the hashes do not give the root that was signed for {size} entries")
    if root_of(leaves[: 32 * before]) != before_root:
        raise broken(folder, note, leaves, f"what was signed for {before} entries is another history than that of {size}")
    save(folder / "leaves", leaves)
    save(folder / "checkpoint", note)
    return size


def broken(folder: Path, note: bytes, leaves: bytes, what: str) -> Broken:
    """Keep the proof. A disk that takes none silences nothing."""
    try:
        save(folder / "broken-leaves", leaves)
        save(folder / "broken", note)
    except OSError as error:
        return Broken(f"{what}. The proof could not be kept ({error}): {note.decode()!r}")
    return Broken(f"{what}. The signed states are in {folder}: checkpoint, broken.")


def plain(error: object) -> str:
    """One line, whatever strangers put into it."""
    return "".join(c if c.isprintable() else "?" for c in str(error))[:500]


def follow(url: str, log: Log, folder: Path, every: float) -> int:
    while True:
        try:
            print(f"{look(url.rstrip('/'), log, folder)} entries, one history", flush=True)
        except Broken as found:
            print(f"BROKEN: {found}", flush=True)
            return 1
        except (Unchecked, OSError) as error:
            print(f"could not check: {plain(error)}", file=sys.stderr, flush=True)
            if not every:
                return 2
        if not every:
            return 0
        time.sleep(every)


def seconds(text: str) -> float:
    if not 1 <= (found := float(text)) <= LONGEST_WAIT_S:
        raise argparse.ArgumentTypeError(f"from 1 to {LONGEST_WAIT_S} seconds")
    return found


def read(path: Path) -> Log:
    try:
        return Log.of(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not the keys of an issuer ({error})") from error


def read_key(path: Path) -> tuple[str, Ed25519PrivateKey]:
    try:
        name, encoded = path.read_text("utf-8").split()
        return name, Ed25519PrivateKey.from_private_bytes(decoded(encoded))
    except ValueError as error:
        raise ValueError(f"{path}: not a key of a witness, `key` makes one") from error


def main() -> int:
    parser = argparse.ArgumentParser(description="Witness a log of certificates, or follow it.")
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("key")
    making.add_argument("name")
    making.add_argument("file", type=Path)
    serving = commands.add_parser("serve")
    serving.add_argument("file", type=Path)
    serving.add_argument(
        "--trust", type=Path, action="append", required=True, help="a log's public keys, issuer.pem; several may be given"
    )
    serving.add_argument("--state", type=Path, required=True)
    serving.add_argument("--host", default="127.0.0.1")
    serving.add_argument("--port", type=int, default=8700)
    following = commands.add_parser("follow")
    following.add_argument("url", help="the log's address, which ends with /certs/log")
    following.add_argument("--trust", type=Path, required=True)
    following.add_argument("--state", type=Path, required=True)
    following.add_argument("--every", type=seconds, default=0, help="seconds between looks; once, unless it is given")
    options = parser.parse_args()
    try:
        return carried_out(options)
    except Answer as refused:
        print(plain(refused.text), file=sys.stderr)
    except (ValueError, OSError) as error:
        print(plain(error), file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return 2


def carried_out(options: argparse.Namespace) -> int:
    if options.command == "follow":
        log = read(options.trust)
        with alone(options.state):
            return follow(options.url, log, options.state, options.every)
    if options.command == "key":
        key = Ed25519PrivateKey.generate()
        with os.fdopen(os.open(options.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"{options.name} {base64.b64encode(key.private_bytes_raw()).decode()}\n")
        print(Witness(options.name, key, {}, Path()).line)
        return 0
    name, key = read_key(options.file)
    logs = [read(path) for path in options.trust]
    witness = Witness(name, key, {log.name: log for log in logs}, options.state)
    with alone(options.state):
        for log in logs:
            witness.last(log)
        serving = server(witness, options.host, options.port)
        print(f"{witness.line} http://{options.host}:{serving.server_address[1]}", flush=True)
        serving.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())

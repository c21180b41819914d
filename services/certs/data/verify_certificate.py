#!/usr/bin/env python3
"""Check a certificate of maillon without maillon: this one file, Python 3.11 or later, and `pip install cryptography`. No network.

    python verify_certificate.py CERTIFICATE.pdf --trust issuer.pem [--json]

`issuer.pem` holds the issuer's public keys: get it once from the issuer (`/certs/issuer.pem`), keep it. What is checked, in this order:

whole_file     one signature, which covers every byte of the file but its own place; that place holds nothing else
signature      not one byte changed since (PAdES, ECDSA P-256, SHA-256), and every byte of the signature itself is as it must be
signer         it was made with the issuer's key
time           the day it was signed lies within the life of the issuer's certificate
log_inclusion  the document is entered in the public log (RFC 6962), whose state the log's own key (Ed25519) signed
document       what the pages show is what the attached data say: not told here, only a program that can draw the document can tell
superseded     whether a newer certificate took its place: not told without asking the issuer

Exit status 0: valid; 1: it is not; 2: it could not be checked.
"""

import argparse
import base64
import hashlib
import json
import re
import sys
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

LARGEST = 20 * 2**20
RANGE = re.compile(rb"/ByteRange \[0 (\d{1,9}) (\d{1,9}) (\d{1,9})\]")
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of P-256. Where (r, s) is a signature, (r, ORDER - s) is one too, which anybody can make: only the smaller s is taken."""
ATTACHED = re.compile(rb"<<(?:(?!endobj|stream).)*?/Type ?/EmbeddedFile\b(?:(?!endobj).)*?>>\s*stream\r?\n", re.DOTALL)
OIDS = {
    "signed_data": "2a864886f70d010702",
    "data": "2a864886f70d010701",
    "sha256": "608648016503040201",
    "ecdsa": "2a8648ce3d040302",
    "digest": "2a864886f70d010904",
    "certificate": "2a864886f70d010910022f",
}


class Refused(Exception):
    """The file fails at a check; the code is the verdict."""

    def __init__(self, code: str, check: str, reason: str) -> None:
        super().__init__(reason)
        self.code, self.check, self.reason = code, check, reason


# ── DER: just enough of it ──────────────────────────────────────────────────────────────────────────────────────────────────


def der(tag: int, *parts: bytes) -> bytes:
    """Write one value."""
    body = b"".join(parts)
    size = len(body)
    if size < 128:
        return bytes([tag, size]) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 128 + len(length)]) + length + body


def children(raw: bytes) -> list[tuple[int, bytes, bytes]]:
    """Read the values that stand one after the other in `raw`: tag, content, whole. Raises ValueError for any other spelling."""
    found, at = [], 0
    while at < len(raw):
        tag, size, start = raw[at], raw[at + 1], at + 2
        if size >= 128:
            count = size - 128
            size, start = int.from_bytes(raw[start : start + count], "big"), start + count
        end = start + size
        if end > len(raw) or der(tag, raw[start:end]) != raw[at:end]:
            raise ValueError("not DER")
        found.append((tag, raw[start:end], raw[at:end]))
        at = end
    return found


def oid(name: str) -> bytes:
    return der(0x06, bytes.fromhex(OIDS[name]))


# ── the signature ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def located(data: bytes) -> tuple[bytes, bytes]:
    """What the one signature covers, and the signature."""
    if len(data) > LARGEST:
        raise Refused("too_large", "file", f"{len(data)} bytes, {LARGEST} at most")
    if not data.startswith(b"%PDF-"):
        raise Refused("not_a_pdf", "file", "does not start as a PDF")
    found = list(RANGE.finditer(data))
    if not found:
        raise Refused("unsigned", "signature", "no signature in the file")
    if len(found) > 1:
        raise Refused("modified", "whole_file", "more than one signature")
    until, after, length = (int(n) for n in found[0].groups())
    if not until < after or after + length != len(data):
        raise Refused("modified", "whole_file", "bytes were added or cut after the signature")
    hole = re.fullmatch(rb"<([0-9A-F]*)>", data[until:after])
    if hole is None or found[0].start() != after + 1 or len(hole[1]) % 2:
        raise Refused("modified", "whole_file", "the place of the signature holds something else")
    raw = bytes.fromhex(hole[1].decode())
    if raw[:2] != b"\x30\x82":
        raise Refused("modified", "signature", "not a signature of this kind")
    size = 4 + int.from_bytes(raw[2:4], "big")
    if any(raw[size:]):
        raise Refused("modified", "whole_file", "the place of the signature holds something else")
    return data[:until] + data[after:], raw[:size]


def opened(cms: bytes) -> tuple[bytes, bytes, bytes]:
    """Certificate, signed attributes (content) and signature of a CMS. What else is in it is compared by `canonical`."""
    try:
        (whole,) = children(cms)
        signed = children(children(children(whole[1])[1][1])[0][1])
        info = children(children(signed[4][1])[0][1])
        return children(signed[3][1])[0][2], info[3][1], info[5][1]
    except (ValueError, IndexError) as error:
        raise Refused("modified", "signature", "the signature cannot be read") from error


def canonical(certificate: bytes, attributes: bytes, signature: bytes) -> bytes:
    """The one spelling of a PAdES B-B signature: every byte of it follows from these three."""
    fields = children(children(certificate)[0][1])[0][1]
    parts = children(fields)
    serial, issuer = parts[1][2], parts[3][2]
    sha256 = der(0x30, oid("sha256"), der(0x05))
    info = der(
        0x30,
        der(0x02, b"\x01"),
        der(0x30, issuer, serial),
        sha256,
        der(0xA0, attributes),
        der(0x30, oid("ecdsa")),
        der(0x04, signature),
    )
    signed = der(
        0x30,
        der(0x02, b"\x01"),
        der(0x31, sha256),
        der(0x30, oid("data")),
        der(0xA0, certificate),
        der(0x31, info),
    )
    return der(0x30, oid("signed_data"), der(0xA0, signed))


def attribute(attributes: bytes, name: str) -> bytes | None:
    """The content of the set of values of one signed attribute."""
    for _, content, _ in children(attributes):
        parts = children(content)
        if len(parts) == 2 and parts[0][2] == oid(name):
            return parts[1][1]
    return None


def check_signature(data: bytes, trusted: x509.Certificate, checks: list[dict[str, Any]]) -> None:
    """Raises Refused at the first thing that does not hold."""
    covered, cms = located(data)
    certificate, attributes, signature = opened(cms)
    ours = trusted.public_bytes(Encoding.DER)
    if certificate != ours:
        known = trusted.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        raise Refused("modified" if known in cms else "unknown_signer", "signer", "signed with another certificate")
    try:
        if canonical(certificate, attributes, signature) != cms or decode_dss_signature(signature)[1] > ORDER // 2:
            raise Refused("modified", "signature", "the signature is not in its canonical form")
        digest = attribute(attributes, "digest")
        bound = attribute(attributes, "certificate")
    except (ValueError, IndexError) as error:
        raise Refused("modified", "signature", "the signature cannot be read") from error
    if digest != der(0x04, hashlib.sha256(covered).digest()):
        raise Refused("modified", "signature", "the content is not what was signed")
    key = trusted.public_key()
    if not isinstance(key, EllipticCurvePublicKey):
        raise Refused("unknown_signer", "signature", "not a key of this kind")
    try:
        key.verify(signature, der(0x31, attributes), ECDSA(SHA256()))
    except InvalidSignature as error:
        raise Refused("modified", "signature", "the signature is wrong") from error
    if bound is None or der(0x04, hashlib.sha256(ours).digest()) not in bound:
        raise Refused("modified", "signature", "the signature is not bound to its certificate")
    checks.append({"name": "whole_file", "ok": True, "detail": f"{len(data)} bytes"})
    checks.append({"name": "signature", "ok": True, "detail": "ECDSA P-256, SHA-256"})
    checks.append({"name": "signer", "ok": True, "detail": trusted.subject.rfc4514_string()})


def check_time(issued_at: str, trusted: x509.Certificate, checks: list[dict[str, Any]]) -> None:
    """The document's own day, against the life of the certificate that signed it."""
    at = datetime.fromisoformat(issued_at)
    if not trusted.not_valid_before_utc <= at.astimezone(UTC) <= trusted.not_valid_after_utc:
        raise Refused("modified", "time", "signed when the issuer's certificate was not valid")
    checks.append({"name": "time", "ok": True, "detail": issued_at})


# ── the content and the public log ──────────────────────────────────────────────────────────────────────────────────────────


def attached(data: bytes) -> list[bytes]:
    """The files attached to a PDF that we trust byte by byte, in the order in which they stand."""
    found = []
    for match in ATTACHED.finditer(data):
        size = re.findall(rb"/Length (\d{1,8})\b", match[0])
        if not size or b"/FlateDecode" not in match[0]:
            continue
        unpacked = zlib.decompressobj()
        found.append(unpacked.decompress(data[match.end() : match.end() + int(size[-1])], LARGEST))
    return found


def base64_of(text: str) -> bytes:
    raw = base64.b64decode(text, validate=True)
    if base64.b64encode(raw).decode() != text:
        raise ValueError("base64 in another spelling")
    return raw


def as_canonical(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def check_content(data: bytes, log: tuple[str, bytes], checks: list[dict[str, Any]]) -> dict[str, Any]:
    """The document is the beginning of the file, its entry is in the log. Gives what the certificate attests."""
    try:
        text = attached(data)[-1].decode()
        head, _, note = text.partition("\n\n")
        lines = head.split("\n")
        if lines[0] != "c2sp.org/tlog-proof@v1" or not lines[1].startswith("extra ") or not lines[2].startswith("index "):
            raise ValueError("not a proof")
        raw_extra = base64_of(lines[1].removeprefix("extra "))
        index, path = int(lines[2].removeprefix("index ")), [base64_of(line) for line in lines[3:]]
        extra = json.loads(raw_extra)
        document = data[: int(extra["bytes"])]
        raw = attached(document)[-1]
        statement: dict[str, Any] = json.loads(raw)
        number = str(statement["number"])
    except (ValueError, LookupError, TypeError, zlib.error) as error:
        raise Refused("not_a_certificate", "content", "signed, but not a certificate") from error
    about = hashlib.sha256(document).hexdigest() == extra.get("sha256") and extra.get("number") == number
    if not about or as_canonical(extra) != raw_extra:
        raise Refused("not_logged", "log_inclusion", "the proof is about another document")
    size = check_inclusion(raw_extra, index, path, note, log)
    checks.append({"name": "log_inclusion", "ok": True, "detail": f"{index} / {size}"})
    check_update(document, data[len(document) :])
    if as_canonical(statement) != raw:
        raise Refused("modified", "document", "the attached data are not in their canonical form")
    return statement


def check_inclusion(extra: bytes, index: int, path: list[bytes], note: str, log: tuple[str, bytes]) -> int:
    """The entry is under the root that the log signed (RFC 9162, 2.1.3.2). Gives the size of the log then."""
    try:
        size, root = signed_state(note, log)
        at, last = index, size - 1
        leaf = hashlib.sha256(b"\x00" + hashlib.sha256(extra).digest()).digest()
        if not 0 <= index < size:
            raise ValueError("not in a log of this size")
        for node in path:
            if last == 0:
                raise ValueError("the path is too long")
            if at & 1 or at == last:
                leaf = hashlib.sha256(b"\x01" + node + leaf).digest()
                while not at & 1 and at:
                    at, last = at >> 1, last >> 1
            else:
                leaf = hashlib.sha256(b"\x01" + leaf + node).digest()
            at, last = at >> 1, last >> 1
        if last or leaf != root:
            raise ValueError("the entry is not under the root of the log")
    except (ValueError, LookupError, InvalidSignature) as error:
        raise Refused("not_logged", "log_inclusion", str(error) or "the log did not sign this") from error
    return size


def signed_state(note: str, log: tuple[str, bytes]) -> tuple[int, bytes]:
    """Size and root of a checkpoint that the log's key signed. Other signatures in it are left alone."""
    body, blank, signatures = note.rpartition("\n\n")
    if not blank or not note.endswith("\n"):
        raise ValueError("the checkpoint is cut short")
    name, key = log
    key_id = hashlib.sha256(name.encode() + b"\n\x01" + key).digest()[:4]
    for line in signatures.splitlines():
        dash, who, encoded = line.split(" ", 2)
        raw = base64_of(encoded)
        if dash == "\u2014" and who == name and raw[:4] == key_id:
            Ed25519PublicKey.from_public_bytes(key).verify(raw[4:], f"{body}\n".encode())
            break
    else:
        raise ValueError("not signed by this log")
    origin, size, root = body.split("\n")[:3]
    if origin != name or not size.isdecimal() or size != str(int(size)):
        raise ValueError("not a checkpoint of this log")
    return int(size), base64_of(root)


# ── the update that brought proof and signature ────────────────────────────────────────────────────────────────────────────────

TOKEN = re.compile(
    rb"\s*(?:(?P<ref>\d+ \d+ R\b)|(?P<number>[+-]?\d*\.?\d+)|/(?P<name>[^\s()<>\[\]{}/%]*)|(?P<open><<|\[)|(?P<close>>>|\])"
    rb"|<(?P<hex>[0-9A-Fa-f\s]*)>|(?P<text>\()|(?P<word>[a-z]+))"
)
ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


def value(raw: bytes, at: int = 0) -> tuple[Any, int]:
    """Read one PDF value, so that two spellings of the same are the same. Raises ValueError."""
    found = TOKEN.match(raw, at)
    if found is None or found.lastgroup == "close":
        raise ValueError("not a PDF value")
    kind, text, at = found.lastgroup or "", found[found.lastgroup or 0], found.end()
    if kind == "text":
        return literal(raw, at)
    if kind == "name":
        return "/" + re.sub(rb"#(..)", lambda m: bytes.fromhex(m[1].decode()), text).decode("latin-1"), at
    if kind == "hex":
        return bytes.fromhex(text.decode()), at
    if kind != "open":
        return float(text) if kind == "number" else (kind, text.decode()), at
    items: list[Any] = []
    while (end := TOKEN.match(raw, at)) is None or end.lastgroup != "close":
        item, at = value(raw, at)
        items.append(item)
    if text == b"[":
        return items, end.end()
    if len(items) % 2 or len(set(items[::2])) * 2 != len(items):
        raise ValueError("not a dictionary")
    return dict(zip(items[::2], items[1::2], strict=True)), end.end()


def literal(raw: bytes, at: int) -> tuple[bytes, int]:
    """A string in parentheses, from after the first."""
    out, depth = bytearray(), 1
    while True:
        match = re.compile(rb"\\([0-7]{1,3}|.)|[()]|[^\\()]+", re.DOTALL).match(raw, at)
        if match is None:
            raise ValueError("a string without an end")
        at, piece = match.end(), match[0]
        if match[1] is not None:
            out += bytes([int(match[1], 8) & 255]) if match[1].isdigit() else ESCAPES.get(match[1], match[1])
            continue
        depth += (piece == b"(") - (piece == b")")
        if not depth:
            return bytes(out), at
        out += piece


def objects(raw: bytes) -> dict[int, Any]:
    """The objects of a part of a PDF that are values; of a stream, its dictionary and its bytes."""
    found: dict[int, Any] = {}
    for match in re.finditer(rb"(?:^|\n)(\d{1,7}) 0 obj\s", raw):
        content, at = value(raw, match.end())
        rest = re.compile(rb"\s*stream\r?\n").match(raw, at)
        if rest is not None and isinstance(content, dict):
            size = int(content["/Length"])
            content = [content, raw[rest.end() : rest.end() + size]]
        if int(match[1]) in found:
            raise ValueError("an object twice")
        found[int(match[1])] = content
    return found


def without(content: Any, names: set[str]) -> Any:
    return {k: v for k, v in content.items() if k not in names} if isinstance(content, dict) else content


def check_update(document: bytes, update: bytes) -> None:
    """Of what was there, the update may only tie the proof and the (invisible) signature to the catalog, a page and the lists of files."""
    try:
        before, after = objects(document), objects(update)
        root = re.findall(rb"/Root (\d+) 0 R", document[document.rindex(b"trailer") :])[-1]
        catalog = before[int(root)]
        names = catalog["/Names"] if isinstance(catalog["/Names"], dict) else before[int(catalog["/Names"][1].split()[0])]
        ties = {tie[1] for tie in (catalog["/Names"], names["/EmbeddedFiles"], catalog.get("/AF")) if isinstance(tie, tuple)}
        lists = {int(tie.split()[0]) for tie in ties}
        added: list[Any] = []
        for number, new in after.items():
            old = before.get(number)
            if old is None or number in lists:
                continue
            may = {"/AcroForm", "/Perms", "/AF", "/Names"} if number == int(root) else set()
            if isinstance(old, dict) and old.get("/Type") == "/Page":
                may = {"/Annots"}
                had = old.get("/Annots", [])
                if new["/Annots"][: len(had)] != had:
                    raise ValueError("what hangs on a page was changed")
                added += new["/Annots"][len(had) :]
            if without(old, may) != without(new, may):
                raise ValueError(f"object {number} was changed after the document was made")
        for tie in added:
            field = after[int(tie[1].split()[0])]
            if field.get("/FT") != "/Sig" or field.get("/Rect") != [0.0] * 4 or "/AP" in field:
                raise ValueError("something visible was hung on a page")
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise Refused("modified", "document", str(error)) from error


# ── all of it ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def keys(text: str) -> tuple[x509.Certificate, tuple[str, bytes]]:
    """The issuer's certificate, and name and key of the log, as `issuer.pem` gives them."""
    line = next((line for line in text.splitlines() if line.startswith("log: ")), "")
    if not line or "-----BEGIN CERTIFICATE-----" not in text:
        raise ValueError("no key of a log and certificate in it: get issuer.pem again from the issuer")
    name, key_id, encoded = line.removeprefix("log: ").strip().split("+", 2)
    raw = base64_of(encoded)
    if raw[:1] != b"\x01" or len(raw) != 33 or hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4].hex() != key_id:
        raise ValueError("the log's key cannot be read")
    return x509.load_pem_x509_certificate(text[text.index("-----BEGIN CERTIFICATE-----") :].encode()), (name, raw[1:])


def verify(data: bytes, trust: str) -> dict[str, Any]:
    """Say what a file is worth."""
    certificate, log = keys(trust)
    checks: list[dict[str, Any]] = []
    verdict: dict[str, Any] = {"ok": False, "code": "valid", "reason": "", "checks": checks, "statement": None}
    try:
        check_signature(data, certificate, checks)
        statement = check_content(data, log, checks)
        check_time(statement["issued_at"], certificate, checks)
    except Refused as refused:
        checks.append({"name": refused.check, "ok": False, "detail": refused.reason})
        return verdict | {"code": refused.code, "reason": refused.reason}
    checks.append({"name": "document", "ok": None, "detail": "only a program that can draw the document can tell"})
    checks.append({"name": "superseded", "ok": None, "detail": "only the issuer can tell"})
    return verdict | {"ok": True, "statement": statement}


def main() -> int:
    parser = argparse.ArgumentParser(description="Check a certificate, without network.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--trust", type=Path, required=True, help="the issuer's public keys, issuer.pem")
    parser.add_argument("--json", action="store_true", help="the verdict as JSON")
    options = parser.parse_args()
    reading = options.trust
    try:
        trust = reading.read_text("utf-8")
        keys(trust)
        reading = options.file
        verdict = verify(reading.read_bytes(), trust)
    except UnicodeDecodeError:
        print(f"{reading}: not the keys of an issuer, it is no text", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{reading}: cannot be read ({error.strerror})", file=sys.stderr)
        return 2
    except ValueError as error:
        print(f"{reading}: cannot be used ({error})", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(verdict, ensure_ascii=False, sort_keys=True))
    else:
        print("VALID" if verdict["ok"] else f"NOT VALID ({verdict['code']}): {verdict['reason']}")
        for check in verdict["checks"]:
            print(
                f"  {check['name']}: {'yes' if check['ok'] else 'NO' if check['ok'] is False else 'not told'} ({check['detail']})"
            )
        if verdict["statement"]:
            print(json.dumps(verdict["statement"], ensure_ascii=False, indent=1))
    return 0 if verdict["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())

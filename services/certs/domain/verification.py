"""What can be said of a file that someone holds, from the file alone and the issuer's public keys.

In this order, so that no PDF reader ever sees bytes that we did not sign:
1. the signature: it covers the whole file but its own place, which holds nothing else; it is ours; not one byte changed since;
2. the proof: the beginning of the file is the document entered in the public log, and the log's signed state includes the entry;
3. the update that brought proof and signature changed nothing of what the document shows;
4. the document is what its attached data give when they are laid out again (by the same version of the layout).

Imported in worker processes only.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal

from asn1crypto import cms, pem, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from pydantic import ValidationError

from services.certs.domain import merkle, note
from services.certs.domain.certificate import leaf_entry
from services.certs.domain.statement import Statement, canonical

LARGEST = 20 * 2**20
RANGE = re.compile(rb"/ByteRange \[0 (\d{1,9}) (\d{1,9}) (\d{1,9})\]")
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of P-256 (FIPS 186-5). Where (r, s) is a signature, (r, ORDER - s) is one too: we sign with the smaller s, and take no other."""
HEX = re.compile(rb"<([0-9A-F]*)>")

Code = Literal[
    "valid",
    "modified",
    "unknown_signer",
    "unsigned",
    "not_a_pdf",
    "too_large",
    "not_a_certificate",
    "not_logged",
    "superseded",
    "log_rewritten",
]


class RefusedFileError(Exception):
    """The file fails at `check`; `code` is the verdict, `reason` says what was found."""

    def __init__(self, code: Code, check: str, reason: str) -> None:
        super().__init__(reason)
        self.code: Code = code
        self.check = check
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """The public keys of an issuer, as `/certs/issuer.pem` gives them: the certificate, and the log's verifier key before it."""

    certificate: bytes
    log: note.Verifier

    @classmethod
    def read(cls, text: str) -> "Trust":
        line = next((line for line in text.splitlines() if line.startswith("log: ")), "")
        begin = text.find("-----BEGIN CERTIFICATE-----")
        if not line or begin < 0:
            raise ValueError("no key of a log" if begin >= 0 else "no certificate")
        _, _, certificate = pem.unarmor(text[begin:].encode())
        return cls(certificate=certificate, log=note.verifier(line.removeprefix("log: ")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was checked: right, wrong, or (null) not told."""

    name: str
    ok: bool | None
    detail: str = ""


@dataclass(slots=True, kw_only=True)
class Verdict:
    """What was found. `statement` is what the certificate attests, and only there when the signature is ours and intact."""

    code: Code = "valid"
    reason: str = ""
    checks: list[Check] = field(default_factory=list)
    signer: str | None = None
    leaf_index: int | None = None
    log_size: int | None = None
    statement: Statement | None = None
    checkpoint: note.Checkpoint | None = None
    """The state of the log that the certificate carries, once it was found to be ours."""

    @property
    def ok(self) -> bool:
        return self.code == "valid"


@dataclass(frozen=True, slots=True)
class Signature:
    """The signature's place in the file, and what is in it."""

    covered: bytes
    cms: bytes


def verify(data: bytes, trust: Trust, layout: str = "", render: Callable[[Statement], bytes] | None = None) -> Verdict:
    """Say what `data` is, to someone who trusts `trust`."""
    verdict = Verdict()
    try:
        check_signature(data, trust, verdict)
        check_content(data, trust, verdict, layout, render)
    except RefusedFileError as refused:
        verdict.code, verdict.reason = refused.code, refused.reason
        verdict.checks.append(Check(name=refused.check, ok=False, detail=refused.reason))
    return verdict


def check_signature(data: bytes, trust: Trust, verdict: Verdict) -> None:
    """Step 1. Appends what held to `verdict`, raises at what does not."""
    if len(data) > LARGEST:
        raise RefusedFileError("too_large", "file", f"{len(data)} bytes, {LARGEST} at most")
    if not data.startswith(b"%PDF-"):
        raise RefusedFileError("not_a_pdf", "file", "does not start as a PDF")
    signature = locate(data)
    certificate, signed_attributes, value = opened(signature.cms, trust)
    attributes = {a["type"].native: a["values"] for a in signed_attributes}
    digests = attributes.get("message_digest")
    if digests is None or digests[0].native != sha256(signature.covered).digest():
        raise RefusedFileError("modified", "signature", "the content is not what was signed")
    key = x509.load_der_x509_certificate(certificate).public_key()
    if not isinstance(key, EllipticCurvePublicKey):
        raise RefusedFileError("unknown_signer", "signature", "not a key of our kind")
    try:
        key.verify(value, signed_attributes.untag().dump(), ECDSA(SHA256()))
    except InvalidSignature as error:
        raise RefusedFileError("modified", "signature", "the signature is wrong") from error
    bound = attributes.get("signing_certificate_v2")
    if bound is None or not isinstance(bound[0], tsp.SigningCertificateV2):  # the import of tsp is what makes it readable
        raise RefusedFileError("modified", "signature", "the signature is not bound to a certificate")
    if bound[0]["certs"][0]["cert_hash"].native != sha256(certificate).digest():
        raise RefusedFileError("modified", "signature", "the signature is bound to another certificate")
    verdict.signer = asn1_x509.Certificate.load(certificate).subject.native.get("common_name")
    verdict.checks.append(Check(name="whole_file", ok=True, detail=f"{len(data)} bytes"))
    verdict.checks.append(Check(name="signature", ok=True, detail="ECDSA P-256, SHA-256"))
    verdict.checks.append(Check(name="signer", ok=True, detail=verdict.signer or ""))


def locate(data: bytes) -> Signature:
    """The one signature, covering all but its own place up to the last byte."""
    found = list(RANGE.finditer(data))
    if not found:
        raise RefusedFileError("unsigned", "signature", "no signature in the file")
    if len(found) > 1:
        raise RefusedFileError("modified", "whole_file", "more than one signature")
    until, after, length = (int(n) for n in found[0].groups())
    if not until < after or after + length != len(data):
        raise RefusedFileError("modified", "whole_file", "bytes were added or cut after the signature")
    hole = HEX.fullmatch(data, until, after)
    if hole is None or found[0].start() != after + 1:
        raise RefusedFileError("modified", "whole_file", "the place of the signature holds something else")
    raw = bytes.fromhex(hole[1].decode())
    length = cms_length(raw)
    if any(raw[length:]):
        raise RefusedFileError("modified", "whole_file", "the place of the signature holds something else")
    return Signature(data[:until] + data[after:], raw[:length])


def cms_length(raw: bytes) -> int:
    """Length of the DER value at the beginning of `raw`; what follows is filling."""
    if raw[:2] != b"\x30\x82":
        raise RefusedFileError("modified", "signature", "not a signature of our kind")
    return 4 + int.from_bytes(raw[2:4], "big")


def opened(raw: bytes, trust: Trust) -> tuple[bytes, Any, bytes]:
    """Certificate, signed attributes and signature of a CMS that holds these and nothing else, in its one canonical form."""
    try:
        signed = cms.ContentInfo.load(raw, strict=True)["content"]
        (info,) = signed["signer_infos"]
        (chosen,) = signed["certificates"]
        certificate: bytes = chosen.chosen.dump()
        rebuilt = canonical_cms(chosen.chosen, info["signed_attrs"], info["signature"].native)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise RefusedFileError("modified", "signature", "the signature cannot be read") from error
    if certificate != trust.certificate:
        ours = asn1_x509.Certificate.load(trust.certificate).public_key.dump() in raw
        raise RefusedFileError("modified" if ours else "unknown_signer", "signer", "signed with another certificate")
    if rebuilt != raw or not smallest(info["signature"].native):
        raise RefusedFileError("modified", "signature", "the signature is not in its canonical form")
    return certificate, info["signed_attrs"], info["signature"].native


def smallest(signature: bytes) -> bool:
    """Whether it is an ECDSA signature, with the smaller s of the two that ECDSA takes."""
    try:
        return decode_dss_signature(signature)[1] <= ORDER // 2
    except ValueError:
        return False


def canonical_cms(certificate: Any, attributes: Any, signature: bytes) -> bytes:
    """The CMS of a PAdES B-B signature by `certificate`: every byte of it follows from these three."""
    info = {
        "version": "v1",
        "sid": cms.SignerIdentifier(
            {"issuer_and_serial_number": {"issuer": certificate.issuer, "serial_number": certificate.serial_number}}
        ),
        "digest_algorithm": {"algorithm": "sha256"},
        "signed_attrs": cms.CMSAttributes.load(attributes.untag().dump(force=True)),
        "signature_algorithm": {"algorithm": "sha256_ecdsa"},
        "signature": signature,
    }
    signed = {
        "version": "v1",
        "digest_algorithms": [{"algorithm": "sha256"}],
        "encap_content_info": {"content_type": "data"},
        "certificates": [certificate],
        "signer_infos": [info],
    }
    made: bytes = cms.ContentInfo({"content_type": "signed_data", "content": cms.SignedData(signed)}).dump()
    return made


def check_content(data: bytes, trust: Trust, verdict: Verdict, layout: str, render: Callable[[Statement], bytes] | None) -> None:
    """Steps 2 to 4, on a file whose signature holds."""
    from services.certs.domain.revision import Unreadable, attached, only_sealed

    try:
        proof = note.proof(attached(data, "preuve.tlog-proof").decode())
        extra = json.loads(proof.extra)
        length, number, digest = int(extra["bytes"]), str(extra["number"]), str(extra["sha256"])
        document = data[:length]
        statement = Statement.model_validate_json(raw := attached(document, "certificat.json"))
    except (Unreadable, note.BadNoteError, ValidationError, ValueError, KeyError, TypeError) as error:
        raise RefusedFileError("not_a_certificate", "content", "signed, but not a certificate of ours") from error
    if sha256(document).hexdigest() != digest or number != statement.number or canonical(extra) != proof.extra:
        raise RefusedFileError("not_logged", "log_inclusion", "the proof is about another document")
    check_inclusion(proof, trust, verdict)
    if fault := only_sealed(document, data):
        raise RefusedFileError("modified", "document", fault)
    if raw != canonical(json.loads(raw)):
        raise RefusedFileError("modified", "document", "the attached data are not in their canonical form")
    again = render(statement) == document if render is not None and statement.layout == layout else None
    if again is False:
        raise RefusedFileError("modified", "document", "the document does not show its attached data")
    check_time(statement, trust, verdict)
    verdict.checks.append(Check(name="document", ok=again, detail=statement.layout))
    verdict.statement = statement


def check_time(statement: Statement, trust: Trust, verdict: Verdict) -> None:
    """The day of the document lies within the life of the certificate that signed it."""
    certificate = x509.load_der_x509_certificate(trust.certificate)
    if not certificate.not_valid_before_utc <= statement.issued_at <= certificate.not_valid_after_utc:
        raise RefusedFileError("modified", "time", "signed when the issuer's certificate was not valid")
    verdict.checks.append(Check(name="time", ok=True, detail=statement.issued_at.isoformat()))


def check_inclusion(proof: note.Proof, trust: Trust, verdict: Verdict) -> None:
    """The entry is under the checkpoint's root, and the log signed that checkpoint."""
    try:
        checkpoint = note.opened(proof.note, trust.log)
        leaf = merkle.leaf_hash(leaf_entry(proof.extra))
        merkle.check_inclusion(proof.index, checkpoint.size, leaf, proof.path, checkpoint.root)
    except (note.BadNoteError, merkle.BadProofError) as error:
        raise RefusedFileError("not_logged", "log_inclusion", str(error)) from error
    verdict.leaf_index, verdict.log_size, verdict.checkpoint = proof.index, checkpoint.size, checkpoint
    verdict.checks.append(Check(name="log_inclusion", ok=True, detail=f"{proof.index} / {checkpoint.size}"))

"""The certificate as people get it: the document, then one incremental update with the proof of its entry in the log and the signature.

The document's bytes stay the beginning of the file, so the file proves its own entry: hash that beginning. PAdES B-B, ECDSA P-256,
certified: no change is allowed afterwards. Everything is pinned (date, file id, RFC 6979 nonces), so that the same document, proof and
key give the same bytes, and work cut short by a crash is simply done again.

Imported in worker processes only: pyhanko is large.
"""

import asyncio
import io
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from asn1crypto import keys as asn1_keys
from asn1crypto import pem
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.embed import EmbeddedFileObject, EmbeddedFileParams, FileSpec
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import fields, signers
from pyhanko_certvalidator.registry import SimpleCertificateStore

from services.certs.domain.verification import ORDER

FIELD = "Certificat"
PROOF_FILE = "preuve.tlog-proof"
RESERVED = 8192
"""Hexadecimal digits kept for the signature: the same for every certificate, ample for one certificate in it."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who signs: private key and certificate, read once per worker."""

    key: EllipticCurvePrivateKey
    certificate: asn1_x509.Certificate

    @classmethod
    def read(cls, key_pem: bytes, certificate_pem: bytes) -> "Issuer":
        key = load_pem_private_key(key_pem, password=None)
        if not isinstance(key, EllipticCurvePrivateKey):
            raise TypeError("the signing key is not on an elliptic curve")
        return cls(key, asn1_x509.Certificate.load(pem.unarmor(certificate_pem)[2]))


class Signer(signers.SimpleSigner):
    """Signs with nonces derived from key and message (RFC 6979), and the smaller s: one signature and no other, to the last bit."""

    def __init__(self, issuer: Issuer) -> None:
        nobody_else = SimpleCertificateStore()
        super().__init__(signing_cert=issuer.certificate, signing_key=asn1_keys.PrivateKeyInfo(), cert_registry=nobody_else)
        self.issuer = issuer

    def sign_raw(self, data: bytes, digest_algorithm: str) -> bytes:
        if digest_algorithm != "sha256":
            raise ValueError(digest_algorithm)
        r, s = decode_dss_signature(self.issuer.key.sign(data, ECDSA(SHA256(), deterministic_signing=True)))
        return encode_dss_signature(r, min(s, ORDER - s))


class Update(IncrementalPdfFileWriter):
    """An incremental update that adds nothing of its own: no date of today, no random file id."""

    def _update_meta(self) -> None:
        """Leave the metadata as the document has it: its content does not change."""

    def ensure_output_version(self, version: tuple[int, int]) -> None:
        """Stay PDF 1.7, which PDF/A-3 is built on; nothing here needs more."""

    def register_extension(self, ext: object) -> None:
        """Declare no extension: PDF/A-3 readers know these algorithms as they are."""

    def pin(self, seed: bytes) -> None:
        self._document_id[1] = generic.ByteStringObject(sha256(seed).digest()[:16])


def sign(document: bytes, proof: bytes, issuer: Issuer, at: datetime) -> bytes:
    """The signed file: `document`, then `proof` attached and the signature, dated `at`."""
    update = Update(io.BytesIO(document))
    update.pin(document + proof)
    attach(update, proof, at)
    return asyncio.run(signed(update, Signer(issuer), at))


async def signed(update: Update, signer: Signer, at: datetime) -> bytes:
    metadata = signers.PdfSignatureMetadata(
        field_name=FIELD,
        md_algorithm="sha256",
        subfilter=fields.SigSeedSubFilter.PADES,
        certify=True,
        docmdp_permissions=fields.MDPPerm.NO_CHANGES,
        name=signer.subject_name,
    )
    session = signers.PdfSigner(metadata, signer=signer).init_signing_session(update)
    session.system_time = at
    document = session.prepare_tbs_document(validation_info=None, bytes_reserved=RESERVED)
    prepared, output = document.digest_tbs_document()
    attributes = signers.pdf_cms.PdfCMSSignedAttributes(signing_time=at)
    await document.perform_signature(prepared.document_digest, attributes)
    output.seek(0)
    written: bytes = output.read()
    return written


def attach(update: Update, proof: bytes, at: datetime) -> None:
    """Add the proof to the embedded files, and to the associated files as PDF/A-3 asks."""
    stream = EmbeddedFileObject.from_file_data(
        update, proof, mime_type="text/plain", params=EmbeddedFileParams(creation_date=at, modification_date=at)
    )
    spec = FileSpec(
        file_spec_string=PROOF_FILE,
        file_name=PROOF_FILE,
        embedded_data=stream,
        description="Preuve d'inscription au registre public",
        af_relationship=pdf_name("/Supplement"),
    )
    reference = update.add_object(spec.as_pdf_object())
    tree: Any = update.root["/Names"]["/EmbeddedFiles"]
    names = tree["/Names"]
    names.append(generic.pdf_string(PROOF_FILE))  # after certificat.json: a name tree is in order
    names.append(reference)
    update.update_container(names)
    update.update_container(tree)
    associated: Any = update.root["/AF"]
    associated.append(reference)
    update.update_container(associated)
    update.mark_update(update.root_ref)

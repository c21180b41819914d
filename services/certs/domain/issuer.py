"""The keys that certificates and the log are signed with, made once: an issuer's P-256 key with its own certificate, and a log key."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

YEARS = 10


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """Private keys and the issuer's certificate, PEM. Never logged: the class has no repr."""

    signing_key: bytes
    certificate: bytes
    log_key: bytes

    @property
    def log(self) -> Ed25519PrivateKey:
        key = load_pem_private_key(self.log_key, password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise TypeError("the log's key is not Ed25519")
        return key


def make(issuer: str, now: datetime) -> Keys:
    """New keys, and a certificate that the issuer signs itself: whoever checks must get it from the issuer once."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer[:64])])
    usage = {"digital_signature": True, "content_commitment": True}
    others = (
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=366 * YEARS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**usage, **dict.fromkeys(others, False)), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, SHA256())
    )
    return Keys(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        certificate.public_bytes(Encoding.PEM),
        Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )

"""Certificates, and what people could make of them: every verifier must say the same of each."""

import asyncio
import io
import json
import random
from datetime import datetime
from functools import cache
from typing import Any

from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from pyhanko.pdf_utils import generic

from services.certs.domain import document, issuer, signature, verification
from services.certs.domain.signature import Issuer, Update, attach
from tests.certs.samples import AT, certify, held, keys, mixed, proof, trust


def me(of: issuer.Keys | None = None) -> Issuer:
    kept = of or keys()
    return Issuer.read(kept.signing_key, kept.certificate)


@cache
def made() -> tuple[bytes, bytes]:
    """A document, and the same signed."""
    drawn = document.render(mixed())
    return drawn, signature.sign(drawn, proof(drawn, mixed().number), me(), AT)


def appended(signed: bytes) -> bytes:
    """An incremental update as an attacker would append it: a field more, all else in order."""
    update = Update(io.BytesIO(signed))
    update.root["/PageLayout"] = generic.pdf_name("/TwoColumnLeft")
    update.mark_update(update.root_ref)
    out = io.BytesIO()
    update.write(out)  # type: ignore[no-untyped-call]  # pyhanko types a part of itself
    return out.getvalue()


def resigned(signed: bytes) -> bytes:
    """Signed once more by somebody else, on top."""
    other = issuer.make("Quelqu'un d'autre", AT)
    drawn = document.render(certify([held()]))
    return signed + signature.sign(drawn, proof(drawn, "MC-X"), me(other), AT)[len(drawn) :]


def updated(change: str) -> bytes:
    """Signed by us, with more in the update than proof and signature."""
    drawn, _ = made()
    update = Update(io.BytesIO(drawn))
    update.pin(drawn)
    attach(update, proof(drawn, mixed().number), AT)
    page: Any = update.root["/Pages"]["/Kids"][0]
    while "/Kids" in page:
        page = page["/Kids"][0]
    if change == "turned":
        page["/Rotate"] = generic.NumberObject(180)
    else:
        stamp = generic.DictionaryObject(
            {
                generic.pdf_name("/Type"): generic.pdf_name("/Annot"),
                generic.pdf_name("/Subtype"): generic.pdf_name("/FreeText"),
                generic.pdf_name("/Rect"): generic.ArrayObject(map(generic.NumberObject, (100, 100, 400, 200))),
                generic.pdf_name("/Contents"): generic.pdf_string("tout est effacé"),
            }
        )
        page["/Annots"] = generic.ArrayObject([update.add_object(stamp)])
    update.update_container(page)
    return asyncio.run(signature.signed(update, signature.Signer(me()), AT))


def changed(data: bytes, place: int, mask: int) -> bytes:
    found = bytearray(data)
    found[place] ^= mask
    return bytes(found)


def twin() -> bytes:
    """Signed with (r, n - s) for (r, s): the same signature to ECDSA, made without the key."""
    _, signed = made()
    found = verification.RANGE.search(signed)
    assert found is not None
    start, end = int(found[1]), int(found[2])
    certificate, attributes, ours = verification.opened(verification.locate(signed).cms, trust())
    r, s = decode_dss_signature(ours)
    other = encode_dss_signature(r, verification.ORDER - s)
    again = verification.canonical_cms(asn1_x509.Certificate.load(certificate), attributes, other).hex().upper().encode()
    return signed[: start + 1] + again.ljust(end - start - 2, b"0") + signed[end - 1 :]


def flipped(count: int) -> dict[str, bytes]:
    """One bit changed, anywhere; and all over the place of the signature."""
    drawn, signed = made()
    chance = random.Random(20261126)  # noqa: S311 the same places each time
    found = verification.RANGE.search(signed)
    assert found is not None
    start, end = int(found[1]), int(found[2])
    places = [chance.randrange(len(signed)) for _ in range(count)]
    places += [chance.randrange(len(drawn), len(signed)) for _ in range(count)]
    places += [chance.randrange(start, start + 1600) for _ in range(count)] + [start, end - 1, end, start + 2000]
    return {f"bit {n}: byte {place}": changed(signed, place, 1 << chance.randrange(7)) for n, place in enumerate(places)}


def corpus(bits: int = 40) -> dict[str, bytes]:
    """What is what, by name."""
    drawn, signed = made()
    other = issuer.make("Emmaüs Connect", AT)
    named = {
        "as we signed it": signed,
        "of one device": one_device(),
        "a line more": signed + b"\n",
        "an end more": signed + b"%%EOF\n",
        "an update more": appended(signed),
        "signed on top by another": resigned(signed),
        "cut by a byte": signed[:-1],
        "not signed": drawn,
        "nothing": b"",
        "a picture": b"\x89PNG",
        "a line before": b"\n" + signed,
        "too large": signed + bytes(verification.LARGEST),
        "by another issuer of the same name": signature.sign(drawn, proof(drawn, mixed().number, other), me(other), AT),
        "of another log": signature.sign(drawn, proof(drawn, mixed().number, other), me(), AT),
        "of another document": signature.sign(drawn, proof(drawn + b"x", mixed().number), me(), AT),
        "of another number": signature.sign(drawn, proof(drawn, "MC-OTHER-1"), me(), AT),
        "without a proof": signature.sign(drawn, b"nothing", me(), AT),
        "of before the issuer's certificate": one_device(AT.replace(year=2020)),
        "of after the issuer's certificate": one_device(AT.replace(year=2051)),
        "with the twin of the signature": twin(),
        "a page turned": updated("turned"),
        "a stamp on a page": updated("stamped"),
    }
    return named | flipped(bits)


def one_device(at: datetime = AT) -> bytes:
    statement = certify([held()]).model_copy(update={"issued_at": at})
    drawn = document.render(statement)
    return signature.sign(drawn, proof(drawn, statement.number), me(), AT)


def lying() -> bytes:
    """Shows one thing and attaches another: only who can draw the document again sees it."""
    shown = document.view(certify([held(media=[], device_ref="ANOTHER")]))
    drawn = document.compiler().compile(
        format="pdf",
        sys_inputs={"view": json.dumps(shown), "data": mixed().canonical.decode(), "qr": document.qr("x")},
        pdf_standards=["a-3a", "ua-1"],
        timestamp=int(AT.timestamp()),
    )
    assert isinstance(drawn, bytes)
    return signature.sign(drawn, proof(drawn, mixed().number), me(), AT)

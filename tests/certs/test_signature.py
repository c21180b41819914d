"""The signed file: whole, ours, in the log; every change is refused, and judges that are not ours agree."""

import io
import json
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from services.certs.domain import document, issuer, signature, verification
from services.certs.domain.assets import layout
from services.certs.domain.statement import canonical
from services.certs.domain.verification import Verdict
from tests.certs.corpus import appended, lying, made, me, resigned, updated
from tests.certs.samples import AT, keys, mixed, proof, trust, trust_text
from tests.support.required import pdfsig

OTHERS = 200


def judged(data: bytes) -> Verdict:
    return verification.verify(data, trust(), layout(), document.render)


def test_what_we_signed_is_valid_and_says_what_it_attests() -> None:
    verdict = judged(made()[1])
    assert (verdict.code, verdict.reason) == ("valid", "")
    assert {c.name: c.ok for c in verdict.checks} == dict.fromkeys(
        ("whole_file", "signature", "signer", "log_inclusion", "time", "document"), True
    )
    assert (verdict.signer, verdict.leaf_index, verdict.log_size) == ("Emmaüs Connect", 1, 3)
    assert verdict.statement == mixed()


def test_the_document_is_the_beginning_of_the_signed_file_and_signing_again_makes_the_same_bytes() -> None:
    drawn, signed = made()
    assert signed.startswith(drawn)
    assert signature.sign(drawn, proof(drawn, mixed().number), me(), AT) == signed


def test_one_changed_byte_is_refused_at_200_places() -> None:
    _, signed = made()
    chance = random.Random(20261123)  # noqa: S311 the same places each time
    for _ in range(OTHERS):
        place, mask = chance.randrange(len(signed)), 1 << chance.randrange(8)
        changed = bytearray(signed)
        changed[place] ^= mask
        assert not judged(bytes(changed)).ok, f"byte {place} ^ {mask}"


def test_the_place_of_the_signature_is_no_hiding_place() -> None:
    _, signed = made()
    found = verification.RANGE.search(signed)
    assert found is not None
    start, end = int(found[1]), int(found[2])
    used = 2 * verification.cms_length(bytes.fromhex(signed[start + 1 : end - 1].decode()))
    assert 1500 < used < end - start - 100
    for place in (*range(start, start + used + 10), *range(start + used, end, 97), end - 2, end - 1):
        changed = bytearray(signed)
        changed[place] ^= 0x20 if place % 2 else 0x01
        assert not judged(bytes(changed)).ok, f"byte {place - start} of the signature's place"


@pytest.mark.parametrize(
    "attack,code",
    [
        (lambda s: s + b"\n", "modified"),
        (lambda s: s + b"%%EOF\n", "modified"),
        (appended, "modified"),
        (resigned, "modified"),
        (lambda s: s[:-1], "modified"),
        (lambda s: s[: len(made()[0])], "unsigned"),
        (lambda _: b"", "not_a_pdf"),
        (lambda _: b"\x89PNG", "not_a_pdf"),
        (lambda s: b"\n" + s, "not_a_pdf"),
        (lambda s: s + bytes(verification.LARGEST), "too_large"),
    ],
)
def test_what_is_added_cut_or_of_another_kind_is_refused(attack: Callable[[bytes], bytes], code: str) -> None:
    assert judged(attack(made()[1])).code == code


def test_a_certificate_by_another_issuer_of_the_same_name_is_unknown() -> None:
    drawn, _ = made()
    other = issuer.make("Emmaüs Connect", AT)
    forged = signature.sign(drawn, proof(drawn, mixed().number, other), me(other), AT)
    assert judged(forged).code == "unknown_signer"
    assert verification.verify(forged, trust(other), layout(), document.render).ok


def test_a_document_that_is_not_in_the_log_is_refused() -> None:
    drawn, _ = made()
    elsewhere = issuer.make("Emmaüs Connect", AT)
    of_another_log = signature.sign(drawn, proof(drawn, mixed().number, elsewhere), me(), AT)
    of_another_document = signature.sign(drawn, proof(drawn + b"x", mixed().number), me(), AT)
    of_another_number = signature.sign(drawn, proof(drawn, "MC-OTHER-1"), me(), AT)
    without = signature.sign(drawn, b"nothing", me(), AT)
    for data, code in (
        (of_another_log, "not_logged"),
        (of_another_document, "not_logged"),
        (of_another_number, "not_logged"),
        (without, "not_a_certificate"),
    ):
        assert judged(data).code == code


def test_a_document_that_does_not_show_its_data_is_refused_even_when_we_signed_it() -> None:
    """An issuer cannot show one thing and attach another."""
    verdict = judged(lying())
    assert (verdict.code, verdict.reason) == ("modified", "the document does not show its attached data")


@pytest.mark.parametrize(
    ("change", "reason"),
    [("turned", "was changed after the document was made"), ("stamped", "something visible was hung on a page")],
)
def test_an_update_that_changes_a_page_is_refused_even_when_we_signed_it(change: str, reason: str) -> None:
    """The log has the document; what is appended to it may bring proof and signature, and nothing that people see."""
    verdict = judged(updated(change))
    assert verdict.code == "modified"
    assert reason in verdict.reason


def test_a_document_of_an_earlier_layout_is_valid_and_says_that_it_was_not_laid_out_again() -> None:
    verdict = verification.verify(made()[1], trust(), "certificate/9", document.render)
    assert verdict.ok
    assert {c.name: c.ok for c in verdict.checks}["document"] is None


def test_data_with_fields_of_another_day_are_valid_all_the_same() -> None:
    """Statements gain fields; a certificate from before, or from after, is not forged for that."""
    data = json.loads(mixed().canonical) | {"of_another_day": True, "layout": "certificate/9"}
    drawn = document.compiler().compile(
        format="pdf",
        sys_inputs={"view": json.dumps(document.view(mixed())), "data": canonical(data).decode(), "qr": document.qr("x")},
        pdf_standards=["a-3a", "ua-1"],
        timestamp=int(AT.timestamp()),
    )
    assert isinstance(drawn, bytes)
    assert judged(signature.sign(drawn, proof(drawn, mixed().number), me(), AT)).ok


@pytest.mark.pdfsig
def test_poppler_agrees(tmp_path: Path) -> None:
    program = pdfsig()
    (tmp_path / "it.pdf").write_bytes(made()[1])
    said = subprocess.run([program, "it.pdf"], cwd=tmp_path, capture_output=True, text=True, check=False).stdout
    assert "Signature Validation: Signature is Valid." in said
    assert "Total document signed" in said
    assert "ETSI.CAdES.detached" in said
    assert "SHA-256" in said
    assert "Nov 23 2026" in said


@pytest.mark.pdfsig
def test_poppler_refuses_a_changed_byte_too(tmp_path: Path) -> None:
    program = pdfsig()
    changed = bytearray(made()[1])
    changed[len(made()[0]) // 2] ^= 1
    (tmp_path / "it.pdf").write_bytes(bytes(changed))
    said = subprocess.run([program, "it.pdf"], cwd=tmp_path, capture_output=True, text=True, check=False).stdout
    assert "Signature is Valid" not in said


def test_pyhanko_s_own_validation_agrees() -> None:
    from asn1crypto import pem, x509
    from pyhanko.pdf_utils.reader import PdfFileReader
    from pyhanko.sign.validation import validate_pdf_signature
    from pyhanko.sign.validation.status import SignatureCoverageLevel
    from pyhanko_certvalidator import ValidationContext

    certificate = x509.Certificate.load(pem.unarmor(keys().certificate)[2])
    (signed,) = PdfFileReader(io.BytesIO(made()[1])).embedded_signatures
    context = ValidationContext(trust_roots=[certificate], allow_fetching=False, moment=AT)
    status = validate_pdf_signature(signed, context)
    assert (status.valid, status.intact, status.trusted, status.docmdp_ok) == (True, True, True, True)
    assert status.coverage == SignatureCoverageLevel.ENTIRE_FILE
    assert status.bottom_line


def test_the_keys_file_is_read_as_it_is_written() -> None:
    assert trust().certificate.startswith(b"\x30\x82")
    with pytest.raises(ValueError, match=r".*"):
        verification.Trust.read("no key")
    assert "PRIVATE" not in trust_text()

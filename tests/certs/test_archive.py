"""An independent judge finds certificates to be PDF/A-3a and PDF/UA-1: as they are laid out, and as they are signed."""

from pathlib import Path

from services.certs.domain import document, signature
from services.certs.domain.statement import Statement
from tests.certs import verapdf
from tests.certs.samples import AT, certify, erasure, held, keys, medium, mixed, proof
from tests.certs.test_correction import corrected


def signed(statement: Statement) -> bytes:
    laid_out = document.render(statement)
    issuer = signature.Issuer.read(keys().signing_key, keys().certificate)
    return signature.sign(laid_out, proof(laid_out, statement.number), issuer, AT)


def many() -> Statement:
    return certify([held(f"R{n:03}", media=[medium(f"S{n}")], erasures=(erasure(medium(f"S{n}")),)) for n in range(60)])


def test_certificates_are_archive_files_and_accessible_before_and_after_they_are_signed(tmp_path: Path) -> None:
    sealed = signed(mixed())
    made = {
        "laid_out.pdf": document.render(mixed()),
        "signed.pdf": sealed,
        "corrected.pdf": signed(corrected()),
        "many.pdf": signed(many()),
        "wrong.pdf": sealed.replace(b"<pdfaid:part>3<", b"<pdfaid:part>2<"),
    }
    for name, content in made.items():
        (tmp_path / name).write_bytes(content)
    found = verapdf.judged(tmp_path / name for name in made)
    wrong = found.pop(("wrong.pdf", "3a"))
    assert [fault.split(":")[0] for fault in wrong] == ["6.6.4"], "the judge does judge"
    assert found == {
        (name, flavour): [] for name in made for flavour in verapdf.FLAVOURS if (name, flavour) != ("wrong.pdf", "3a")
    }

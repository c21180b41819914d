"""The document before it is signed: same facts, same bytes; it says what its data say, and nothing unproven."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from services.certs.domain import document
from services.certs.domain.revision import attached
from services.certs.domain.statement import Statement, digest
from tests.certs.samples import certify, erasure, held, medium, mixed

SHA256_OF_THE_SAMPLE = "815869fbcd2095adf9cef3f5c3ef5a1e1a582af75415cc806b9dd13d0f72003d"
"""Of `mixed()` as it is laid out today: any change of template, fonts, typst or words shows here."""


def text_of(pdf: bytes, folder: Path) -> str:
    """The text that a reader shows, by poppler."""
    program = shutil.which("pdftotext")
    if program is None:
        pytest.skip("pdftotext is not installed")
    (folder / "it.pdf").write_bytes(pdf)
    run = subprocess.run([program, "-layout", "it.pdf", "-"], cwd=folder, capture_output=True, check=True)
    return " ".join(run.stdout.decode().split())


def test_the_bytes_of_the_sample_are_the_committed_ones() -> None:
    assert digest(document.render(mixed(by="sample"))) == SHA256_OF_THE_SAMPLE


def test_another_process_makes_the_same_bytes() -> None:
    code = "from tests.certs.samples import mixed;from services.certs.domain import document;import hashlib;"
    code += "print(hashlib.sha256(document.render(mixed())).hexdigest())"
    env = {"TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONHASHSEED": "7"}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=env, text=True)
    assert run.stdout.strip() == digest(document.render(mixed()))


def test_other_facts_make_other_bytes() -> None:
    assert document.render(mixed()) != document.render(mixed().model_copy(update={"number": "MC-7K3M-24PQ-2"}))


def test_the_data_are_attached_as_they_were_drawn() -> None:
    data = attached(document.render(mixed()), document.ATTACHMENT)
    assert data == mixed().canonical
    assert Statement.model_validate_json(data) == mixed()
    assert json.loads(data)["counts"]["erased"] == 1


def test_it_is_an_archive_file_and_accessible() -> None:
    pdf = document.render(mixed())
    assert pdf.startswith(b"%PDF-1.7")
    assert b"<pdfaid:part>3</pdfaid:part>" in pdf
    assert b"<pdfaid:conformance>A</pdfaid:conformance>" in pdf
    assert b"<pdfuaid:part>1</pdfuaid:part>" in pdf


def test_only_what_is_proven_is_called_erased(tmp_path: Path) -> None:
    text = text_of(document.render(mixed()), tmp_path)
    assert "MC-7K3M-24PQ-1" in text
    assert "Mercerie Brindille SAS SIREN 732 829 320" in text.replace("\u00a0", " ").replace("  ", " ") or "732 829 320" in text
    assert text.count("Données effacées, preuve à") == 1
    assert text.count("Effacement non attesté") == 1
    assert "l’effacement a échoué" in text
    assert "Sans support de stockage" in text
    assert "Ce que ce certificat n’atteste pas" in text
    assert "Les copies gardées ailleurs" in text
    assert "Trira, Pont-Évêque (Isère)" in text, "a name and a place, not the slug that machines use"
    assert "reconditionn" not in text.lower(), "a word that the law reserves for what was tested and repaired"


def test_nothing_proven_says_so(tmp_path: Path) -> None:
    disk = medium("Z1")
    text = text_of(document.render(certify([held(media=[disk], outcome="scrapped")])), tmp_path)
    assert "0 appareil dont les données ont été effacées" in text.replace("\u00a0", " ")
    assert "Données effacées, preuve à" not in text
    assert "Clear :" not in text


def test_hostile_names_are_drawn_and_harm_nothing(tmp_path: Path) -> None:
    names = {"maker": "#panic() $x$ *a* _b_ <l> @r `c` \\n", "model": "日本\u202e\u0007", "serial": '"]); #import'}
    disk = medium("É" * 60)
    text = text_of(document.render(certify([held(media=[disk], erasures=(erasure(disk),), **names)])), tmp_path)
    assert "#panic() $x$ *a* _b_ <l> @r `c`" in text
    assert "[U+202E]" in text


def test_many_devices_go_over_several_pages() -> None:
    devices = [held(f"R{n:04}", media=[medium(f"S{n}")], erasures=(erasure(medium(f"S{n}")),)) for n in range(120)]
    pdf = document.render(certify(devices))
    assert attached(pdf, document.ATTACHMENT).count(b'"erased":true') == 120

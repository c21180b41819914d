"""`python -m services.certs verify`, as somebody runs it who holds a file and our public keys."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.certs.corpus import made
from tests.certs.samples import trust_text


def verify(*arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "services.certs", "verify", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={"PYTHONIOENCODING": "utf-8", **env})


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "good.pdf").write_bytes(made()[1])
    changed = bytearray(made()[1])
    changed[5000] ^= 1
    (tmp_path / "changed.pdf").write_bytes(bytes(changed))
    (tmp_path / "issuer.pem").write_text(trust_text(), "utf-8")
    return tmp_path


def test_a_certificate_is_valid_with_our_keys(files: Path) -> None:
    run = verify(str(files / "good.pdf"), "--trust", str(files / "issuer.pem"))
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("Valide")
    assert "1 appareil dont les données ont été effacées" in run.stdout
    assert "Il n’atteste pas" in run.stdout


def test_json_is_one_line_with_what_was_checked(files: Path) -> None:
    run = verify(str(files / "good.pdf"), "--trust", str(files / "issuer.pem"), "--json")
    found = json.loads(run.stdout)
    assert run.stdout.count("\n") == 1
    assert (found["ok"], found["signature_valid"], found["log_inclusion_valid"], found["document_equals_data"]) == (True,) * 4
    assert found["statement"]["number"] == "MC-7K3M-24PQ-1"


def test_one_changed_byte_is_refused_with_its_reason(files: Path) -> None:
    run = verify(str(files / "changed.pdf"), "--trust", str(files / "issuer.pem"))
    assert run.returncode == 1
    assert run.stdout.startswith("Modifié : ne vous fiez pas à ce fichier")
    assert "Signature intacte : NON" in run.stdout


def test_without_keys_it_asks_for_them(files: Path) -> None:
    run = verify(str(files / "good.pdf"), "--json")
    assert (run.returncode, run.stdout) == (2, "")
    assert "donnez --trust FICHIER (celui de SITE/certs/issuer.pem)" in run.stderr


def test_the_keys_of_the_service_on_this_machine_are_used(files: Path) -> None:
    (files / "certs").mkdir()
    (files / "certs" / "issuer.pem").write_text(trust_text(), "utf-8")
    assert verify(str(files / "good.pdf"), MAILLON_DATA_DIR=str(files)).returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [["--trust", "issuer.pem", "missing.pdf"], ["good.pdf", "--trust", "missing.pem"], ["good.pdf", "--trust", "good.pdf"]],
)
def test_what_cannot_be_read_is_said(files: Path, arguments: list[str]) -> None:
    run = verify(*(str(files / a) if not a.startswith("-") else a for a in arguments))
    assert run.returncode == 2
    assert run.stderr.splitlines()[-1].startswith(f"python -m services.certs verify: error: {files / arguments[-1]} : ")


@pytest.mark.parametrize(
    "trust",
    [
        b"",
        b"\xff\xfe\x00" * 90,
        b"no keys",
        trust_text().partition("\n")[2].encode(),
        trust_text().replace("CERT", "XERT").encode(),
        None,
    ],
)
@pytest.mark.parametrize(
    "program", [["-m", "services.certs", "verify", "--offline"], ["services/certs/data/verify_certificate.py"]]
)
def test_keys_that_cannot_be_used_are_told_in_a_line_that_names_the_file(
    files: Path, trust: bytes | None, program: list[str]
) -> None:
    wrong = files / "wrong.pem"
    if trust is not None:
        wrong.write_bytes(trust)
    command = [sys.executable, *program, str(files / "good.pdf"), "--trust", str(wrong)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, env={"PYTHONIOENCODING": "utf-8"})
    assert (run.returncode, run.stdout) == (2, "")
    told = run.stderr.splitlines()[-1]
    assert "wrong.pem" in told
    assert "Traceback" not in run.stderr
    assert len(told) < 400

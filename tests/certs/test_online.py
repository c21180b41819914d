"""What an issuer answers to who verifies: one that lies, at any length and pace, takes nothing from the verdict and holds nobody up."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from services.certs import __main__ as command
from services.certs.domain import document, note, online, signature
from services.certs.domain.verification import Verdict, verify
from tests.certs.corpus import made, me
from tests.certs.samples import AT, certify, held, keys, proof, trust, trust_text
from tests.support.liar import Lie, answer, dripped, endless, lying, told

DEEP = b"[" * 200_000
DEEP_IN_A_NAME = b'{"superseded_by":' + b"[" * 900 + b"]" * 900 + b',"under_correction":false}'
PATH = json.dumps({"path": ["00" * 32] * 100_000}).encode()


def state(size: int) -> bytes:
    """A state of our log that says nothing new, signed."""
    found = note.Checkpoint(origin=trust().log.name, size=size, root=b"x" * 32)
    return answer(note.sign(found, keys().log).encode())


def then() -> bytes:
    """The state of the log that the certificate carries, as it is published still."""
    found = verify(made()[1], trust()).checkpoint
    assert found
    return answer(note.sign(found, keys().log).encode())


LIES: dict[str, Lie] = {
    "deep": told(DEEP),
    "deep, closed": told(DEEP + b"]" * 200_000),
    "deep where a number should be": told(DEEP_IN_A_NAME),
    "a page": answer(b"<!doctype html><title>Sign in</title>", kind="text/html"),
    "no text": answer(b"\xff\xfe\x00"),
    "no JSON": told(b'{"path": ['),
    "no number": told(b'{"superseded_by":"\\u001b[2J MC-1","under_correction":false}'),
    "no yes or no": told(b'{"superseded_by":null,"under_correction":"no"}'),
    "a list": told(b"[]"),
    "a large number": told(b"9" * 10_000),
    "huge": told(b'"' + b"x" * 5_000_000 + b'"'),
    "a long path": told(PATH),
    "cut": answer(b"{", length=1_000),
    "endless": endless(),
    "endless head": endless(b"HTTP/1.1 200 OK\r\nX: "),
    "dripped": dripped(),
    "dripped head": dripped(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "no status": b"\x1b[2J nothing of HTTP\r\n\r\n",
    "nothing": b"",
    "an error": b"HTTP/1.1 500 \x1b[2J\r\nContent-Length: 0\r\n\r\n",
    "elsewhere": b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n",
}


def judged(url: str) -> Verdict:
    verdict = verify(made()[1], trust())
    assert verdict.statement
    verdict.statement = verdict.statement.model_copy(update={"verify_url": f"{url}/certs/verifier"})
    online.ask(verdict, trust(), command.asked)
    return verdict


@pytest.mark.parametrize("name", LIES)
@pytest.mark.parametrize("place", ["everything", "the path", "the status"])
def test_a_lie_could_not_be_checked_and_takes_nothing_away(name: str, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "ANSWER_S", 0.7, raising=False)
    size = trust_size() + 1
    lies: dict[str, dict[str, Lie]] = {
        "everything": {"": LIES[name]},
        "the path": {"/log/checkpoint": state(size), f"new={size}": LIES[name], "": LIES["nothing"]},
        "the status": {"/log/checkpoint": then(), "": LIES[name]},
    }
    began = time.monotonic()
    with lying(lies[place]) as (url, server):
        verdict = judged(url)
        assert server.sent < 16_000_000
    assert time.monotonic() - began < 4
    first, second = verdict.checks[-2:]
    assert (first.name, second.name) == ("consistency", "superseded")
    assert (first.ok, second.ok) == (True if place == "the status" else None, None)
    assert verdict.ok
    for check in (first, second):
        assert 0 < len(check.detail) < 300
        assert check.detail.isprintable()


def trust_size() -> int:
    found = verify(made()[1], trust()).log_size
    assert found
    return found


@pytest.mark.parametrize("address", ["ftp://x", "http://127.0.0.1:9", "http://\x00", "http://:x", "nowhere", ""])
def test_an_address_that_leads_nowhere_could_not_be_checked(address: str) -> None:
    verdict = judged(address)
    assert (verdict.ok, [check.ok for check in verdict.checks[-2:]]) == (True, [None, None])


def test_a_path_of_hashes_that_does_not_lead_there_is_a_rewritten_log() -> None:
    size = trust_size() + 1
    path = told(json.dumps({"path": ["00" * 32]}).encode())
    with lying({"/log/checkpoint": state(size), f"new={size}": path}) as (url, _):
        assert judged(url).code == "log_rewritten"


def test_the_command_says_so_in_its_lines(tmp_path: Path) -> None:
    with lying({"": told(DEEP)}) as (url, _):
        statement = certify([held()]).model_copy(update={"verify_url": f"{url}/certs/verifier"})
        drawn = document.render(statement)
        (tmp_path / "it.pdf").write_bytes(signature.sign(drawn, proof(drawn, statement.number), me(), AT))
        (tmp_path / "issuer.pem").write_text(trust_text(), "utf-8")
        asked = [
            sys.executable,
            "-m",
            "services.certs",
            "verify",
            str(tmp_path / "it.pdf"),
            "--trust",
            str(tmp_path / "issuer.pem"),
        ]
        run = subprocess.run(asked, capture_output=True, text=True, check=False, env={"PYTHONIOENCODING": "utf-8"})
    assert (run.returncode, run.stderr) == (0, "")
    assert "Aucun certificat ne l’a remplacé : non vérifié (" in run.stdout

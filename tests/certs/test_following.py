"""`witness.py follow`: BROKEN is what the log signed against itself. All else that strangers answer is no answer, told in a line."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import pytest

from services.certs.domain import merkle
from services.certs.domain.tiles import new_tiles
from services.certs.store.shelf import Shelf
from tests.certs.samples import trust_text
from tests.certs.test_tiles import LEAVES, NODES, PROGRAM, program, signed, tree
from tests.support.liar import Lie, answer, dripped, endless, lying


def published(folder: Path, size: int, nodes: Mapping[merkle.Node, bytes] = NODES, checkpoint: str = "") -> str:
    """A log as its files; gives where they are."""
    shelf = Shelf(folder)
    shelf.put(dict.fromkeys(new_tiles(0, size), nodes))
    shelf.sign(checkpoint or signed(size, nodes))
    return str(folder)


def looked(made: ModuleType, folder: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(made, "fetched", lambda url, most: Path(url).read_bytes()[: most + 1])
    return int(made.look(str(folder), made.Log.of(trust_text()), state))


def test_who_follows_sees_a_log_that_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = program()
    for size in (1, 3, 256, 257, 257, 1_000):
        published(tmp_path / "log", size)
        assert looked(made, tmp_path / "log", tmp_path / "state", monkeypatch) == size
    assert sorted(path.name for path in (tmp_path / "state").iterdir()) == ["checkpoint", "leaves"]


def test_who_follows_sees_a_fork_a_rewrite_and_a_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is signed by the log itself: both states, and the hashes of both, are proof against it."""
    made = program()
    other = tree([b"another", *LEAVES[1:600]])
    late = tree([*LEAVES[:299], b"another", *LEAVES[300:600]])
    early = tree([b"another", *LEAVES[1:600]])
    for name, size, nodes, words in (
        ("shrank", 299, NODES, "had 300 entries and has 299"),
        ("fork", 300, other, "two states of 300 entries"),
        ("rewrite", 400, late, "signed for 300 entries is another history than that of 400"),
        ("early", 400, early, "signed for 300 entries is another history than that of 400"),
    ):
        folder, state = tmp_path / name, tmp_path / f"{name}-state"
        published(folder, 300)
        assert looked(made, folder, state, monkeypatch) == 300
        published(tmp_path / f"{name}-then", size, nodes)
        with pytest.raises(made.Broken, match=words):
            looked(made, tmp_path / f"{name}-then", state, monkeypatch)
        assert (state / "checkpoint").read_text("utf-8") == signed(300)
        assert (state / "broken").read_text("utf-8") == signed(size, nodes)
        if size > 300:
            assert made.root_of((state / "broken-leaves").read_bytes()) == merkle.root(size, nodes.__getitem__)


def test_hashes_that_do_not_give_the_signed_root_prove_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are not signed: whoever stands between may have changed them."""
    made = program()
    published(tmp_path / "log", 300)
    assert looked(made, tmp_path / "log", tmp_path / "state", monkeypatch) == 300
    published(tmp_path / "lie", 400, NODES, signed(400, tree([b"another", *LEAVES[1:600]])))
    with pytest.raises(made.Unchecked, match="do not give the root that was signed for 400"):
        looked(made, tmp_path / "lie", tmp_path / "state", monkeypatch)
    published(tmp_path / "log", 400)
    assert looked(made, tmp_path / "log", tmp_path / "state", monkeypatch) == 400


HTML = answer(b"<!doctype html><title>Sign in to the network</title>", kind="text/html")
HASHES = [merkle.leaf_hash(leaf) for leaf in LEAVES[:4]]
TILE = b"".join(HASHES[:3])
NOTE = answer(signed(3).encode())
REFUSED = b"HTTP/1.1 302 Found\r\nLocation: ftp://127.0.0.1/\r\nContent-Length: 0\r\n\r\n"
LIES: Mapping[str, Mapping[str, Lie]] = {
    "a page instead of the state": {"checkpoint": HTML},
    "a page of another making": {"checkpoint": answer("<p>réservé</p>".encode("latin-1"))},
    "a cut state": {"checkpoint": answer(signed(3).encode()[:-30])},
    "a state cut on its way": {"checkpoint": answer(signed(3).encode()[:-30], length=len(signed(3).encode()))},
    "a state of nobody": {"checkpoint": answer(signed(3).encode()[:-10] + b"AAAAAAAA=\n")},
    "a state without end": {"checkpoint": endless()},
    "a state that drips": {"checkpoint": dripped()},
    "a head that drips": {"checkpoint": dripped(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n")},
    "a head without end": {"checkpoint": endless(b"HTTP/1.1 200 OK\r\nX: ")},
    "no status": {"checkpoint": b"\x1b[2J nothing of HTTP\r\n\r\n"},
    "no answer": {"checkpoint": b""},
    "an error": {},
    "elsewhere": {"checkpoint": REFUSED},
    "pieces of no length": {"checkpoint": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nx"},
    "a page instead of hashes": {"checkpoint": NOTE, "000.p/3": HTML},
    "a page of their length": {"checkpoint": NOTE, "000.p/3": answer(b"<!doctype html>".ljust(96, b"."))},
    "cut hashes": {"checkpoint": NOTE, "000.p/3": answer(TILE[:-32])},
    "hashes cut on their way": {"checkpoint": NOTE, "000.p/3": answer(TILE[:40], length=96)},
    "more hashes": {"checkpoint": NOTE, "000.p/3": answer(TILE + TILE)},
    "hashes without end": {"checkpoint": NOTE, "000.p/3": endless()},
    "hashes that drip": {"checkpoint": NOTE, "000.p/3": dripped()},
    "no hashes": {"checkpoint": NOTE},
}


@pytest.mark.parametrize("name", LIES)
def test_what_is_no_word_of_the_log_could_not_be_checked(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = program()
    monkeypatch.setattr(made, "ANSWER_S", 0.7, raising=False)
    log, state = made.Log.of(trust_text()), tmp_path / "state"
    with lying({"checkpoint": answer(signed(2).encode()), "000.p/2": answer(TILE[:64])}) as (url, _):
        assert made.follow(url, log, state, 0) == 0
    before, began = {path.name: path.read_bytes() for path in state.iterdir()}, time.monotonic()
    capsys.readouterr()
    with lying(LIES[name]) as (url, server):
        assert made.follow(url, log, state, 0) == 2
        assert server.sent < 8_000_000
    assert time.monotonic() - began < 3
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("could not check: ")
    assert (said.err.count("\n"), said.err.strip().isprintable(), len(said.err) < 600) == (1, True, True)
    assert {path.name: path.read_bytes() for path in state.iterdir()} == before
    with lying({"checkpoint": NOTE, "000.p/3": answer(TILE)}) as (url, _):
        assert made.follow(url, log, state, 0) == 0


def test_a_look_has_an_end_even_where_each_answer_is_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = program()
    monkeypatch.setattr(made, "LOOK_S", 1.0, raising=False)
    slow = dripped(b"HTTP/1.1 200 OK\r\nContent-Length: 8192\r\n\r\n", b"x" * 4096, seconds=0.3)
    with lying({"checkpoint": answer(signed(70_000).encode()), "": slow}) as (url, _):
        assert made.follow(url, made.Log.of(trust_text()), tmp_path, 0) == 2
    assert "not all of 70000 entries within 1 s" in capsys.readouterr().err


def test_a_torn_state_is_never_taken_for_a_new_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made, state = program(), tmp_path / "state"
    log = made.Log.of(trust_text())
    shrunk = {"checkpoint": answer(signed(2).encode()), "000.p/2": answer(TILE[:64])}
    with lying({"checkpoint": NOTE, "000.p/3": answer(TILE)}) as (url, _):
        assert made.follow(url, log, state, 0) == 0
    for torn in (b"", signed(3).encode()[:50], b"\xff\xfe", signed(3).encode()[:-10]):
        (state / "checkpoint").write_bytes(torn)
        with lying(shrunk) as (url, _):
            assert made.follow(url, log, state, 0) == 2
        assert f"{state / 'checkpoint'}: not a state that " in capsys.readouterr().err
        assert (state / "checkpoint").read_bytes() == torn
    (state / "checkpoint").write_text(signed(3), "utf-8")
    for torn in (b"", TILE[:40], TILE[:64], b"x" * 96):
        (state / "leaves").write_bytes(torn)
        with lying({"checkpoint": NOTE, "000.p/3": answer(TILE)}) as (url, _):
            assert made.follow(url, log, state, 0) == 0, (
                "hashes are asked for again, the signed root says whether they are the same"
            )
        assert (state / "leaves").read_bytes() == TILE
        with lying(shrunk) as (url, _):
            assert made.follow(url, log, state, 0) == 1
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with lying({"checkpoint": answer(signed(4).encode()), "000.p/4": answer(b"".join(HASHES))}) as (url, _):
        assert made.follow(url, log, state, 0) == 2
    assert (state / "checkpoint").read_text("utf-8") == signed(3)
    assert (state / "leaves").read_bytes() == TILE
    with lying(shrunk) as (url, _):
        assert made.follow(url, log, state, 0) == 1, "a full disk silences no proof"
    assert repr(signed(2)) in capsys.readouterr().out


# ── the command ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def run(*words: object, seconds: float = 20) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(PROGRAM), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds)


@pytest.fixture
def trust(tmp_path: Path) -> Path:
    (tmp_path / "issuer.pem").write_text(trust_text(), "utf-8")
    assert run("key", "witness.test/one", tmp_path / "one.key").returncode == 0
    return tmp_path / "issuer.pem"


@pytest.mark.parametrize(
    "wrong",
    [b"", b"\xff\xfe\x00" * 90, b"no keys", b"log: x", b"log: a+b+c", trust_text().replace("log: ", "log: x").encode(), None],
)
@pytest.mark.parametrize("command", ["follow", "serve"])
def test_keys_that_cannot_be_used_are_told_in_a_line(trust: Path, wrong: bytes | None, command: str) -> None:
    pem, of = trust.parent / "wrong.pem", "http://127.0.0.1:9" if command == "follow" else trust.parent / "one.key"
    if wrong is not None:
        pem.write_bytes(wrong)
    said = run(command, of, "--trust", pem, "--state", trust.parent / "state")
    assert (said.returncode, said.stdout, said.stderr.count("\n")) == (2, "", 1)
    assert "wrong.pem" in said.stderr


@pytest.mark.parametrize(
    "address",
    ["ftp://127.0.0.1/log", "file:///etc/passwd", "127.0.0.1", "http://", "http://a..b/", "http://[/", "http://127.0.0.1:9"],
)
def test_an_address_that_leads_nowhere_is_told_in_a_line(trust: Path, address: str) -> None:
    said = run("follow", address, "--trust", trust, "--state", trust.parent / "state")
    assert (said.returncode, said.stdout, said.stderr.count("\n")) == (2, "", 1)
    assert said.stderr.startswith("could not check: ")


@pytest.mark.parametrize("every", ["nan", "inf", "-1", "0.1", "1e300", "x"])
def test_a_wait_that_is_none_is_refused(trust: Path, every: str) -> None:
    said = run("follow", "http://127.0.0.1:9", "--trust", trust, "--state", trust.parent / "state", f"--every={every}")
    assert said.returncode == 2
    assert "Traceback" not in said.stderr


def test_two_programs_do_not_share_a_folder(trust: Path) -> None:
    """Two witnesses could each sign another state of the same size."""
    state = trust.parent / "state"
    first = subprocess.Popen(
        [sys.executable, str(PROGRAM), "serve", trust.parent / "one.key", "--trust", trust, "--state", state, "--port", "0"],
        stdout=subprocess.PIPE,
    )
    try:
        assert first.stdout
        assert first.stdout.readline().startswith(b"witness.test/one+")
        for words in (("serve", trust.parent / "one.key", "--port", "0"), ("follow", "http://127.0.0.1:9")):
            said = run(*words, "--trust", trust, "--state", state, seconds=8)
            assert (said.returncode, said.stdout) == (2, "")
            assert said.stderr == f"{state}: another witness.py is at work on it, give each a folder of its own\n"
    finally:
        first.kill()
        first.communicate()
    assert "another" not in run("follow", "http://127.0.0.1:9", "--trust", trust, "--state", state).stderr


def test_a_witness_whose_state_is_torn_does_not_begin_again(trust: Path) -> None:
    state = trust.parent / "state"
    made = program()
    witness = made.Witness("witness.test/one", None, {}, state)
    log = made.Log.of(trust_text())
    witness.keep(log, 3, b"3" * 32)
    for torn in ("", "3", "3 abcd", "x y"):
        witness.file(log).write_text(torn, "utf-8")
        said = run("serve", trust.parent / "one.key", "--port", "0", "--trust", trust, "--state", state, seconds=8)
        assert (said.returncode, said.stdout, said.stderr.count("\n")) == (2, "", 1)
        assert str(witness.file(log)) in said.stderr
        with pytest.raises(made.Answer) as refused:
            witness.last(log)
        assert refused.value.status == 500

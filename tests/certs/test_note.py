import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.certs.domain import note
from services.certs.domain.note import BadNoteError, Checkpoint, Proof

# The published example of the format (golang.org/x/mod/sumdb/note).
PUBLISHED = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
PUBLISHED_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
BY = note.public("maillon.test/certs", KEY)
STATE = Checkpoint(origin="maillon.test/certs", size=7, root=bytes(32))


def test_the_published_note_is_accepted_and_a_changed_one_is_not() -> None:
    by = note.verifier(PUBLISHED_KEY)
    assert str(by) == PUBLISHED_KEY
    note.check(PUBLISHED, by)
    with pytest.raises(BadNoteError):
        note.check(PUBLISHED.replace("answer", "Answer"), by)


def test_a_checkpoint_comes_back_as_it_was_signed_and_the_same_each_time() -> None:
    signed = note.sign(STATE, KEY)
    assert note.opened(signed, BY) == STATE
    assert note.sign(STATE, KEY) == signed
    assert signed.startswith("maillon.test/certs\n7\nAAAA")


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n7\n", "\n8\n"),
        lambda text: text.replace("\n7\n", "\n07\n"),
        lambda text: text[:-1],
        lambda text: text.replace("maillon.test", "maillon.tesT"),
        lambda text: text.partition("\n\n")[0] + "\n\n",
        lambda text: text.replace("— ", "- "),
    ],
)
def test_any_change_is_refused(change: "object") -> None:
    with pytest.raises(BadNoteError):
        note.opened(change(note.sign(STATE, KEY)), BY)  # type: ignore[operator]


def test_another_key_of_the_same_name_is_refused() -> None:
    with pytest.raises(BadNoteError):
        note.opened(note.sign(STATE, Ed25519PrivateKey.generate()), BY)


def test_a_signature_by_a_witness_does_not_disturb() -> None:
    witness = Ed25519PrivateKey.generate()
    theirs = note.sign(Checkpoint(origin="witness.test", size=7, root=bytes(32)), witness).splitlines()[-1]
    body, _, ours = note.sign(STATE, KEY).partition("\n\n")
    assert note.opened(f"{body}\n\n{theirs}\n{ours}", BY) == STATE
    assert note.opened(f"{body}\n\n{ours}{theirs}\n", BY) == STATE
    with pytest.raises(BadNoteError):
        note.opened(f"{body}\n\n{theirs}\n", BY)


def test_a_proof_comes_back_as_it_was_written() -> None:
    proof = Proof(extra=b'{"a":1}', index=5, path=(bytes(32), b"\x01" * 32), note=note.sign(STATE, KEY))
    assert note.proof(proof.text) == proof
    assert note.proof(Proof(extra=b"", index=0, path=(), note="x\n").text).path == ()


@pytest.mark.parametrize("text", ["", "c2sp.org/tlog-proof@v1\n\n", "c2sp.org/tlog-proof@v1\nextra ==\nindex 0\n\nx\n"])
def test_what_is_no_proof_is_refused(text: str) -> None:
    with pytest.raises(BadNoteError):
        note.proof(text)

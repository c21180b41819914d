"""A certificate says what the evidence says, and never more."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.certs.app import CERTIFICATE, CHECKPOINT, DRAFT
from services.certs.domain import words
from services.certs.domain.certificate import (
    Draft,
    DraftCertificate,
    IssueCertificate,
    LogDocument,
    SignCheckpoint,
    certificate_id,
    draft_id,
    number_of,
)
from services.certs.domain.custody import Doubt, Held
from services.certs.domain.statement import Statement
from shared.errors import Refused
from shared.events.base import Donor, Medium
from shared.events.certs import CertificateIssued, CheckpointSigned
from tests.certs.samples import certify, custody, erasure, held, medium, mixed
from tests.support.given import given as scene

DISK, OTHER = medium("WD-1"), medium("WD-2")


def only(statement: Statement) -> tuple[str, str | None, int]:
    (line,) = statement.devices
    return line.verdict, line.reason, statement.counts.media_erased


@pytest.mark.parametrize(
    "device,expected",
    [
        (held(media=[DISK], erasures=(erasure(DISK),)), ("erased", None, 1)),
        (held(media=[]), ("without_medium", None, 0)),
        (held(media=None), ("not_erased", "not_audited", 0)),
        (held(media=None, erasures=(erasure(DISK),)), ("not_erased", "not_audited", 0)),  # erased what, of what?
        (held(media=[DISK]), ("not_erased", "no_evidence", 0)),
        (held(media=[DISK], doubts=(Doubt(medium=DISK, reason="failed"),)), ("not_erased", "failed", 0)),
        # one of two drives: the other one's serial is not taken for it
        (held(media=[DISK, OTHER], erasures=(erasure(DISK),)), ("not_erased", "no_evidence", 1)),
        (held(media=[DISK, OTHER], erasures=(erasure(DISK), erasure(OTHER, evidence="b" * 64))), ("erased", None, 2)),
        # the drive was swapped after the audit: the log is of a drive that the device does not have
        (held(media=[DISK], erasures=(erasure(medium("ELSE")),)), ("not_erased", "no_evidence", 0)),
        # two drives of one (dummy) serial, one log: one of them
        (held(media=[DISK, DISK], erasures=(erasure(DISK),)), ("not_erased", "no_evidence", 1)),
        # several logs of one drive do not make several drives
        (held(media=[DISK, OTHER], erasures=(erasure(DISK), erasure(DISK, evidence="b" * 64))), ("not_erased", "no_evidence", 1)),
        # without a serial: all that was read must agree
        (held(media=[medium(None)], erasures=(erasure(medium(None)),)), ("erased", None, 1)),
        (held(media=[medium(None)], erasures=(erasure(medium(None, size=1)),)), ("not_erased", "no_evidence", 0)),
        (held(media=[medium(" wd-1 ")], erasures=(erasure(DISK),)), ("erased", None, 1)),
    ],
)
def test_a_device_is_erased_when_each_of_its_media_is(device: Held, expected: tuple[str, str | None, int]) -> None:
    assert only(certify([device])) == expected


def test_what_was_asked_must_be_reached() -> None:
    device = held(media=[DISK], erasures=(erasure(DISK),))
    assert only(certify([device], required_class="Purge")) == ("not_erased", "class_below_required", 0)
    purged = held(media=[DISK], erasures=(erasure(DISK, reached="Purge"),))
    assert only(certify([purged], required_class="Purge")) == ("erased", None, 1)


def test_one_proof_does_not_serve_two_devices() -> None:
    twins = [held(ref, media=[DISK], erasures=(erasure(DISK),)) for ref in ("A", "B")]
    assert [line.reason for line in certify(twins).devices] == ["evidence_used_twice"] * 2


def test_counts_add_up_and_nothing_unproven_carries_words_of_proof() -> None:
    statement = mixed()
    counts = statement.counts
    assert (counts.devices, counts.erased, counts.not_erased, counts.without_medium) == (3, 1, 1, 1)
    assert (counts.media, counts.media_erased, counts.ready, counts.scrapped) == (2, 1, 2, 1)
    assert words.headline(statement) == (
        "1\u00a0appareil dont les données ont été effacées, preuve à l’appui (1\u00a0support), 1\u00a0appareil dont l’effacement "
        "n’est pas attesté et 1\u00a0appareil sans support de stockage."
    )
    for medium_line in (m for d in statement.devices for m in d.media if not m.erased):
        assert (medium_line.method_class, medium_line.technique, medium_line.evidence_sha256) == (None, None, None)


MEDIA = [medium(serial) for serial in ("S1", "S2", None)]
DEVICES = st.lists(
    st.builds(
        lambda ref, media, proofs: held(
            f"R{ref}", media=media, erasures=tuple(erasure(m, evidence=e * 64, reached=c) for m, e, c in proofs)
        ),
        st.integers(0, 10**6),
        st.none() | st.lists(st.sampled_from(MEDIA), max_size=3),
        st.lists(st.tuples(st.sampled_from(MEDIA), st.sampled_from("ab"), st.sampled_from(["Clear", "Purge"])), max_size=4),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=150, deadline=None)
@given(DEVICES, st.sampled_from(["Clear", "Purge"]))
def test_never_more_media_erased_than_there_is_evidence(devices: list[Held], required: str) -> None:
    counts = certify(devices, required_class=required).counts
    assert counts.media_erased <= len({(e.medium.serial, e.evidence_sha256) for d in devices for e in d.erasures})
    assert counts.media_erased <= counts.media == sum(len(d.media) for d in devices if d.audited)
    assert counts.devices == counts.erased + counts.not_erased + counts.without_medium == len(devices)
    assert counts.erased <= counts.media_erased


def test_the_order_in_which_devices_are_known_does_not_matter() -> None:
    devices = [held(ref, media=[]) for ref in ("B", "A", "C")]
    assert certify(devices).canonical == certify(devices[::-1]).canonical


def test_a_natural_person_is_not_named() -> None:
    person = Donor(status="person", name="Camille Durand", person=certify([held()]).donation_id)
    assert words.donor(person) == ["Donateur particulier"]


def test_what_the_fonts_cannot_draw_is_written_as_its_code() -> None:
    assert words.printable("Œuvre łódź ¹ 日\u202e\u0000") == "Œuvre łódź ¹ [U+65E5][U+202E][U+0000]"


def test_an_incomplete_custody_is_refused() -> None:
    with pytest.raises(Refused, match="custody_incomplete"):
        certify([held()], donor=None)
    assert custody().donor is not None


# ---- from draft to certificate ----

STATEMENT = mixed()
HERE = STATEMENT.consignment_id
DRAFTING = DraftCertificate(id=draft_id(HERE), statement=STATEMENT, salt="00" * 16)
LOGGING = LogDocument(id=draft_id(HERE), document_sha256="d" * 64, document_bytes=1000, leaf_index=7)


def drafted() -> Draft:
    after = scene(DRAFT).when(DRAFTING)
    logged = after.then(*after.decided()).when(LOGGING)
    state: Draft = logged.then(*logged.decided()).state
    return state


@pytest.mark.parametrize(
    "reference,number",
    [("DON-7K3M-24PQ/1", "MC-7K3M-24PQ-1"), ("DON-7K3M-24PQ/12", "MC-7K3M-24PQ-12"), ("don 5/é1", "MC-DON-5-1")],
)
def test_the_number_comes_from_the_reference(reference: str, number: str) -> None:
    assert number_of(reference) == number


@pytest.mark.parametrize("reference", ["", "DON-", "///", "X" * 80])
def test_a_reference_that_gives_no_number_is_refused(reference: str) -> None:
    with pytest.raises(Refused, match="reference_unusable"):
        number_of(reference)


def test_content_and_place_in_the_log_are_fixed_once() -> None:
    state = drafted()
    assert (state.number, state.devices, state.erased, state.leaf_index) == ("MC-7K3M-24PQ-1", 3, 1, 7)
    other = mixed().model_copy(update={"number": "MC-OTHER"})
    assert DRAFT.decide(state, DraftCertificate(id=draft_id(HERE), statement=other, salt="11" * 16)) == []
    assert DRAFT.decide(state, LogDocument(id=LOGGING.id, document_sha256="d" * 64, document_bytes=1000, leaf_index=8)) == []
    with pytest.raises(Refused, match="document_differs"):
        DRAFT.decide(state, LogDocument(id=LOGGING.id, document_sha256="e" * 64, document_bytes=1000, leaf_index=8))


def test_nothing_is_logged_before_it_is_drafted_nor_issued_before_it_is_logged() -> None:
    scene(DRAFT).when(LOGGING).refuses("certificate_not_drafted")
    scene(CERTIFICATE).when(IssueCertificate(id=certificate_id(HERE), draft=Draft(), signed_sha256="f" * 64)).refuses(
        "document_not_logged"
    )


def test_a_certificate_is_issued_once_and_a_repeat_yields_nothing() -> None:
    state = drafted()
    issuing = IssueCertificate(id=certificate_id(HERE), draft=state, signed_sha256="f" * 64)
    again = IssueCertificate(id=certificate_id(HERE), draft=state, signed_sha256="0" * 64)
    told = CertificateIssued(
        number="MC-7K3M-24PQ-1",
        consignment_id=HERE,
        donation_id=STATEMENT.donation_id,
        refurbisher="trira",
        devices=3,
        erased=1,
        not_erased=1,
        issued_at=STATEMENT.issued_at,
        document_sha256="f" * 64,
        leaf_index=7,
        leaf_hash=state.leaf_hash or "",
        without_medium=1,
    )
    scene(CERTIFICATE).when(issuing).then(told).leaves(document_sha256="f" * 64).when(again).then()


def test_a_certificate_of_another_consignment_is_refused() -> None:
    elsewhere = certificate_id(STATEMENT.donation_id)
    scene(CERTIFICATE).when(IssueCertificate(id=elsewhere, draft=drafted(), signed_sha256="f" * 64)).refuses("other_consignment")


def test_a_log_has_one_root_for_each_size() -> None:
    signed = CheckpointSigned(size=8, root_hash="aa", note="note", refurbisher="trira")
    signing = SignCheckpoint(id=HERE, refurbisher="trira", size=8, root_hash="aa", note="note")
    forked = SignCheckpoint(id=HERE, refurbisher="trira", size=8, root_hash="bb", note="note")
    after = scene(CHECKPOINT).when(signing).then(signed)
    after.when(signing).then()
    after.when(forked).refuses("log_forked")


def test_media_are_told_apart_by_kind_too() -> None:
    one, other = Medium(model="X", kind="hdd", bytes=5), Medium(model="X", kind="ssd", bytes=5)
    assert only(certify([held(media=[one], erasures=(erasure(other),))])) == ("not_erased", "no_evidence", 0)

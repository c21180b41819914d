"""Where the facts outran a certificate, the next edition says what is true now and supersedes it: once, whatever is cut off."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.certs import jobs
from services.certs.app import CERTIFICATE
from services.certs.domain import document, note, online
from services.certs.domain.certificate import Certificate, SupersedeCertificate, certificate_id
from services.certs.domain.drift import to_correct
from services.certs.domain.statement import Finding, Statement, Superseded, state
from services.certs.domain.verification import Trust, Verdict, verify
from services.certs.jobs import Issuer
from services.certs.jobs.publisher import Publisher
from services.certs.settings import CertsSettings
from services.certs.store import files, tables
from services.certs.store.press import Press
from services.certs.store.shelf import Shelf
from shared.errors import NotYet
from shared.events.certs import CertificateSuperseded
from shared.events.refurb import DeviceFound, DeviceLost, DeviceReceived, DeviceTakenBack, MediumSanitised, SanitisationRejected
from tests.certs import scene
from tests.certs.samples import AT, POLICY, Story, certify, custody, erasure, held, medium
from tests.certs.test_document import text_of
from tests.certs.test_issuing import press, still, whole
from tests.support.given import given
from tests.support.service import Site

__all__ = ["press", "still"]


def at_once(site: Site, press: Press) -> Issuer:
    """An issuer that waits for nothing before it corrects."""
    made = scene.issuer(site, press)
    made.settings = made.settings.model_copy(update={"certs_correction_after_s": 0})
    return made


async def certified(site: Site, runner: Issuer, **known: Any) -> Story:
    story = Story()
    await scene.note(site.desk, story, **known or {"erased": ["1"], "failed": ["2"]})
    await runner.run(site.desk)
    return story


async def fallen(site: Site, story: Story) -> None:
    """The proof of its first device is not held any more."""
    withdrawn = SanitisationRejected(medium=story.disk("1"), reason="duplicate_evidence", policy=POLICY)
    await scene.hear(site.desk, story.device("1"), withdrawn)
    await jobs.watch(site.desk)


async def editions(site: Site) -> dict[str, str | None]:
    """Number of each certificate, and of the one that superseded it."""
    rows = await site.desk.pool.fetch("SELECT number, superseded_by FROM certificates ORDER BY edition, number")
    return {row["number"]: row["superseded_by"] for row in rows}


async def file_of(site: Site, number: str) -> bytes:
    settings = site.service.settings
    assert isinstance(settings, CertsSettings)
    async with site.desk.read() as tx:
        known = await tables.certificate(tx, number)
    assert known is not None
    assert known.document_sha256 is not None
    found = files.Documents(settings.documents_folder).read(known.document_sha256)
    assert found is not None
    return found


def trusted(site: Site) -> Trust:
    settings = site.service.settings
    assert isinstance(settings, CertsSettings)
    return Trust.read(files.trust(settings.keys_folder))


async def test_a_proof_that_falls_away_is_corrected_and_everybody_is_told(still: Site, press: Press) -> None:
    runner = at_once(still, press)
    story = await certified(still, runner)
    first, second = story.number, f"{story.number}-V2"
    await fallen(still, story)
    await runner.run(still.desk)

    assert await editions(still) == {first: second, second: None}
    told = await still.desk.pool.fetch(
        "SELECT type, data FROM events WHERE topic = 'certs.certificates.trira' AND type LIKE 'certs.certificate_%' ORDER BY seq"
    )
    assert [row["type"] for row in told].count("certs.certificate_superseded.v1") == 1
    verdict = verify(await file_of(still, second), trusted(still))
    assert verdict.ok
    assert verdict.statement is not None
    assert (verdict.statement.version, verdict.statement.counts.erased, verdict.statement.counts.not_erased) == (2, 0, 2)
    assert verdict.statement.supersedes is not None
    assert verdict.statement.supersedes.number == first
    assert verdict.statement.changes == (
        Finding(device_ref=f"{story.mark}-1", kind="verdict", certified="erased", now="not_erased"),
    )
    assert verify(await file_of(still, first), trusted(still)).ok, "a certificate never changes"
    assert (await scene.counts(still))["certificates_outrun"] == 0
    await runner.run(still.desk)
    assert len(await editions(still)) == 2, "nothing parts any more: nothing more is made"
    await whole(still)
    assert await still.differences() == []


async def test_a_slip_that_is_set_right_at_once_makes_no_correction(still: Site, press: Press) -> None:
    runner = scene.issuer(still, press)
    story = await certified(still, runner)
    await fallen(still, story)
    await runner.run(still.desk)
    assert await editions(still) == {story.number: None}
    for event in story.erased("1"):
        await scene.hear(still.desk, story.device("1"), event)
    await jobs.watch(still.desk)
    await at_once(still, press).run(still.desk)
    assert await editions(still) == {story.number: None}


async def test_one_that_says_too_little_is_corrected_when_all_is_settled(still: Site, press: Press) -> None:
    runner = at_once(still, press)
    story = await certified(still, runner)
    arrived, *rest = story.erased("3")
    await scene.hear(still.desk, story.device("3"), arrived)
    await jobs.watch(still.desk)
    await runner.run(still.desk)
    assert await editions(still) == {story.number: None}
    for event in rest:
        await scene.hear(still.desk, story.device("3"), event)
    await jobs.watch(still.desk)
    await runner.run(still.desk)
    assert await editions(still) == {story.number: f"{story.number}-V2", f"{story.number}-V2": None}


async def test_a_count_that_was_corrected_upwards_waits_for_the_devices_and_makes_nothing_meanwhile(
    still: Site, press: Press, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = at_once(still, press)
    story = await certified(still, runner)
    await scene.hear(still.desk, story.arrival, story.received(3))
    await jobs.watch(still.desk)
    async with still.desk.read() as tx:
        assert [drift.kind for drift in await tables.latest_drifts(tx, 10)] == ["counted"]
        assert await tables.to_correct(tx, still.desk.now(), 10) == []
    sealed = Issuer.sealed
    monkeypatch.setattr(Issuer, "sealed", None)  # what is told already is not made again
    await runner.issue(still.desk, story.consignment)
    monkeypatch.setattr(Issuer, "sealed", sealed)
    for event in story.erased("3"):
        await scene.hear(still.desk, story.device("3"), event)
    await jobs.watch(still.desk)
    await runner.run(still.desk)
    assert await editions(still) == {story.number: f"{story.number}-V2", f"{story.number}-V2": None}


async def test_a_device_whose_media_changed_is_corrected_while_it_is_open_and_once_more_in_the_end(
    still: Site, press: Press
) -> None:
    runner = at_once(still, press)
    story = await certified(still, runner)
    first, second, third = story.number, f"{story.number}-V2", f"{story.number}-V3"
    await scene.hear(still.desk, story.device("1"), DeviceTakenBack(reason="media_changed"))
    await jobs.watch(still.desk)
    await runner.run(still.desk)
    assert await editions(still) == {first: second, second: None}
    for event in story.erased("1")[2:]:
        await scene.hear(still.desk, story.device("1"), event)
    await jobs.watch(still.desk)
    await runner.run(still.desk)
    assert await editions(still) == {first: second, second: third, third: None}
    verdict = verify(await file_of(still, third), trusted(still))
    assert verdict.statement is not None
    assert verdict.statement.counts.erased == 1


async def test_what_comes_back_after_a_sale_does_not_concern_the_donor(still: Site, press: Press) -> None:
    runner = at_once(still, press)
    story = await certified(still, runner)
    for event in (
        DeviceTakenBack(reason="warranty", sale_id=story.arrival),
        SanitisationRejected(medium=story.disk("1"), reason="failed", policy=POLICY),
    ):
        await scene.hear(still.desk, story.device("1"), event)
    await jobs.watch(still.desk)
    await runner.run(still.desk)
    assert await editions(still) == {story.number: None}
    assert (await scene.counts(still))["certificates_outrun"] == 0


async def test_a_device_that_was_lost_and_is_found_is_heard(still: Site, press: Press) -> None:
    runner = at_once(still, press)
    story = await certified(still, runner)
    ids = {"consignment_id": story.consignment, "donation_id": story.donation}
    await scene.hear(still.desk, story.device("1"), DeviceLost(reason="stock_taking", **ids))
    await scene.hear(still.desk, story.device("1"), DeviceFound(sold_ready=True, **ids))
    await jobs.watch(still.desk)
    await runner.run(still.desk)
    assert await editions(still) == {story.number: None}


@pytest.mark.parametrize("cut", ["correct", "enter", "issue"])
async def test_cut_off_after_any_step_another_runner_ends_the_correction_the_same(still: Site, press: Press, cut: str) -> None:
    one, other = at_once(still, press), at_once(still, press)
    story = await certified(still, one)
    here = story.consignment
    await fallen(still, story)
    await one.correct(still.desk, here)
    await one.correct(still.desk, here)
    if cut != "correct":
        await one.enter(still.desk, here)
    if cut == "issue":
        await one.issue(still.desk, here)
        await one.issue(still.desk, here)
    await other.run(still.desk)
    await other.run(still.desk)
    assert await editions(still) == {story.number: f"{story.number}-V2", f"{story.number}-V2": None}
    assert (await scene.counts(still))["log_size"] == 2


async def test_two_runners_at_once_make_one_correction(still: Site, press: Press) -> None:
    runners = [at_once(still, press) for _ in range(2)]
    story = await certified(still, runners[0])
    await fallen(still, story)
    for _ in range(6):
        for runner in runners:
            runner.resting.clear()
        await asyncio.gather(*(runner.run(still.desk) for runner in runners))
    assert await editions(still) == {story.number: f"{story.number}-V2", f"{story.number}-V2": None}
    assert (await scene.counts(still))["log_size"] == 2


async def test_facts_that_move_while_it_is_drafted_are_read_again(
    still: Site, press: Press, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = at_once(still, press)
    story = await certified(still, runner)
    await fallen(still, story)
    drifts = tables.drifts

    async def meanwhile(*given: Any) -> Any:
        monkeypatch.setattr(tables, "drifts", drifts)
        again = erasure(story.disk("1"), evidence="e" * 64)
        await scene.hear(still.desk, story.device("1"), MediumSanitised.model_validate(again.model_dump()))
        return await drifts(*given)

    monkeypatch.setattr(tables, "drifts", meanwhile)
    with pytest.raises(NotYet, match="facts_moved"):
        await runner.correct(still.desk, story.consignment)
    await jobs.watch(still.desk)
    await runner.run(still.desk)
    assert await editions(still) == {story.number: None}


async def test_a_donor_who_cannot_wait_gets_what_is_proven_and_the_rest_later(still: Site, press: Press) -> None:
    runner, story = at_once(still, press), Story()
    await scene.note(still.desk, story, erased=["1"])
    arrived, *rest = story.erased("2")
    assert isinstance(arrived, DeviceReceived)
    await scene.hear(still.desk, story.device("2"), arrived)
    await runner.run(still.desk)
    assert await editions(still) == {}
    async with still.desk.read() as tx:
        (waiting,) = await tables.waiting(tx, 10)
    assert (waiting["reference"], waiting["settled"], waiting["devices"]) == (story.reference, 1, 2)
    await runner.early(still.desk, story.consignment)
    await runner.run(still.desk)
    verdict = verify(await file_of(still, story.number), trusted(still))
    assert verdict.statement is not None
    assert [(line.outcome, line.verdict) for line in verdict.statement.devices] == [("ready", "erased"), ("open", "not_erased")]
    for event in rest:
        await scene.hear(still.desk, story.device("2"), event)
    await jobs.watch(still.desk)
    await runner.run(still.desk)
    assert await editions(still) == {story.number: f"{story.number}-V2", f"{story.number}-V2": None}


async def test_nothing_settled_is_nothing_to_certify_early(still: Site, press: Press) -> None:
    story = Story()
    await scene.hear(still.desk, story.consignment, story.assigned())
    await scene.hear(still.desk, story.arrival, story.received(1))
    await scene.hear(still.desk, story.device("1"), story.arrived("1"))
    with pytest.raises(NotYet, match="not_settled"):
        await at_once(still, press).early(still.desk, story.consignment)


def test_a_certificate_is_superseded_once() -> None:
    here = custody().consignment_id
    assert here is not None
    issued = Certificate(number="MC-1")
    command = SupersedeCertificate(id=certificate_id(here), by_number="MC-1-V2", reason="corrected")
    told = CertificateSuperseded(number="MC-1", by_number="MC-1-V2", reason="corrected")
    assert CERTIFICATE.decide(issued, command) == [told]
    after = CERTIFICATE.evolve(issued, told)
    assert CERTIFICATE.decide(after, command) == []
    given(CERTIFICATE).when(command).refuses("certificate_unknown")
    for other in (replace(command, by_number="MC-1-V3"), replace(command, by_number="MC-1")):
        with pytest.raises(Exception, match="superseded_by_another"):
            CERTIFICATE.decide(after, other)


DISK = medium("WD-1")
PROVEN, OPEN = held("A", media=[DISK], erasures=(erasure(DISK),)), held("B", outcome="open")
TOO_MUCH = Finding(device_ref="A", kind="verdict", certified="erased", now="not_erased")
LATE = Finding(device_ref="B", kind="late", now="open")
ENDED = Finding(device_ref="", kind="ended", now="refused")


@pytest.mark.parametrize(
    "found,devices,about",
    [
        ([], [PROVEN], ()),
        ([LATE], [PROVEN, OPEN], ()),
        ([LATE], [PROVEN], (LATE,)),
        ([TOO_MUCH, LATE], [PROVEN, OPEN], (TOO_MUCH, LATE)),
        ([ENDED], [PROVEN], ()),
        ([Finding(device_ref="A", kind="gone", certified="erased")], [OPEN], None),
    ],
)
def test_what_is_corrected_and_when(found: list[Finding], devices: list[Any], about: tuple[Finding, ...] | None) -> None:
    expected = tuple(found) if about is None else about
    assert to_correct(found, custody(counted=len(devices)), devices) == expected


def corrected() -> Statement:
    lines = [replace(PROVEN, erasures=()), OPEN]
    return state(
        custody(counted=2),
        lines,
        number="MC-7K3M-24PQ-1-V2",
        issued_at=AT,
        issuer="Emmaüs Connect",
        verify_url="https://maillon.example/certs/verifier",
        layout="sample",
        version=2,
        supersedes=Superseded(number="MC-7K3M-24PQ-1", issued_at=AT, document_sha256="d" * 64),
        changes=[TOO_MUCH, LATE],
    )


def test_the_document_says_what_it_replaces_and_what_changed(tmp_path: Path) -> None:
    text = text_of(document.render(corrected()), tmp_path).replace("\u00a0", " ")
    for words in (
        "Certificat corrigé de réception",
        "Il remplace le certificat MC-7K3M-24PQ-1 du lundi 23 novembre 2026.",
        "Le certificat MC-7K3M-24PQ-1 dit : données effacées. Les preuves disent : effacement non attesté.",
        "Encore à l’atelier",
    ):
        assert words in text


def test_a_first_certificate_has_no_word_of_another() -> None:
    first, second = certify([PROVEN]).canonical, corrected().canonical
    assert b"supersedes" not in first
    assert b'"supersedes":{"document_sha256":' in second
    assert Statement.model_validate_json(second) == corrected()


async def asked(site: Site, addresses: list[str]) -> online.Ask:
    """What the running service answers at these addresses."""
    told: dict[str, object] = {}
    async with site.client() as client:
        for address in addresses:
            answer = await client.get(address)
            told[address] = answer.json() if "json" in answer.headers["content-type"] else answer.text

    def get(address: str) -> object:
        return told[address[address.index("/certs/") :]]

    return get


async def test_who_asks_the_issuer_hears_of_the_correction(still: Site, press: Press) -> None:
    runner = at_once(still, press)
    story = await certified(still, runner)
    settings = still.service.settings
    assert isinstance(settings, CertsSettings)
    shelf = Publisher(shelf=Shelf(settings.log_folder))
    data, trust = await file_of(still, story.number), trusted(still)

    async def said(addresses: list[str]) -> Verdict:
        await shelf.run(still.desk)
        verdict = verify(data, trust)
        online.ask(verdict, trust, await asked(still, addresses))
        return verdict

    here = ["/certs/log/checkpoint", f"/certs/status/{story.number}"]
    before = await said(here)
    assert (before.ok, [(c.name, c.ok) for c in before.checks[-2:]]) == (True, [("consistency", True), ("superseded", True)])
    await fallen(still, story)
    doubted = await said(here)
    assert (doubted.code, doubted.reason) == ("superseded", "a correction is on its way")
    await runner.run(still.desk)
    after = await said([*here, "/certs/log/consistency?old=1&new=2"])
    assert (after.code, after.reason) == ("superseded", f"{story.number}-V2")
    alone = verify(data, trust)
    online.ask(alone, trust, None)
    assert (alone.ok, [(c.name, c.ok) for c in alone.checks[-2:]]) == (True, [("consistency", None), ("superseded", None)])


async def test_a_log_that_was_rewritten_is_told(still: Site, press: Press) -> None:
    runner = at_once(still, press)
    story = await certified(still, runner)
    trust, data = trusted(still), await file_of(still, story.number)
    settings = still.service.settings
    assert isinstance(settings, CertsSettings)
    forged = note.sign(note.Checkpoint(origin=trust.log.name, size=1, root=b"x" * 32), files.keys(settings.keys_folder).log)

    def answers(text: object) -> Callable[[str], object]:
        return lambda _: text

    verdict = verify(data, trust)
    online.ask(verdict, trust, answers(forged))
    assert (verdict.code, verdict.checks[-1].name) == ("log_rewritten", "consistency")
    for nonsense in ("", "no note", {"path": 1}, None, 7):
        verdict = verify(data, trust)
        online.ask(verdict, trust, answers(nonsense))
        assert (verdict.ok, [c.ok for c in verdict.checks[-2:]]) == (True, [None, None]), "no answer takes nothing away"


async def test_the_staff_begin_an_early_certificate_after_being_asked_once(still: Site) -> None:
    story = Story()
    await scene.note(still.desk, story, erased=["1"])
    await scene.hear(still.desk, story.device("2"), story.arrived("2"))
    to = f"/certs/ecarts/{story.consignment}/etablir"
    async with still.client(staff=True, browser=True) as client:
        page = (await client.get("/certs/ecarts")).text
        assert to in page
        asked_once = await client.post(to)
        assert (asked_once.status_code, "sans attendre" in asked_once.text) == (200, True)
        assert (await scene.counts(still))["drafts"] == 0
        done = await client.post(to, data={"confirmed": "oui"})
        assert (done.status_code, done.headers["location"]) == (303, "/certs/ecarts?noted=etabli")
        assert (await scene.counts(still))["drafts"] == 1
        assert to not in (await client.get("/certs/ecarts")).text
    async with still.client(browser=True) as client:
        assert (await client.post(to, data={"confirmed": "oui"})).status_code in {303, 401}

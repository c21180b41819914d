"""From what the others tell to a signed certificate, on the real broker and database; cut off anywhere, it ends the same."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from services.certs.app import build
from services.certs.domain import merkle, note
from services.certs.domain.certificate import certificate_id, checkpoint_id
from services.certs.domain.statement import Statement
from services.certs.domain.verification import Trust
from services.certs.jobs import Issuer
from services.certs.settings import CertsSettings
from services.certs.store import tables
from services.certs.store.files import Documents, ensure_keys, keys, trust
from services.certs.store.press import Press
from shared.aggregate import Versioned
from shared.errors import NotYet, Outage
from shared.events.refurb import SanitisationRejected
from shared.events.routing import ConsignmentEnded
from tests.certs import scene, test_custody
from tests.certs.samples import AT, POLICY, Story
from tests.support.platform import until
from tests.support.service import Publisher, Site, running


@pytest_asyncio.fixture(loop_scope="session")
async def still(certs_settings: CertsSettings) -> AsyncIterator[Site]:
    """The service without its clock: nothing is issued by itself."""
    async with running(scene.without_jobs(build), certs_settings) as site:
        yield site


@pytest_asyncio.fixture(loop_scope="session")
async def press(still: Site) -> AsyncIterator[Press]:
    settings = still.service.settings
    assert isinstance(settings, CertsSettings)
    made = Press(settings.keys_folder)
    yield made
    made.close()


async def published(site: Site) -> list[tuple[str, str]]:
    rows = await site.desk.pool.fetch("SELECT topic, type FROM events WHERE topic IS NOT NULL")
    return sorted((row["topic"], row["type"]) for row in rows)


async def test_a_settled_consignment_gets_its_certificate(certs: Site, publisher: Publisher) -> None:
    story = Story()
    await scene.tell(publisher, story, erased=["1", "2"], failed=["3"])
    await certs.until(lambda: issued(certs, story), 40)
    async with certs.desk.read() as tx:
        known = await tables.certificate(tx, story.number)
    assert known is not None
    assert (known.devices, known.erased, known.not_erased, known.leaf_index) == (3, 2, 1, 0)
    assert await published(certs) == [
        ("certs.certificates.trira", "certs.certificate_issued.v1"),
        ("certs.certificates.trira", "certs.checkpoint_signed.v1"),
    ]
    figures = await scene.counts(certs)
    assert {k: figures[k] for k in ("certificates", "devices", "erased", "not_erased", "log_size")} == {
        "certificates": 1,
        "devices": 3,
        "erased": 2,
        "not_erased": 1,
        "log_size": 1,
    }


async def issued(site: Site, story: Story) -> bool:
    async with site.desk.read() as tx:
        return await tables.certificate(tx, story.number) is not None


async def test_before_the_last_device_is_settled_there_is_none(still: Site, press: Press) -> None:
    story = Story()
    await scene.note(still.desk, story, erased=["1"])
    later = Story(mark=story.mark).received(2)
    await scene.hear(still.desk, story.arrival, later)
    await scene.issuer(still, press).run(still.desk)
    assert (await scene.counts(still))["drafts"] == 0
    with pytest.raises(NotYet, match="not_settled"):
        await scene.issuer(still, press).draft(still.desk, story.consignment)


async def test_what_is_looked_for_is_what_the_rule_calls_settled(still: Site) -> None:
    """Each line of the rule's table as rows of the database, side by side."""
    expected, states = set(), dict[UUID, Versioned]()
    devices = dict[UUID, Versioned]()
    for known, its, ripe in test_custody.TABLE:
        here = uuid4()
        states[here] = Versioned(replace(known, consignment_id=here, reference=known.reference and f"DON-{here}/1"), 1)
        devices |= {uuid4(): Versioned(replace(device, consignment_id=here), 1) for device in its}
        expected |= {here} if ripe else set()
    async with still.desk.write() as tx:
        await tables.CUSTODIES.save(tx, states)
        await tables.HELD.save(tx, devices)
    try:
        async with still.desk.read() as tx:
            assert set(await tables.ripe(tx, 100)) == expected
    finally:  # no event made them
        await still.desk.pool.execute("DELETE FROM held; DELETE FROM custodies")


async def test_a_consignment_counted_as_nothing_is_certified_once_it_has_a_settled_device(still: Site, press: Press) -> None:
    story, runner = Story(), scene.issuer(still, press)
    await scene.hear(still.desk, story.consignment, story.assigned())
    await scene.hear(still.desk, story.arrival, story.received(0))
    await runner.run(still.desk)
    assert (await scene.counts(still))["drafts"] == 0
    for event in story.erased("1"):
        await scene.hear(still.desk, story.device("1"), event)
    await runner.run(still.desk)
    assert await issued(still, story)


async def test_a_consignment_that_was_taken_elsewhere_has_none(still: Site, press: Press) -> None:
    story = Story()
    await scene.note(still.desk, story, erased=["1"])
    ended = ConsignmentEnded(reason="reassigned")
    await scene.hear(still.desk, story.consignment, ended)
    await scene.issuer(still, press).run(still.desk)
    assert (await scene.counts(still))["drafts"] == 0


async def test_facts_after_the_draft_change_nothing_of_it(still: Site, press: Press) -> None:
    story, first = Story(), scene.issuer(still, press)
    await scene.note(still.desk, story, erased=["1"])
    await first.draft(still.desk, story.consignment)
    late = SanitisationRejected(medium=story.disk("1"), reason="failed", policy=POLICY)
    await scene.hear(still.desk, story.device("1"), late)
    await first.run(still.desk)
    async with still.desk.read() as tx:
        known = await tables.certificate(tx, story.number)
    assert known is not None
    assert known.erased == 1


@pytest.mark.parametrize("cut", ["draft", "enter", "stored", "issue"])
async def test_cut_off_after_any_step_another_runner_ends_it_the_same(still: Site, press: Press, cut: str) -> None:
    story, first, second = Story(), scene.issuer(still, press), scene.issuer(still, press)
    here = story.consignment
    await scene.note(still.desk, story, erased=["1"], failed=["2"])
    await first.draft(still.desk, here)
    if cut != "draft":
        await first.enter(still.desk, here)
    made = b""
    if cut in {"stored", "issue"}:  # the file was written, its transaction never was
        async with still.desk.read() as tx:
            draft = await tables.draft(tx, here)
        assert draft is not None
        made = await first.sealed(still.desk, draft)
        first.documents.keep(made)
    if cut == "issue":
        await first.issue(still.desk, here)
    await second.run(still.desk)
    await second.run(still.desk)

    async with still.desk.read() as tx:
        known = await tables.certificate(tx, story.number)
        entries = await tables.leaves(tx, 0, 100)
    assert known is not None
    assert known.document_sha256 is not None
    stored = second.documents.read(known.document_sha256)
    assert stored is not None
    assert made in (b"", stored)
    assert (await press.verify(stored)).ok
    assert len(entries) == 1
    assert [kind for _, kind in await published(still)] == ["certs.certificate_issued.v1", "certs.checkpoint_signed.v1"]


async def test_a_worker_that_is_killed_in_the_middle_costs_a_second_try(still: Site, press: Press) -> None:
    story, one = Story(), scene.issuer(still, press)
    await scene.note(still.desk, story, erased=["1"])
    await one.draft(still.desk, story.consignment)
    entering = asyncio.create_task(one.enter(still.desk, story.consignment))
    await until(lambda: press.pool is not None and bool(press.pool._processes))
    assert press.pool is not None
    for process in list(press.pool._processes.values()):
        process.kill()
    with pytest.raises(Exception, match="press"):
        await entering
    await one.run(still.desk)
    assert await issued(still, story)


async def test_two_runners_at_once_make_one_certificate_each(still: Site, press: Press) -> None:
    stories = [Story() for _ in range(3)]
    for story in stories:
        await scene.note(still.desk, story, erased=["1"])
    runners = [scene.issuer(still, press) for _ in range(2)]
    for _ in range(8):
        for runner in runners:
            runner.resting.clear()
        await asyncio.gather(*(runner.run(still.desk) for runner in runners))
        if (await scene.counts(still))["certificates"] == len(stories):
            break
    figures = await scene.counts(still)
    assert (figures["certificates"], figures["log_size"], figures["drafts"]) == (3, 3, 3)
    streams = await still.desk.pool.fetch(
        "SELECT stream, max(version) AS version FROM events WHERE topic IS NOT NULL GROUP BY stream"
    )
    assert {row["stream"] for row in streams} == {certificate_id(s.consignment) for s in stories} | {
        checkpoint_id("trira", size) for size in (1, 2, 3)
    }
    assert {row["version"] for row in streams} == {1}
    await whole(still)


async def whole(site: Site) -> None:
    """The tree in the database is the tree of its leaves, and each signed state is on it."""
    settings = site.service.settings
    assert isinstance(settings, CertsSettings)
    by = Trust.read(trust(settings.keys_folder)).log
    async with site.desk.read() as tx:
        entries = [bytes.fromhex(h) for h in await tables.leaves(tx, 0, 1000)]
        signed = await tables.latest_checkpoints(tx, 100)
        kept = {(r["level"], r["place"]): r["hash"] for r in await tx.connection.fetch("SELECT * FROM nodes")}
    nodes: dict[merkle.Node, bytes] = {}
    for index, leaf in enumerate(entries):
        nodes |= merkle.append(index, leaf, nodes.__getitem__)
    assert kept == nodes
    for row in signed:
        checkpoint = note.opened(row["note"], by)
        assert (checkpoint.size, checkpoint.root) == (row["size"], merkle.root(row["size"], nodes.__getitem__))


async def test_one_consignment_s_trouble_is_not_the_others_(still: Site, press: Press) -> None:
    bad, good = Story(), Story()
    await scene.note(still.desk, bad, erased=["1"])
    await scene.note(still.desk, good, erased=["1"])
    await still.desk.pool.execute("UPDATE custodies SET reference = '///' WHERE consignment_id = $1", bad.consignment)
    runner = scene.issuer(still, press)
    await runner.run(still.desk)
    assert await issued(still, good)
    assert list(runner.resting) == [bad.consignment]
    await still.desk.pool.execute("UPDATE custodies SET reference = $2 WHERE consignment_id = $1", bad.consignment, bad.reference)
    runner.resting.clear()
    await runner.run(still.desk)
    assert await issued(still, bad)


async def test_the_press_rests_when_there_is_nothing_to_do(still: Site, press: Press) -> None:
    press.idle_s = 0.2
    await press.verify(b"no PDF")
    assert press.pool is not None
    (process,) = press.pool._processes.values()
    keeping = asyncio.create_task(press.keep(still.desk))
    await until(lambda: press.pool is None)
    await until(lambda: not process.is_alive())
    keeping.cancel()


@pytest.mark.parametrize("workers,most", [(1, 1), (2, 1), (3, 2), (8, 2)])
async def test_only_so_many_files_are_verified_at_once(tmp_path: Path, workers: int, most: int) -> None:
    made, inside, highest = Press(tmp_path, workers), 0, 0

    async def verified() -> None:
        nonlocal inside, highest
        async with made.turn():
            inside += 1
            highest = max(highest, inside)
            await asyncio.sleep(0.01)
            inside -= 1

    await asyncio.gather(*(verified() for _ in range(6)))
    assert highest == most


async def test_who_waits_too_long_for_a_turn_is_told_and_the_turn_is_not_lost(tmp_path: Path) -> None:
    made = Press(tmp_path, patience_s=0.05)
    async with made.turn():
        with pytest.raises(Outage, match="verifier_busy"):
            async with made.turn():
                pytest.fail("there was one turn")
    async with made.turn():
        pass


async def test_a_certificate_waits_for_one_verification_at_most(still: Site, press: Press) -> None:
    """Uploads queue before the press, not in it: what is issued meanwhile comes before all but the one at work."""
    story, runner = Story(), scene.issuer(still, press)
    await scene.note(still.desk, story, erased=["1"])
    await press.verify(b"no PDF")
    press.patience_s, order, files = 60, list[str](), 12
    begun = asyncio.Event()

    async def upload() -> None:
        async with press.turn():
            begun.set()
            await press.verify(b"%PDF-1.7\n" + bytes(2_000_000))
        order.append("verified")

    uploads = [asyncio.create_task(upload()) for _ in range(files)]
    await begun.wait()
    assert press.busy <= 1
    await press.render((await statement(still, runner, story)).canonical)
    assert len(order) <= 2
    await asyncio.gather(*uploads)


async def statement(site: Site, runner: Issuer, story: Story) -> Statement:
    async with site.desk.read() as tx:
        return await runner.statement(tx, story.consignment, AT)


def test_keys_are_made_once_and_are_nobody_else_s(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "certs"
    ensure_keys(folder, "Moi", "log.test", AT)
    first = keys(folder)
    ensure_keys(folder, "Autre", "log.test", AT)
    assert keys(folder).signing_key == first.signing_key
    assert {oct(path.stat().st_mode & 0o777) for path in folder.iterdir()} == {"0o600"}
    assert "PRIVATE" not in trust(folder)
    assert "PRIVATE" not in repr(first)
    assert [p.name for p in folder.parent.iterdir()] == ["certs"]


def test_a_damaged_document_is_as_good_as_lost(tmp_path: Path) -> None:
    documents = Documents(tmp_path)
    name = documents.keep(b"content")
    assert documents.keep(b"content") == name
    assert documents.read(name) == b"content"
    documents.path(name).write_bytes(b"contenT")
    assert documents.read(name) is None
    documents.keep(b"content")
    assert documents.read(name) == b"content"
    assert documents.read("0" * 64) is None

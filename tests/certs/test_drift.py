"""What comes after a certificate was issued is seen: a device that it does not name, a verdict that is another one now."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from services.certs import jobs
from services.certs.app import DRIFT
from services.certs.domain.custody import Custody, Doubt, Held
from services.certs.domain.drift import DriftEnded, DriftNoted, NoteDrift, drift_id, drifted
from services.certs.domain.statement import Finding
from services.certs.store import tables
from services.certs.store.press import Press
from shared.events.base import Event
from shared.events.refurb import DeviceTakenBack, SanitisationRejected
from shared.events.routing import ConsignmentEnded
from tests.certs import scene
from tests.certs.samples import AT, POLICY, Story, certify, custody, erasure, held, medium
from tests.certs.test_issuing import press, still
from tests.support.given import given
from tests.support.service import Publisher, Site

__all__ = ["press", "still"]

DISK, OTHER = medium("WD-1"), medium("WD-2")
PROVEN = held("A", media=[DISK], erasures=(erasure(DISK),))
FAILED = held("B", media=[OTHER], doubts=(Doubt(medium=OTHER, reason="failed"),), outcome="scrapped", reason="erasure_failed")
CERTIFIED = certify([PROVEN, FAILED])
COUNTED = custody(counted=2)


def one(kind: str, ref: str = "A", certified: str | None = None, now: str | None = None) -> list[Finding]:
    return [Finding.model_validate({"device_ref": ref, "kind": kind, "certified": certified, "now": now})]


def but(**more: object) -> Held:
    """The proven device, as something became of it."""
    return replace(PROVEN, **more)  # type: ignore[arg-type]  # each case names the fields it is about


@pytest.mark.parametrize(
    "known,devices,found",
    [
        (COUNTED, [PROVEN, FAILED], []),
        (COUNTED, [FAILED, but(category="C")], []),  # no certificate attests the grade
        (COUNTED, [PROVEN, FAILED, held("C", outcome="open")], one("late", "C", now="open")),
        (COUNTED, [PROVEN, FAILED, held("C")], one("late", "C", now="ready")),
        (COUNTED, [PROVEN], one("gone", "B", certified="not_erased")),
        (COUNTED, [but(outcome="open", erasures=()), FAILED], one("reopened", certified="erased", now="not_erased")),
        (COUNTED, [but(erasures=()), FAILED], one("verdict", certified="erased", now="not_erased")),
        (
            COUNTED,
            [PROVEN, held("B", media=[OTHER], erasures=(erasure(OTHER),), outcome="scrapped")],
            one("verdict", "B", certified="not_erased", now="erased"),
        ),
        (COUNTED, [but(outcome="scrapped"), FAILED], one("outcome", certified="ready", now="scrapped")),
        (COUNTED, [but(media=(medium("X"),), erasures=(erasure(medium("X")),)), FAILED], one("media")),
        (custody(counted=3), [PROVEN, FAILED], one("counted", "", certified="2", now="3")),
        (custody(counted=2, ended="refused"), [PROVEN, FAILED], one("ended", "", now="refused")),
        (
            COUNTED,
            [PROVEN, FAILED, held("C", media=[DISK], erasures=(erasure(DISK),))],  # its proof is that of another device
            one("verdict", certified="erased", now="not_erased") + one("late", "C", now="ready"),
        ),
    ],
)
def test_where_facts_and_certificate_part(known: Custody, devices: Sequence[Held], found: list[Finding]) -> None:
    assert drifted(CERTIFIED, known, devices) == found


def test_a_finding_is_noted_once_and_ends_when_the_facts_agree_again() -> None:
    here, [late], [ready] = COUNTED.consignment_id, one("late", "C", now="open"), one("late", "C", now="ready")
    assert here is not None

    def note(finding: Finding | None, hours: int = 0) -> NoteDrift:
        at = AT + timedelta(hours=hours)
        return NoteDrift(id=drift_id(here, "C"), consignment_id=here, number="MC-1", finding=finding, noted_at=at)

    def noted(finding: Finding, hours: int = 0) -> DriftNoted:
        at = AT + timedelta(hours=hours)
        return DriftNoted(consignment_id=here, number="MC-1", noted_at=at, **finding.model_dump())

    scene = given(DRIFT).when(note(None)).then().when(note(late)).then(noted(late)).when(note(late, 1)).then()
    scene = scene.when(note(ready, 2)).then(noted(ready, 2)).leaves(kind="late", now="ready")
    scene.when(note(None)).then(DriftEnded()).leaves(kind=None, noted_at=None).when(note(None)).then()


@pytest_asyncio.fixture(loop_scope="session")
async def certified(still: Site, press: Press) -> Story:
    """A certificate of two devices, one of them proven."""
    story = Story()
    await scene.note(still.desk, story, erased=["1"], failed=["2"])
    await scene.issuer(still, press).run(still.desk)
    return story


async def told(site: Site, story: Story, ref: str, *events: Event) -> list[Finding]:
    """What is noted after `events` of a device."""
    for event in events:
        await scene.hear(site.desk, story.device(ref), event)
    await jobs.watch(site.desk)
    async with site.desk.read() as tx:
        return [drift.finding for drift in await tables.latest_drifts(tx, 100) if drift.finding]


async def test_a_certificate_that_nothing_followed_is_not_even_compared(still: Site, certified: Story) -> None:
    async with still.desk.read() as tx:
        assert await tables.moved(tx, 10) == []
    assert await told(still, certified, "1", *certified.erased("1")) == []


async def test_a_device_that_comes_after_the_certificate_is_shown_and_told_once(still: Site, certified: Story) -> None:
    ref = f"{certified.mark}-3"
    with capture_logs() as lines:
        assert await told(still, certified, "3", certified.arrived("3")) == one("late", ref, now="open")
        assert await told(still, certified, "3", *certified.erased("3")[1:]) == one("late", ref, now="ready")
        await jobs.watch(still.desk)
    assert [line for line in lines if line["log_level"] == "warning"] == [
        {
            "event": "certificate_outrun",
            "log_level": "warning",
            "certificate": certified.number,
            "kinds": {"late": 1},
            "devices": [ref],
        }
    ]
    figures = await scene.counts(still)
    assert (figures["late_devices"], figures["changed_devices"], figures["certificates_outrun"]) == (1, 0, 1)
    async with still.desk.read() as tx:
        known = await tables.certificate(tx, certified.number)
        assert await tables.moved(tx, 10) == []
    assert known is not None
    assert (known.devices, known.superseded_by) == (2, None), "the certificate stays as it is"


async def test_a_verdict_that_changes_is_shown_until_it_is_the_same_again(still: Site, certified: Story) -> None:
    ref = f"{certified.mark}-1"
    lost = SanitisationRejected(medium=certified.disk("1"), reason="duplicate_evidence", policy=POLICY)
    changed = one("verdict", ref, certified="erased", now="not_erased")
    assert await told(still, certified, "1", lost) == changed
    assert (await scene.counts(still))["changed_devices"] == 1
    assert await told(still, certified, "1", *certified.erased("1")) == []
    figures = await scene.counts(still)
    assert (figures["late_devices"], figures["changed_devices"], figures["certificates_outrun"]) == (0, 0, 0)


async def test_what_comes_between_the_draft_and_the_certificate_is_seen(still: Site, press: Press) -> None:
    story, one_runner, other = Story(), scene.issuer(still, press), scene.issuer(still, press)
    await scene.note(still.desk, story, erased=["1"])
    await one_runner.draft(still.desk, story.consignment)
    lost = SanitisationRejected(medium=story.disk("1"), reason="failed", policy=POLICY)
    await scene.hear(still.desk, story.device("1"), lost)
    await other.run(still.desk)
    assert await told(still, story, "1") == one("verdict", f"{story.mark}-1", certified="erased", now="not_erased")


async def test_a_device_that_came_back_and_a_consignment_that_was_taken_away_are_shown(still: Site, certified: Story) -> None:
    found = await told(still, certified, "1", DeviceTakenBack(reason="warranty"))
    assert found == one("reopened", f"{certified.mark}-1", certified="erased", now="not_erased")
    await scene.hear(still.desk, certified.consignment, ConsignmentEnded(reason="reassigned"))
    assert await told(still, certified, "1") == one("ended", "", now="reassigned") + found


async def test_one_that_cannot_be_compared_is_not_the_others_trouble(still: Site, certified: Story, press: Press) -> None:
    bad = Story()
    await scene.note(still.desk, bad, erased=["1"])
    await scene.issuer(still, press).run(still.desk)
    await scene.hear(still.desk, bad.device("2"), bad.arrived("2"))
    await still.desk.pool.execute(
        "UPDATE statements SET body = '{}' FROM drafts d WHERE sha256 = d.statement_sha256 AND d.consignment_id = $1",
        bad.consignment,
    )
    await scene.hear(still.desk, certified.device("3"), certified.arrived("3"))
    with pytest.raises(ValueError, match="Statement"):
        await jobs.watch(still.desk)
    async with still.desk.read() as tx:
        assert list(await tables.drifts(tx, certified.consignment)) == [f"{certified.mark}-3"]


async def test_the_service_watches_by_itself(certs: Site, publisher: Publisher) -> None:
    story = Story()
    await scene.tell(publisher, story, erased=["1"])
    await certs.until(lambda: scene.certified(certs, 1), 40)
    await publisher.tell(f"refurb.devices.{story.refurbisher}", story.device("2"), *story.erased("2"))

    async def seen() -> bool:
        return bool((await scene.counts(certs))["late_devices"] == 1)

    await certs.until(seen, 20)

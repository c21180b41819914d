"""One medium is in one device at a time, and a run on it proves one device, whatever an edited report says."""

import asyncio
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from deploy.rebuild import made_again
from services.refurb import jobs
from services.refurb.app import AGGREGATES, MEDIUM
from services.refurb.domain.device import HandOverDevice
from services.refurb.domain.holding import (
    ClaimRuns,
    DisputeMedium,
    DisputeSettled,
    MediumDisputed,
    MediumNamed,
    NameMedium,
    Place,
    RunsClaimed,
    SettleDispute,
    Span,
    medium_stream,
)
from services.refurb.reactions.claims import spans
from services.refurb.reactions.names import device_stream
from shared import consumer
from shared.audit import fold_check
from shared.db import transaction
from shared.errors import Refused
from shared.events.refurb import ErasureRun
from shared.ui import fr
from tests.refurb.conftest import Scene
from tests.refurb.samples import NOW
from tests.refurb.test_console import ready
from tests.refurb.test_pages import signed
from tests.refurb.test_service import AUDIT, disk, relabelled
from tests.support.given import given

ID = medium_stream("S-1")
ONE, OTHER, ELSEWHERE = (
    Place(device_id=device_stream(slug, ref), device_ref=ref, refurbisher=slug)
    for slug, ref in (("trira", "PE-1"), ("trira", "PE-2"), ("ares", "A-9"))
)
SPAN = Span(started_at=NOW, ended_at=NOW + timedelta(hours=2))
NAMED = MediumNamed(serial="S-1", place=ONE)
DISPUTED = MediumDisputed(place=OTHER)


def named(place: Place) -> NameMedium:
    return NameMedium(id=ID, serial="S-1", place=place)


def claimed(place: Place, start: timedelta, end: timedelta) -> ClaimRuns:
    span = Span(started_at=NOW + start, ended_at=NOW + end)
    return ClaimRuns(id=ID, serial="S-1", device_id=place.device_id, refurbisher=place.refurbisher, spans=(span,))


def test_a_medium_is_in_one_device_until_it_leaves_it() -> None:
    scene = given(MEDIUM).when(named(ONE)).then(NAMED).leaves(serial="S-1", holder=ONE.device_id, holder_ref="PE-1")
    scene.when(named(ONE)).then()
    scene.when(named(OTHER)).refuses("medium_elsewhere", where="/media", medium="S-1", device="l'appareil PE-1")
    scene.when(named(ELSEWHERE)).refuses("medium_elsewhere", where="/media", medium="S-1", device="un autre appareil")
    moved = MediumNamed(serial="S-1", place=OTHER)
    state = MEDIUM.evolve(scene.state, DISPUTED)
    assert MEDIUM.decide(left(state), named(OTHER)) == [moved]
    assert MEDIUM.evolve(left(state), moved) == MEDIUM.evolve(MEDIUM.evolve(MEDIUM.new, NAMED), moved), "the dispute is over"
    assert MEDIUM.decide(left(state), named(ONE)) == [NAMED], "it came back: said anew, so that two who are quick meet"


def left(state: Any) -> Any:
    return replace(state, left=True)


def test_two_devices_never_rest_on_runs_that_overlap() -> None:
    hours = timedelta(hours=1)
    scene = given(MEDIUM, NAMED).when(claimed(ONE, 0 * hours, 2 * hours))
    scene = scene.then(RunsClaimed(serial="S-1", device_id=ONE.device_id, spans=(SPAN,)))
    scene.when(claimed(ONE, 0 * hours, 2 * hours)).then()
    second = timedelta(seconds=1)
    for start, end in ((second, 2 * hours + second), (hours, hours), (-hours, 3 * hours), (2 * hours, 2 * hours)):
        scene.when(claimed(OTHER, start, end)).refuses("run_overlaps", where="/log", medium="S-1")
    later = Span(started_at=NOW + 2 * hours, ended_at=NOW + 3 * hours)
    said = RunsClaimed(serial="S-1", device_id=OTHER.device_id, spans=(later,))
    scene.when(claimed(OTHER, 2 * hours, 3 * hours)).refuses("medium_elsewhere")
    assert MEDIUM.decide(left(scene.state), claimed(OTHER, 2 * hours, 3 * hours)) == [said]


def test_a_report_about_a_medium_that_was_never_there_keeps_nobody_out() -> None:
    hours = timedelta(hours=1)
    far = RunsClaimed(serial="S-1", device_id=ELSEWHERE.device_id, spans=(SPAN,))
    scene = given(MEDIUM).when(claimed(ELSEWHERE, 0 * hours, 2 * hours)).then(far).when(named(ONE)).then(NAMED)
    own = RunsClaimed(serial="S-1", device_id=ONE.device_id, spans=(SPAN,))
    scene = scene.when(claimed(ONE, 0 * hours, 2 * hours)).then(own)
    with pytest.raises(Refused, match="run_overlaps"):  # nor does it come in by the back door, when the medium has left
        MEDIUM.decide(left(scene.state), named(ELSEWHERE))


def test_what_is_in_another_device_is_not_claimed_and_two_media_of_one_number_have_their_own_runs() -> None:
    hours = timedelta(hours=1)
    scene = given(MEDIUM, NAMED)
    scene.when(claimed(OTHER, 0 * hours, hours)).refuses("medium_elsewhere", where="/log", medium="S-1", device="l'appareil PE-1")
    scene.when(claimed(ELSEWHERE, 0 * hours, hours)).refuses(
        "medium_elsewhere", where="/log", medium="S-1", device="un autre appareil"
    )
    both = given(MEDIUM, NAMED, DISPUTED, DisputeSettled(place=OTHER, shared=True))
    ran = RunsClaimed(serial="S-1", device_id=ONE.device_id, spans=(SPAN,))
    same = RunsClaimed(serial="S-1", device_id=OTHER.device_id, spans=(SPAN,))
    both = both.when(claimed(ONE, 0 * hours, 2 * hours)).then(ran)
    both.when(claimed(OTHER, 0 * hours, 2 * hours)).then(same)
    both.when(claimed(ELSEWHERE, 0 * hours, hours)).refuses("run_overlaps")
    both.when(claimed(ELSEWHERE, 2 * hours, 3 * hours)).refuses("medium_elsewhere")


def test_staff_settle_what_two_devices_name() -> None:
    dispute = DisputeMedium(id=ID, place=OTHER)
    given(MEDIUM).when(dispute).then()
    scene = given(MEDIUM, NAMED).when(dispute).then(DISPUTED).leaves(disputed=(OTHER,))
    scene.when(dispute).then()
    here = SettleDispute(id=ID, device_id=OTHER.device_id, shared=False)
    moved = scene.when(here).then(DisputeSettled(place=OTHER, shared=False)).leaves(holder=OTHER.device_id, disputed=())
    moved.when(here).then()
    moved.when(named(OTHER)).then()
    moved.when(named(ONE)).refuses("medium_elsewhere")
    both = scene.when(SettleDispute(id=ID, device_id=OTHER.device_id, shared=True))
    both = both.then(DisputeSettled(place=OTHER, shared=True)).leaves(disputed=(), holder=ONE.device_id)
    for place in (ONE, OTHER):
        both.when(named(place)).then()
    both.when(named(ELSEWHERE)).refuses("medium_elsewhere")


def shifted(text: str, by: timedelta) -> str:
    """The report with each of its moments moved: what a person does who wants it to prove another device."""
    form = "%Y/%m/%d %H:%M:%S"
    return re.sub(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d", lambda m: (datetime.strptime(m[0], form) + by).strftime(form), text)  # noqa: DTZ007 text to text


async def begun(scene: Scene, ref: str) -> dict[str, str]:
    about = {"consignment_id": str(await scene.assigned()), "device_ref": ref}
    await scene.accepted("device_received", {**about, "device_type": "laptop", "maker": "Exempla"})
    return about


async def sound(scene: Scene) -> None:
    """Rows are what their events say, and are the same when they are made again."""
    pool = scene.site.desk.pool
    assert [found async for found in fold_check(pool, AGGREGATES)] == []
    address = scene.site.desk.settings.database_url.get_secret_value()
    async with (
        asyncpg.create_pool(address, min_size=1, max_size=1) as fresh,
        transaction(fresh) as tx,
    ):  # as the command comes: anew
        assert [str(found) for found in await made_again(tx, AGGREGATES) if not found.same] == []


async def test_one_disk_never_makes_two_devices_ready(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "PATIENCE", timedelta(seconds=0))
    serial = uuid4().hex[:12].upper()
    first = {"consignment_id": str(await ready(scene, "UN-1", serial)), "device_ref": "UN-1"}
    other = await begun(scene, "UN-2")
    again = shifted(relabelled("d01", serial), timedelta(seconds=1))
    assert (await scene.say("medium_erased", {**other, "log": again}))["faults"] == [("/log", "run_overlaps")]
    audit = {**other, "media": [disk(serial)], **AUDIT}
    assert (await scene.say("device_audited", audit))["faults"] == [("/media", "medium_elsewhere")]
    async with signed(scene, "partner:trira") as people:
        todo = (await people.get("/refurb/appareils")).text
        assert fr("Support déjà ailleurs") in todo
        assert fr(f"Support {serial} : ce numéro de série est déjà dans l'appareil UN-1.") in todo
        page = await people.get(f"/refurb/appareils/{device_stream('trira', 'UN-2')}")
        assert f'href="/refurb/supports/{serial}"' in page.text
    await scene.accepted("medium_removed", {**first, "serial": serial, "to": "device", "to_device_ref": "UN-2"})
    await scene.accepted("device_audited", audit)
    assert (await scene.say("medium_erased", {**other, "log": again}))["faults"] == [("/log", "run_overlaps")]
    await scene.accepted("medium_erased", {**other, "log": shifted(again, timedelta(days=1))})
    await scene.accepted("device_finished", other)
    assert await scene.count("media", "serial = $1 AND disputed = '[]' AND holder_ref = 'UN-2'", serial) == 1
    await sound(scene)


async def test_an_audit_that_names_other_media_lets_them_go(scene: Scene) -> None:
    serial, new = uuid4().hex[:12].upper(), uuid4().hex[:12].upper()
    first = {"consignment_id": str(await ready(scene, "LAISSE-1", serial)), "device_ref": "LAISSE-1"}
    await scene.accepted("device_audited", {**first, "media": [disk(new)], **AUDIT})
    other = await begun(scene, "LAISSE-2")
    await scene.accepted("device_audited", {**other, "media": [disk(serial)], **AUDIT})
    for _ in range(2):
        about = await begun(scene, f"LAISSE-{uuid4().hex[:6]}")
        await scene.accepted("device_audited", {**about, "media": [disk("To be filled by O.E.M.")], **AUDIT})
    await sound(scene)


async def test_two_who_name_a_medium_at_once_do_not_both_have_it(scene: Scene) -> None:
    serial = uuid4().hex[:12].upper()
    places = [Place(device_id=uuid4(), device_ref=f"ENSEMBLE-{n}", refurbisher="trira") for n in range(6)]
    commands = [NameMedium(id=medium_stream(serial), serial=serial, place=place) for place in places]
    done = await asyncio.gather(*(scene.site.desk.carry_out([command]) for command in commands), return_exceptions=True)
    assert sorted(type(each).__name__ for each in done) == ["NotYet"] * 5 + ["list"]


async def test_staff_say_where_a_disputed_medium_is(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "PATIENCE", timedelta(seconds=0))
    serial = uuid4().hex[:12].upper()
    await ready(scene, "DEUX-1", serial)
    other = await begun(scene, "DEUX-2")
    audit = {**other, "media": [disk(serial)], **AUDIT}
    await scene.say("device_audited", audit)
    address, of_other = f"/refurb/supports/{serial}", str(device_stream("trira", "DEUX-2"))
    async with signed(scene, "partner:ares") as strangers:
        assert (await strangers.get(address)).status_code == 404
    async with signed(scene, "partner:trira") as people:
        assert "DEUX-2" in (await people.get(address)).text
        assert (await people.post(address, data={"device_id": of_other, "how": "shared"})).status_code == 403
    async with scene.site.client(staff=True) as staff:
        assert fr("Où est le support ?") in (await staff.get(address)).text
        assert fr("Choisissez une des deux réponses.") in (await staff.post(address, data={"device_id": of_other})).text
        wrong = await staff.post(address, data={"device_id": of_other, "how": "moved"})
        assert (wrong.status_code, fr("DEUX-1 n'est pas encore sorti de l'atelier") in wrong.text) == (422, True)
        assert (await staff.post(address, data={"device_id": of_other, "how": "shared"})).status_code == 303
        assert fr("C'est réglé") in (await staff.get(f"{address}?dit=regle")).text
    await scene.accepted("device_audited", audit)
    assert (await scene.say("medium_erased", {**other, "log": relabelled("d01", serial) + "\n"}))["outcome"] == "rejected"
    await sound(scene)


async def test_one_disk_that_staff_moved_never_makes_its_old_device_ready(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old device was lost while it was ready. Found again, it must be audited again, and its audit finds the disk elsewhere."""
    monkeypatch.setattr(consumer, "PATIENCE", timedelta(seconds=0))
    serial = uuid4().hex[:12].upper()
    first = {"consignment_id": str(await ready(scene, "PERDU-1", serial)), "device_ref": "PERDU-1"}
    await scene.accepted("device_lost", {**first, "reason": "not_found"})
    other = await begun(scene, "PERDU-2")
    audit = {"media": [disk(serial)], **AUDIT}
    assert (await scene.say("device_audited", {**other, **audit}))["faults"] == [("/media", "medium_elsewhere")]
    await moved(scene, serial, "PERDU-2")
    await scene.accepted("device_audited", {**other, **audit})
    later = shifted(relabelled("d01", serial), timedelta(days=1))
    await scene.accepted("medium_erased", {**other, "log": later})
    await scene.accepted("device_finished", other)
    await scene.accepted("device_found", first)
    assert (await scene.say("device_finished", first))["faults"] == [("/device_ref", "device_not_audited")]
    assert (await scene.say("device_audited", {**first, **audit}))["faults"] == [("/media", "medium_elsewhere")]
    assert await scene.count("devices", "status = 'ready' AND audit -> 'media' @> $1", f'[{{"serial": "{serial}"}}]') == 1
    async with scene.site.client(staff=True) as staff:
        page = (await staff.get(f"/refurb/appareils/{device_stream('trira', 'PERDU-1')}")).text
        assert fr("À auditer de nouveau") in page
    await sound(scene)


async def lost_and_moved(scene: Scene, first: dict[str, str], other: dict[str, str], serial: str) -> None:
    """The first device is lost, its medium is seen in the other, and staff say that it moved."""
    await scene.accepted("device_lost", {**first, "reason": "not_found"})
    audit = {**other, "media": [disk(serial)], **AUDIT}
    assert (await scene.say("device_audited", audit))["faults"] == [("/media", "medium_elsewhere")]
    await moved(scene, serial, other["device_ref"])
    await scene.accepted("device_audited", audit)


async def test_a_medium_that_staff_moved_there_and_back_is_not_proven_by_what_was_done_before(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "PATIENCE", timedelta(seconds=0))
    serial = uuid4().hex[:12].upper()
    first = {"consignment_id": str(await ready(scene, "RETOUR-1", serial)), "device_ref": "RETOUR-1"}
    other = await begun(scene, "RETOUR-2")
    await lost_and_moved(scene, first, other, serial)
    log = relabelled("d01", serial)
    await scene.accepted("medium_erased", {**other, "log": shifted(log, timedelta(days=1))})
    await scene.accepted("device_finished", other)
    await scene.accepted("device_found", first)
    await lost_and_moved(scene, other, first, serial)
    unproven = [("/media", "no_evidence")]
    assert (await scene.say("device_finished", first))["faults"] == unproven
    await scene.accepted("medium_erased", {**first, "log": log})  # a report that is here already says nothing new
    assert (await scene.say("device_finished", first))["faults"] == unproven
    between = shifted(log, timedelta(hours=12))
    assert (await scene.say("medium_erased", {**first, "log": between}))["faults"] == [("/log", "run_outdated")]
    assert (await scene.say("device_finished", first))["faults"] == unproven
    await scene.accepted("medium_erased", {**first, "log": shifted(log, timedelta(days=2))})
    await scene.accepted("device_finished", first)
    await sound(scene)


async def test_a_report_from_before_a_medium_was_in_another_device_proves_nothing_when_it_comes_back(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it came before the medium was in any device, or after it left this one."""
    monkeypatch.setattr(consumer, "PATIENCE", timedelta(seconds=0))
    serial, new = uuid4().hex[:12].upper(), uuid4().hex[:12].upper()
    log, audit = relabelled("d01", serial), {"media": [disk(serial)], **AUDIT}
    early = await begun(scene, "TARD-1")
    await scene.accepted("medium_erased", {**early, "log": log})
    other = await begun(scene, "TARD-2")
    await scene.accepted("device_audited", {**other, **audit})
    await scene.accepted("medium_erased", {**other, "log": shifted(log, timedelta(days=1))})
    await scene.accepted("device_audited", {**other, "media": [disk(new)], **AUDIT})
    late = shifted(log, timedelta(hours=12))
    assert (await scene.say("medium_erased", {**other, "log": late}))["faults"] == [("/log", "medium_left")]
    assert (await scene.say("device_audited", {**early, **audit}))["faults"] == [("/media", "run_outdated")]
    await scene.accepted("medium_erased", {**early, "log": shifted(log, timedelta(days=2))})
    await scene.accepted("device_audited", {**early, **audit})
    await scene.accepted("device_finished", early)
    await sound(scene)


async def test_where_one_medium_moved_the_others_are_still_due(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "PATIENCE", timedelta(seconds=0))
    proven, due, new = (uuid4().hex[:12].upper() for _ in range(3))
    first, other = await begun(scene, "RESTE-1"), await begun(scene, "RESTE-2")
    await scene.accepted("device_audited", {**first, "media": [disk(proven), disk(due)], **AUDIT})
    await scene.accepted("medium_erased", {**first, "log": relabelled("d01", proven)})
    await lost_and_moved(scene, first, other, proven)
    await scene.accepted("device_found", first)
    refused = await scene.say("device_audited", {**first, "media": [disk(new)], **AUDIT})
    assert refused["faults"] == [("/media", "medium_unaccounted")]
    await scene.accepted("medium_erased", {**first, "log": relabelled("d01", due)})
    assert (await scene.say("device_finished", first))["faults"] == [("/device_ref", "device_not_audited")]
    page = f"/refurb/appareils/{device_stream('trira', 'RESTE-1')}"
    async with signed(scene, "partner:trira") as people:
        assert fr("Un support que l'audit nommait est dans un autre appareil.") in (await people.get(page)).text
    await scene.accepted("device_audited", {**first, "media": [disk(due)], **AUDIT})
    await scene.accepted("device_finished", first)
    assert await scene.count("devices", "device_ref = 'RESTE-1' AND status = 'ready' AND NOT doubted") == 1
    await sound(scene)


async def test_a_sold_device_may_turn_out_to_have_had_another_medium(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has nothing left that is proven, and is sold all the same: that is what the rows say, and the audit of custody shows it."""
    monkeypatch.setattr(consumer, "PATIENCE", timedelta(seconds=0))
    serial = uuid4().hex[:12].upper()
    await ready(scene, "PARTI-1", serial)
    sold = HandOverDevice(id=device_stream("trira", "PARTI-1"), sale_id=uuid4(), sold_at=datetime.now(UTC))
    await scene.site.desk.carry_out([sold])
    other = await begun(scene, "PARTI-2")
    audit = {**other, "media": [disk(serial)], **AUDIT}
    assert (await scene.say("device_audited", audit))["faults"] == [("/media", "medium_elsewhere")]
    await moved(scene, serial, "PARTI-2")
    assert await scene.count("devices", "device_ref = 'PARTI-1' AND status = 'sold' AND doubted AND findings = '[]'") == 1
    await sound(scene)


async def test_what_nobody_announced_takes_no_medium_and_a_report_alone_keeps_nobody_out(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another workshop tells of a disk in a device that it never announced, before its owner can."""
    monkeypatch.setattr(consumer, "PATIENCE", timedelta(seconds=0))
    serial = uuid4().hex[:12].upper()
    squat = {"consignment_id": str(await scene.assigned()), "device_ref": "JAMAIS-1"}
    audit, log = {"media": [disk(serial)], **AUDIT}, relabelled("d01", serial)
    assert (await scene.say("device_audited", {**squat, **audit}))["faults"] == [("/device_ref", "device_not_received")]
    await scene.accepted("medium_erased", {**squat, "log": shifted(log, timedelta(minutes=-1))})
    owner = await begun(scene, "JAMAIS-2")
    await scene.accepted("device_audited", {**owner, **audit})
    await scene.accepted("medium_erased", {**owner, "log": log})
    await scene.accepted("device_finished", owner)
    await scene.accepted("device_received", {**squat, "device_type": "laptop", "maker": "Exempla"})
    assert (await scene.say("device_audited", {**squat, **audit}))["faults"] == [("/media", "medium_elsewhere")]
    await sound(scene)


def test_a_run_of_weeks_is_a_wrong_date() -> None:
    def of(days: int) -> ErasureRun:
        return ErasureRun(serial="S-1", tool="nwipe", outcome="completed", started_at=NOW, ended_at=NOW + timedelta(days=days))

    assert len(spans([of(13)], ONE, "/log")) == 1
    with pytest.raises(Refused, match="erasure_too_long"):
        spans([of(15)], ONE, "/log")


async def moved(scene: Scene, serial: str, ref: str) -> None:
    """Staff say that the medium is in `ref`, and no more where it was. The page that follows can be read."""
    address = f"/refurb/supports/{serial}"
    async with scene.site.client(staff=True) as staff:
        data = {"device_id": str(device_stream("trira", ref)), "how": "moved"}
        assert (await staff.post(address, data=data)).status_code == 303
        assert fr("C'est réglé") in (await staff.get(f"{address}?dit=regle")).text


async def test_media_from_before_get_a_place_and_what_two_devices_name_is_disputed(scene: Scene) -> None:
    serial = uuid4().hex[:12].upper()
    await ready(scene, "AVANT-1", serial)
    second = await begun(scene, "AVANT-2")
    await scene.accepted("device_audited", {**second, "media": [disk(f"{serial}-2")], **AUDIT})
    pool, ids = scene.site.desk.pool, [medium_stream(serial), medium_stream(f"{serial}-2")]
    text = "UPDATE {} SET {} = replace({}::text, $1 || '-2', $1)::{} WHERE {} = $2"
    of_second = device_stream("trira", "AVANT-2")
    for table, column, kind, key in (("devices", "audit", "jsonb", "id"), ("events", "data", "json", "stream")):
        await pool.execute(text.format(table, column, column, kind, key), serial, of_second)
    for table, key in (("events", "stream"), ("media", "id")):
        await pool.execute(f"DELETE FROM {table} WHERE {key} = ANY ($1::uuid[])", ids)  # noqa: S608 ours
    task = asyncio.create_task(jobs.place_media(scene.site.desk))
    await scene.site.until(
        lambda: scene.count(
            "media", "serial = $1 AND holder_ref = 'AVANT-1' AND disputed -> 0 ->> 'device_ref' = 'AVANT-2'", serial
        )
    )
    task.cancel()
    await sound(scene)


async def test_devices_that_share_a_serial_number_are_all_found_and_are_exceptions(scene: Scene) -> None:
    shared = uuid4().hex[:10].upper()
    for ref in ("MEME-1", "MEME-2"):
        about = {"consignment_id": str(await scene.assigned()), "device_ref": ref, "serial": shared.lower()}
        await scene.accepted("device_received", {**about, "device_type": "laptop", "maker": "Exempla", "model": "X1"})
    async with signed(scene, "partner:trira") as people:
        found = (await people.get("/refurb/appareils", params={"q": shared})).text
        assert re.findall(r'<a class="id" href="[^"]+">([^<]+)', found) == ["MEME-1", "MEME-2"]
        assert fr(f"2 appareils sous « {shared} »") in found
        todo = (await people.get("/refurb/appareils")).text
        assert todo.count(fr("Numéro de série en double")) == 2
        assert fr("MEME-2 porte le même numéro de série. Relisez l'étiquette de chacun.") in todo
        page = (await people.get(f"/refurb/appareils/{device_stream('trira', 'MEME-1')}")).text
        assert f'href="/refurb/appareils/{device_stream("trira", "MEME-2")}">MEME-2</a>' in page
    async with signed(scene, "partner:ares") as others:
        assert "MEME" not in (await others.get("/refurb/appareils", params={"q": shared})).text
    about = {"consignment_id": str(await scene.assigned()), "device_ref": "MEME-3", "serial": "None"}
    await scene.accepted("device_received", {**about, "device_type": "laptop"})
    async with signed(scene, "partner:trira") as people:
        assert "MEME-3" not in (await people.get("/refurb/appareils")).text

"""The console of a workshop: what its people say by page goes the way of every message; media, labels, table and pace are there."""

import hashlib
import io
import json
import re
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
import python_calamine
from playwright.async_api import Page, Route, expect

from services.refurb.reactions.names import device_stream
from shared import consumer
from shared.events.base import stream_id
from shared.events.distribution import DeviceSold
from shared.ui import COOKIE, fr
from tests.refurb.conftest import Scene
from tests.refurb.samples import NOW
from tests.refurb.test_audit import LAPTOP
from tests.refurb.test_pages import signed
from tests.refurb.test_readers import LSHW
from tests.refurb.test_service import AUDIT, disk, relabelled
from tests.support.browser import pictured

FORM = re.compile(r'name="id" value="([^"]+)"')


async def ready(scene: Scene, ref: str, serial: str, *, lot: str | None = None, consignment: UUID | None = None) -> UUID:
    """A device of trira's that may be sold. Returns its consignment."""
    consignment = consignment or await scene.assigned()
    about = {"consignment_id": str(consignment), "device_ref": ref}
    where = {"lot": lot, "pallet": "PAL-1"} if lot else {}
    await scene.accepted("device_received", {**about, "device_type": "laptop", "maker": "Exempla", **where})
    await scene.accepted("device_audited", {**about, "media": [disk(serial)], **AUDIT})
    await scene.accepted("medium_erased", {**about, "log": relabelled("d01", serial)})
    await scene.accepted("device_finished", about)
    return consignment


def sale(device: UUID, consignment: UUID) -> DeviceSold:
    return DeviceSold(
        sale_id=uuid4(),
        device_id=device,
        consignment_id=consignment,
        donation_id=uuid4(),
        refurbisher="trira",
        device_type="laptop",
        category="B",
        structure="STR-1",
        voucher_id=uuid4(),
        price_cents=8000,
        price_rules="test",
        sold_at=NOW,
        warranty_until=NOW.date(),
    )


async def test_the_whole_life_over_the_wire(scene: Scene) -> None:
    ref, serial = "VIE-1", uuid4().hex[:12].upper()
    consignment = await ready(scene, ref, serial)
    device, about = device_stream("trira", ref), {"consignment_id": str(consignment), "device_ref": ref}
    await scene.accepted("device_lost", {**about, "reason": "not_on_the_shelf"})
    refused = await scene.say("device_finished", about)
    assert refused["faults"] == [("/device_ref", "device_lost")]
    await scene.accepted("device_found", about)
    await scene.accepted("device_finished", about)
    sold = sale(device, consignment)
    await scene.told.tell("distribution.sales.ara", stream_id("sale", sold.sale_id), sold)
    await scene.site.until(lambda: scene.count("devices", "id = $1 AND status = 'sold'", device))
    await scene.accepted("device_returned", {**about, "purpose": "to_repair", "reason": "screen_black"})
    await scene.accepted("device_repaired", {**about, "parts": ["screen"]})
    await scene.accepted("device_given_back", {**about, "outcome": "repaired"})
    await scene.accepted("device_returned", {**about, "purpose": "to_resell", "reason": "given_up"})
    await scene.accepted("device_audited", {**about, "media": [disk(serial)], **AUDIT})
    spent = await scene.say("medium_erased", {**about, "log": relabelled("d01", serial) + "\n"})
    assert spent["faults"] == [("/log", "evidence_spent")]
    await scene.accepted("device_scrapped", {**about, "reason": "broken", "waste_reference": "BSD-1"})
    assert (await scene.events(device))[6:] == [
        "device_lost",
        "device_found",
        "device_graded",
        "device_ready",
        "device_handed_over",
        "warranty_repair_begun",
        "device_repaired",
        "warranty_repair_ended",
        "device_taken_back",
        "device_audited",
        "device_scrapped",
    ]
    async with signed(scene, "partner:trira") as people:
        page = (await people.get(f"/refurb/appareils/{device}")).text
    for words in ("Introuvable", "Retrouvé", "Rendu à son propriétaire", "Retiré du stock", "Revenu 1 fois", "BSD-1", "écran"):
        assert fr(words) in page, words


async def test_a_consignment_is_received_by_page_once(scene: Scene) -> None:
    consignment = await scene.assigned()
    async with signed(scene, "partner:trira") as people:
        page = (await people.get(f"/refurb/envois/{consignment}")).text
        form = FORM.search(page)
        assert form
        wrong = await people.post(f"/refurb/envois/{consignment}/recu", data={"counted": "douze", "id": form[1]})
        many = await people.post(f"/refurb/envois/{consignment}/recu", data={"counted": "9" * 5000, "id": form[1]})
        assert many.status_code == 422
        assert (wrong.status_code, 'value="douze"' in wrong.text) == (422, True), "what was typed stays"
        for _ in range(2):
            said = await people.post(f"/refurb/envois/{consignment}/recu", data={"counted": "1", "id": form[1]})
            assert (said.status_code, said.headers["location"]) == (303, "/refurb/envois?dit=recu")
        assert await scene.receipt(f"{form[1]}-1") == {"outcome": "accepted", "faults": [], "evidence": []}
        listed = (await people.get("/refurb/envois")).text
        assert fr("1 de moins que déclaré") in listed
        assert fr("1 à identifier") in listed
    assert await scene.count("receipts", "report_id = $1", f"{form[1]}-1") == 1
    async with signed(scene, "partner:ares") as others:
        assert (await others.get(f"/refurb/envois/{consignment}")).status_code == 404
        assert (await others.post(f"/refurb/envois/{consignment}/recu", data={"counted": "1"})).status_code == 404
    async with signed(scene, "staff") as staff:
        assert (await staff.post(f"/refurb/envois/{consignment}/recu", data={"counted": "1"})).status_code == 403


async def test_a_count_is_corrected_by_page_and_never_lost(scene: Scene) -> None:
    consignment = await scene.assigned()
    address = f"/refurb/envois/{consignment}"
    async with signed(scene, "partner:trira") as people:
        page = await people.get(address)
        form = FORM.search(page.text)
        assert form
        assert page.headers["cache-control"] == "no-store"
        await people.post(f"{address}/recu", data={"counted": "25", "id": form[1]})
        await scene.receipt(f"{form[1]}-25")
        back = await people.post(f"{address}/recu", data={"counted": "26", "id": form[1]})
        assert (back.status_code, 'value="26"' in back.text, 'name="corrects" value="25"' in back.text) == (422, True, True)
        assert fr("Vous aviez compté 25 : ce compte est gardé. Pour le corriger en 26, validez ci-dessous.") in back.text
        late = await people.post(f"{address}/refus", data={"reason": "closed", "id": form[1]})
        assert (late.status_code, fr("il ne peut plus être refusé") in late.text) == (422, True)
        await people.post(f"{address}/recu", data={"counted": "26", "corrects": "25", "id": form[1]})
        assert (await scene.receipt(f"{form[1]}-26"))["outcome"] == "accepted"
        assert 'name="corrects" value="26"' in (await people.get(address)).text
    said = {"consignment_id": str(consignment), "counted": 27}
    assert (await scene.say("consignment_received", {**said, "corrects": 25}))["faults"] == [("/counted", "count_differs")]
    await scene.accepted("consignment_received", {**said, "corrects": 26})
    found = await scene.site.desk.pool.fetch(
        "SELECT data FROM events WHERE stream = $1 ORDER BY version", stream_id("arrival", consignment)
    )
    counts = [(json.loads(row["data"])["counted"], json.loads(row["data"])["corrects"]) for row in found]
    assert counts == [(25, None), (26, 25), (27, 26)]


async def test_a_consignment_is_refused_by_page(scene: Scene) -> None:
    consignment = await scene.assigned()
    async with signed(scene, "partner:trira") as people:
        form = FORM.search((await people.get(f"/refurb/envois/{consignment}")).text)
        assert form
        assert (await people.post(f"/refurb/envois/{consignment}/refus", data={"id": form[1]})).status_code == 422
        await people.post(f"/refurb/envois/{consignment}/refus", data={"id": form[1], "reason": "no_capacity"})
        assert (await scene.receipt(f"{form[1]}-no_capacity"))["outcome"] == "accepted"
        assert fr("Refusé par l'atelier") in (await people.get("/refurb/envois")).text


async def test_places_are_declared_by_page_and_errors_keep_what_was_typed(scene: Scene) -> None:
    async with signed(scene, "partner:trira") as people:
        form = FORM.search((await people.get("/refurb/capacite")).text)
        assert form
        wrong = await people.post("/refurb/capacite", data={"laptop": "40", "desktop": "beaucoup", "id": form[1]})
        assert wrong.status_code == 422
        assert ('value="40"' in wrong.text, 'value="beaucoup"' in wrong.text) == (True, True)
        await people.post("/refurb/capacite", data={"laptop": "41", "id": form[1]})
        assert (await scene.receipt(form[1]))["outcome"] == "accepted"
        assert 'value="41"' in (await people.get("/refurb/capacite")).text


async def test_a_report_is_dropped_and_the_verdict_is_there_at_once(scene: Scene) -> None:
    ref, serial = "DEP-1", uuid4().hex[:12].upper()
    consignment = await scene.assigned()
    about = {"consignment_id": str(consignment), "device_ref": ref}
    await scene.accepted("device_received", {**about, "device_type": "laptop"})
    await scene.accepted("device_audited", {**about, "media": [disk(serial)], **AUDIT})
    device = device_stream("trira", ref)
    good, bad = relabelled("d01", serial).encode(), relabelled("d03", "AUTRE-1").encode()
    async with signed(scene, "partner:trira") as people:
        form = FORM.search((await people.get(f"/refurb/rapports/{device}")).text)
        assert form
        empty = await people.post(f"/refurb/rapports/{device}", data={"id": form[1]})
        assert empty.status_code == 422
        files = [("reports", (name, data)) for name, data in (("bon.log", good), ("photo.png", b"\x89PNG\r\n"), ("<b>.log", bad))]
        page = (await people.post(f"/refurb/rapports/{device}", data={"id": form[1]}, files=files)).text
        assert fr(f"Support {serial} : effacement prouvé (DoD Short, niveau Clear).") in page
        assert "Pas envoyé" in page
        assert "<b>.log" not in page
        assert (await scene.receipt(f"{form[1]}-0"))["outcome"] == "accepted"
        assert fr("Effacement prouvé") in (await people.get(f"/refurb/appareils/{device}")).text
    async with signed(scene, "partner:ares") as others:
        assert (await others.get(f"/refurb/rapports/{device}")).status_code == 404
    async with signed(scene, "staff") as staff:
        assert (await staff.get(f"/refurb/rapports/{device}")).status_code == 403


async def test_a_hardware_report_is_sent_by_contract_or_dropped(scene: Scene) -> None:
    """The charity's own record, as a partner's system sends it and as its people drop it; and a file that is somebody else's."""
    consignment = await scene.assigned()
    about = {"consignment_id": str(consignment), "device_ref": "FIC-1"}
    await scene.accepted("device_received", {**about, "device_type": "laptop"})
    record = json.dumps({**LAPTOP, "idMaterielReconditionneur": "FIC-1"})
    await scene.accepted("device_audited", {**about, "report": record, "cpu_mark": 4000})
    wrong = await scene.say("device_audited", {**about, "report": json.dumps(LAPTOP)})
    assert wrong["faults"] == [("/report", "not_this_device")]
    device = device_stream("trira", "FIC-1")
    lshw = json.dumps(LSHW).encode()
    async with signed(scene, "partner:trira") as people:
        page = (await people.get(f"/refurb/appareils/{device}")).text
        assert fr("LENOVO X1") in page
        kept = await people.get(f"/refurb/appareils/{device}/preuves/{hashlib.sha256(record.encode()).hexdigest()}")
        assert kept.text == record
        form = FORM.search((await people.get(f"/refurb/rapports/{device}")).text)
        assert form
        files = [("reports", ("lshw.json", lshw)), ("reports", ("autre.json", json.dumps(LAPTOP).encode()))]
        page = (await people.post(f"/refurb/rapports/{device}", data={"id": form[1]}, files=files)).text
        assert fr("Support S444NX0K : 256,1 Go.") in page
        assert fr("Aucune ligne de ce fichier ne porte la référence de cet appareil.") in page
        assert (await scene.receipt(f"{form[1]}-0"))["outcome"] == "accepted"
    audited = [kind for kind in await scene.events(device) if kind == "device_audited"]
    assert len(audited) == 2


async def test_exceptions_are_work_items(scene: Scene) -> None:
    """A serial number that is missing, a model that nobody knows: each waits in the queue, with what to do, until it is mended."""
    consignment = await scene.assigned()
    serial = uuid4().hex[:12].upper()
    about = {"consignment_id": str(consignment), "device_ref": "EXC-1"}
    await scene.accepted("device_received", {**about, "device_type": "laptop", "maker": "LENOVO"})
    async with signed(scene, "partner:trira") as people:
        assert "EXC-1" not in (await people.get("/refurb/appareils")).text, "nothing is known to be wrong before its audit"
        assert "EXC-1" in (await people.get("/refurb/appareils?vue=en-cours")).text
        await scene.accepted("device_audited", {**about, "media": [disk("") | {"serial": None}], **AUDIT})
        page = (await people.get("/refurb/appareils")).text
        assert fr("Numéro de série absent") in page
        assert fr("Support de cet appareil : le rapport ou l'audit n'a pas de numéro de série.") in page
        await scene.accepted("device_audited", {**about, "media": [disk(serial)], **AUDIT})
        page = (await people.get("/refurb/appareils")).text
        assert fr("Modèle inconnu") in page
        assert fr("renvoyez l'audit avec model") in page
        await scene.accepted("device_audited", {**about, "media": [disk(serial)], "model": "X1", **AUDIT})
        assert "EXC-1" not in (await people.get("/refurb/appareils")).text
        assert fr("LENOVO X1") in (await people.get(f"/refurb/appareils/{device_stream('trira', 'EXC-1')}")).text


async def test_a_medium_that_moves_keeps_its_chain(scene: Scene) -> None:
    serial = uuid4().hex[:12].upper()
    consignment = await ready(scene, "SUP-1", serial)
    about = {"consignment_id": str(consignment), "device_ref": "SUP-1"}
    await scene.accepted("medium_removed", {**about, "serial": serial, "to": "device", "to_device_ref": "SUP-2"})
    other = {"consignment_id": str(consignment), "device_ref": "SUP-2"}
    await scene.accepted("device_received", {**other, "device_type": "laptop"})
    await scene.accepted("device_audited", {**other, "media": [disk(serial)], **AUDIT})
    stolen = await scene.say("medium_erased", {**other, "log": relabelled("d01", serial)})
    assert stolen["faults"] == [("/log", "duplicate_evidence")], "one run never proves two devices"
    async with signed(scene, "partner:trira") as people:
        page = (await people.get(f"/refurb/supports/{serial}")).text
        assert re.findall(r"<h3>([^<]+)", page) == [
            fr(words)
            for words in (
                "Relevé dans l'appareil",
                "Effacement prouvé",
                "L'appareil est prêt",
                "L'appareil est sorti du stock",
                "Effacement prouvé",
                "Retiré pour un autre appareil",
                "Relevé dans l'appareil",
            )
        ]
        assert fr("Dans l’appareil SUP-2.") in page
        assert (await people.get("/refurb/supports/INCONNU")).status_code == 404
    async with signed(scene, "partner:ares") as others:
        assert (await others.get(f"/refurb/supports/{serial}")).status_code == 404


async def test_labels_table_and_pace(scene: Scene) -> None:
    serial = uuid4().hex[:12].upper()
    await ready(scene, "ETI-1", serial, lot="LOT-9")
    device = device_stream("trira", "ETI-1")
    async with signed(scene, "partner:trira") as people:
        for path in (
            f"/refurb/appareils/{device}/etiquette.pdf",
            "/refurb/etiquettes.pdf?lot=lot-9",
            "/refurb/etiquettes.pdf?lot=pal-1",
        ):
            label = await people.get(path)
            assert (label.status_code, label.headers["content-type"], label.content[:5]) == (200, "application/pdf", b"%PDF-"), (
                path
            )
        assert (await people.get("/refurb/etiquettes.pdf?lot=none")).status_code == 404
        table = await people.get("/refurb/export.xlsx")
        rows = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(table.content)).get_sheet_by_index(0).to_python()
        mine = next(row for row in rows if row[6] == "ETI-1")
        assert (mine[1], mine[2], mine[16], mine[20]) == ("PRET_A_COMMANDER", "ORDINATEUR_PORTABLE", "B", "LOT-9")
        assert fr("Semaine par semaine") in (await people.get("/refurb/rythme")).text
        scanned = await people.get("/refurb/appareils", params={"q": "https://maillon.example/refurb/appareils?q=ETI-1"})
        assert scanned.headers["location"] == f"/refurb/appareils/{device}"
        assert (await people.get("/refurb/appareils", params={"q": "https://[half"})).status_code == 200
    async with signed(scene, "partner:ares") as others:
        assert (await others.get(f"/refurb/appareils/{device}/etiquette.pdf")).status_code == 404
        assert (await others.get("/refurb/etiquettes.pdf?lot=LOT-9")).status_code == 404
        rows = (
            python_calamine.CalamineWorkbook.from_filelike(io.BytesIO((await others.get("/refurb/export.xlsx")).content))
            .get_sheet_by_index(0)
            .to_python()
        )
        assert len(rows) == 1, "the names of the columns, and no device of another workshop"


async def test_a_donor_whose_gifts_are_scrapped_is_called(scene: Scene) -> None:
    consignment = await scene.assigned(donor="Machines & Cie")
    for number in range(10):
        about = {"consignment_id": str(consignment), "device_ref": f"NC-{number}"}
        await scene.accepted("device_received", {**about, "device_type": "desktop"})
        if number < 4:
            await scene.accepted("device_scrapped", {**about, "reason": "broken"})
    async with signed(scene, "staff") as staff:
        page = (await staff.get("/refurb/envois")).text
    assert fr("Machines &amp; Cie : 40 % d’appareils au rebut") in page
    assert fr("4 sur 10 déballés.") in page


async def test_the_effect_of_other_rules_is_shown_before_they_hold(scene: Scene) -> None:
    consignment = await ready(scene, "REG-1", uuid4().hex[:12].upper())
    async with signed(scene, "partner:trira") as people:
        page = (await people.get("/refurb/regles?version=2023")).text
        assert fr("Le stock sous la version 2023") in page
        assert "REG-1" in page, "2026 puts it in B, 2023 in D"
        assert fr("Chaque catégorie du stock se recalcule à l’identique") in page
        listed = (await people.get("/refurb/regles/2023.csv")).text
        assert "trira;REG-1;B;D;" in listed
        assert (await people.get("/refurb/regles?version=1999")).status_code == 404
        device = (await people.get(f"/refurb/appareils/{device_stream('trira', 'REG-1')}")).text
        for words in ("Processeur", "Mémoire", "Disques", f'href="/refurb/envois/{consignment}"'):
            assert words in device, "what gave the points, and where it came from"
    async with signed(scene, "partner:ares") as others:
        assert "REG-1" not in (await others.get("/refurb/regles?version=2023")).text
        assert "REG-1" not in (await others.get("/refurb/regles/2023.csv")).text


@pytest.mark.browser
async def test_several_files_are_judged_one_by_one(scene: Scene, tab: Page) -> None:
    """The verdict of the first is there while the second is on its way; what a cut connection kept back can be sent again."""
    serial = uuid4().hex[:12].upper()
    consignment = await scene.assigned()
    about = {"consignment_id": str(consignment), "device_ref": "VAG-1"}
    await scene.accepted("device_received", {**about, "device_type": "laptop"})
    await scene.accepted("device_audited", {**about, "media": [disk(serial)], **AUDIT})
    await tab.context.add_cookies(
        [{"name": COOKIE, "value": scene.site.service.state["doors"].sign("partner:trira"), "url": scene.site.url}]
    )
    await tab.goto(f"{scene.site.url}/refurb/rapports/{device_stream('trira', 'VAG-1')}")
    files = [
        {"name": name, "mimeType": "text/plain", "buffer": data}
        for name, data in (
            ("autre.log", relabelled("d03", "AUTRE").encode()),
            ("bon.log", relabelled("d01", serial).encode()),
            ("photo.log", b"\x89PNG"),
        )
    ]
    tried: list[Route] = []

    async def cut(route: Route) -> None:
        tried.append(route)
        await (route.abort() if len(tried) == 2 else route.continue_())

    await tab.route("**/rapports/**", cut)
    await tab.set_input_files("input[type=file]", files)  # type: ignore[arg-type]
    await tab.click("text=Envoyer")
    said = tab.locator("#verdicts")
    await expect(said).to_contain_text("La connexion s’est coupée à bon.log.")
    assert await said.locator("h2").all_inner_texts() == ["autre.log"]
    assert await tab.evaluate("[...document.querySelector('input[type=file]').files].map(f => f.name)") == [
        "bon.log",
        "photo.log",
    ]
    await tab.click("text=Envoyer")
    await expect(said).to_contain_text(fr(f"Support {serial} : effacement prouvé (DoD Short, niveau Clear)."))
    await expect(said.locator("h2")).to_have_text(["autre.log", "bon.log", "photo.log"])
    assert await tab.evaluate("document.querySelector('input[type=file]').files.length") == 0
    await scene.site.until(lambda: scene.count("receipts", "device_ref = 'VAG-1' AND outcome = 'accepted'"))


@pytest.mark.browser
async def test_the_console_is_sound_in_a_browser(scene: Scene, tab: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "PATIENCE", timedelta(seconds=0))
    serial, shut = uuid4().hex[:12].upper(), uuid4().hex[:12].upper()
    consignment = await ready(scene, "NAV-1", serial, lot="LOT-NAV")
    about = {"consignment_id": str(consignment), "device_ref": "NAV-2"}
    await scene.accepted("device_received", {**about, "device_type": "laptop", "maker": "Exempla"})
    await scene.accepted("device_audited", {**about, "media": [disk(shut)], **AUDIT})
    await scene.accepted("medium_erased", {**about, "log": relabelled("d03", shut)})
    disputed = {"consignment_id": str(consignment), "device_ref": "NAV-3"}
    await scene.accepted("device_received", {**disputed, "device_type": "laptop", "maker": "Exempla"})
    assert (await scene.say("device_audited", {**disputed, "media": [disk(serial)], **AUDIT}))["outcome"] == "rejected"
    await scene.accepted("consignment_received", {"consignment_id": str(consignment), "counted": 3})
    waiting = await scene.assigned()
    device, blocked = device_stream("trira", "NAV-1"), device_stream("trira", "NAV-2")
    doors = scene.site.service.state["doors"]
    await tab.context.add_cookies([{"name": COOKIE, "value": doors.sign("partner:trira"), "url": scene.site.url}])
    for name, path in {
        "arrivals": "/envois",
        "arrival": f"/envois/{waiting}",
        "arrived": f"/envois/{consignment}",
        "capacity": "/capacite",
        "queue": "/appareils",
        "receipts": "/reponses",
        "reports": f"/rapports/{blocked}",
        "medium": f"/supports/{serial}",
        "pace": "/rythme",
        "rules": "/regles?version=2023",
        "device": f"/appareils/{device}",
        "blocked": f"/appareils/{blocked}",
    }.items():
        assert await pictured(tab, f"{scene.site.url}/refurb{path}", f"refurb-{name}") == [], name
    await tab.context.add_cookies([{"name": COOKIE, "value": doors.sign("staff"), "url": scene.site.url}])
    assert await pictured(tab, f"{scene.site.url}/refurb/supports/{serial}", "refurb-disputed") == []

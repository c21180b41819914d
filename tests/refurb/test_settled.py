"""Devices on which the workshop has said all: on their way to a structure, there, scrapped."""

import io
from functools import partial
from uuid import uuid4

import python_calamine

from services.refurb.reactions.names import device_stream
from shared.events.distribution import DeviceDelivered, DeviceShipped, StockWithdrawn
from shared.ui import fr
from tests.refurb.conftest import Scene
from tests.refurb.samples import log
from tests.refurb.test_console import ready
from tests.refurb.test_pages import signed


async def test_a_device_is_followed_to_the_structure(scene: Scene) -> None:
    """In a list, on its page and in the charity's own record; back in the workshop's hands, it is where its own state says."""
    ref, stock = f"STR-{uuid4().hex[:6]}", uuid4()
    await ready(scene, ref, uuid4().hex[:12].upper())
    device = device_stream("trira", ref)
    told = {"shipped": DeviceShipped, "delivered": DeviceDelivered}
    for step, kind in told.items():
        event = kind(device_id=device, structure="STR-1")
        await scene.told.tell("distribution.stock.ara", stock, event)
        await scene.site.until(partial(scene.count, "whereabouts", "device_id = $1 AND step = $2", device, step))
    async with signed(scene, "partner:trira") as people:
        listed = (await people.get("/refurb/appareils?vue=prets")).text
        assert fr("Chez la structure") in listed
        page = (await people.get(f"/refurb/appareils/{device}")).text
        assert (fr("Chez la structure") in page, "PRET_A_DISTRIBUER" in page) == (True, True)
        table = (await people.get("/refurb/export.xlsx")).content
    rows = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(table)).get_sheet_by_index(0).to_python()
    assert [row[1] for row in rows if ref in row] == ["PRET_A_DISTRIBUER"]
    gone = StockWithdrawn(device_id=device, reason="lost")
    await scene.told.tell("distribution.stock.ara", stock, gone)
    await scene.site.until(lambda: scene.count("whereabouts", "device_id = $1 AND step = 'workshop'", device))


async def test_a_settled_device_takes_no_report_and_says_why(scene: Scene) -> None:
    consignment, ref = await scene.assigned(), f"REB-{uuid4().hex[:6]}"
    about = {"consignment_id": str(consignment), "device_ref": ref}
    device = device_stream("trira", ref)
    async with signed(scene, "partner:trira") as people:
        assert fr("Les étiquettes seront ici") in (await people.get(f"/refurb/envois/{consignment}")).text
        await scene.accepted("device_received", {**about, "device_type": "laptop"})
        assert "/refurb/etiquettes.pdf" in (await people.get(f"/refurb/envois/{consignment}")).text
        drop = f'href="/refurb/rapports/{device}"'
        assert drop in (await people.get(f"/refurb/appareils/{device}")).text
        await scene.accepted("device_scrapped", {**about, "reason": "broken"})
        assert drop not in (await people.get(f"/refurb/appareils/{device}")).text
        page = (await people.get(f"/refurb/rapports/{device}")).text
        assert (fr("Il est au rebut : un rapport n'y change plus rien.") in page, 'type="file"' in page) == (True, False)
        files = {"reports": ("d01.log", log("d01"), "text/plain")}
        late = await people.post(f"/refurb/rapports/{device}", files=files)
    refused = await scene.say("device_repaired", {**about, "parts": ["screen"]})
    assert refused["faults"] == [("", "device_settled")]
    hint = await scene.site.desk.pool.fetchval(
        "SELECT faults -> 0 ->> 'hint' FROM receipts WHERE device_ref = $1 AND outcome = 'rejected'", ref
    )
    assert hint == "Cet appareil est déjà réglé (au rebut) : plus rien ne le modifie."
    assert late.status_code == 200

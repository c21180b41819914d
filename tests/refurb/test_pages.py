"""The pages of a workshop, as people meet them."""

import re
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Page

from services.refurb.reactions.names import device_stream
from shared.ui import COOKIE, fr, number_fr
from tests.refurb.conftest import KEYS, Scene
from tests.refurb.samples import HINTS
from tests.refurb.test_service import AUDIT, disk, relabelled
from tests.support.browser import faults
from tests.support.service import STAFF_CODE


def signed(scene: Scene, role: str) -> httpx.AsyncClient:
    client = scene.site.client(browser=True)
    client.cookies.set(COOKIE, scene.site.service.state["doors"].sign(role))
    return client


def told(name: str) -> dict[str, str]:
    return {"maker": "Exempla", "model": "ProBook 14", "serial": f"SN-{name}"}


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def devices(scene: Scene) -> dict[str, UUID]:
    """One device blocked, one ready, one that only arrived."""
    consignment = await scene.assigned()
    await scene.accepted("consignment_received", {"consignment_id": str(consignment), "counted": 3})
    made = {}
    for name, report in (("blocked", "d03"), ("ready", "d01"), ("new", "")):
        ref, serial = f"PE-{name.upper()}", uuid4().hex[:12].upper()
        about = {"consignment_id": str(consignment), "device_ref": ref}
        await scene.accepted("device_received", {**about, "device_type": "laptop", **told(name)})
        if report:
            await scene.accepted("device_audited", {**about, "media": [disk(serial)], **AUDIT})
            await scene.accepted("medium_erased", {**about, "log": relabelled(report, serial)})
            await scene.say("device_finished", about)
        made[name] = device_stream("trira", ref)
    return made


PATHS = ["/refurb/appareils", *(f"/refurb/appareils?vue={v}" for v in ("en-cours", "prets", "vendus", "rebut")), "/refurb/envois"]
PATHS += ["/refurb/reponses", "/refurb/reponses?vue=toutes", "/refurb/partenaires"]


async def test_the_list_says_what_blocks_and_what_to_do(scene: Scene, devices: dict[str, UUID]) -> None:
    async with signed(scene, "partner:trira") as people:
        page = (await people.get("/refurb/appareils")).text
        assert fr("1 appareil vous attend") in page
        assert "PE-BLOCKED" in page
        assert "PE-READY" not in page
        assert fr("Recommencez, ou détruisez le support.") in page
        assert "PE-READY" in (await people.get("/refurb/appareils?vue=prets")).text
        found = await people.get("/refurb/appareils", params={"q": "sn-ready"})
        assert found.headers["location"] == f"/refurb/appareils/{devices['ready']}"
        none = (await people.get("/refurb/appareils", params={"q": "XYZ"})).text
        assert fr("Aucun appareil ne porte « XYZ ».") in none


async def test_a_device_shows_its_proof_and_its_original(scene: Scene, devices: dict[str, UUID]) -> None:
    async with signed(scene, "staff") as staff:
        blocked = (await staff.get(f"/refurb/appareils/{devices['blocked']}")).text
        assert "-FAILED-" in blocked
        assert fr("1 support sur 1 n'est pas prouvé effacé") in blocked
        ready = (await staff.get(f"/refurb/appareils/{devices['ready']}")).text
        assert f"{number_fr(67_108_864)} octets" in ready
        assert fr("Effacement prouvé") in ready
        link = re.search(r'href="(/refurb/appareils/[^"]+/preuves/[0-9a-f]{64})"', ready)
        assert link
        original = await staff.get(link[1])
        assert b"Nwipe successfully completed" in original.content
        assert original.headers["content-disposition"].startswith("attachment")
        assert (await staff.get(link[1].replace(str(devices["ready"]), str(devices["blocked"])))).status_code == 404


async def test_other_refurbishers_see_nothing_of_it(scene: Scene, devices: dict[str, UUID]) -> None:
    async with signed(scene, "partner:ares") as others:
        for path in PATHS[:-1]:
            page = (await others.get(path)).text
            assert "PE-" not in page, path
        assert (await others.get(f"/refurb/appareils/{devices['ready']}")).status_code == 404
        assert (await others.get("/refurb/appareils", params={"q": "PE-READY"})).status_code == 200
    async with signed(scene, "structure:s-1") as structure:
        assert (await structure.get("/refurb/appareils")).status_code == 403
    async with scene.site.client(browser=True) as nobody:
        assert (await nobody.get("/refurb/appareils")).headers["location"].startswith("/refurb/connexion")
        assert (await nobody.get("/refurb/figures")).status_code == 401


async def test_a_key_opens_the_workshop(scene: Scene) -> None:
    async with scene.site.client(browser=True) as people:
        wrong = await people.post("/refurb/partenaires", data={"key": "no"})
        assert wrong.status_code == 422
        assert "aria-invalid" in wrong.text
        right = await people.post("/refurb/partenaires", data={"key": KEYS["ares"]})
        assert (right.status_code, right.headers["location"]) == (303, "/refurb/appareils")
        assert fr("Rien ne vous attend") in (await people.get("/refurb/appareils")).text
    async with scene.site.client() as forged:
        elsewhere = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
        assert (await forged.post("/refurb/partenaires", data={"key": KEYS["ares"]}, headers=elsewhere)).status_code in {403, 409}


async def test_rejected_messages_say_how_to_mend_them(scene: Scene, devices: dict[str, UUID]) -> None:
    assert devices
    await scene.say("device_received", b"{", key="x")
    async with signed(scene, "partner:trira") as people:
        page = (await people.get("/refurb/reponses")).text
        assert fr(HINTS["malformed_json"].split(".")[0]) in page
        await scene.site.desk.pool.execute(
            "UPDATE events SET at = at - interval '15 days' WHERE type = 'refurb.report_rejected.v1'"
        )
        page = (await people.get("/refurb/reponses")).text
        assert fr("Aucun message refusé depuis 14 jours") in page
        back = await people.get(f"/refurb/envois/{uuid4()}/recu")
        assert back.status_code == 303, "who typed the address of a form is led to its page"


@pytest.mark.browser
async def test_the_pages_are_sound_in_a_browser(scene: Scene, devices: dict[str, UUID], tab: Page) -> None:
    await tab.goto(f"{scene.site.url}/refurb/connexion")
    await tab.fill("[name=code]", STAFF_CODE)
    await tab.keyboard.press("Enter")
    await tab.wait_for_url("**/refurb/appareils")
    shown = [path for path in PATHS if not path.endswith(("en-cours", "vendus", "rebut", "toutes"))]
    for path in [*shown, *(f"/refurb/appareils/{devices[name]}" for name in ("blocked", "ready"))]:
        assert await faults(tab, f"{scene.site.url}{path}") == [], path


@pytest.mark.browser
async def test_a_scan_opens_the_device_without_script(scene: Scene, devices: dict[str, UUID], bare_tab: Page) -> None:
    await bare_tab.goto(f"{scene.site.url}/refurb/partenaires")
    await bare_tab.fill("[name=key]", KEYS["trira"])
    await bare_tab.keyboard.press("Enter")
    await bare_tab.wait_for_url("**/refurb/appareils")
    await bare_tab.fill("[name=q]", "pe-ready")
    await bare_tab.keyboard.press("Enter")
    await bare_tab.wait_for_url(f"**/refurb/appareils/{devices['ready']}")


async def test_why_a_device_is_scrapped_is_said_in_words(scene: Scene) -> None:
    consignment = await scene.assigned()
    await scene.accepted("consignment_received", {"consignment_id": str(consignment), "counted": 2})
    for ref, reason in (("RB-1", "missing_parts"), ("RB-2", "hinge_gone")):
        about = {"consignment_id": str(consignment), "device_ref": ref}
        await scene.accepted("device_received", {**about, "device_type": "laptop", **told(ref)})
        await scene.accepted("device_scrapped", {**about, "reason": reason})
    async with signed(scene, "staff") as staff:
        page = (await staff.get("/refurb/appareils?vue=rebut")).text
        assert "Pièces manquantes" in page
        assert "missing_parts" not in page
        assert "autre motif (hinge_gone)" in page, "a code of the workshop's own is better than nothing"
        device = (await staff.get(f"/refurb/appareils/{device_stream('trira', 'RB-1')}")).text
        assert fr("Motif : pièces manquantes.") in device
        assert fr("Le plus ancien attend") not in page, "what is scrapped waits for nothing"
        going = (await staff.get("/refurb/envois")).text
        assert fr("Terminé") in going


async def test_the_contract_keeps_the_frame_of_who_is_signed_in(scene: Scene) -> None:
    async with signed(scene, "staff") as staff:
        page = (await staff.get("/refurb/partenaires")).text
        assert 'href="/refurb/appareils"' in page, "a way back"
        assert 'name="key"' not in page
        assert "slug" not in page
    async with scene.site.client(browser=True) as nobody:
        assert 'name="key"' in (await nobody.get("/refurb/partenaires")).text
        assert 'href="/refurb/partenaires#voir"' in (await nobody.get("/refurb/connexion")).text

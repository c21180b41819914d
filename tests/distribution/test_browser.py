"""Each page in the system's Chromium: axe-core, 360 and 1280 px, light and dark; and the way through them by keyboard and click."""

import os
from pathlib import Path

import pytest
from playwright.async_api import Page

from tests.distribution.conftest import FAR, NEAR, Scene
from tests.support.browser import faults, screenshot
from tests.support.service import STAFF_CODE

pytestmark = pytest.mark.browser


async def sound(tab: Page, name: str, url: str = "") -> None:
    """The page has no fault. With MAILLON_SHOTS, pictures of it are left there for a person to look at."""
    await tab.emulate_media(reduced_motion="reduce")  # a colour on its way from light to dark is neither
    assert await faults(tab, url) == []
    if folder := os.environ.get("MAILLON_SHOTS"):
        for width in (360, 1280):
            await screenshot(tab, url, Path(folder) / f"{name}-{width}.png", width)


async def test_a_structure_from_its_link_to_the_receipt(scene: Scene, tab: Page) -> None:
    root = scene.site.url
    await scene.ask(NEAR, FAR)
    link = f"{root}/distribution/besoins/{scene.tokens[NEAR]}"
    await sound(tab, "needs", link)
    await sound(tab, "open", f"{root}/distribution/besoins/{scene.tokens[FAR]}")
    await sound(tab, "home-empty", f"{root}/distribution/")
    await tab.goto(link)
    await tab.get_by_label("Ordinateurs portables").fill("24 environ")
    await tab.get_by_role("button", name="Envoyer nos besoins").click()
    await sound(tab, "needs-error")
    await tab.get_by_label("Ordinateurs portables").fill("2")
    await tab.get_by_role("button", name="Envoyer nos besoins").click()
    first, ref = await scene.ready("laptop", "PREMIUM", public=True)
    second, _ = await scene.ready("laptop", "C")
    await scene.given(first, NEAR)
    await scene.given(second, NEAR)
    await tab.goto(f"{root}/distribution/")
    await tab.get_by_role("button", name=f"Reçu ({ref})").click()
    await sound(tab, "home")

    code = (await scene.voucher())["code"]
    await sound(tab, "till", f"{root}/distribution/caisse")
    await scan(tab, "4K7P")
    await scan(tab, f"{root}/refurb/appareils?q={ref}")
    await sound(tab, "till-error")
    await tab.reload()
    await scan(tab, code)
    await tab.get_by_text("À payer").wait_for()
    await sound(tab, "till-quote")
    await tab.get_by_role("button", name="Encaisser").click()
    await sound(tab, "receipt")
    await tab.get_by_role("button", name="La personne accepte").click()
    await sound(tab, "receipt-trained")
    await tab.goto(f"{root}/distribution/caisse")
    await tab.get_by_label("Code du bon").fill(code)
    await tab.get_by_label("Numéro de l’appareil").fill(str(second))
    await tab.keyboard.press("Enter")
    assert await tab.get_by_role("alert").inner_text() != ""
    await sound(tab, "till-refused")


async def scan(tab: Page, text: str) -> None:
    """A scanner types where the focus is, and ends with Enter; a voucher that is scanned alone is asked for its device."""
    await tab.keyboard.type(text)
    async with tab.expect_navigation():
        await tab.keyboard.press("Enter")
    await tab.wait_for_load_state()


async def test_vouchers(scene: Scene, tab: Page) -> None:
    await scene.ask(FAR)
    await tab.goto(f"{scene.site.url}/distribution/besoins/{scene.tokens[FAR]}")
    await sound(tab, "vouchers-empty", f"{scene.site.url}/distribution/bons")
    await tab.get_by_role("button", name="Faire le bon").click()
    await sound(tab, "vouchers-error")
    await tab.get_by_label("Pour acheter").select_option("laptop")
    await tab.get_by_role("button", name="Faire le bon").click()
    await sound(tab, "voucher")
    await sound(tab, "vouchers", f"{scene.site.url}/distribution/bons")
    await tab.get_by_role("button", name="Reprendre").first.click()
    await sound(tab, "voucher-confirm")


async def test_the_staff(scene: Scene, tab: Page) -> None:
    root = scene.site.url
    await tab.goto(f"{root}/distribution/tableau")
    await tab.get_by_label("Code").fill(STAFF_CODE)
    await tab.keyboard.press("Enter")
    await tab.wait_for_url(f"{root}/distribution/tableau")
    waiting, _ = await scene.ready("printer")
    await scene.here(NEAR)
    await sound(tab, "board", f"{root}/distribution/tableau")
    await tab.get_by_label("Nom de la campagne").fill("hiver-2026")
    await tab.get_by_label("Région").select_option("cor")
    await tab.get_by_role("button", name="Demander").click()
    await sound(tab, "links")
    async with tab.expect_download() as taken:
        await tab.get_by_role("link", name="Télécharger").click()
    download = await taken.value
    assert (download.suggested_filename, (await download.path()).read_bytes()[:3]) == ("liens-hiver-2026.csv", b"\xef\xbb\xbf")
    await tab.get_by_role("button", name="Copier").click()
    await tab.get_by_role("button", name="Copié").wait_for()
    await sound(tab, "campaign", f"{root}/distribution/campagnes/hiver-2026")
    await sound(tab, "campaign-unknown", f"{root}/distribution/campagnes/inconnue")
    await scene.scrapped(waiting)


async def test_it_works_without_scripts(scene: Scene, bare_tab: Page) -> None:
    _, ref = await scene.here(NEAR)
    code = (await scene.voucher())["code"]
    await bare_tab.goto(f"{scene.site.url}/distribution/besoins/{scene.tokens[NEAR]}")
    await bare_tab.goto(f"{scene.site.url}/distribution/caisse")
    await bare_tab.get_by_label("Code du bon").fill(code)
    await bare_tab.get_by_label("Numéro de l’appareil").fill(ref)
    await bare_tab.get_by_role("button", name="Voir le prix").click()
    await bare_tab.get_by_role("button", name="Encaisser").click()
    assert "Vendu" in await bare_tab.title()

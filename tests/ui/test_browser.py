from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.support.browser import faults, screenshot
from tests.ui.site import STAFF_CODE

pytestmark = pytest.mark.browser

FOCUSED = "document.activeElement.id || document.activeElement.className || document.activeElement.tagName"


@pytest.mark.parametrize("path", ["/sheet/", "/sheet/story", "/sheet/connexion", "/sheet/fail/refused", "/sheet/nowhere"])
async def test_pages_are_sound_light_and_dark_narrow_and_wide(tab: Page, site: str, path: str) -> None:
    assert await faults(tab, site + path) == []


async def test_a_page_with_errors_is_sound_and_its_summary_has_the_focus(tab: Page, site: str) -> None:
    await tab.goto(f"{site}/sheet/")
    await tab.get_by_role("button", name="Enregistrer").click()
    await tab.wait_for_selector("#erreurs")
    assert await tab.evaluate(FOCUSED) == "erreurs"
    assert (await tab.title()).startswith("2 réponses à corriger, ")
    assert await faults(tab) == []
    await tab.get_by_role("link", name="SIREN").click()
    assert await tab.evaluate(FOCUSED) == "siren"


async def test_a_fault_is_found(tab: Page, site: str) -> None:
    await tab.goto(f"{site}/sheet/story")
    await tab.evaluate("""() => {
      const line = '<p class="num">' + 'y'.repeat(300) + '</p>';
      document.querySelector('h1').outerHTML = '<h4>Trop bas</h4><button></button>' + line }""")
    found = "\n".join(await faults(tab))
    for fault in (
        "axe button-name",
        "axe page-has-heading-one",
        "too small a target",
        "sideways scroll",
        "dark 360",
        "light 1280",
    ):
        assert fault in found


async def test_the_keyboard_reaches_everything_and_the_focus_is_seen(tab: Page, site: str) -> None:
    await tab.goto(f"{site}/sheet/")
    await tab.keyboard.press("Tab")
    assert await tab.evaluate("document.activeElement.className") == "skip"
    wanted = await tab.evaluate("""() => {
      const all = [...document.querySelectorAll('a[href],button,input:not([type=hidden]),select,textarea')];
      return all.filter(e => e.getClientRects().length && !(e.type === 'radio' && !e.checked)).length }""")
    seen: set[str] = set()
    blind: list[str] = []
    for _ in range(wanted + 5):
        mark, shown = await tab.evaluate("""() => {
          const e = document.activeElement, all = [...document.querySelectorAll('*')];
          const box = e.closest('.scan,.drop') || e, style = getComputedStyle(box);
          return [String(all.indexOf(e)) + e.tagName, style.outlineStyle !== 'none' || style.boxShadow !== 'none'] }""")
        if "BODY" not in mark and mark not in seen:
            seen.add(mark)
            blind += [] if shown else [mark]
        await tab.keyboard.press("Tab")
    assert len(seen) >= wanted
    assert blind == []


async def test_what_cannot_be_undone_is_asked_in_a_dialog(tab: Page, site: str) -> None:
    await tab.goto(f"{site}/sheet/")
    await tab.get_by_role("button", name="Mettre au rebut…").click()
    dialog = tab.get_by_role("dialog", name="Mettre TRI-7K3M au rebut")
    assert await dialog.is_visible()
    assert await tab.evaluate("document.activeElement.hasAttribute('data-close')")
    assert await faults(tab) == []
    await dialog.get_by_role("button", name="Garder").click()
    assert not await dialog.is_visible()
    assert tab.url == f"{site}/sheet/"
    await tab.get_by_role("button", name="Mettre au rebut…").click()
    await dialog.get_by_role("button", name="Mettre au rebut").click()
    await tab.wait_for_url(f"{site}/sheet/scrapped")


async def test_without_scripts_it_is_asked_on_a_page(bare_tab: Page, site: str) -> None:
    await bare_tab.goto(f"{site}/sheet/")
    await bare_tab.get_by_role("button", name="Mettre au rebut…").click()
    assert await bare_tab.get_by_role("heading", level=1).inner_text() == "Mettre TRI-7K3M au rebut\N{NO-BREAK SPACE}?"
    await bare_tab.get_by_role("button", name="Mettre au rebut").click()
    assert bare_tab.url == f"{site}/sheet/scrapped"


async def test_a_form_of_a_private_page_is_taken_although_it_tells_no_origin(tab: Page, site: str) -> None:
    await tab.goto(f"{site}/sheet/story")
    async with tab.expect_response(lambda r: r.request.method == "POST") as sent:
        await tab.get_by_role("button", name="Continuer").click()
    answer = await sent.value
    headers = await answer.request.all_headers()
    assert (answer.status, headers.get("origin"), headers.get("referer")) == (200, "null", None)


async def test_a_form_of_another_site_is_refused(tab: Page, site: str) -> None:
    await tab.route("http://other.test/", lambda route: route.fulfill(
        content_type="text/html", body=f'<form method="post" action="{site}/sheet/story"><button>Piège</button></form>'
    ))  # fmt: skip
    await tab.goto("http://other.test/")
    async with tab.expect_response(lambda r: r.request.method == "POST") as sent:
        await tab.get_by_role("button").click()
    assert (await sent.value).status == 403


async def test_signing_in_without_scripts(bare_tab: Page, site: str) -> None:
    await bare_tab.goto(f"{site}/sheet/staff")
    await bare_tab.get_by_label("Code d").fill(STAFF_CODE)
    await bare_tab.get_by_role("button", name="Entrer").click()
    assert bare_tab.url == f"{site}/sheet/staff"
    assert '"staff"' in await bare_tab.content()


async def test_htmx_renews_a_part_under_the_strict_policy(tab: Page, site: str) -> None:
    told: list[str] = []
    tab.on("console", lambda m: told.append(m.text))
    await tab.goto(f"{site}/sheet/")
    await tab.get_by_role("button", name="Renouveler").click()
    await expect(tab.locator("#part")).to_have_text("Après")
    assert told == []
    assert await tab.evaluate("document.querySelectorAll('style').length") == 0


async def test_a_picture_for_people(tab: Page, site: str, tmp_path: Path) -> None:
    picture = tmp_path / "shots" / "story.png"
    await screenshot(tab, f"{site}/sheet/story", picture, 360)
    assert picture.read_bytes().startswith(b"\x89PNG")

"""Each page looked at: light and dark, 360 and 1280 px, axe-core."""

import uuid
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.async_api import Page

from tests.intake.chain import Chain
from tests.intake.samples import body, soon
from tests.intake.test_form import PAGES, begun, filled, post
from tests.support.browser import faults, pictured
from tests.support.service import STAFF_CODE, Publisher, Site

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]
LONG = "Établissement public de coopération intercommunale à fiscalité"


async def test_the_form_page_by_page(tab: Page, person: httpx.AsyncClient, intake: Site) -> None:
    for name in ("", "don", "confidentialite"):
        assert await pictured(tab, f"{intake.url}/intake/{name}", f"intake-{name or 'home'}") == [], name
    draft = await filled(person)
    for key in (*PAGES, "verifier", "plus-tard"):
        assert await pictured(tab, f"{intake.url}{draft}/{key}", f"intake-{key}") == [], key
    await post(person, f"{draft}/envoyer", {"owner": "oui"})
    assert await pictured(tab, f"{intake.url}{draft}/merci", "intake-merci") == []
    await tab.get_by_role("button", name="Copier").click()
    await tab.get_by_role("button", name="Copié").wait_for()
    await tab.get_by_role("link", name="Suivre mon don").click()
    await tab.get_by_role("button", name="Changer le lien").click()
    await tab.get_by_role("dialog").get_by_role("button", name="Changer le lien").click()
    await tab.get_by_role("heading", name="Le lien est changé").wait_for()
    assert await pictured(tab, "", "intake-suivi-changed") == []
    assert await faults(tab, f"{intake.url}{draft}/merci") == []


async def test_the_form_with_everything_wrong(tab: Page, person: httpx.AsyncClient, intake: Site) -> None:
    draft = await begun(person)
    for key in ("materiel", "donnees", "organisation"):  # each kind of field, wrong
        wrong = {name: "?" * 60 if isinstance(typed, str) else ["?"] for name, typed in PAGES[key].items()}
        await post(person, f"{draft}/{key}", wrong)
        assert await faults(tab, f"{intake.url}{draft}/{key}") == [], key
    assert await faults(tab, f"{intake.url}/intake/don/perdu") == []


async def test_without_scripts_from_end_to_end(bare_tab: Page, intake: Site) -> None:
    tab = bare_tab
    await tab.goto(f"{intake.url}/intake/")
    await tab.click("text=Proposer un don")
    await tab.fill("#laptop", "12 environ")
    await tab.click("text=Continuer")
    assert await tab.input_value("#laptop") == "12 environ"
    assert await tab.title() == "1 réponse à corriger, Quel matériel, et combien ? Question 1 sur 6 - maillon".replace(
        " ?", "\xa0?"
    )
    await tab.fill("#laptop", "12")
    await tab.click("text=Continuer")
    await tab.click("text=La plupart s’allument")
    await tab.click("text=Continuer")
    await tab.click("text=De 3 à 5")
    await tab.click("text=Continuer")
    for words in ("rien n’est effacé", "Données ordinaires", "Effacement vérifié"):
        await tab.click(f"text={words}")
    await tab.click("text=Continuer")
    for field in ("address", "postal_code", "city"):
        await tab.fill(f"#{field}", str(PAGES["lieu"][field]))
    await tab.fill("#available_from", soon())
    await tab.click("text=Continuer")
    await tab.click("label:has-text('Organisme public')")
    for field in ("donor_name", "company_number", "contact_name", "mail", "phone"):
        await tab.fill(f"#{field}", str(PAGES["organisation"][field]))
    await tab.click("text=Continuer")
    assert await tab.inner_text("h1") == "Vérifiez, puis envoyez"
    await tab.click("text=Mon organisation est propriétaire")
    await tab.click("text=Envoyer ma proposition")
    assert await tab.inner_text("h1") == "Merci. Nous acceptons votre don."
    await tab.click("text=Suivre mon don")
    assert "Votre don est accepté" in await tab.inner_text("h1")
    await tab.click("summary:has-text('Retirer')")
    await tab.click("button:has-text('Retirer mon don') >> visible=true")
    await tab.click("button:has-text('Retirer mon don') >> visible=true")
    assert await tab.inner_text("h1") == "Vous avez retiré ce don."


async def test_the_story_and_the_staffs_pages(tab: Page, program: httpx.AsyncClient, publisher: Publisher, intake: Site) -> None:
    answer = await program.put(
        f"/intake/donations/{uuid.uuid4()}",
        json=body(donor={"status": "public", "name": LONG, "company_number": "732829320"}, declared={"laptop": 4}),
    )
    shown = answer.json()
    path = urlsplit(shown["tracking_url"]).path
    assert await faults(tab, f"{intake.url}{path}") == []
    chain = Chain(publisher, uuid.UUID(shown["id"]), shown["reference"], devices=3)
    await chain.assigned()
    await chain.delivered(3)
    await chain.worked_on()
    await chain.certified(f"MC-{shown['reference'][4:]}-1")
    await chain.sold(0)

    async def complete() -> bool:
        page = (await program.get(path)).text
        return "équipée" in page and "Votre certificat est prêt" in page

    await intake.until(complete)
    assert await pictured(tab, f"{intake.url}{path}", "intake-suivi") == []
    withdrawn = (await program.put(f"/intake/donations/{uuid.uuid4()}", json=body(declared={"screen": 3}))).json()
    assert await faults(tab, f"{intake.url}{urlsplit(withdrawn['tracking_url']).path}") == []

    await tab.goto(f"{intake.url}/intake/dons")
    await tab.fill("#code", STAFF_CODE)
    await tab.keyboard.press("Enter")
    await tab.wait_for_url("**/intake/dons")
    assert await faults(tab, f"{intake.url}/intake/dons") == []
    assert await faults(tab, f"{intake.url}/intake/dons?q=introuvable") == []
    assert await pictured(tab, f"{intake.url}/intake/dons/{shown['id']}", "intake-staff") == []

"""The form as a browser without scripts fills it in."""

import asyncio
import re
from datetime import timedelta
from html import unescape
from urllib.parse import urlencode

import httpx
import pytest

from services.intake import store
from shared.ui import fr
from tests.intake.samples import soon
from tests.support.service import Site

PAGES: dict[str, dict[str, str | list[str]]] = {
    "materiel": {"laptop": "24", "desktop": "10", "smartphone": "8"},
    "etat": {"condition": "working"},
    "age": {"age": "3_to_5_years"},
    "donnees": {"media": "inside", "sensitivity": "ordinary", "required_class": "Clear"},
    "lieu": {
        "address": "12 rue de l'Aiguille",
        "postal_code": "69007",
        "city": "Lyon",
        "access": ["loading_dock", "badge"],
        "pallets": "2",
        "available_from": soon(),
        "remarks": "Sonner deux fois",
    },
    "organisation": {
        "donor_status": "company",
        "donor_name": "Mercerie Brindille SAS",
        "company_number": "732829320",
        "contact_name": "Camille Durand",
        "mail": "camille.durand@brindille.example",
        "phone": "01 99 00 12 34",
    },
}


async def post(person: httpx.AsyncClient, address: str, fields: dict[str, str | list[str]]) -> httpx.Response:
    content = urlencode(fields, doseq=True)
    return await person.post(address, content=content, headers={"Content-Type": "application/x-www-form-urlencoded"})


async def begun(person: httpx.AsyncClient) -> str:
    """Answer the first question; the address of the draft."""
    answer = await post(person, "/intake/don", PAGES["materiel"])
    assert answer.status_code == 303, answer.text
    return answer.headers["location"].rpartition("/")[0]


async def filled(person: httpx.AsyncClient) -> str:
    """Answer all six; the address of the draft."""
    draft, following = await begun(person), ""
    for key in list(PAGES)[1:]:
        answer = await post(person, f"{draft}/{key}", PAGES[key])
        assert answer.status_code == 303, answer.text
        following = answer.headers["location"]
    assert following == f"{draft}/verifier"
    return draft


def heading(page: httpx.Response) -> str:
    found = re.search(r"<h1>(.*?)</h1>", page.text, re.DOTALL)
    assert found, page.text[:500]
    return unescape(re.sub(r"<[^>]+>", "", found[1]))


def value_of(page: httpx.Response, field: str) -> str:
    found = re.search(rf'<input id="{field}"[^>]*? value="([^"]*)"', page.text)
    return unescape(found[1]) if found else ""


def copied(page: httpx.Response, field: str) -> str:
    """What stands there to be copied."""
    found = re.search(rf'<textarea id="{field}"[^>]*readonly[^>]*>\s*(\S+)</textarea>', page.text)
    return unescape(found[1]) if found else ""


async def test_six_questions_one_a_page_then_thanks(person: httpx.AsyncClient) -> None:
    first = await person.get("/intake/")
    assert 'href="/intake/don"' in first.text
    assert heading(await person.get("/intake/don")) == fr("Quel matériel, et combien ?")
    draft = await filled(person)
    review = await person.get(f"{draft}/verifier")
    assert review.headers["cache-control"] == "no-store"
    assert review.headers["referrer-policy"] == "no-referrer"
    for text in ("24 ordinateurs portables", "42 appareils en tout", "Camille Durand", "Quai de livraison, Badge"):
        assert fr(text) in unescape(review.text), text
    for key in PAGES:
        assert f'href="{draft}/{key}"' in review.text
    sent = await post(person, f"{draft}/envoyer", {"owner": "oui"})
    assert (sent.status_code, sent.headers["location"]) == (303, f"{draft}/merci")
    thanks = await person.get(f"{draft}/merci")
    assert heading(thanks) == "Merci. Nous acceptons votre don."
    assert re.search(r"DON-[0-9A-Z]{4}-[0-9A-Z]{4}", thanks.text)
    tracking = re.search(r'href="(/intake/suivi/[\w-]{32})"', thanks.text)
    assert tracking
    assert copied(thanks, "lien-suivi").endswith(tracking[1])
    page = await person.get(tracking[1])
    assert page.status_code == 200
    assert page.headers["x-robots-tag"] == "noindex"
    assert "Camille" not in page.text


async def test_wrong_answers_come_back_as_they_were_typed(person: httpx.AsyncClient) -> None:
    draft = await begun(person)
    wrong: dict[str, str | list[str]] = {
        "address": "12 rue de l'Aiguille",
        "postal_code": "6900 ?",
        "city": 'Lyon "<b>',
        "access": ["lift"],
        "pallets": "deux ou trois",
        "available_from": "le plus tôt possible",
        "remarks": "Ligne un\r\n<script>alert(1)</script>",
    }
    page = await post(person, f"{draft}/lieu", wrong)
    assert page.status_code == 422
    assert "<title>3 réponses à corriger, " in page.text
    assert "Trois réponses sont à corriger" in page.text
    again = await person.get(f"{draft}/lieu")
    for shown in (page, again):  # at once, and later from the draft
        assert value_of(shown, "postal_code") == "6900 ?"
        assert value_of(shown, "city") == 'Lyon "<b>'
        assert value_of(shown, "pallets") == "deux ou trois"
        assert value_of(shown, "available_from") == "le plus tôt possible"
        assert value_of(shown, "address") == "12 rue de l'Aiguille"
        assert "<script>alert" not in shown.text
        assert "Ligne un" in shown.text
        assert re.search(r'value="lift" checked', shown.text)
        assert 'href="#postal_code"' in shown.text
        assert 'aria-describedby="postal_code-aide postal_code-why"' in shown.text


async def test_the_first_question_keeps_what_is_wrong_too(person: httpx.AsyncClient) -> None:
    page = await post(person, "/intake/don", {"laptop": "24 environ", "desktop": "10", "smartphone": "8 000"})
    assert page.status_code == 422
    assert value_of(page, "laptop") == "24 environ"
    assert value_of(page, "desktop") == "10"
    assert value_of(page, "smartphone") == "8 000"
    assert "à corriger" in page.text


async def test_posted_twice_is_one_donation(person: httpx.AsyncClient, intake: Site) -> None:
    draft = await filled(person)
    before = await counted(intake)
    answers = await asyncio.gather(*(post(person, f"{draft}/envoyer", {"owner": "oui"}) for _ in range(2)))
    assert {answer.headers.get("location") for answer in answers} == {f"{draft}/merci"}
    assert (await post(person, f"{draft}/envoyer", {"owner": "oui"})).status_code == 303
    assert await counted(intake) == before + 1
    first, second = await person.get(f"{draft}/merci"), await person.get(f"{draft}/merci")
    assert first.text == second.text


async def counted(intake: Site) -> int:
    async with intake.desk.read() as tx:
        return int(await tx.connection.fetchval("SELECT count(*) FROM donations"))


async def test_back_a_question_loses_nothing(person: httpx.AsyncClient) -> None:
    draft = await begun(person)
    back = await post(person, f"{draft}/etat", {"retour": "oui"})
    assert back.headers["location"] == f"{draft}/materiel"
    assert (await person.get(draft)).headers["location"] == f"{draft}/etat"
    assert "à corriger" not in (await person.get(f"{draft}/etat")).text, "an empty page that was left is no wrong answer"
    back = await post(person, f"{draft}/lieu", {"city": "Lyon", "retour": "oui"})
    assert back.headers["location"] == f"{draft}/donnees"
    assert value_of(await person.get(f"{draft}/lieu"), "city") == "Lyon"
    assert 'name="retour"' not in (await person.get(f"{draft}/materiel")).text


async def test_an_empty_last_question_says_all_at_once(person: httpx.AsyncClient) -> None:
    draft = await begun(person)
    page = await post(person, f"{draft}/organisation", {})
    links = re.findall(r'<a href="#(\w+)"', page.text.partition('id="erreurs"')[2].partition("</ul>")[0])
    assert links == ["donor_status", "donor_name", "company_number", "contact_name", "mail", "phone"]
    assert fr("Accès (facultatif)") in re.sub(r"<[^>]+>", "", (await person.get(f"{draft}/lieu")).text)
    assert (await person.get(f"{draft}/envoyer")).headers["location"] == f"{draft}/verifier"


async def test_an_answer_is_changed_from_the_last_page(person: httpx.AsyncClient) -> None:
    draft = await filled(person)
    page = await person.get(f"{draft}/materiel")
    assert value_of(page, "laptop") == "24"
    answer = await post(person, f"{draft}/materiel", {"laptop": "30"})
    assert answer.headers["location"] == f"{draft}/verifier"
    assert fr("30 appareils en tout") in (await person.get(f"{draft}/verifier")).text


async def test_not_without_the_right_to_give(person: httpx.AsyncClient, intake: Site) -> None:
    draft = await filled(person)
    before = await counted(intake)
    page = await post(person, f"{draft}/envoyer", {})
    assert page.status_code == 422
    assert "Cochez la case" in page.text
    assert await counted(intake) == before


async def test_the_end_waits_for_every_answer(person: httpx.AsyncClient) -> None:
    draft = await begun(person)
    await post(person, f"{draft}/age", PAGES["age"])
    for address in (draft, f"{draft}/verifier", f"{draft}/merci"):
        assert (await person.get(address)).headers["location"] == f"{draft}/etat"
    answer = await post(person, f"{draft}/envoyer", {"owner": "oui"})
    assert answer.headers["location"] == f"{draft}/etat"


async def test_a_sent_form_is_closed(person: httpx.AsyncClient, intake: Site) -> None:
    draft = await filled(person)
    await post(person, f"{draft}/envoyer", {"owner": "oui"})
    for key in ("materiel", "verifier", "plus-tard"):
        assert (await person.get(f"{draft}/{key}")).headers["location"] == f"{draft}/merci"
    changed = await post(person, f"{draft}/materiel", {"laptop": "1"})
    assert changed.headers["location"] == f"{draft}/merci"
    async with intake.desk.read() as tx:
        assert await tx.connection.fetchval("SELECT count(*) FROM drafts WHERE donation_id IS NOT NULL AND body IS NOT NULL") == 0


async def test_a_changed_link_closes_the_drafts_address_too(person: httpx.AsyncClient, intake: Site) -> None:
    draft = await filled(person)
    await post(person, f"{draft}/envoyer", {"owner": "oui"})
    old = re.search(r'href="(/intake/suivi/[\w-]{32})"', (await person.get(f"{draft}/merci")).text)
    assert old
    changed = await post(person, f"{old[1]}/changer", {"confirmed": "oui"})
    assert changed.status_code == 303
    shown = [await person.get(address) for address in (draft, f"{draft}/merci", f"{draft}/materiel", f"{draft}/verifier")]
    assert [page.status_code for page in shown] == [404] * 4
    posted = [await post(person, f"{draft}/materiel", {"laptop": "1"}), await post(person, f"{draft}/envoyer", {"owner": "oui"})]
    assert [page.status_code for page in posted] == [404] * 2
    async with intake.desk.write() as tx:  # a tab that had looked before the link was changed
        assert not await store.save_draft(tx, draft.rpartition("/")[2], {}, keep=timedelta(days=1))


async def test_a_tab_that_saves_after_the_sending_changes_nothing(person: httpx.AsyncClient, intake: Site) -> None:
    draft = await filled(person)
    await post(person, f"{draft}/envoyer", {"owner": "oui"})
    secret = draft.rpartition("/")[2]
    async with intake.desk.write() as tx:  # it had looked before the other tab sent
        assert not await store.save_draft(tx, secret, {"materiel": {"laptop": "1"}}, keep=timedelta(days=1))
    assert (await person.get(f"{draft}/materiel")).headers["location"] == f"{draft}/merci"


async def test_a_draft_is_sealed(person: httpx.AsyncClient, intake: Site) -> None:
    await filled(person)
    async with intake.desk.read() as tx:
        bodies = await tx.connection.fetch("SELECT body FROM drafts WHERE body IS NOT NULL")
    assert bodies
    assert not [body for (body,) in bodies if b"Durand" in body or b"laptop" in body]


async def test_come_back_later(person: httpx.AsyncClient) -> None:
    draft = await begun(person)
    page = await person.get(f"{draft}/plus-tard")
    assert copied(page, "adresse").endswith(draft)
    assert (await person.get(draft)).headers["location"] == f"{draft}/etat"


@pytest.mark.parametrize("path", ["/intake/don/nothing-here", "/intake/don/nothing-here/age", "/intake/suivi/nothing-here"])
async def test_an_address_that_opens_nothing(person: httpx.AsyncClient, path: str) -> None:
    page = await person.get(path)
    assert page.status_code == 404
    assert "n’" in heading(page)


async def test_a_question_that_is_none(person: httpx.AsyncClient) -> None:
    draft = await begun(person)
    assert (await person.get(f"{draft}/septieme")).status_code == 404


async def test_a_form_of_another_site_is_refused(person: httpx.AsyncClient, intake: Site) -> None:
    before = await counted_drafts(intake)
    headers = {"Sec-Fetch-Site": "cross-site", "Content-Type": "application/x-www-form-urlencoded"}
    answer = await person.post("/intake/don", content="laptop=3", headers=headers)
    assert answer.status_code == 403
    assert await counted_drafts(intake) == before


async def counted_drafts(intake: Site) -> int:
    async with intake.desk.read() as tx:
        return int(await tx.connection.fetchval("SELECT count(*) FROM drafts"))


@pytest.mark.parametrize(("size", "status"), [(220_000, 422), (1_000_000, 413)])
async def test_too_much_at_once_is_refused_and_looked_at_no_further(person: httpx.AsyncClient, size: int, status: int) -> None:
    draft = await begun(person)
    await post(person, f"{draft}/lieu", PAGES["lieu"])
    page = await post(person, f"{draft}/lieu", PAGES["lieu"] | {"remarks": "x" * size})
    assert page.status_code == status
    assert "trop gros" in page.text
    assert "Sonner deux fois" in (await person.get(f"{draft}/lieu")).text  # what was there before is still there


@pytest.mark.parametrize("typed", ["\x00", "a\x00b", "\u202e", "\x1b[2J"])
async def test_signs_that_nobody_types(person: httpx.AsyncClient, typed: str) -> None:
    draft = await begun(person)
    page = await post(person, f"{draft}/lieu", PAGES["lieu"] | {"city": f"Lyon{typed}"})
    assert page.status_code == 422
    assert "signe invisible" in page.text
    assert (await person.get(f"{draft}/lieu")).status_code == 200


async def test_expired_drafts_go(person: httpx.AsyncClient, intake: Site) -> None:
    from services.intake.jobs import drop_drafts

    draft = await begun(person)
    async with intake.desk.write() as tx:
        await tx.connection.execute("UPDATE drafts SET expires_at = now() - interval '1 second' WHERE donation_id IS NULL")
    assert (await person.get(draft)).status_code == 404
    await drop_drafts(intake.desk)
    assert await counted_drafts(intake) == await sent_drafts(intake)


async def sent_drafts(intake: Site) -> int:
    async with intake.desk.read() as tx:
        return int(await tx.connection.fetchval("SELECT count(*) FROM drafts WHERE donation_id IS NOT NULL"))

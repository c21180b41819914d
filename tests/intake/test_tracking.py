"""A donation followed through the real topics, as its donor and as the staff see it."""

import re
import uuid
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from shared import passes
from shared.ui import fr
from tests.intake.chain import Chain
from tests.intake.samples import body
from tests.intake.test_form import copied, heading, post
from tests.support.service import CONTACT, STAFF_CODE, Publisher, Site


async def offered(program: httpx.AsyncClient, **changes: Any) -> tuple[dict[str, Any], str]:
    """A donation of three laptops' worth of room, and the path of its tracking page."""
    answer = await program.put(f"/intake/donations/{uuid.uuid4()}", json=body(**changes))
    assert answer.status_code == 201, answer.text
    shown: dict[str, Any] = answer.json()
    return shown, urlsplit(shown["tracking_url"]).path


def text_of(page: httpx.Response) -> str:
    """The page as it is read."""
    inner = page.text.partition("<main")[2].partition("</main>")[0]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", inner)).replace("\xa0", " ").split())


async def signed_in(person: httpx.AsyncClient) -> httpx.AsyncClient:
    answer = await post(person, "/intake/connexion", {"code": STAFF_CODE, "next": "/intake/dons"})
    assert answer.headers["location"] == "/intake/dons"
    return person


async def test_the_story_as_it_goes(
    program: httpx.AsyncClient, person: httpx.AsyncClient, publisher: Publisher, intake: Site
) -> None:
    shown, path = await offered(program, declared={"laptop": 12})
    chain = Chain(publisher, uuid.UUID(shown["id"]), shown["reference"], devices=11)
    page = await person.get(path)
    assert heading(page) == fr("Votre don est accepté. Nous choisissons l'atelier.")
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["x-robots-tag"] == "noindex"

    async def reads(words: str) -> bool:
        return words in text_of(await person.get(path))

    await chain.assigned()
    await intake.until(lambda: reads("Votre don a son atelier"))
    text = text_of(await person.get(path))
    assert "Trira, à Pont-Évêque (Isère) : à 31 km, 40 % de ses places prises, choisi parmi 2 ateliers." in text
    assert "Prévu le" in text

    await chain.delivered(11)
    await intake.until(lambda: reads("arrivé et compté"))
    assert "11 appareils reçus, 1 de moins que déclaré." in text_of(await person.get(path))

    await chain.worked_on()
    await intake.until(lambda: reads("Le certificat se prépare"))
    text = text_of(await person.get(path))
    assert "10 appareils repartent. 1 est recyclé." in text
    assert "Lenovo" in text
    assert "ThinkPad T480" not in text, "the certificate has it by the name that the machine said"
    assert f"{shown['reference']}-0 Ordinateur portable Lenovo 20L50000FR" in text
    assert "Effacement non prouvé : il ne sera ni vendu ni certifié effacé" in text
    assert "Il en manque 1" in text
    assert "SECRET" not in page.text

    number = f"MC-{shown['reference'][4:]}-1"
    await chain.certified(number)
    await intake.until(lambda: reads("Votre certificat est prêt"))
    link = re.search(r'href="(/certs/documents/[^"]+)"', (await person.get(path)).text)
    assert link
    text = text_of(await person.get(path))
    assert "effacement prouvé pour 10 appareils sur 11. Ceux dont l’effacement n’est pas prouvé ne sont pas vendus." in text
    assert "données sont effacées" not in text
    found = urlsplit(unescape(link[1]))
    assert found.path == f"/certs/documents/{number}"
    secret = intake.desk.settings.session_secret.get_secret_value()
    assert passes.holds(secret, f"certificate:{number}", parse_qs(found.query)["droit"][0], 60)

    await chain.sold(0)
    await intake.until(lambda: reads("1 personne équipée"))
    text = text_of(await person.get(path))
    assert "1 sur 10 appareils prêts." in text
    assert "80 €" in text
    assert "STR-0001" not in text
    told = (await program.get("/intake/figures", headers={"Authorization": f"Bearer {STAFF_CODE}"})).json()
    assert told["devices"] >= 11
    assert told["certificates"] >= 1


async def test_told_twice_is_kept_once(program: httpx.AsyncClient, publisher: Publisher, intake: Site) -> None:
    shown, _ = await offered(program)
    chain = Chain(publisher, uuid.UUID(shown["id"]), shown["reference"], devices=1)
    await chain.assigned()
    publisher.versions.pop(chain.consignment)
    await chain.assigned()
    await chain.delivered(1)

    async def steps() -> int:
        async with intake.desk.read() as tx:
            query = "SELECT jsonb_array_length(steps) FROM consignments WHERE id = $1"
            return await tx.connection.fetchval(query, chain.consignment) or 0

    await intake.until(steps)
    assert await steps() == 2


async def test_a_donor_withdraws_until_the_collection(
    program: httpx.AsyncClient, person: httpx.AsyncClient, publisher: Publisher, intake: Site
) -> None:
    _, path = await offered(program)
    asked = await post(person, f"{path}/retirer", {})
    assert heading(asked).startswith("Retirer le don DON-")
    assert "accepté" in heading(await person.get(path))
    done = await post(person, f"{path}/retirer", {"confirmed": "oui"})
    assert (done.status_code, done.headers["location"]) == (303, path)
    assert heading(await person.get(path)) == "Vous avez retiré ce don."
    assert (await post(person, f"{path}/retirer", {"confirmed": "oui"})).status_code == 303

    shown, path = await offered(program)
    chain = Chain(publisher, uuid.UUID(shown["id"]), shown["reference"])
    await chain.assigned()
    await chain.delivered(3)
    await intake.until(lambda: arrived(person, path))
    assert "Retirer mon don" not in (await person.get(path)).text
    refused = await post(person, f"{path}/retirer", {"confirmed": "oui"})
    assert refused.status_code == 409
    assert "déjà enlevé" in heading(refused)


async def arrived(person: httpx.AsyncClient, path: str) -> bool:
    return "arrivé et compté" in (await person.get(path)).text


async def test_a_changed_link_closes_the_old_one(program: httpx.AsyncClient, person: httpx.AsyncClient) -> None:
    shown, path = await offered(program)
    asked = await post(person, f"{path}/changer", {})
    assert (asked.status_code, heading(asked)) == (200, fr("Changer le lien de suivi ?"))
    assert (await person.get(path)).status_code == 200
    changed = await post(person, f"{path}/changer", {"confirmed": "oui"})
    fresh = changed.headers["location"].removesuffix("?noted=lien")
    assert (changed.status_code, fresh != path) == (303, True)
    assert (await person.get(path)).status_code == 404
    page = await person.get(changed.headers["location"])
    assert "Le lien est changé L’ancien n’ouvre plus rien. Gardez celui-ci." in text_of(page)
    assert copied(page, "lien-suivi").endswith(fresh)
    assert "Le lien est changé" not in text_of(await person.get(fresh))
    assert shown["tracking_url"].endswith(path)


async def test_a_lost_link_is_made_anew_by_the_staff(program: httpx.AsyncClient, person: httpx.AsyncClient) -> None:
    shown, path = await offered(program)
    address = f"/intake/dons/{shown['id']}/lien"
    assert (await post(person, address, {"confirmed": "oui"})).headers["location"].startswith("/intake/connexion")
    await signed_in(person)
    assert copied(await person.get(f"/intake/dons/{shown['id']}"), "lien-suivi") == shown["tracking_url"]
    assert heading(await post(person, address, {})) == fr(f"Faire un nouveau lien pour le don {shown['reference']} ?")
    assert (await person.get(path)).status_code == 200
    done = await post(person, address, {"confirmed": "oui"})
    page = await person.get(done.headers["location"])
    assert fr("Le lien de suivi est changé") in page.text
    fresh = urlsplit(copied(page, "lien-suivi")).path
    lost, found = await person.get(path), await person.get(fresh)
    assert (lost.status_code, found.status_code) == (404, 200)
    assert fr(f"donnez-nous le SIREN et la date du don, nous vous faisons un nouveau lien : {CONTACT}.") in unescape(lost.text)


async def test_how_to_reach_us_and_what_we_keep(person: httpx.AsyncClient) -> None:
    for path in ("/intake/", "/intake/don", "/intake/confidentialite", "/intake/suivi/perdu"):
        foot = (await person.get(path)).text.partition("<footer")[2]
        links = re.findall(r'href="((?:tel|mailto):[^"]+|/intake/confidentialite)"', foot)
        assert links == ["tel:0199000000", "mailto:bonjour@maillon.example", "/intake/confidentialite"], path
    kept = text_of(await person.get("/intake/confidentialite"))
    for words in (
        "30 jours après la dernière",
        "pour 12 heures",
        "bonjour@maillon.example",
        "Jusqu’à ce que vous demandiez l’effacement",
    ):
        assert words in kept, words
    page = await post(person, "/intake/don", {"laptop": "1000000"})
    assert fr(f"nous préparons le don avec vous : {CONTACT}") in unescape(page.text)


async def test_the_staff_finds_a_donation(program: httpx.AsyncClient, person: httpx.AsyncClient) -> None:
    name = f"Quincaillerie {uuid.uuid4().hex[:8]}"
    donor = {"status": "public", "name": name, "company_number": "732829320"}
    shown, _ = await offered(program, donor=donor, declared={"laptop": 12, "screen": 3})
    closed = await person.get("/intake/dons")
    assert (closed.status_code, closed.headers["location"]) == (303, "/intake/connexion?next=/intake/dons")
    await signed_in(person)
    for question in (shown["reference"], shown["reference"].lower(), name[5:], name):
        page = await person.get("/intake/dons", params={"q": question})
        assert shown["reference"] in page.text
        assert page.text.count("<tr>") == 2, question
    assert shown["reference"] in (await person.get("/intake/dons", params={"q": "732829320", "etat": "accepted"})).text
    assert shown["reference"] not in (await person.get("/intake/dons", params={"q": name, "etat": "withdrawn"})).text
    for question in ("%", "_", "\x00", "' OR 1=1 --", "<b>"):
        page = await person.get("/intake/dons", params={"q": question})
        assert page.status_code == 200
        assert "<b>»" not in page.text
    assert heading(await person.get("/intake/dons", params={"q": uuid.uuid4().hex})) == "Aucun don"
    spaced = await person.get("/intake/dons", params={"q": "732 829 320", "etat": "accepted"})
    assert shown["reference"] in spaced.text, "a number is found as it is printed, too"
    page = await person.get(f"/intake/dons/{shown['id']}")
    text = text_of(page)
    for words in (
        name,
        "Organisme public",
        "Camille Durand",
        "01 99 00 12 34",
        "12 rue de l’Aiguille",
        "Sonner deux fois",
    ):
        assert words in text, words
    for code in ("questions-20", "triage-20", "api:"):
        assert code not in text, f"a code is no word for people: {code}"
    assert page.headers["cache-control"] == "no-store"
    assert (await person.get(f"/intake/dons/{uuid.uuid4()}")).status_code == 404
    assert (await person.get("/intake/dons/none")).status_code == 422


async def test_a_person_decides_otherwise(program: httpx.AsyncClient, person: httpx.AsyncClient) -> None:
    shown, path = await offered(program, declared={"screen": 12})
    assert shown["outcome"] == "recycling"
    assert "recyclage" in text_of(await person.get(path))
    await signed_in(person)
    address = f"/intake/dons/{shown['id']}/decision"
    page = await post(person, address, {"decision": "accept", "reason": "because"})
    assert page.status_code == 422
    assert "Choisissez un motif" in page.text
    assert (await post(person, address, {"decision": "perhaps", "reason": "settled_by_phone"})).status_code == 422
    assert (await post(person, address, {"decision": "accept", "reason": "settled_by_phone"})).status_code == 303
    assert "Nous en avons parlé avec vous." in text_of(await person.get(path))
    assert (await post(person, address, {"decision": "decline", "reason": "no_workshop"})).status_code == 303
    assert "Aucun atelier ne peut le prendre" in text_of(await person.get(f"/intake/dons/{shown['id']}"))


async def test_decisions_are_for_the_staff(program: httpx.AsyncClient, person: httpx.AsyncClient) -> None:
    shown, _ = await offered(program)
    answer = await post(person, f"/intake/dons/{shown['id']}/decision", {"decision": "decline", "reason": "no_workshop"})
    assert answer.headers["location"].startswith("/intake/connexion")
    assert (await program.get(f"/intake/dons/{shown['id']}")).status_code == 401

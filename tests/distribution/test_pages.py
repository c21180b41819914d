"""The pages as a browser posts and follows them, without scripts."""

import csv
import html
import re
from hashlib import sha256
from io import StringIO
from urllib.parse import unquote
from uuid import UUID, uuid4

import httpx
import pytest

from shared.ui import fr
from tests.distribution.conftest import FAR, NEAR, Scene
from tests.support.service import STAFF_CODE


async def sign_in(person: httpx.AsyncClient) -> None:
    answer = await person.post("/distribution/connexion", data={"code": STAFF_CODE, "next": "/distribution/"})
    assert answer.status_code == 303


def words(answer: httpx.Response) -> str:
    """The text of a page, spaces as they are printed."""
    text = re.sub(r"<svg.*?</svg>|<script.*?</script>", "", answer.text, flags=re.DOTALL)
    return re.sub(r"[ \n\t]+", " ", html.unescape(re.sub(r"<[^>]+>", " ", text)))


def field(answer: httpx.Response, name: str) -> str:
    """What a field holds."""
    found = re.search(rf'name="{name}"[^>]*?value="([^"]*)"', answer.text)
    assert found, f"no field {name}"
    return html.unescape(found[1])


async def enter(scene: Scene, person: httpx.AsyncClient, structure: str = NEAR) -> None:
    """Come in by a secret link, as a structure."""
    campaign = await scene.ask(structure)
    answer = await person.get(f"/distribution/besoins/{scene.tokens[structure]}")
    assert answer.status_code == 200, answer.text
    assert campaign in answer.text


async def test_who_has_no_role_is_sent_to_the_door(person: httpx.AsyncClient) -> None:
    for path in ("/", "/tableau", "/caisse", "/bons", "/besoins"):
        answer = await person.get(f"/distribution{path}")
        assert (answer.status_code, answer.headers["location"].split("?")[0]) == (303, "/distribution/connexion")


async def test_a_structure_answers_by_its_link_and_changes_its_answer(scene: Scene, person: httpx.AsyncClient) -> None:
    await enter(scene, person, FAR)
    link = f"/distribution/besoins/{scene.tokens[FAR]}"
    page = await person.get(link)
    assert "De quoi avez-vous besoin" in words(page)
    assert (page.headers["cache-control"], page.headers["referrer-policy"]) == ("no-store", "no-referrer")
    wrong = await person.post(link, data={"laptop": "24 environ", "tablet": "3", "screen": "1000"})
    assert wrong.status_code == 422
    assert (field(wrong, "laptop"), field(wrong, "tablet")) == ("24 environ", "3")
    assert "Deux réponses sont à corriger" in words(wrong)
    assert "2 réponses à corriger" in wrong.text.split("</title>")[0].replace("\u00a0", " ")
    done = await person.post(link, data={"screen": "2", "laptop": ""})
    assert done.headers["location"] == "/distribution/?noted=besoins"
    assert "Écrans" in words(await person.get("/distribution/"))
    assert field(await person.get("/distribution/besoins"), "screen") == "2"
    page = await person.get("/distribution/besoins")
    shown = {name: field(page, name) for name in ("pour", "campagne")}
    await person.post("/distribution/besoins", data=shown | {"screen": "0"})
    assert field(await person.get(link), "screen") == "0"


async def test_a_form_that_was_shown_to_another_structure_is_not_taken(scene: Scene, person: httpx.AsyncClient) -> None:
    """Two tabs, two structures: the browser has one session, the form says whose it was."""
    await enter(scene, person, NEAR)
    needs, vouchers = await person.get("/distribution/besoins"), await person.get("/distribution/bons")
    await scene.ask(FAR)
    await person.post(f"/distribution/besoins/{scene.tokens[FAR]}/ouvrir")
    laptops = re.compile(r'<input[^>]*name="laptop"[^>]*>')
    before = laptops.findall((await person.get("/distribution/besoins")).text)
    assert len(before) == 1
    asked = {"pour": field(needs, "pour"), "campagne": field(needs, "campagne"), "laptop": "77"}
    told = await person.post("/distribution/besoins", data=asked)
    assert (told.status_code, "ouverte pour une autre structure" in words(told)) == (409, True)
    asked = {name: field(vouchers, name) for name in ("pour", "demande", "jusqu_au")} | {"type": "laptop"}
    assert (await person.post("/distribution/bons", data=asked)).status_code == 409
    page = await person.get("/distribution/besoins")
    assert laptops.findall(page.text) == before
    later = {"pour": field(page, "pour"), "campagne": "une-autre", "laptop": "77"}
    told = await person.post("/distribution/besoins", data=later)
    assert (told.status_code, "Une autre campagne" in words(told)) == (409, True)


async def test_a_link_that_opens_nothing(person: httpx.AsyncClient) -> None:
    answer = await person.get("/distribution/besoins/rien")
    assert answer.status_code in {404, 409}
    assert fr("Ce lien n'ouvre rien") in words(answer)


async def test_a_link_opened_by_somebody_signed_in_changes_nothing_unasked(scene: Scene, person: httpx.AsyncClient) -> None:
    await scene.ask(NEAR, FAR)
    near, far = [f"/distribution/besoins/{scene.tokens[structure]}" for structure in (NEAR, FAR)]
    await sign_in(person)
    asked = await person.get(near)
    assert (asked.status_code, asked.headers.get("set-cookie")) == (200, None)
    assert (await person.get("/distribution/tableau")).status_code == 200
    foreign = await person.post(f"{near}/ouvrir", headers={"Sec-Fetch-Site": "cross-site", "Origin": "https://example.org"})
    assert (foreign.status_code, foreign.headers.get("set-cookie")) == (403, None)
    assert fr("Ouvrir l'espace de Structure 0017 (fictive)") in words(asked)
    opened = await person.post(f"{near}/ouvrir")
    assert (opened.status_code, opened.headers["location"]) == (303, near)
    assert "De quoi avez-vous besoin" in words(await person.get(near))
    assert (await person.get("/distribution/tableau")).status_code == 403
    assert fr("Ouvrir l'espace de Structure 0052 (fictive)") in words(await person.get(far))
    assert fr("Structure 0017 (fictive)") in words(await person.get("/distribution/"))


async def test_a_new_link_ends_the_old_one_and_what_it_opened(scene: Scene, person: httpx.AsyncClient) -> None:
    campaign = await scene.ask(NEAR, FAR)
    near = f"/distribution/besoins/{scene.tokens[NEAR]}"
    assert (await person.get(near)).status_code == 200
    async with scene.site.client(browser=True) as staff:
        await sign_in(staff)
        for answer in ({}, {"laptop": "0"}):  # before the structure has answered, and after
            if answer:
                await person.post(near, data=answer)
            assert (await person.get("/distribution/bons")).status_code == 200
            shown = await staff.post(f"/distribution/campagnes/{campaign}/relancer", data={"structure": NEAR})
            [new] = set(re.findall(r"/distribution/besoins/([\w-]+)", shown.text))
            assert (await person.get("/distribution/bons")).headers["location"].startswith("/distribution/connexion")
            assert (await person.get("/distribution/devices")).status_code in {303, 401}
            assert (await person.get(near)).status_code == 409
            program = {"Authorization": f"Bearer {near.rpartition('/')[2]}"}
            assert (await scene.staff.get("/distribution/devices", headers=program)).status_code == 401
            near = f"/distribution/besoins/{new}"
            assert (await person.get(near)).status_code == 200
    assert (await person.get(f"/distribution/besoins/{scene.tokens[FAR]}")).status_code == 200, "others are untouched"


async def test_a_link_lasts_180_days(scene: Scene, person: httpx.AsyncClient) -> None:
    await enter(scene, person)
    async with scene.site.desk.write() as tx:
        mark = sha256(scene.tokens[NEAR].encode()).digest()
        await tx.connection.execute("UPDATE links SET made_at = made_at - interval '180 days' WHERE hash = $1", mark)
    assert (await person.get(f"/distribution/besoins/{scene.tokens[NEAR]}")).status_code == 409
    assert (await person.get("/distribution/caisse")).status_code == 303


async def test_what_is_given_cannot_be_asked_away(scene: Scene, person: httpx.AsyncClient) -> None:
    await enter(scene, person)
    link = f"/distribution/besoins/{scene.tokens[NEAR]}"
    await person.post(link, data={"laptop": "1"})
    device, ref = await scene.ready()
    await scene.given(device, NEAR)
    answer = await person.post(link, data={"laptop": "0"})
    assert answer.status_code == 409
    assert fr("1 vous sont déjà attribués") in words(answer)
    home = await person.get("/distribution/")
    assert fr("est à 16 km de vous") in words(home)
    noted = await person.post("/distribution/recu", data={"device": str(device)})
    assert noted.headers["location"] == f"/distribution/?noted={ref}"
    after = words(await person.get(noted.headers["location"]))
    assert f"{ref} est noté comme reçu." in after.replace("\u00a0", " ")
    assert "Ici, prêts à vendre" in after
    assert fr("75 €") in after


async def test_the_till_sells_and_prints(scene: Scene, person: httpx.AsyncClient) -> None:
    await enter(scene, person)
    _, ref = await scene.here(NEAR, "laptop", "PREMIUM", public=True)
    code = (await scene.voucher())["code"]
    quote = await person.post("/distribution/caisse", data={"bon": code, "appareil": ref})
    said = words(quote)
    for text in ("À payer", "180 €", "Plafond légal (don public)", "Ramené au plafond légal −10 €", "Grille de prix 2026-01"):
        assert fr(text) in said.replace("  ", " ")
    sale = {name: field(quote, name) for name in ("vente", "prix", "bon", "appareil", "gratuit")}
    assert sale["prix"] == "18000"
    sold = await person.post("/distribution/caisse/vente", data=sale)
    again = await person.post("/distribution/caisse/vente", data=sale)
    assert (sold.status_code, sold.headers["location"]) == (303, f"/distribution/ventes/{sale['vente']}")
    assert again.headers["location"] == sold.headers["location"]
    sheet = await person.get(sold.headers["location"])
    for text in (
        "Vendu : portable à 180 €",
        "Garantie de 2 ans",
        "surtension",
        "Proposez une formation",
        ref,
        "Marque et modèle Exempla ProBook 14",
    ):
        assert fr(text) in words(sheet)
    for code in (sale["vente"], "price-20", "warranty-20"):
        assert code not in words(sheet), "nothing on the sheet is a name for machines"
    await person.post(f"{sold.headers['location']}/formation", data={"reponse": "booked"})
    chosen = await person.get(sold.headers["location"])
    assert "Une formation est prévue" in words(chosen)
    assert "Formation La personne accepte" in words(chosen), "on the sheet that is printed"
    assert re.findall(r'aria-pressed="(\w+)"', chosen.text) == ["true", "false", "false"]


async def test_free_in_an_emergency(scene: Scene, person: httpx.AsyncClient) -> None:
    await sign_in(person)
    _, ref = await scene.here(FAR, "laptop", "A")
    code = (await scene.voucher())["code"]
    quote = await person.post("/distribution/caisse", data={"bon": code, "appareil": ref, "gratuit": "disaster"})
    assert "Remettre gratuitement" in words(quote)
    sale = {name: field(quote, name) for name in ("vente", "prix", "bon", "appareil", "gratuit")}
    sold = await person.post("/distribution/caisse/vente", data=sale)
    assert "Incendie, inondation ou autre sinistre" in words(await person.get(sold.headers["location"]))


async def test_the_till_refuses_before_the_person_pays_and_keeps_what_was_typed(scene: Scene, person: httpx.AsyncClient) -> None:
    await enter(scene, person)
    _, ref = await scene.here(NEAR)
    _, elsewhere = await scene.here(FAR)
    spent, tablet, good = await scene.voucher(), await scene.voucher(kind="tablet"), await scene.voucher()
    _, bought = await scene.here(NEAR)
    await scene.sell(spent["code"], bought)
    for bon, appareil, status, text in [
        (spent["code"], ref, 409, "Ce bon a déjà servi"),
        (tablet["code"], ref, 409, "Il est pour : tablette ; l'appareil est : ordinateur portable."),
        ("BON-0000-0000-0000-0000", ref, 404, "Nous ne connaissons pas ce bon"),
        ("4K7P", ref, 422, "Ce n'est pas un code de bon"),
        (good["code"], elsewhere, 409, "Cet appareil est attribué à une autre structure"),
        (good["code"], bought, 409, "Cet appareil est déjà vendu"),
        (good["code"], "rien", 404, "Nous ne connaissons pas cet appareil"),
        (good["code"], " ", 422, "Scannez l'étiquette"),
    ]:
        answer = await person.post("/distribution/caisse", data={"bon": bon, "appareil": appareil})
        assert (answer.status_code, fr(text) in words(answer)) == (status, True), words(answer)
        assert field(answer, "bon") == bon
    paid = await person.post(
        "/distribution/caisse/vente", data={"vente": str(uuid4()), "prix": "7500", "bon": spent["code"], "appareil": ref}
    )
    assert paid.status_code == 409
    assert fr("Rien n'a été encaissé ici") in words(paid)
    assert re.search(r"déjà servi \w+di \d|déjà servi dimanche", words(paid))


async def test_the_till_takes_what_a_scanner_types_and_loses_nothing(scene: Scene, person: httpx.AsyncClient) -> None:
    await enter(scene, person)
    _, ref = await scene.here(NEAR)
    code = (await scene.voucher())["code"]
    label = f"https://maillon.{'long-' * 20}example/refurb/appareils?q={ref}"
    quote = await person.post("/distribution/caisse", data={"bon": code, "appareil": label})
    assert (quote.status_code, "À payer" in words(quote), ref in words(quote)) == (200, True, True), words(quote)
    sold = await scene.sell(code, label, structure=NEAR)
    assert (sold.status_code, sold.json()["device_ref"]) == (200, ref)
    for typed in ({"bon": code, "appareil": "x" * 300}, {"bon": "y" * 300, "appareil": ref}):
        answer = await person.post("/distribution/caisse", data=typed)
        assert {name: field(answer, name) for name in typed} == typed
    alone = await person.post("/distribution/caisse", data={"bon": code, "appareil": ""})
    refused = await person.post("/distribution/caisse", data={"bon": "4K7P", "appareil": ref})
    assert [awaited(page) for page in (await person.get("/distribution/caisse"), alone, refused)] == ["bon", "appareil", "bon"]


def awaited(page: httpx.Response) -> str:
    """The field that the next scan goes to."""
    [found] = re.findall(r'<input id="(\w+)"[^>]* autofocus', page.text)
    return str(found)


async def test_a_structure_sees_only_its_own_sales(scene: Scene, person: httpx.AsyncClient) -> None:
    _, ref = await scene.here(FAR)
    sale = uuid4()
    await scene.sell((await scene.voucher())["code"], ref, sale)
    await enter(scene, person, NEAR)
    assert (await person.get(f"/distribution/ventes/{sale}")).status_code == 404
    assert (await person.get("/distribution/tableau")).status_code == 403


async def test_a_referrer_gives_a_voucher_and_takes_one_back(scene: Scene, person: httpx.AsyncClient) -> None:
    await enter(scene, person)
    form = await person.get("/distribution/bons")
    asked = {
        "pour": field(form, "pour"),
        "demande": field(form, "demande"),
        "jusqu_au": field(form, "jusqu_au"),
        "type": "laptop",
    }
    wrong = await person.post("/distribution/bons", data=asked | {"type": "", "jusqu_au": "bientôt"})
    assert (wrong.status_code, field(wrong, "jusqu_au")) == (422, "bientôt")
    too_long = await person.post("/distribution/bons", data=asked | {"jusqu_au": "2099-01-01"})
    assert fr("90 jours au plus") in words(too_long)
    first, again = [await person.post("/distribution/bons", data=asked) for _ in range(2)]
    code = re.search(r"BON(-[0-9A-Z]{4}){4}", first.text)
    assert code, words(first)
    assert code[0] in again.text
    assert first.headers["cache-control"] == "no-store"
    listed = await person.get("/distribution/bons")
    assert code[0] not in listed.text
    assert "Valable" in words(listed)
    address = re.search(r'action="(/distribution/bons/[^"]+/reprendre)"', listed.text)
    assert address
    asks = await person.post(address[1], data={})
    assert "Reprendre ce bon" in words(asks)
    taken = await person.post(address[1], data={"confirmed": "oui"})
    assert taken.status_code == 303
    assert "Repris" in words(await person.get("/distribution/bons"))


async def test_the_staff_asks_sees_and_reminds(scene: Scene, person: httpx.AsyncClient) -> None:
    await sign_in(person)
    for wrong, name in [({"nom": "…"}, "nom"), ({"nom": "hiver", "avant_le": "2020-01-01"}, "avant_le")]:
        answer = await person.post("/distribution/campagnes", data=wrong)
        assert (answer.status_code, field(answer, name)) == (422, wrong[name])
    campaign = f"c-{uuid4().hex[:8]}"
    links = await person.post("/distribution/campagnes", data={"nom": campaign, "region": "cor", "avant_le": ""})
    found = re.findall(r"<code>[^<]*/distribution/besoins/([\w-]+)</code>", links.text)
    assert len(found) == 3
    table = list(csv.reader(StringIO(downloaded(links)), delimiter=";"))
    copied = re.search(r"<textarea[^>]*>\s*(.*?)</textarea>", links.text, re.DOTALL)
    assert copied
    assert table[0] == ["\ufeffNuméro", "Structure", "Lien"]
    assert [row[2].rpartition("/")[2] for row in table[1:]] == found
    assert [line.split(" : ") for line in html.unescape(copied[1]).splitlines()] == [row[1:] for row in table[1:]]
    same = await person.post(
        "/distribution/campagnes", data={"nom": campaign.upper().replace("-", "/"), "region": "idf", "avant_le": ""}
    )
    for text in (f"Cette campagne existait déjà, sous le nom « {campaign} »", "3 structures sont déjà interrogées"):
        assert fr(text) in words(same)
    more = re.findall(r"<code>[^<]*/distribution/besoins/([\w-]+)</code>", same.text)
    nobody = await person.post("/distribution/campagnes", data={"nom": campaign, "region": "cor", "avant_le": ""})
    assert fr("Toutes ces structures sont déjà interrogées") in nobody.text.split("</title>")[0]
    board = await person.get(f"/distribution/campagnes/{campaign}")
    assert fr(f"0 structure a répondu sur {3 + len(more)}") in words(board)
    structure = field(board, "structure")
    again = await person.post(f"/distribution/campagnes/{campaign}/relancer", data={"structure": structure})
    [new] = re.findall(r"<code>[^<]*/distribution/besoins/([\w-]+)</code>", again.text)
    assert "existait déjà" not in words(again)
    status = [(await person.get(f"/distribution/besoins/{token}")).status_code for token in (*found, new)]
    assert sorted(status) == [200, 200, 200, 409]
    device, ref = await scene.ready("printer")
    await scene.site.until(lambda: shows(person, ref))
    await sign_in(person)
    said = words(await person.get("/distribution/tableau"))
    assert "personne ne demande ce type" in said
    assert "appareil attend une structure" in said
    await scene.scrapped(device)


def downloaded(page: httpx.Response) -> str:
    """The table that the page offers as a file."""
    found = re.search(r'<a [^>]*href="data:text/csv;charset=utf-8,([^"]*)" download="[^"]+\.csv"', page.text)
    assert found, words(page)
    return unquote(html.unescape(found[1]))


async def shows(person: httpx.AsyncClient, ref: str) -> bool:
    await sign_in(person)
    return ref in (await person.get("/distribution/tableau")).text


async def test_another_site_cannot_post_our_forms(scene: Scene, person: httpx.AsyncClient) -> None:
    await enter(scene, person)
    foreign = {"Sec-Fetch-Site": "cross-site", "Origin": "https://example.org"}
    for path in ("/besoins", "/caisse", "/bons", "/recu", f"/besoins/{scene.tokens[NEAR]}"):
        answer = await person.post(f"/distribution{path}", data={"demande": "x", "device": str(UUID(int=1))}, headers=foreign)
        assert answer.status_code == 403, path


@pytest.mark.parametrize("path", ["/recu", "/expedier", "/caisse/vente", f"/ventes/{UUID(int=1)}/formation"])
async def test_a_form_without_its_fields_is_no_crash(person: httpx.AsyncClient, path: str) -> None:
    await sign_in(person)
    assert (await person.post(f"/distribution{path}", data={})).status_code == 422

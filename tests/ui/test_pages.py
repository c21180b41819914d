from pathlib import Path

import httpx
import jinja2
import pytest

from shared.ui import CSP, Pages
from shared.ui.formats import fr
from tests.ui.conftest import BROWSER
from tests.ui.site import PAGES, Clock, build


async def test_a_page_carries_the_headers_that_protect_it(person: httpx.AsyncClient) -> None:
    headers = (await person.get("/sheet/")).headers
    assert headers["content-security-policy"] == CSP
    assert (headers["cache-control"], headers["referrer-policy"]) == ("private, no-cache", "same-origin")
    assert "x-robots-tag" not in headers


async def test_a_page_behind_a_secret_link_is_not_kept_and_does_not_tell_its_address(person: httpx.AsyncClient) -> None:
    headers = (await person.get("/sheet/story")).headers
    told = headers["cache-control"], headers["referrer-policy"], headers["x-robots-tag"]
    assert told == ("no-store", "no-referrer", "noindex")


async def test_no_inline_style_or_script(person: httpx.AsyncClient) -> None:
    text = (await person.get("/sheet/")).text
    assert " style=" not in text
    assert "<style" not in text
    assert " onclick" not in text
    assert text.count("<script") == text.count("<script src=") == 2


def test_what_people_type_is_escaped() -> None:
    shown = PAGES.env.from_string('{{ kit.field("n", "Nom", value=v, error=v) }}{{ kit.badge("ok", v) }}').render(v="<b>\"'&")
    assert "<b>" not in shown
    assert 'value="&lt;b&gt;&#34;' in shown


def test_a_name_that_the_page_was_not_given_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError):
        PAGES.env.from_string("{{ donor }}").render()


def test_the_templates_of_a_service_come_first(tmp_path: Path) -> None:
    (tmp_path / "problem.html").write_text("{{ prefix }}: ours", encoding="utf-8")
    assert Pages("intake", tmp_path).html("problem.html") == "/intake: ours"


def test_the_count_of_errors_stands_in_the_title() -> None:
    one, two = ({"a": "Non."}, {"a": "Non.", "b": "Non."})
    text = '{% extends "base.html" %}{% block title %}Votre don{% endblock %}'
    titles = [PAGES.env.from_string(text).render(errors=e).split("<title>")[1].split("<")[0] for e in ({}, one, two)]
    assert titles == [
        "Votre don - maillon",
        "1 réponse à corriger, Votre don - maillon",
        "2 réponses à corriger, Votre don - maillon",
    ]


@pytest.mark.parametrize(
    ("wide", "body", "wrap"),
    [
        ("", "<body>", "wrap"),
        ("mid", "<body>", "wrap mid"),
        ("dense", '<body class="dense">', "wrap"),
        ("mid dense", '<body class="dense">', "wrap mid"),
    ],
)
def test_widths(wide: str, body: str, wrap: str) -> None:
    shown = PAGES.env.from_string('{% extends "base.html" %}{% block wide %}' + wide + "{% endblock %}").render()
    assert body in shown
    assert f'<div class="{wrap} stack loose">' in shown
    assert shown.startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("kind", "status", "heading", "then"),
    [
        (
            "refused",
            409,
            "Ce bon a déjà servi samedi 21 novembre 2026 à 15 h 12",
            "Rien n'a été encaissé ici. Scannez un autre bon.",
        ),
        ("short", 409, "Ce lot est fermé", "Rien n'a été enregistré."),
        ("unheard", 409, "La demande est refusée (code sheet_unheard)", "Rien n'a été enregistré."),
        ("early", 404, "Cette page n'est pas encore prête", "Rien n'est perdu"),
        ("malformed", 422, "Nous n'avons pas pu lire ce qui a été envoyé", "Rien n'a été enregistré."),
        ("outage", 503, "Le service est arrêté pour un instant", "Renvoyez-le dans une minute."),
        ("teapot", 418, "La demande est refusée (code http_418)", "Rien n'a été enregistré."),
        ("plain", 403, "Cette page n'est pas ouverte à votre code d'accès", "Demandez l'accès"),
        ("gone", 404, "Cette page n'existe pas", "Rien n'a changé de votre côté."),
        ("bug", 500, "Une erreur est survenue chez nous", "Ce qui était déjà enregistré est en sûreté."),
    ],
)
async def test_a_person_reads_what_happened_and_what_to_do(
    person: httpx.AsyncClient, kind: str, status: int, heading: str, then: str
) -> None:
    answer = await person.get(f"/sheet/fail/{kind}")
    text = answer.text.replace("&#39;", "'")
    assert answer.status_code == status
    assert f"<h1>{fr(heading)}</h1>" in text
    assert fr(then) in text


async def test_a_program_gets_what_the_app_answered_before(program: httpx.AsyncClient) -> None:
    refused, gone = await program.get("/sheet/fail/refused"), await program.get("/sheet/fail/gone")
    assert (refused.status_code, refused.json()) == (409, {"code": "voucher_spent"})
    assert (gone.status_code, gone.json()) == (404, {"detail": "Not Found"})
    assert (await program.get("/sheet/number/x")).json()["detail"][0]["type"] == "int_parsing"


async def test_pages_that_are_not_there_and_what_cannot_be_read(person: httpx.AsyncClient) -> None:
    assert fr("Cette page n'existe pas") in (await person.get("/sheet/nowhere")).text
    answer = await person.get("/sheet/number/x")
    assert (answer.status_code, fr("Cette page n'existe pas") in answer.text) == (422, True)
    sent = await person.post("/sheet/number/x")
    assert (sent.status_code, fr("Rien n'a été enregistré") in sent.text) == (422, True)
    answer = await person.get("/sheet/fail/large")
    assert fr("Cet envoi est trop gros") in answer.text
    assert fr("Rien n'a été enregistré. Envoyez 262 Ko au plus à la fois.") in answer.text
    opened = await person.get("/sheet/scrap")
    assert (opened.status_code, fr("Cette adresse reçoit un formulaire") in opened.text) == (405, True)


async def test_a_link_can_be_looked_at_first(person: httpx.AsyncClient) -> None:
    looked, got = await person.head("/sheet/story"), await person.get("/sheet/story")
    assert (looked.status_code, looked.content, dict(looked.headers)) == (200, b"", dict(got.headers))


async def test_the_code_is_shown_for_those_who_help(person: httpx.AsyncClient) -> None:
    assert "<code>database_away</code>, 503" in (await person.get("/sheet/fail/outage")).text


async def test_a_redirect_that_was_raised_stays_one(person: httpx.AsyncClient) -> None:
    answer = await person.get("/sheet/fail/moved")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sheet/")


async def test_the_handlers_of_the_app_are_asked_before_a_page_is_shown(clock: Clock) -> None:
    app = build(clock)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test", headers=BROWSER) as client:
        early = await client.get("/sheet/fail/early")
    assert [error.code for error in app.state.logged] == ["certificate_not_there"]
    assert (early.status_code, early.headers["retry-after"]) == (404, "60")


def test_each_page_leads_on_to_the_other_parts_of_the_site() -> None:
    extends = '{% extends "base.html" %}'
    anyone = PAGES.env.from_string(extends).render().split("<footer")[1]
    staff = PAGES.env.from_string(extends + "{% block elsewhere %}{{ kit.elsewhere(staff=true) }}{% endblock %}").render()
    assert [anyone.count(f'href="{href}"') for href in ("/intake/", "/certs/verifier", "/intake/dons")] == [1, 1, 1]
    for service in ("intake", "routing", "refurb", "certs", "distribution"):
        assert f'href="/{service}/' in staff.split("<footer")[1]

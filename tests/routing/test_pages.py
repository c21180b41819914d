"""The pages of routing as its planners meet them."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Page

from services.routing.app import build
from services.routing.domain.standing import View
from services.routing.settings import RoutingSettings
from shared.ui.access import COOKIE
from shared.ui.formats import fr
from tests.routing.chain import Chain
from tests.support.browser import faults, pictured
from tests.support.service import Ground, Site, running, with_topics


@pytest.fixture
def chain(ground: Ground, site: Site) -> Chain:
    """One donation."""
    return Chain(ground, site)


def pass_of(site: Site) -> str:
    """The staff's cookie."""
    assert site.service.doors is not None
    return site.service.doors.sign("staff")


@pytest_asyncio.fixture(loop_scope="session")
async def staff(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    """A planner's browser, signed in."""
    async with site.client(browser=True) as client:
        client.cookies.set(COOKIE, pass_of(site))
        yield client


async def test_the_pages_are_for_the_staff(site: Site) -> None:
    async with site.client(browser=True) as nobody:
        for path in ("/routing/", "/routing/charge", f"/routing/envois/{UUID(int=0)}"):
            answer = await nobody.get(path)
            assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/routing/connexion")


async def test_an_empty_board_says_what_will_fill_it(staff: httpx.AsyncClient) -> None:
    page = (await staff.get("/routing/")).text
    assert fr("<h1>Rien n'attend</h1>") in page
    assert "Aucun envoi en cours." in page
    for name in ("Trira", "Ateliers du Bocage", "Groupe ARES"):
        assert name in page


async def test_the_map_and_the_table_tell_the_same(chain: Chain, staff: httpx.AsyncClient) -> None:
    await chain.offer({"laptop": 12})
    [one] = await chain.settles(("trira", "scheduled"))
    page = (await staff.get("/routing/")).text
    assert page.count('<path class="flow"') == 1
    assert re.search(r'<text class="s"[^>]*>Rhône 12</text>', page)
    table = page[page.index("En route, les chiffres de la carte") :]
    assert re.search(r'<th scope="row">Rhône</th>.*?Trira.*?data-l="Appareils">12</td>', table, re.DOTALL)
    assert fr("27 km, charge 0 % ; devant Groupe ARES") in page
    assert f"/routing/envois/{one['id']}" in page


async def test_one_place_has_one_figure_however_many_ways_it_takes(chain: Chain, staff: httpx.AsyncClient) -> None:
    await chain.offer({"laptop": 400})
    await chain.settles(("trira", "scheduled"), ("ares", "scheduled"), ("bocage", "scheduled"))
    page = (await staff.get("/routing/")).text
    assert page.count('<path class="flow"') == 3
    assert re.findall(r'<text class="s"[^>]*>([^<]*)</text>', page) == ["Rhône 400"]


async def test_a_form_posted_twice_is_one_fact(chain: Chain, staff: httpx.AsyncClient) -> None:
    await chain.offer({"laptop": 12})
    [one] = await chain.settles(("trira", "scheduled"))
    at = f"/routing/envois/{one['id']}"
    for _ in range(2):
        answer = await staff.post(f"{at}/enleve", data={"counted": "12", "pallets": "1"})
        assert (answer.status_code, answer.headers["location"]) == (303, at)
    kinds = await chain.site.desk.pool.fetch("SELECT type FROM events WHERE stream = $1 ORDER BY version", UUID(one["id"]))
    assert [row["type"] for row in kinds][-1] == "routing.consignment_collected.v1"
    assert len(kinds) == 3
    page = (await staff.get(at)).text
    assert fr("12 appareils en route vers Trira") in page
    assert "vérifié (niveau Clear)" in page
    assert re.search(r'href="/intake/dons/[-0-9a-f]{36}"', page), "whoever plans needs the address and the person to ask for"
    other = await staff.post(f"{at}/enleve", data={"counted": "11"})
    assert other.status_code == 409
    assert fr("Cet envoi est déjà enlevé, avec 12 appareils comptés") in other.text


async def test_what_was_typed_stays_and_the_fault_is_said(chain: Chain, staff: httpx.AsyncClient) -> None:
    await chain.offer({"laptop": 12})
    [one] = await chain.settles(("trira", "scheduled"))
    at = f"/routing/envois/{one['id']}"
    answer = await staff.post(f"{at}/enleve", data={"counted": "24 environ", "pallets": ""})
    assert answer.status_code == 422
    assert 'value="24 environ"' in answer.text
    assert fr("Écrivez le nombre seul, par exemple 24.") in answer.text
    past = await staff.post(f"{at}/date", data={"collection_date": "2020-01-01"})
    assert past.status_code == 422
    assert "Cette date est passée" in past.text
    nothing = await staff.post(f"{at}/echec", data={"planned": one["collection_date"]})
    assert nothing.status_code == 422
    foreign = await staff.post(f"{at}/date", data={}, headers={"Sec-Fetch-Site": "cross-site"})
    assert foreign.status_code == 403
    assert (await chain.statuses()) == [("trira", "scheduled")]


async def test_the_way_by_a_point_by_hand(chain: Chain, staff: httpx.AsyncClient) -> None:
    await chain.offer({"laptop": 4})
    [one] = await chain.settles(("trira", "scheduled"))
    at = f"/routing/envois/{one['id']}"
    for path, form in [
        ("recu", {"reception_point": "REC-LYON"}),
        ("compte", {"counted_at_point": "4"}),
        ("reparti", {}),
    ]:
        answer = await staff.post(f"{at}/{path}", data=form)
        assert answer.status_code == 303, answer.text
    await chain.settles(("trira", "sent_on"))
    page = (await staff.get(at)).text
    assert fr("En route vers Trira") in page
    assert fr("Lyon 8e (rue de l’Égalité)") in page


async def test_an_unknown_consignment_is_a_page_that_helps(staff: httpx.AsyncClient) -> None:
    answer = await staff.get(f"/routing/envois/{UUID(int=0)}")
    assert answer.status_code == 404
    assert fr("Cet envoi n'existe pas ici") in answer.text


@pytest.mark.parametrize(
    "view, said",
    [
        (View(), "Ces chiffres se recalculent"),
        (View(state="late"), "Ces chiffres ne viennent pas"),
        (View(state="ready", last_right=datetime.now(UTC)), "Rien n'a encore été confié"),
        (View(state="ready", last_right=datetime(2026, 11, 2, 9, 42, tzinfo=UTC)), "Ces chiffres n'avancent plus"),
        (
            View(
                state="ready",
                last_right=datetime(2026, 11, 23, 9, 42, tzinfo=UTC),
                days={("trira", datetime(2026, 11, 23, tzinfo=UTC).date()): {"assigned": 12, "late": 1, "late_days": 3}},
            ),
            "1 livraison en retard",
        ),
    ],
    ids=["rebuilding", "late", "empty", "stale", "figures"],
)
async def test_the_load_page_says_how_right_it_is(site: Site, staff: httpx.AsyncClient, view: View, said: str) -> None:
    shown: View = site.service.state["view"]
    shown.state, shown.last_right, shown.days = view.state, view.last_right, view.days
    answer = await staff.get("/routing/charge")
    assert answer.status_code == 200
    assert fr(said) in answer.text
    if view.last_right:
        assert fr("À jour") in answer.text


async def test_the_view_runs_beside_the_service(ground: Ground, database: str, changelog: str) -> None:
    """The real wiring: the service is ready without it, the page follows when it is."""
    settings = ground.settings(RoutingSettings, "routing", database)
    await with_topics(ground, build(settings))
    async with running(build, settings) as site, site.client(browser=True) as client:
        client.cookies.set(COOKIE, pass_of(site))
        chain = Chain(ground, site)
        await chain.offer({"laptop": 12})
        await chain.settles(("trira", "scheduled"))

        async def shown() -> bool:
            page = (await client.get("/routing/charge")).text
            return re.search(r'data-l="Confiés">12</td>', page) is not None

        await site.until(shown, 40)
    assert changelog


@pytest.mark.browser
async def test_the_pages_in_a_real_browser(chain: Chain, tab: Page, bare_tab: Page) -> None:
    await chain.offer({"laptop": 12})
    [one] = await chain.settles(("trira", "scheduled"))
    for places in ("trira", "ares", "bocage"):
        await chain.declare(places, {"laptop": 13})
    long = Chain(chain.ground, chain.site)
    await long.offer({"laptop": 400, "tablet": 20, "printer": 2})

    async def waits() -> bool:
        return bool(await chain.site.desk.pool.fetchval("SELECT count(*) FROM wishes WHERE waits_code IS NOT NULL"))

    await chain.site.until(waits)
    shown: View = chain.site.service.state["view"]
    shown.state, shown.last_right = "ready", datetime.now(UTC)
    shown.days = {("trira", datetime.now(UTC).date()): {"assigned": 12, "late": 1, "late_days": 3}}
    url = chain.site.url
    for browser in (tab, bare_tab):
        await browser.context.add_cookies([{"name": COOKIE, "value": pass_of(chain.site), "url": url}])
    for name, path in {"board": "/", "consignment": f"/envois/{one['id']}", "load": "/charge"}.items():
        assert await pictured(tab, f"{url}/routing{path}", name) == [], name
    # without scripts: a wrong answer, then the right one
    await bare_tab.goto(f"{url}/routing/envois/{one['id']}")
    await bare_tab.fill("#counted", "beaucoup")
    await bare_tab.click("text=Noter l’enlèvement")
    assert await bare_tab.input_value("#counted") == "beaucoup"
    assert (await bare_tab.title()).startswith("1")
    assert await faults(tab, "") == []
    await bare_tab.fill("#counted", "12")
    await bare_tab.click("text=Noter l’enlèvement")
    assert await bare_tab.inner_text("h1") == fr("12 appareils en route vers Trira")

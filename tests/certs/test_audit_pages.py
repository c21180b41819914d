"""What the staff see of the audit: the donations with a wrong sum first, then of each donation its sums and who held each device."""

from collections.abc import AsyncIterator
from typing import get_args
from uuid import uuid4

import pytest
import pytest_asyncio
from playwright.async_api import Page

from services.certs.app import build
from services.certs.domain import custody_words
from services.certs.domain.ledger import BUCKETS, Sum
from services.certs.domain.passage import Code
from services.certs.domain.trail import Role, What
from services.certs.settings import CertsSettings
from services.certs.store import custody
from shared.events.base import Event
from shared.ui import COOKIE, fr
from tests.certs.chain import Chain, keep
from tests.support.browser import faults, pictured
from tests.support.service import Site, running

SOUND, WRONG, EARLY = Chain(), Chain(), Chain()


@pytest_asyncio.fixture(loop_scope="session")
async def audited(certs_settings: CertsSettings) -> AsyncIterator[Site]:
    """A sound donation, one with a device that was sold twice, and one whose last word is not here yet."""
    async with running(build, certs_settings) as site:
        for told in (SOUND.whole(), [*WRONG.whole(), *WRONG.sold("1", mark="again")], EARLY.whole()[:-1]):
            await keep(site.desk, told)

        async def judged() -> bool:
            async with site.desk.read() as tx:
                return await custody.standings(tx) == {"holds": 1, "broken": 1, "waiting": 1}

        await site.until(judged, 20)
        yield site


async def page(site: Site, path: str) -> str:
    async with site.client(staff=True) as client:
        client.headers["Accept"] = "text/html"
        told = await client.get(path, follow_redirects=True)
    assert told.status_code == 200, told.text
    return told.text


async def test_the_staff_see_which_donations_do_not_add_up(audited: Site) -> None:
    async with audited.client(browser=True) as client:
        told = await client.get("/certs/audit")
        assert (told.status_code, told.headers["location"]) == (303, "/certs/connexion?next=/certs/audit")
        told = await client.get(f"/certs/audit/{WRONG.donation}")
        assert told.status_code == 303
    shown = await page(audited, "/certs/audit")
    assert fr("1 don a un compte faux") in shown
    at = [shown.index(f"/certs/audit/{chain.donation}") for chain in (WRONG, EARLY, SOUND)]
    assert at == sorted(at), "what is broken comes first, then what is waited for"
    assert fr(custody_words.BREACHES["sold_twice"]) in shown
    assert 'href="/certs/audit"' in await page(audited, "/certs/ecarts")
    assert 'href="/certs/audit"' in await page(audited, "/certs/journal")


async def test_a_donation_is_found_by_its_reference(audited: Site) -> None:
    assert fr(f"Don {SOUND.reference[:-2]} : compte juste") in await page(
        audited, f"/certs/audit?don={SOUND.reference[:-2].lower()}"
    )
    assert "Aucun don sous cette référence" in await page(audited, "/certs/audit?don=DON-0000-0000")
    async with audited.client(staff=True) as client:
        assert (await client.get(f"/certs/audit/{uuid4()}")).status_code == 404


async def test_a_donation_shows_its_sums_and_who_held_each_device(audited: Site) -> None:
    shown = await page(audited, f"/certs/audit/{WRONG.donation}")
    assert fr(f"Don {WRONG.reference[:-2]} : compte faux") in shown
    assert fr("Vendu, le") not in shown
    assert f"{WRONG.mark}-1" in shown
    [(topic, stream, _)] = WRONG.sold("1", mark="again")
    assert f"<code>{topic}</code>, <code>{stream}</code>, n°&nbsp;1" in shown
    assert fr("À ce moment, l'avait : La personne bénéficiaire.") in shown
    assert fr("2\u00a0vendus, 1\u00a0donné, 1\u00a0au rebut, 1 de trop") in shown
    for who in ("Le transporteur", "Trira", "Structure STR-0005", "La personne bénéficiaire", "Filière de recyclage"):
        assert who in shown, who
    assert f"DISK-{WRONG.mark}-4" in shown
    assert "Mercerie" not in shown
    assert fr("Un autre service peut encore l'expliquer.") in await page(audited, f"/certs/audit/{EARLY.donation}")


async def test_what_others_sent_is_written_and_not_run(audited: Site) -> None:
    odd, told = Chain(), Chain().whole()
    told = [(topic, stream, renamed(event)) for topic, stream, event in odd.whole()]
    await keep(audited.desk, told)
    shown = await page(audited, f"/certs/audit/{odd.donation}")
    assert "&lt;script&gt;" in shown
    assert "<script>alert" not in shown


def renamed(event: Event) -> Event:
    return (
        event.model_copy(update={"device_ref": "<script>alert(1)</script>"})
        if "device_ref" in type(event).model_fields
        else event
    )


@pytest.mark.parametrize("kind,words", [(Code, custody_words.BREACHES), (What, custody_words.WHATS), (Role, custody_words.ROLES)])
def test_everything_has_its_words(kind: object, words: dict[str, str]) -> None:
    assert set(words) == set(get_args(kind))
    assert set(custody_words.BUCKETS) == set(BUCKETS)


def test_a_sum_is_written_with_what_is_left_over() -> None:
    short = Sum(name="offered", whole=4, parts={"collected": 3}, state="holds")
    more = Sum(name="offered", whole=4, parts={"collected": 5}, state="holds")
    assert custody_words.sum_(short) == ("Proposés : 4", "3\u00a0enlevés, 1\u00a0jamais remis")
    assert custody_words.sum_(more) == ("Proposés : 4", "5\u00a0enlevés, 1 de trop")
    assert custody_words.sum_(Sum(name="received", whole=0, parts={}, state="open")) == ("Arrivés à l’atelier : 0", "rien encore")


@pytest.mark.browser
async def test_the_pages_are_sound(tab: Page, audited: Site) -> None:
    role = audited.service.state["doors"].sign("staff")
    await tab.context.add_cookies([{"name": COOKIE, "value": role, "url": audited.url}])
    for name, path in (
        ("audit", ""),
        ("audit-unknown", "?don=DON-0000-0000"),
        ("audit-broken", f"/{WRONG.donation}"),
        ("audit-waiting", f"/{EARLY.donation}"),
        ("audit-holds", f"/{SOUND.donation}"),
    ):
        assert await pictured(tab, f"{audited.url}/certs/audit{path}", f"certs-{name}") == [], name
    assert await faults(tab) == []

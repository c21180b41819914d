"""What people and programs see of certs, over HTTP and in a browser."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import get_args

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from deploy.local import postgres
from deploy.local.platform import Platform
from services.certs import jobs
from services.certs.app import build
from services.certs.domain import document, merkle, note, signature, verification
from services.certs.domain.statement import Change, Finding, digest
from services.certs.domain.words import drift
from services.certs.settings import CertsSettings
from services.certs.store import tables
from services.certs.store.files import Documents
from services.certs.store.press import Press
from shared import passes
from shared.events.refurb import SanitisationRejected
from shared.ui import COOKIE, fr
from tests.certs.conftest import CELLS
from tests.certs.corpus import me
from tests.certs.samples import AT, POLICY, Story, keys, mixed, proof
from tests.certs.scene import certified
from tests.certs.scene import hear as fact
from tests.certs.scene import note as hear
from tests.support.browser import faults, pictured, screenshot
from tests.support.platform import unique
from tests.support.service import Ground, Site, running, with_topics


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def certs(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """One service for all of this file: its tests look, and change nothing that another one counts."""
    name, role, password = await postgres.fresh_database(platform.postgres_url)
    ground = Ground(platform, unique("t") + ".", tmp_path_factory.mktemp("pages"), CELLS)
    url = postgres.with_role(platform.postgres_url, role, password, name)
    settings = ground.settings(CertsSettings, "certs", url)
    await with_topics(ground, build(settings))
    async with running(build, settings) as site:
        yield site
    await postgres.drop_database(platform.postgres_url, name, role)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def story(certs: Site) -> Story:
    """A certificate that was issued."""
    told = Story()
    await hear(certs.desk, told, erased=["1", "2"], failed=["3"])

    async def there() -> bool:
        async with certs.desk.read() as tx:
            return await tables.certificate(tx, told.number) is not None

    await certs.until(there, 40)
    return told


def right(site: Site, number: str, of: str | None = None) -> str:
    secret = site.service.settings.session_secret.get_secret_value()
    return f"/certs/documents/{number}?droit={passes.issue(secret, f'certificate:{of or number}')}"


async def fetch(site: Site, number: str) -> bytes:
    async with site.client() as client:
        got = await client.get(right(site, number))
    assert got.status_code == 200, got.text
    return got.content


async def test_who_has_the_right_gets_the_same_file_each_time(certs: Site, story: Story) -> None:
    async with certs.client() as client:
        one, two = await client.get(right(certs, story.number)), await client.get(right(certs, story.number))
    assert one.content == two.content
    assert one.headers["content-type"] == "application/pdf"
    assert one.headers["content-disposition"] == f'attachment; filename="{story.number}.pdf"'
    assert "no-store" in one.headers["cache-control"]
    assert one.headers["etag"] == f'"{digest(one.content)}"'
    async with certs.client(staff=True) as client:
        assert (await client.get(f"/certs/documents/{story.number}")).content == one.content


async def test_who_has_no_right_gets_nothing(certs: Site, story: Story) -> None:
    async with certs.client() as client:
        for address in (
            f"/certs/documents/{story.number}",
            f"/certs/documents/{story.number}?droit=x",
            right(certs, story.number, of="MC-OTHER"),
        ):
            assert (await client.get(address)).status_code == 401
    async with certs.client(staff=True) as client:
        assert (await client.get("/certs/documents/MC-0000")).status_code == 404
        assert (await client.get("/certs/documents/..%2f..%2fcerts%2fsigning-key.pem")).status_code == 404


async def test_a_lost_file_is_made_again_with_the_same_bytes(certs: Site, story: Story) -> None:
    before = await fetch(certs, story.number)
    settings = certs.service.settings
    assert isinstance(settings, CertsSettings)
    for path in settings.documents_folder.rglob("*.pdf"):
        path.unlink()
    assert await fetch(certs, story.number) == before
    assert Documents(settings.documents_folder).read(digest(before)) == before


async def test_the_file_is_verified_with_the_keys_that_we_publish(certs: Site, story: Story) -> None:
    data = await fetch(certs, story.number)
    async with certs.client() as client:
        pem = (await client.get("/certs/issuer.pem")).text
    assert "PRIVATE" not in pem
    verdict = verification.verify(data, verification.Trust.read(pem))
    assert verdict.ok, verdict.reason
    assert verdict.statement is not None
    assert (verdict.statement.number, verdict.statement.counts.erased) == (story.number, 2)


async def test_the_log_can_be_built_again_and_only_grows(certs: Site, story: Story) -> None:
    second = Story()
    await hear(certs.desk, second, erased=["1"])
    async with certs.client() as client:
        first = (await client.get("/certs/log/checkpoint")).text

        async def grown() -> bool:
            return (await client.get("/certs/log/checkpoint")).text != first

        await certs.until(grown, 40)
        by = verification.Trust.read((await client.get("/certs/issuer.pem")).text).log
        old, new = note.opened(first, by), note.opened((await client.get("/certs/log/checkpoint")).text, by)
        leaves = [bytes.fromhex(h) for h in (await client.get("/certs/log/leaves")).json()["leaf_hashes"]]
        path = (await client.get(f"/certs/log/consistency?old={old.size}&new={new.size}")).json()["path"]
        wrong = await client.get("/certs/log/consistency?old=2&new=99")
    nodes: dict[merkle.Node, bytes] = {}
    for index, leaf in enumerate(leaves):
        nodes |= merkle.append(index, leaf, nodes.__getitem__)
    assert new.root == merkle.root(new.size, nodes.__getitem__)
    merkle.check_consistency(old.size, new.size, old.root, new.root, [bytes.fromhex(h) for h in path])
    assert (wrong.status_code, wrong.json()["code"]) == (422, "log_sizes")
    assert story.number.encode() not in b"".join(leaves)


async def posted(site: Site, data: bytes, name: str = "certificat.pdf") -> httpx.Response:
    async with site.client(browser=True) as client:
        return await client.post("/certs/verifier", files={"certificat": (name, data, "application/pdf")})


async def test_a_person_who_drops_a_file_gets_the_verdict(certs: Site, story: Story) -> None:
    data = await fetch(certs, story.number)
    page = await posted(certs, data)
    assert page.status_code == 200
    assert "Valide" in page.text
    assert page.text.count(story.number) == 1
    assert "Mercerie Brindille SAS" in page.text
    assert "no-store" in page.headers["cache-control"]


def changed(data: bytes) -> bytes:
    return data[:9000] + bytes([data[9000] ^ 1]) + data[9001:]


def foreign(_: bytes) -> bytes:
    from services.certs.domain import issuer

    drawn = document.render(mixed())
    other = issuer.make("Emmaüs Connect", AT)
    return signature.sign(drawn, proof(drawn, mixed().number, other), me(other), AT)


@pytest.mark.parametrize(
    "change,says",
    [
        (changed, "Modifié"),
        (lambda data: data + b"\n", "Modifié"),
        (foreign, "Inconnu"),
        (lambda _: document.render(mixed()), "n’est pas signé"),
        (lambda _: b"\x89PNG\r\n" + bytes(1000), "n’est pas un PDF"),
        (lambda _: b"%PDF-1.7\n" + bytes(100), "n’est pas signé"),
        (lambda _: bytes(20_000_001), "trop gros"),
    ],
)
async def test_what_is_no_certificate_of_ours_is_told_plainly(
    certs: Site, story: Story, change: Callable[[bytes], bytes], says: str
) -> None:
    page = await posted(certs, await asyncio.to_thread(change, await fetch(certs, story.number)))
    assert page.status_code == 200
    assert says in page.text
    assert "Valide" not in page.text


async def test_no_file_is_told_next_to_the_field(certs: Site) -> None:
    page = await posted(certs, b"")
    assert page.status_code == 422
    assert "Choisissez d’abord le fichier" in page.text
    async with certs.client(browser=True) as client:
        assert (await client.post("/certs/verifier", data={"certificat": "text"})).status_code == 422
        client.headers["Sec-Fetch-Site"] = "cross-site"
        assert (await client.post("/certs/verifier", files={"certificat": ("a", b"x")})).status_code == 403


async def test_when_too_many_files_are_verified_it_is_said_and_passes(certs: Site, story: Story) -> None:
    press: Press = certs.service.state["house"].press
    press.patience_s = 0.1
    async with press.turn():
        page = await posted(certs, data := await fetch(certs, story.number))
        assert page.status_code == 503
        assert fr("Trop de fichiers sont en cours de vérification") in page.text
        assert "n’a pas été vérifié" in page.text
        assert page.headers["retry-after"]
        async with certs.client(browser=True) as client:
            client.headers["Accept"] = "application/json"
            told = await client.post("/certs/verifier", files={"certificat": ("a.pdf", data)})
        assert (told.status_code, told.json()["code"]) == (503, "verifier_busy")
        assert (await posted(certs, b"")).status_code == 422, "what needs no verification waits for none"
        assert "trop gros" in (await posted(certs, bytes(20_000_001))).text
    press.patience_s = 10
    assert "Valide" in (await posted(certs, data)).text


async def test_programs_get_the_verdict_as_json(certs: Site, story: Story) -> None:
    data = await fetch(certs, story.number)
    async with certs.client(browser=True) as client:
        client.headers["Accept"] = "application/json"
        told = (await client.post("/certs/verifier", files={"certificat": ("a.pdf", data)})).json()
    assert (told["ok"], told["number"]) == (True, story.number)


async def test_by_number_alone_only_its_existence_is_told(certs: Site, story: Story) -> None:
    async with certs.client(browser=True) as client:
        page = (await client.get(f"/certs/verifier?numero={story.number.lower()}")).text
        assert fr(f"Le certificat {story.number} existe") in page
        assert "Mercerie" not in page
        assert "Nous ne connaissons pas ce numéro" in (await client.get("/certs/verifier?numero=MC-1'--")).text
        assert "est inscrit" in (await client.get(f"/certs/journal?numero={story.number}")).text
        assert story.number not in (await client.get("/certs/journal")).text
        assert (await client.get("/certs/")).headers["location"] == "/certs/verifier"


async def test_the_staff_see_what_came_after_a_certificate(outrun: Site) -> None:
    async with outrun.client(browser=True) as client:
        told = await client.get("/certs/ecarts")
        assert (told.status_code, told.headers["location"]) == (303, "/certs/connexion?next=/certs/ecarts")
        assert "/certs/ecarts" not in (await client.get("/certs/journal")).text
    async with outrun.client(staff=True) as client:
        client.headers["Accept"] = "text/html"
        page, journal = (await client.get("/certs/ecarts")).text, (await client.get("/certs/journal")).text
        assert fr("Chaque certificat dit ce que nous savons") in page
        assert "Tous les certificats disent" in journal
        told_of = await overtaken(outrun)
        page, journal = (await client.get("/certs/ecarts")).text, (await client.get("/certs/journal")).text
    assert fr("1 certificat ne dit pas tout") in page
    assert f"/certs/documents/{told_of.number}" in page
    assert f"/routing/envois/{told_of.consignment}" in page
    assert f"{told_of.mark}-2&lt;b&gt;" in page
    assert fr("Signalé après le certificat, qui n'en parle pas. Il est prêt") in page
    assert fr("Le certificat dit : données effacées. Les preuves disent : effacement non attesté.") in page
    assert fr("1 certificat ne dit pas tout") in journal


async def overtaken(site: Site) -> Story:
    """A certificate, after which a proof fell away and a device came."""
    story = Story()
    await hear(site.desk, story, erased=["1"])
    await site.until(lambda: certified(site, 1), 40)
    lost = SanitisationRejected(medium=story.disk("1"), reason="failed", policy=POLICY)
    await fact(site.desk, story.device("1"), lost)
    for event in story.erased("2<b>"):
        await fact(site.desk, story.device("2<b>"), event)
    await jobs.watch(site.desk)
    return story


@pytest.mark.browser
async def test_the_page_of_the_staff_is_sound(tab: Page, outrun: Site) -> None:
    role = outrun.service.state["doors"].sign("staff")
    await tab.context.add_cookies([{"name": COOKIE, "value": role, "url": outrun.url}])
    assert await faults(tab, f"{outrun.url}/certs/ecarts") == []
    told_of, waits = await overtaken(outrun), Story()
    await hear(outrun.desk, waits, erased=["1"])
    await fact(outrun.desk, waits.device("2"), waits.arrived("2"))
    for name, path in (
        ("drifts", "ecarts"),
        ("begun", "ecarts?noted=etabli"),
        ("log", "journal"),
        ("doubted", f"verifier?numero={told_of.number}"),
    ):
        assert await pictured(tab, f"{outrun.url}/certs/{path}", f"certs-staff-{name}") == [], name


@pytest_asyncio.fixture(loop_scope="session")
async def outrun(certs_settings: CertsSettings) -> AsyncIterator[Site]:
    """A service of its own, for what would change the counts of the others."""
    async with running(build, certs_settings) as site:
        yield site


@pytest.mark.parametrize("kind", get_args(Change))
@pytest.mark.parametrize("certified,now", [(None, None), ("erased", "not_erased"), ("new_word", "new_word"), ("3", "2")])
def test_each_kind_of_difference_has_its_words(kind: Change, certified: str | None, now: str | None) -> None:
    state, text = drift(Finding(device_ref="A", kind=kind, certified=certified, now=now))
    assert state in {"bad", "warn", "info"}
    assert text.endswith(".")
    assert "None" not in text
    assert "_" not in text or kind == "counted", "a count is a number, all else has a word"


async def test_figures_are_for_the_staff(certs: Site, story: Story) -> None:
    async with certs.client() as client:
        assert (await client.get("/certs/figures")).status_code == 401
    async with certs.client(staff=True) as client:
        figures = (await client.get("/certs/figures")).json()
    assert story.number
    assert figures["certificates"] == figures["log_size"] == figures["drafts"] >= 1
    assert figures["devices"] == figures["erased"] + figures["not_erased"] + figures["without_medium"]
    assert (figures["not_erased"], figures["devices_scrapped"], figures["devices_open"]) == (1, 1, 0)


@pytest.mark.browser
async def test_pages_are_sound(tab: Page, certs: Site, story: Story) -> None:
    for name, path in (
        ("ask", "/certs/verifier"),
        ("number", f"/certs/verifier?numero={story.number}"),
        ("journal", f"/certs/journal?numero={story.number}"),
        ("unknown", "/certs/journal?numero=MC-1"),
        ("door", "/certs/ecarts"),
    ):
        assert await pictured(tab, f"{certs.url}{path}", f"certs-{name}") == [], name


@pytest.mark.browser
async def test_a_person_verifies_a_file_in_the_browser(tab: Page, certs: Site, story: Story, tmp_path: Path) -> None:
    good, bad = tmp_path / "certificat.pdf", tmp_path / "modifie.pdf"
    good.write_bytes(data := await fetch(certs, story.number))
    bad.write_bytes(changed(data))
    for file, says in ((good, "Valide"), (bad, "Modifié")):
        await tab.goto(f"{certs.url}/certs/verifier")
        await tab.set_input_files("#certificat", str(file))
        await tab.get_by_role("button", name="Vérifier").click()
        await tab.wait_for_selector("#h-res")
        assert says in await tab.inner_text("main")
        assert await faults(tab) == []
        await screenshot(tab, "", tmp_path / "shots" / f"{says}.png", 360)
    assert keys().certificate


@pytest.mark.browser
async def test_the_page_to_take_away_works_where_it_is_served_too(tab: Page, certs: Site, story: Story, tmp_path: Path) -> None:
    """Under the policy that it comes with; by keyboard; and the programs beside it are there."""
    (tmp_path / "certificat.pdf").write_bytes(await fetch(certs, story.number))
    await tab.goto(f"{certs.url}/certs/verifier")
    await tab.get_by_role("link", name="Vérifier hors ligne").click()
    await tab.keyboard.press("Tab")
    assert await tab.evaluate("document.activeElement.id") == "file"
    await tab.set_input_files("#file", tmp_path / "certificat.pdf")
    await expect(tab.locator("#result h2")).to_have_text("Valide : ce certificat est vrai, et le fichier n’a pas changé")
    assert await tab.inner_text("#result dd >> nth=0") == story.number
    async with certs.client() as client:
        for name in ("verify_certificate.py", "witness.py"):
            program = await client.get(f"/certs/{name}")
            assert program.headers["content-disposition"] == f'attachment; filename="{name}"'
            compile(program.text, name, "exec")
        policy = (await client.get("/certs/verify.html")).headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "connect-src" not in policy

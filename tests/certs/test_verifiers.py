"""Three verifiers, of which two import nothing of ours, say the same of everything that people could hold in hand."""

import json
import subprocess
import sys
from base64 import b64encode
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
from playwright.async_api import Page, expect

from services.certs.domain import document, verification
from services.certs.domain.assets import layout, offline
from tests.certs.corpus import corpus, lying, made
from tests.certs.samples import mixed, trust, trust_text
from tests.support.alone import loaded
from tests.support.browser import pictured

ALONE = Path(__file__).parents[2] / "services" / "certs" / "data" / "verify_certificate.py"


@cache
def all_of_it() -> dict[str, bytes]:
    return corpus()


@cache
def ours() -> dict[str, str]:
    return {name: verification.verify(data, trust(), layout(), document.render).code for name, data in all_of_it().items()}


def alone() -> ModuleType:
    return loaded(ALONE)


def test_of_the_corpus_only_what_we_signed_and_nobody_touched_is_valid() -> None:
    assert [name for name, code in ours().items() if code == "valid"] == ["as we signed it", "of one device"]


def test_the_program_that_stands_alone_says_the_same() -> None:
    program = alone()
    assert {name: program.verify(data, trust_text())["code"] for name, data in all_of_it().items()} == ours()


def test_what_it_says_of_a_certificate() -> None:
    verdict = alone().verify(made()[1], trust_text())
    assert verdict["statement"] == json.loads(mixed().canonical)
    assert {check["name"]: check["ok"] for check in verdict["checks"]} == {
        "whole_file": True,
        "signature": True,
        "signer": True,
        "log_inclusion": True,
        "time": True,
        "document": None,
        "superseded": None,
    }
    assert alone().verify(lying(), trust_text())["ok"], "it cannot draw the document, and says so: `document` is null"


def test_it_needs_nothing_but_cryptography(tmp_path: Path) -> None:
    """From another folder, without ours on the path."""
    (tmp_path / "it.pdf").write_bytes(made()[1])
    (tmp_path / "issuer.pem").write_text(trust_text(), "utf-8")
    copy = tmp_path / "verify.py"
    copy.write_bytes(ALONE.read_bytes())
    asked = (
        "import sys, runpy; sys.argv = ['verify.py', 'it.pdf', '--trust', 'issuer.pem']\n"
        "try: runpy.run_path('verify.py', run_name='__main__')\n"
        "finally: print(sorted({n.split('.')[0] for n in sys.modules} & {'services', 'shared', 'pydantic', 'pyhanko', 'asn1crypto'}))"
    )
    ran = subprocess.run([sys.executable, "-c", asked], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("VALID\n")
    assert ran.stdout.endswith("[]\n")
    (tmp_path / "issuer.pem").write_text("no keys", "utf-8")
    refused = subprocess.run(
        [sys.executable, str(copy), "it.pdf", "--trust", "issuer.pem"], cwd=tmp_path, capture_output=True, check=False
    )
    assert refused.returncode == 2


@pytest.mark.browser
async def test_the_page_that_stands_alone_says_the_same(tmp_path: Path, tab: Page) -> None:
    """From a saved file, with the network cut."""
    saved = tmp_path / "verify.html"
    saved.write_text(offline(trust_text())[0], "utf-8")
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    await tab.context.set_offline(True)
    await tab.goto(saved.as_uri())
    said = {
        name: await tab.evaluate(
            "async data => (await verify(Uint8Array.from(atob(data), c => c.charCodeAt(0)), pem)).code", b64encode(data).decode()
        )
        for name, data in all_of_it().items()
    }
    assert said == ours()
    assert asked == [saved.as_uri()]


@pytest.mark.browser
async def test_the_page_as_people_use_it(tmp_path: Path, tab: Page) -> None:
    saved = tmp_path / "verify.html"
    saved.write_text(offline(trust_text())[0], "utf-8")
    (tmp_path / "it.pdf").write_bytes(made()[1])
    (tmp_path / "other.pdf").write_bytes(all_of_it()["a stamp on a page"])
    assert await pictured(tab, saved.as_uri(), "verify") == []
    await tab.set_input_files("#file", tmp_path / "it.pdf")
    await expect(tab.locator("#result h2")).to_have_text("Valide : ce certificat est vrai, et le fichier n’a pas changé")
    await expect(tab.locator("#result dd").first).to_have_text(mixed().number)
    assert await pictured(tab, "", "verify-valid") == []
    later = "{number: 'MC-B', issued_at: '2026-11-23', supersedes: {number: 'MC-A'}}"
    said = await tab.evaluate(f"shown({{ok: true, code: 'valid', checks: [], statement: {later}}}).at(-1).textContent")
    assert said == "NuméroMC-BRemplaceMC-AÉtabli le23 novembre 2026"
    await tab.set_input_files("#file", tmp_path / "other.pdf")
    await expect(tab.locator("#result h2")).to_have_text("Modifié : ne vous fiez pas à ce fichier")
    assert await tab.evaluate("fetch('https://127.0.0.1:9').then(() => 'out', (error) => error.name)") == "TypeError"


@pytest.mark.browser
async def test_the_page_without_keys_asks_for_them(tmp_path: Path, tab: Page) -> None:
    saved = tmp_path / "verify.html"
    saved.write_text(offline("")[0].replace('id="trust">""<', 'id="trust">null<'), "utf-8")
    (tmp_path / "it.pdf").write_bytes(made()[1])
    (tmp_path / "issuer.pem").write_text(trust_text(), "utf-8")
    await tab.goto(saved.as_uri())
    await tab.set_input_files("#file", tmp_path / "it.pdf")
    await expect(tab.locator("#result")).to_contain_text("choisissez d’abord le fichier issuer.pem")
    await tab.set_input_files("#keys", tmp_path / "issuer.pem")
    await expect(tab.locator("#result h2")).to_have_text("Valide : ce certificat est vrai, et le fichier n’a pas changé")

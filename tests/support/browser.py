"""Pages looked at as people meet them: the system's Chromium, light and dark, narrow and wide, axe-core on each.

from tests.support.browser import bare_tab, browser, faults, screenshot, tab   # in a conftest: bare_tab, browser, tab

@pytest.mark.browser
async def test_page(tab: Page, site: str) -> None:
    assert await faults(tab, f"{site}/intake/") == []
"""

import importlib.util
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Error, Page, async_playwright

from tests.support.required import chromium

WIDTHS = (360, 1280)
HEIGHT = 800
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",  # small in containers
]
# What sticks out of the window, unless an ancestor scrolls or clips it.
WIDE = """() => {
  const wide = document.documentElement.clientWidth, out = [];
  if (document.documentElement.scrollWidth <= wide) return out;
  for (const e of document.body.querySelectorAll('*')) {
    let clipped = false;
    for (let p = e.parentElement; p && p !== document.body; p = p.parentElement)
      if (getComputedStyle(p).overflowX !== 'visible') { clipped = true; break; }
    if (!clipped && e.getBoundingClientRect().right > wide + 1)
      out.push(e.tagName.toLowerCase() + '.' + (e.getAttribute('class') || '') + ' ' + e.textContent.trim().slice(0, 40));
  }
  return out.length ? out.slice(0, 5) : ['page of ' + document.documentElement.scrollWidth + ' px'];
}"""
# Targets a finger cannot hit: WCAG 2.2 asks 24 px; links inside a sentence are exempt.
SMALL = """() => [...document.querySelectorAll('button,input:not([type=hidden]),select,textarea,.btn,summary')]
  .filter(e => { const r = e.getBoundingClientRect(); return r.width && (r.height < 24 || r.width < 24) })
  .map(e => e.outerHTML.slice(0, 80))"""


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Start the system's Chromium, once a run; the test is skipped, or fails in CI, where there is none."""
    path = chromium()
    async with async_playwright() as play:
        started = await play.chromium.launch(executable_path=path, headless=True, args=FLAGS)
        yield started
        await started.close()


@pytest_asyncio.fixture(loop_scope="session")
async def tab(browser: Browser) -> AsyncIterator[Page]:
    """Open a tab without any cookie or storage of another test."""
    context = await browser.new_context(locale="fr-FR", timezone_id="Europe/Paris")
    yield await context.new_page()
    await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def bare_tab(browser: Browser) -> AsyncIterator[Page]:
    """Open a tab that runs no script: every page must work in it."""
    context = await browser.new_context(locale="fr-FR", timezone_id="Europe/Paris", java_script_enabled=False)
    yield await context.new_page()
    await context.close()


async def faults(tab: Page, url: str = "") -> list[str]:
    """Say what is wrong with a page, one line each; empty when it is sound. Without an address: the page the tab is on."""
    noise: list[str] = []

    def said(message: ConsoleMessage) -> None:
        # Chromium tells the status of a page that is itself a refusal (404, 422): that is the answer, not a fault
        if message.type == "error" and not (message.location["url"] == tab.url and "status of 4" in message.text):
            noise.append(f"console: {message.text}")

    def failed(error: Error) -> None:
        noise.append(f"script: {error}")

    tab.on("console", said)
    tab.on("pageerror", failed)
    try:
        lines: list[str] = []
        for width in WIDTHS:
            await _look(tab, url, width, SCHEMES[0])  # loaded at each width; the light goes out while it is open
            for scheme in SCHEMES:
                await tab.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # no colour half way to another
                lines += [f"{scheme} {width}: {line}" for line in await _seen(tab)]
        return lines + list(dict.fromkeys(noise))
    finally:
        tab.remove_listener("console", said)
        tab.remove_listener("pageerror", failed)


async def pictured(tab: Page, url: str, name: str) -> list[str]:
    """Give the faults of a page; where `MAILLON_SHOTS` names a folder, leave pictures there, for a phone and for a desk."""
    found = await faults(tab, url)
    if folder := os.environ.get("MAILLON_SHOTS"):
        for width in (360, 1280):
            await screenshot(tab, url, Path(folder) / f"{name}-{width}.png", width)
    return found


async def screenshot(tab: Page, url: str, path: Path, width: int = 1280, *, scheme: Literal["light", "dark"] = "light") -> None:
    """Take a picture of the whole page, for a person to look at. Without an address: the page the tab is on."""
    await _look(tab, url, width, scheme)
    path.parent.mkdir(parents=True, exist_ok=True)
    await tab.screenshot(path=path, full_page=True)


async def _look(tab: Page, url: str, width: int, scheme: Literal["light", "dark"]) -> None:
    await tab.set_viewport_size({"width": width, "height": HEIGHT})
    await tab.emulate_media(color_scheme=scheme)
    if url:
        await tab.goto(url)
    await tab.evaluate("document.fonts.ready.then(() => null)")


async def _seen(tab: Page) -> list[str]:
    if not await tab.evaluate("typeof axe === 'object'"):
        await tab.evaluate(_axe())
    found = await tab.evaluate("tags => axe.run(document, {runOnly: tags, resultTypes: ['violations']})", TAGS)
    lines = [
        f"axe {violation['id']}: {node['html'][:110]} -> {node['failureSummary'].splitlines()[-1].strip()[:170]}"
        for violation in found["violations"]
        for node in violation["nodes"][:4]
    ]
    lines += [f"too small a target: {e}" for e in await tab.evaluate(SMALL)]
    return lines + [f"sideways scroll: {e}" for e in await tab.evaluate(WIDE)]


def _axe() -> str:
    """Give axe-core (MPL-2.0), as the test-only package axe-playwright-python brings it."""
    found = importlib.util.find_spec("axe_playwright_python")
    if found is None or found.origin is None:
        raise LookupError("axe_playwright_python")
    return Path(found.origin).with_name("axe.min.js").read_text(encoding="utf-8")

"""Walks one donation through the chain as the people would: by the pages they have, in a browser.

The refurbisher is a program of its own (`refurbisher.py`). Every step may be repeated: what is lost on the way is sent again and counts
once.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from deploy.demo.bench import PARIS
from deploy.demo.browser import Browser, Page, PageError

PATIENCE_S = 120.0
"""How long a page is asked again until it shows what must come."""
SOLD_AS: Sequence[str] = ("laptop", "desktop", "laptop")
"""The devices that are sold, by type; the others stay at the structure, to try the till by hand."""


def answers(ready_from: datetime) -> dict[str, str | Sequence[str]]:
    """The six questions, answered: a firm in Lyon gives its computers."""
    return {
        "condition": "mixed",
        "age": "5_to_10_years",
        "media": "inside",
        "sensitivity": "ordinary",
        "required_class": "Clear",
        "address": "12 rue de l’Aiguille",
        "postal_code": "69007",
        "city": "Lyon",
        "access": ["loading_dock"],
        "pallets": "1",
        "available_from": ready_from.strftime("%d/%m/%Y"),
        "donor_status": "company",
        "donor_name": "Mercerie Brindille SAS",
        "company_number": "732829320",
        "contact_name": "Camille Durand",
        "mail": "camille.durand@brindille.example",
        "phone": "01 99 00 12 34",
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What is given, and what a structure asks for: as much as can be sold of it. `otherwise`: answers unlike the demo's."""

    declared: Mapping[str, int] = field(default_factory=lambda: {"laptop": 6, "desktop": 6})
    wanted: Mapping[str, int] = field(default_factory=lambda: {"laptop": 5, "desktop": 6})
    otherwise: Mapping[str, str] = field(default_factory=dict)

    @property
    def devices(self) -> int:
        """How many there are."""
        return sum(self.declared.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """One device sold."""

    device_ref: str
    device_type: str
    voucher: str
    address: str
    words: str


@dataclass(slots=True, kw_only=True)
class Story:
    """What the people saw on the way."""

    tracking: str = ""
    reference: str = ""
    consignments: dict[str, int] = field(default_factory=dict)
    """Path of the page of each consignment -> devices that the driver counted."""
    structure_link: str = ""
    structure: str = ""
    certificates: dict[str, bytes] = field(default_factory=dict)
    """Number -> the file, as the donor downloaded it."""
    received: dict[str, str] = field(default_factory=dict)
    """Device reference -> type, as the structure received them."""
    sales: list[Sale] = field(default_factory=list)
    second_attempt: str = ""
    """What the till said to a voucher that had been spent."""


class Walk:
    """One donation. `say` hears of each step; `name` makes the campaign's name its own; `lorry` brings a consignment to its refurbisher."""

    def __init__(
        self,
        origin: str,
        staff_code: str,
        name: str,
        *,
        say: Callable[[str], None] = print,
        offer: Offer | None = None,
        lorry: Callable[[str, int], Awaitable[None]] | None = None,
    ) -> None:
        self.story = Story()
        self._lorry = lorry
        self.offer = offer or Offer()
        self._staff_code, self._name, self._say = staff_code, name, say
        self._origin, self._exit = origin, AsyncExitStack()
        self.donor, self.staff, self.seller = Browser(origin), Browser(origin), Browser(origin)

    async def __aenter__(self) -> Self:
        for browser in (self.donor, self.staff, self.seller):
            await self._exit.enter_async_context(browser)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._exit.aclose()

    def steps(self) -> Iterator[Callable[[], Awaitable[None]]]:
        """The steps in order; a test may do something between two of them."""
        return iter((self.give, self.sign_in, self.carry, self.campaign, self.answer, self.certify, self.receive, self.sell))

    async def whole(self) -> Story:
        """All of it."""
        for step in self.steps():
            await step()
        return self.story

    # ── the donor ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def give(self) -> None:
        """Answers the six questions, one page each, and keeps the tracking link."""
        home = await self.donor.get("/intake/")
        page = await self.donor.get(home.link("/intake/don"))
        counts = {kind: str(count) for kind, count in self.offer.declared.items()}
        known = {**answers(datetime.now(PARIS) + timedelta(days=3)), **counts, **self.offer.otherwise}
        for _ in range(12):
            form = page.form_to("/intake/don")
            if form.action.endswith("/envoyer"):
                page = await self.donor.send(page, form, {"owner": "oui"})
                break
            asked = [name for name in known if name in form.fields or name in form.offers]
            page = await self.donor.send(page, form, {name: known[name] for name in asked})
        self.story.tracking = page.link("/intake/suivi/")
        self.story.reference = next(text for text in page.named[".id"] if text.startswith("DON-"))
        self._say(f"donor: {page.title} ({self.story.reference})")

    async def certify(self) -> None:
        """Waits on the tracking page until the certificate is there, and downloads it."""
        page = await self._until(self.donor, self.story.tracking, self._certified, "a certificate")
        for href, words in page.links:
            if href.startswith("/certs/documents/"):
                number = href.removeprefix("/certs/documents/").partition("?")[0]
                if number not in self.story.certificates:
                    self.story.certificates[number] = (await self.donor.get(href)).content
                    self._say(f"donor: downloads {words or number}")

    def _certified(self, page: Page) -> bool:
        found = {href.partition("?")[0] for href, _ in page.links if href.startswith("/certs/documents/")}
        return len(found) >= len(self.story.consignments)

    # ── the staff ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def sign_in(self) -> None:
        """Signs in with the staff's code."""
        page = await self.staff.get("/routing/")
        form = page.form(lambda f: "code" in f.fields)
        page = await self.staff.send(page, form, {"code": self._staff_code})
        self._say(f"staff: signed in ({page.title})")

    async def carry(self) -> None:
        """Waits for the planner, then does what the page of each consignment asks for next, until it is at the refurbisher's door."""
        found = await self._until(
            self.staff, "/routing/", lambda p: self._envois(p) != [], f"a consignment of {self.story.reference}"
        )
        for path in self._envois(found):
            page = await self.staff.get(path)
            self._say(f"staff: {page.title}")
            for _ in range(8):
                todo = next((f for f in page.forms if f.is_main and f.action.startswith(f"{path}/")), None)
                if todo is None:
                    break
                page = await self.staff.send(page, todo, self._report(todo.action.rpartition("/")[2], todo.fields))
                self._say(f"staff: {page.title}")
            counted = self.story.consignments[path] = self.offer.devices
            if self._lorry is not None:
                await self._lorry(path.rpartition("/")[2], counted)

    def _envois(self, page: Page) -> list[str]:
        return [href for href, words in page.links if words.startswith(f"{self.story.reference}/")]

    def _report(self, step: str, fields: Mapping[str, Sequence[str]]) -> dict[str, str]:
        """What people write at each stop: the day as proposed, the driver's count, the reception point's."""
        counted = str(self.offer.devices)
        match step:
            case "enleve":
                return {"counted": counted, "pallets": "1"}
            case "compte":
                return {"counted_at_point": counted}
            case "date" if not any(fields.get("collection_date", [])):
                return {"collection_date": (datetime.now(PARIS) + timedelta(days=3)).date().isoformat()}
            case _:
                return {}

    async def campaign(self) -> None:
        """Asks the structures of the region for their needs; the links are shown this once."""
        name = f"demo-{self._name}"
        board = await self.staff.get("/distribution/tableau")
        form = board.form_to("/distribution/campagnes")
        page = await self.staff.send(board, form, {"nom": name, "region": "ara"})
        links = [text for text in page.named.get("code", []) if "/distribution/besoins/" in text]
        if not links:  # asked already: the answer that held the links was lost on its way
            page = await self.staff.get(f"/distribution/campagnes/{name}")
            page = await self.staff.send(page, page.form_to(f"/distribution/campagnes/{name}/relancer"))
            links = [text for text in page.named.get("code", []) if "/distribution/besoins/" in text]
        self.story.structure_link = "/" + links[0].split("/", 3)[3]
        self._say(f"staff: campaign {name}, {len(links)} structures asked")

    # ── the structure ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def answer(self) -> None:
        """Opens its secret link and says what it needs."""
        page = await self.seller.get(self.story.structure_link)
        form = page.form(lambda f: "laptop" in f.fields)
        page = await self.seller.send(page, form, {kind: str(count) for kind, count in self.offer.wanted.items()})
        self.story.structure = next(iter(page.named.get("b", [])), "")
        self._say(f"structure: asks for {' and '.join(f'{n} {kind}' for kind, n in self.offer.wanted.items())}")

    async def receive(self) -> None:
        """Waits until all that it asked for is given to it, and confirms each."""
        wanted = sum(self.offer.wanted.values())
        seen = 0
        deadline = time.monotonic() + PATIENCE_S
        while len(self.story.received) < wanted:
            page = await self.seller.get("/distribution/")
            form = next((f for f in page.forms if f.action == "/distribution/recu"), None)
            if form is not None:
                ref = form.verb.partition("(")[2].rstrip(")")
                kind = "laptop" if "portable" in self._row(page, ref).lower() else "desktop"
                await self.seller.send(page, form)
                self.story.received[ref] = kind
            elif time.monotonic() > deadline:
                raise PageError(f"after {PATIENCE_S:.0f} s only {seen} of {wanted} devices came to the structure")
            else:
                await asyncio.sleep(0.25)
            seen = len(self.story.received)
        self._say(f"structure: {wanted} devices received")

    def _row(self, page: Page, ref: str) -> str:
        return next((words for words in page.named.get("tr", []) if ref in words), "")

    async def sell(self) -> None:
        """Gives vouchers, sells for them, and shows that a spent voucher buys nothing."""
        left = dict(self.story.received)
        for kind in SOLD_AS:
            ref = next(ref for ref, known in left.items() if known == kind)
            del left[ref]
            sale = await self._sell(ref, kind)
            self.story.sales.append(sale)
            self._say(f"structure: {sale.words} ({sale.device_ref})")
        spent = self.story.sales[-1]
        again = next(ref for ref, known in left.items() if known == spent.device_type)
        till = await self.seller.get("/distribution/caisse")
        page = await self.seller.send(
            till, till.form_to("/distribution/caisse"), {"bon": spent.voucher, "appareil": again}, allowed=(409,)
        )
        if page.status != 409:
            raise PageError(f"the till took a voucher twice: {page.title}")
        self.story.second_attempt = next(iter(page.named.get("#refus", [])), page.title)
        self._say(f"structure: the same voucher again: {self.story.second_attempt}")

    async def _sell(self, ref: str, kind: str) -> Sale:
        page = await self.seller.get("/distribution/bons")
        form = page.form(lambda f: "demande" in f.fields)
        given = await self.seller.send(page, form, {"type": kind})
        voucher = next(text for text in given.named[".id"] if text)
        till = await self.seller.get("/distribution/caisse")
        quote = await self.seller.send(till, till.form_to("/distribution/caisse"), {"bon": voucher, "appareil": ref})
        receipt = await self.seller.send(quote, quote.form_to("/distribution/caisse/vente"))
        training = receipt.form(lambda f: f.action.endswith("/formation"))
        receipt = await self.seller.send(receipt, training, {"reponse": "booked"})
        return Sale(device_ref=ref, device_type=kind, voucher=voucher, address=receipt.url, words=receipt.title)

    # ── waiting ────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _until(self, browser: Browser, path: str, holds: Callable[[Page], bool], what: str) -> Page:
        """Open a page again and again until it shows what must come."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            page = await browser.get(path)
            if holds(page):
                return page
            if time.monotonic() > deadline:
                raise PageError(f"{path} ({page.title}) shows no sign of {what} after {PATIENCE_S:.0f} s")
            await asyncio.sleep(0.25)

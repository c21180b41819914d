"""A browser without a screen: follows links, fills in the forms that a page really has, keeps cookies.

It can only send what the page offers: a field that is not there is an error, not a guess. It tries again while a service is away.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from types import TracebackType
from typing import Self

import httpx
from typing_extensions import override

AWAY = {502, 503, 504}
PATIENCE_S = 60.0
"""How long one request is tried again while nobody answers it."""
INLINE = {"a", "abbr", "b", "button", "code", "em", "i", "option", "small", "span", "strong", "sub", "sup"}
VOID = {"input", "br", "hr", "meta", "link", "img", "use", "rect", "path", "circle", "polyline", "polygon"}


class PageError(Exception):
    """A page is not what a person would need to go on; the message says which and what."""


@dataclass(slots=True)
class Form:
    """A form as the page gives it: `fields` holds what would be sent untouched, `offers` the values that may be chosen."""

    action: str
    method: str
    fields: dict[str, list[str]] = field(default_factory=dict)
    offers: dict[str, set[str]] = field(default_factory=dict)
    buttons: list[tuple[str, str, str]] = field(default_factory=list)
    """Name, value, words."""
    is_main: bool = False
    """Whether its button is what the page is for: neither a second choice nor a link."""

    @property
    def verb(self) -> str:
        """What its first button says."""
        return self.buttons[0][2] if self.buttons else ""

    def filled(self, given: Mapping[str, str | Sequence[str]]) -> dict[str, list[str]]:
        """What is sent. Raises PageError for a field or a choice that the form does not have."""
        sent = {name: list(values) for name, values in self.fields.items()}
        for name, value in given.items():
            values = [value] if isinstance(value, str) else list(value)
            buttons = {v for n, v, _ in self.buttons if n == name}
            if name not in sent and name not in self.offers and not buttons:
                raise PageError(f"{self.action} has no field {name!r}, only {sorted({*sent, *self.offers})}")
            if name in self.offers and (wrong := set(values) - self.offers[name]):
                raise PageError(f"{self.action} does not offer {sorted(wrong)} for {name!r}, only {sorted(self.offers[name])}")
            sent[name] = values
        return sent


class _Reader(HTMLParser):
    """Reads forms, links, headings and texts of one class out of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.links: list[tuple[str, str]] = []
        self.named: dict[str, list[str]] = {}
        """By tag (h1, p …) and by `.class`, `#id`: the words of each element."""
        self.words: list[str] = []
        self._open: list[tuple[str, list[str], list[str]]] = []
        self._form: Form | None = None
        self._select: str | None = None

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._part(tag)
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = Form(given.get("action", ""), given.get("method", "get").lower())
            self.forms.append(self._form)
        elif self._form is not None:
            self._field(self._form, tag, given)
        if tag not in VOID:
            names = [tag, *(f".{c}" for c in given.get("class", "").split()), *([f"#{given['id']}"] if "id" in given else [])]
            if tag == "a":
                names.append(f"a {given.get('href', '')}")
            if tag == "button" and self._form is not None and "form" not in given and given.get("type") != "button":
                names.append(f"button {len(self.forms)} {given.get('name', '')} {given.get('value', '')}")
                self._form.is_main |= given.get("class", "") in {"btn", "btn big"}
            self._open.append((tag, names, []))

    def _field(self, form: Form, tag: str, given: Mapping[str, str]) -> None:
        name, kind = given.get("name", ""), given.get("type", "text")
        if tag == "input" and name and kind in {"checkbox", "radio"}:
            form.offers.setdefault(name, set()).add(given.get("value", "on"))
            if "checked" in given:
                form.fields.setdefault(name, []).append(given.get("value", "on"))
        elif tag == "input" and name and kind not in {"submit", "button", "file"}:
            form.fields.setdefault(name, []).append(given.get("value", ""))
        elif tag == "textarea" and name:
            form.fields.setdefault(name, []).append("")
        elif tag == "select" and name:
            self._select = name
            form.offers.setdefault(name, set())
        elif tag == "option" and self._select:
            value = given.get("value", "")
            form.offers[self._select].add(value)
            if "selected" in given or self._select not in form.fields:
                form.fields[self._select] = [value]

    def _part(self, tag: str) -> None:
        """Two blocks are two words."""
        if tag not in INLINE:
            self.handle_data(" ")

    @override
    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1][0] in {"script", "style"}:
            return
        self.words.append(data)
        for _, _, words in self._open:
            words.append(data)

    @override
    def handle_endtag(self, tag: str) -> None:
        if tag not in {opened for opened, _, _ in self._open}:
            return
        while self._open:
            opened, names, words = self._open.pop()
            self._close(names, " ".join("".join(words).split()))
            if opened == tag:
                break
        self._part(tag)
        if tag == "form":
            self._form = None
        if tag == "select":
            self._select = None

    def _close(self, names: list[str], words: str) -> None:
        for name in names:
            if name.startswith("a "):
                self.links.append((name[2:], words))
            elif name.startswith("button "):
                number, field_name, value = name.removeprefix("button ").split(" ", 2)
                self.forms[int(number) - 1].buttons.append((field_name, value, words))
            else:
                self.named.setdefault(name, []).append(words)


@dataclass(frozen=True, slots=True)
class Page:
    """What came back."""

    url: str
    status: int
    forms: list[Form]
    links: list[tuple[str, str]]
    """Address, words."""
    named: dict[str, list[str]]
    text: str
    content: bytes

    @property
    def title(self) -> str:
        """Its heading."""
        return next(iter(self.named.get("h1", [])), "")

    def link(self, begins: str) -> str:
        """The first address on the page that begins like this. Raises PageError when there is none."""
        for href, _ in self.links:
            if href.startswith(begins):
                return href
        raise PageError(f"{self.url} ({self.title}) has no link to {begins}…")

    def form(self, holds: Callable[[Form], bool]) -> Form:
        """The first form of which that holds. Raises PageError when there is none."""
        for form in self.forms:
            if holds(form):
                return form
        raise PageError(f"{self.url} ({self.title}) has no such form, only {[f.action for f in self.forms]}")

    def form_to(self, begins: str) -> Form:
        """The first form that is sent there."""
        return self.form(lambda form: form.action.startswith(begins))


class Browser:
    """One person's browser on one site."""

    def __init__(self, origin: str, *, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._client = httpx.AsyncClient(
            base_url=origin,
            follow_redirects=True,
            timeout=20,
            headers={"Accept": "text/html,application/xhtml+xml", "Accept-Language": "fr"},
        )
        self._sent_from = {"Origin": origin, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"}

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._client.__aexit__(kind, error, trace)

    async def get(self, path: str, *, bearer: str = "") -> Page:
        """Open an address. Raises PageError when it is no page for this person."""
        headers = {"Authorization": f"Bearer {bearer}", "Accept": "application/json"} if bearer else {}
        return await self._ask("GET", path, {}, headers, allowed=())

    async def send(
        self, page: Page, form: Form, given: Mapping[str, str | Sequence[str]] | None = None, *, allowed: Sequence[int] = ()
    ) -> Page:
        """Fill in a form of that page and send it. `allowed`: statuses of refusals that are answers here."""
        target = form.action or page.url
        return await self._ask(form.method.upper(), target, form.filled(given or {}), self._sent_from, allowed)

    async def _ask(
        self, method: str, path: str, data: Mapping[str, list[str]], headers: Mapping[str, str], allowed: Sequence[int]
    ) -> Page:
        deadline, last = time.monotonic() + self._patience_s, ""
        while time.monotonic() < deadline:
            try:
                answer = await self._client.request(method, path, data=dict(data) or None, headers=dict(headers))
            except httpx.TransportError as error:
                last = repr(error)
            else:
                if answer.status_code < 400 or answer.status_code in allowed:
                    return read(answer)
                last = f"{answer.status_code} {read(answer).title or answer.text[:300]}"
                if answer.status_code not in AWAY:
                    raise PageError(f"{method} {path}: {last}")
            await asyncio.sleep(0.2)
        raise PageError(f"{method} {path}: nobody answered in {self._patience_s:.0f} s, last: {last}")


def read(answer: httpx.Response) -> Page:
    """Read a page."""
    reader = _Reader()
    if answer.headers.get("content-type", "").startswith("text/html"):
        reader.feed(answer.text)
        reader.close()
    return Page(
        url=str(answer.url),
        status=answer.status_code,
        forms=reader.forms,
        links=reader.links,
        named=reader.named,
        text=" ".join("".join(reader.words).split()),
        content=answer.content,
    )

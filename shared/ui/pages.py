"""Pages for people: templates with the common words and parts, answers with the right headers, problems as pages."""

import inspect
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared import errors
from shared.http import TooLarge
from shared.ui import formats, words
from shared.ui.assets import static_path
from shared.ui.origin import SAFE

TEMPLATES = Path(__file__).with_name("templates")
CSP = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
_OURS: dict[type[Exception], HTTPStatus] = {
    errors.Refused: HTTPStatus.CONFLICT,
    errors.NotYet: HTTPStatus.NOT_FOUND,
    errors.Malformed: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.Outage: HTTPStatus.SERVICE_UNAVAILABLE,
    RequestValidationError: HTTPStatus.UNPROCESSABLE_ENTITY,
}
_BY_CODE = {"cross_site": HTTPStatus.FORBIDDEN}
_KEPT = ("Retry-After", "Allow", "WWW-Authenticate")


class Pages:
    """The pages of one service: its templates, found before the common ones, and its words for refusals.

    Every template knows `kit` (the parts), `prefix` (`/intake`), `service`, `static(name)`, the filters of `formats`,
    `device`, `devices`, `device_icon`, `device_types`, `message`, and `errors` (empty until a page passes some).
    """

    def __init__(self, service: str, templates: Path, *, messages: Mapping[str, str] | None = None) -> None:
        self.service = service
        self.prefix = f"/{service}"
        self.messages = dict(messages or {})
        env = Environment(
            loader=ChoiceLoader([FileSystemLoader(templates), FileSystemLoader(TEMPLATES)]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        env.filters.update(formats.FILTERS)
        env.filters["device"] = words.device
        env.filters["devices"] = words.devices
        env.globals.update(
            service=service,
            prefix=self.prefix,
            errors={},
            static=lambda name: static_path(self.prefix, name),
            message=self.message,
            device=words.device,
            devices=words.devices,
            device_icon=words.device_icon,
            device_types=words.device_types,
            status_words=words.status,
            how_many=words.how_many,
            contact="",
            sprite=Markup((TEMPLATES / "icons.svg").read_text(encoding="utf-8").strip()),  # noqa: S704 - our own file
        )
        env.globals["kit"] = env.get_template("kit.html").module
        self.env = env

    def reached_by(self, contact: str) -> None:
        """Say how people reach whoever runs this site: at the foot of every page, and where words tell them to (`{contact}`)."""
        self.env.globals["contact"] = contact

    def message(self, code: str, /, **detail: object) -> str:
        """Say a refusal in French, with the service's own words first."""
        return words.message(code, self.messages, **{"contact": self.env.globals["contact"], **detail})

    def html(self, template: str, /, **context: object) -> str:
        """Fill a template, without a request: for a part of a page, or a mail."""
        return self.env.get_template(template).render(context)

    def render(
        self,
        request: Request,
        template: str,
        status: int = 200,
        *,
        private: bool = False,
        headers: Mapping[str, str] | None = None,
        **context: object,
    ) -> HTMLResponse:
        """Answer with a page. `private` is for a page behind a secret link: never stored, its address never told on."""
        kept = {
            "Content-Security-Policy": CSP,
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store" if private else "private, no-cache",
            "Referrer-Policy": "no-referrer" if private else "same-origin",
        }
        if private:
            kept["X-Robots-Tag"] = "noindex"
        return HTMLResponse(self.html(template, request=request, **context), status, kept | dict(headers or {}))

    def problem(
        self,
        request: Request,
        status: int,
        code: str = "",
        *,
        otherwise: str = "",
        headers: Mapping[str, str] | None = None,
        detail: Mapping[str, object] | None = None,
        back: str = "",
    ) -> HTMLResponse:
        """Answer with a page that says what happened, what did not happen and what to do; `back` is where to go on.

        A code without a message is shown, below the words of the code `otherwise`, or of the status.
        """
        said = code if words.is_known(code, self.messages) else otherwise or words.code_for(status)
        code = code or (said if said != "unknown_code" else f"http_{int(status)}")
        title, rest = words.title_and_rest(self.message(said, **{"code": code, **(detail or {})}))
        if not rest:
            _, rest = words.title_and_rest(words.message("unknown_code", None, code=code))
        return self.render(
            request, "problem.html", status, private=True, headers=headers,
            title=title, rest=rest, code=code, http_status=int(status), back=back or f"{self.prefix}/",
        )  # fmt: skip


class Head:
    """Answers HEAD as GET, without the body: who checks a link before showing it asks so."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            return await self.app(scope, receive, send)

        async def headless(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        await self.app(dict(scope) | {"method": "GET"}, receive, headless)
        return None


def wants_html(request: Request) -> bool:
    """Tell whether a person's browser asks, rather than a program."""
    return "text/html" in request.headers.get("accept", "") or request.headers.get("hx-request") == "true"


def _status(error: Exception, answered: Response | None) -> int:
    """Give the status of the page: that of the app's own answer, but 403 for a form of another site."""
    by_code = _BY_CODE.get(str(getattr(error, "code", "")))
    if by_code is not None:
        return by_code
    if answered is not None:
        return answered.status_code
    return next((_OURS[kind] for kind in type(error).__mro__ if kind in _OURS), HTTPStatus.INTERNAL_SERVER_ERROR)


def _is_page(answered: Response) -> bool:
    return not answered.headers.get("content-type", "").startswith(("application/json", "application/problem+json"))


def show_problems(app: FastAPI, pages: Pages) -> None:
    """Answer a browser with a page when something goes wrong; programs get what the app answers.

    Call it after the app's own handlers are in place: they are asked first, since they log, and their status is kept. What
    they answer that is not JSON (a page, a redirect) stays.
    """
    before = {kind: handler for kind, handler in app.exception_handlers.items() if isinstance(kind, type)}

    def wrap(kind: type[Exception]) -> None:
        earlier: Any = next((before[k] for k in kind.__mro__ if k in before), None)

        async def answer(request: Request, error: Exception) -> Response:
            answered: Response | None = None
            if earlier is not None:
                asked = earlier(request, error)
                answered = await asked if inspect.isawaitable(asked) else asked
            if answered is not None and (
                not wants_html(request) or answered.status_code < HTTPStatus.BAD_REQUEST or _is_page(answered)
            ):
                return answered
            # an HTTPException's detail is for programs: its page is chosen by its status
            ours = not isinstance(error, HTTPException)
            code, detail = (getattr(error, "code", ""), getattr(error, "detail", None)) if ours else ("", None)
            if isinstance(error, TooLarge):
                detail = {"limit": formats.size_fr(error.most)}
            if isinstance(error, RequestValidationError) and request.method in SAFE:
                code = "not_found"  # an address that no page has: nothing was sent
            return pages.problem(
                request,
                _status(error, answered),
                str(code),
                otherwise="not_yet" if isinstance(error, errors.NotYet) else "",
                headers={n: answered.headers[n] for n in _KEPT if n in answered.headers} if answered is not None else None,
                detail=detail if isinstance(detail, Mapping) else None,
            )

        app.add_exception_handler(kind, answer)

    app.add_middleware(Head)
    for kind in {*_OURS, HTTPException, Exception, *(k for k in before if issubclass(k, Exception))}:
        wrap(kind)

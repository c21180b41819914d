"""A small site made with the kit: a page with every part, a private page with a form, pages for each role, refusals."""

import datetime as dt
from pathlib import Path
from typing import Annotated

from fastapi import Depends, FastAPI, Form
from fastapi import HTTPException as PlainHTTPException
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from shared.errors import Malformed, NotYet, Outage, Refused
from shared.http import ORDINARY_BODY, TooLarge
from shared.ui import Access, Pages, mount_static, same_origin, show_problems

SECRET = "a secret of this test only"
STAFF_CODE = "souci-et-prune"
PAGES = Pages(
    "sheet",
    Path(__file__).with_name("templates"),
    messages={
        "voucher_spent": "Ce bon a déjà servi {on}. Rien n'a été encaissé ici. Scannez un autre bon.",
        "short": "Ce lot est fermé.",
    },
)
WRONG = {
    "siren": "Il manque un chiffre : vous en avez écrit 8 sur 9.",
    "laptop": "Écrivez le nombre seul, par exemple 24.",
}
REFUSALS: dict[str, Exception] = {
    "refused": Refused("voucher_spent", on="2026-11-21T14:12:00+00:00"),
    "short": Refused("short"),
    "unheard": Refused("sheet_unheard"),
    "early": NotYet("certificate_not_there"),
    "malformed": Malformed("field_missing"),
    "outage": Outage("database_away"),
    "gone": HTTPException(404),
    "teapot": HTTPException(418),
    "large": TooLarge(ORDINARY_BODY),
    "plain": PlainHTTPException(403, "said to programs"),
    "moved": HTTPException(303, headers={"Location": "/sheet/"}),
    "bug": ZeroDivisionError(),
}


class Clock:
    """A clock that stands until the test moves it."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def access(clock: Clock, *, secret: str = SECRET, public_url: str = "http://127.0.0.1", pages: Pages = PAGES) -> Access:
    return Access(pages, secret=secret, staff_code=STAFF_CODE, public_url=public_url, clock=clock)


def _sheet(request: Request, status: int = 200, errors: dict[str, str] | None = None) -> Response:
    first = dt.datetime(2026, 12, 1, 8, 12, tzinfo=dt.UTC)
    return PAGES.render(request, "sheet.html", status, day=dt.date(2026, 10, 5), first=first, errors=errors or {})


def build(clock: Clock, doors: Access | None = None) -> FastAPI:
    """Make the site; forms only answer pages of their own."""
    app = FastAPI()
    doors = doors or access(clock)
    mount_static(app, PAGES.prefix)
    doors.install(app)
    _sheets(app)
    _guarded(app, doors)
    _failures(app)
    show_problems(app, PAGES)
    return app


def _sheets(app: FastAPI) -> None:
    @app.get("/sheet/")
    async def sheet(request: Request) -> Response:
        return _sheet(request)

    @app.post("/sheet/", dependencies=[Depends(same_origin)])
    async def wrong(request: Request) -> Response:
        return _sheet(request, 422, WRONG)

    @app.get("/sheet/part")
    async def part() -> Response:
        return Response("Après", media_type="text/html")

    @app.post("/sheet/scrap", dependencies=[Depends(same_origin)])
    async def scrap(request: Request, device: Annotated[str, Form()], confirmed: Annotated[str, Form()] = "") -> Response:
        if confirmed:
            return RedirectResponse("/sheet/scrapped", 303)
        return PAGES.render(
            request, "confirm.html", title=f"Mettre {device} au rebut ?", text="L'appareil sort du stock.",
            verb="Mettre au rebut", to="/sheet/scrap", fields={"device": device}, back="/sheet/",
        )  # fmt: skip

    @app.get("/sheet/story")
    async def story(request: Request) -> Response:
        return PAGES.render(request, "story.html", private=True)

    @app.post("/sheet/story", dependencies=[Depends(same_origin)])
    async def go_on(request: Request) -> Response:
        return PAGES.render(request, "story.html", private=True)


def _guarded(app: FastAPI, doors: Access) -> None:
    @app.get("/sheet/staff")
    async def staff(role: Annotated[str, Depends(doors.staff)]) -> str:
        return role

    @app.get("/sheet/structure")
    async def structure(name: Annotated[str, Depends(doors.holder("structure"))]) -> str:
        return name


def _failures(app: FastAPI) -> None:
    @app.exception_handler(Refused)
    async def kernel(request: Request, error: Exception) -> Response:
        request.app.state.logged = [*getattr(request.app.state, "logged", []), error]
        early = isinstance(error, NotYet)
        code = error.code if isinstance(error, Refused) else ""
        headers = {"Retry-After": "60"} if early else None
        return JSONResponse({"code": code}, 404 if early else 409, headers, media_type="application/problem+json")

    @app.exception_handler(PlainHTTPException)
    async def known(_: Request, error: Exception) -> Response:
        return JSONResponse({"text": "known"}, error.status_code if isinstance(error, PlainHTTPException) else 500)

    @app.get("/sheet/fail/{kind}")
    async def fail(kind: str) -> None:
        raise REFUSALS[kind]

    @app.post("/sheet/number/{number}")
    @app.get("/sheet/number/{number}")
    async def number(number: int) -> int:
        return number

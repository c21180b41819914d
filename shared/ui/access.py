"""Who may open which page: one code for the staff, one signed cookie for all services, 12 hours at most.

Programs of the staff have the code as their key (`Authorization: Bearer`); a wrong one counts as a wrong guess at the door.

The cookie holds a role, no name: `staff`, `partner:<refurbisher>` or `structure:<id>:<link>`. It is valid in every service, since
they share the secret; whoever knows a code or a secret link gets a role from the service that checked it.
"""

import dataclasses
import hashlib
import hmac
import ipaddress
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, FastAPI, Form
from itsdangerous import BadSignature, TimestampSigner
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from typing_extensions import override

from shared.ui.formats import plural
from shared.ui.origin import same_origin
from shared.ui.pages import Pages, wants_html

COOKIE = "maillon_access"
HOURS = 12
STAFF = "staff"
_LIFE_S = HOURS * 3600
_LEAST_CODE = 8
_LONGEST_PATH = 500
_TRIES = 5
_WAIT_S = 30
_LONGEST_WAIT_S = 900
_FORGET_S = 3600
_CLIENTS = 10_000
_STATUS = {
    "sign_in": HTTPStatus.UNAUTHORIZED,
    "not_allowed": HTTPStatus.FORBIDDEN,
    "too_many_tries": HTTPStatus.TOO_MANY_REQUESTS,
}


class Denied(Exception):
    """The role that a page asks for is not there: `sign_in` (401) when there is none, `not_allowed` (403) when it is another.

    `too_many_tries` (429): who guessed wrong waits `wait_s`, before any code is looked at.
    """

    def __init__(self, code: str, wait_s: int = 0) -> None:
        super().__init__(code)
        self.code = code
        self.wait_s = wait_s


class _Signer(TimestampSigner):
    """A signer whose clock is given."""

    def __init__(self, secret: str, clock: Callable[[], float]) -> None:
        super().__init__(secret, salt="maillon.access", key_derivation="hmac", digest_method=hashlib.sha256)
        self._clock = clock

    @override
    def get_timestamp(self) -> int:
        return int(self._clock())


@dataclasses.dataclass(slots=True)
class _Tries:
    wrong: int = 0
    until: float = 0.0
    last: float = 0.0


class Throttle:
    """Makes a client wait that guessed wrong five times: 30 s, then twice as long at each wrong guess, 15 min at most."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seen: dict[str, _Tries] = {}

    def wait_s(self, client: str) -> int:
        """Give how many seconds that client still has to wait; 0 when it may try."""
        tries = self._seen.get(client)
        return max(0, round(tries.until - self._clock() + 0.5)) if tries and tries.until > self._clock() else 0

    def wrong(self, client: str) -> None:
        """Note a wrong guess."""
        now = self._clock()
        tries = self._seen.pop(client, None)
        if tries is None or now - tries.last > _FORGET_S:
            tries = _Tries()
        tries.wrong, tries.last = tries.wrong + 1, now
        if tries.wrong >= _TRIES:
            tries.until = now + min(_WAIT_S * 2 ** (tries.wrong - _TRIES), _LONGEST_WAIT_S)
        self._seen[client] = tries  # the last to guess stands last: the first to go is the oldest
        if len(self._seen) > _CLIENTS:
            del self._seen[next(iter(self._seen))]

    def right(self, client: str) -> None:
        """Forget the wrong guesses of a client that got it right."""
        self._seen.pop(client, None)


def safe_path(path: str, otherwise: str) -> str:
    """Give the path if it leads to a page of this site, else the other one: a link must not send people elsewhere."""
    plain = path.isascii() and path.isprintable() and "\\" not in path and len(path) <= _LONGEST_PATH
    return path if plain and path.startswith("/") and not path.startswith("//") else otherwise


def client_of(request: Request) -> str:
    """Name who asks: the address that our own proxy saw last; what a client writes before it is not believed."""
    peer = request.client.host if request.client else ""
    try:
        near = not ipaddress.ip_address(peer).is_global
    except ValueError:
        near = False
    forwarded = request.headers.get("x-forwarded-for", "")
    return forwarded.rsplit(",", 1)[-1].strip() if near and forwarded else peer


class Access:
    """The doors of one service. `install(app)` adds the pages `/<service>/connexion` and `/<service>/deconnexion`."""

    def __init__(
        self, pages: Pages, *, secret: str, staff_code: str, public_url: str, clock: Callable[[], float] = time.time
    ) -> None:
        if len(staff_code) < _LEAST_CODE:
            message = f"the staff code needs at least {_LEAST_CODE} characters"
            raise ValueError(message)
        self._pages = pages
        self._signer = _Signer(secret, clock)
        self._code = self._hash(staff_code)
        self._secure = public_url.startswith("https:")
        self._throttle = Throttle(clock)
        self._page = f"{pages.prefix}/connexion"

    @staticmethod
    def _hash(code: str) -> bytes:
        return hashlib.sha256(code.strip().encode()).digest()

    def sign(self, role: str) -> str:
        """Give the value of a cookie for that role."""
        return self._signer.sign(role.encode()).decode()

    def admit(self, response: Response, role: str) -> None:
        """Hand out a role: the browser that gets this response has it for 12 hours, in all services."""
        response.set_cookie(
            COOKIE, self.sign(role), max_age=_LIFE_S, path="/", httponly=True, samesite="lax", secure=self._secure
        )

    def sign_out(self, response: Response) -> None:
        """Take the role away from the browser that gets this response."""
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax", secure=self._secure)

    def role(self, request: Request) -> str | None:
        """Read the role of who asks; None without a cookie, or with one that is forged or older than 12 hours.

        The staff code as a key is the staff too. Raises Denied("too_many_tries").
        """
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return STAFF if self._opens(request, key) else None
        try:
            return self._signer.unsign(request.cookies.get(COOKIE, "").encode(), max_age=_LIFE_S).decode()
        except (BadSignature, UnicodeError):
            return None

    def _opens(self, request: Request, code: str) -> bool:
        """Tell whether it is the staff's code. Raises Denied for who guessed wrong too often, whatever the code."""
        client = client_of(request)
        if wait := self._throttle.wait_s(client):
            raise Denied("too_many_tries", wait)
        right = hmac.compare_digest(self._hash(code), self._code)
        (self._throttle.right if right else self._throttle.wrong)(client)
        return right

    async def staff(self, request: Request) -> str:
        """Let the staff through: `Depends(access.staff)`. Others are sent to the sign-in page, programs get a 401."""
        return self._need(request, lambda role: role == STAFF)

    def holder(self, kind: str) -> Callable[[Request], Awaitable[str]]:
        """Let one kind of role through and give its id: `Depends(access.holder("structure"))` gives `s-12` for `structure:s-12`."""

        async def check(request: Request) -> str:
            return self._need(request, lambda role: role.startswith(f"{kind}:")).removeprefix(f"{kind}:")

        return check

    def _need(self, request: Request, enough: Callable[[str], bool]) -> str:
        role = self.role(request)
        if role is None:
            raise Denied("sign_in")
        if not enough(role):
            raise Denied("not_allowed")
        return role

    def install(self, app: FastAPI) -> None:
        """Add the sign-in pages, and the answers to those who have no role or another."""
        app.add_exception_handler(Denied, self._denied)
        app.include_router(self._router())

    async def _denied(self, request: Request, error: Exception) -> Response:
        code, wait = (error.code, error.wait_s) if isinstance(error, Denied) else ("sign_in", 0)
        status = _STATUS[code]
        headers = {"Retry-After": str(wait)} if wait else None
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        door = self._page + (f"?next={quote(here, safe='/')}" if request.method == "GET" else "")
        if request.headers.get("hx-request") == "true":
            return Response(status_code=status, headers={"HX-Redirect": self._page})
        if not wants_html(request):
            title = self._pages.message(code, wait=_duration(wait))
            said = {"type": "about:blank", "title": title, "status": status, "code": code}
            return JSONResponse(said, status, headers, media_type="application/problem+json")
        if status != HTTPStatus.UNAUTHORIZED:
            return self._pages.problem(request, status, code, back=door, headers=headers, detail={"wait": _duration(wait)})
        return RedirectResponse(door, HTTPStatus.SEE_OTHER)

    def _form(self, request: Request, path: str, *, status: int = 200, error: str = "", wait_s: int = 0) -> Response:
        headers = {"Retry-After": str(wait_s)} if wait_s else None
        errors = {"code": error} if error else {}
        return self._pages.render(
            request, "connexion.html", status, private=True, headers=headers, errors=errors, path=path, page=self._page
        )

    def _router(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        home = f"{self._pages.prefix}/"

        @router.get(self._page)
        async def show(request: Request, next: str = "") -> Response:  # noqa: A002 - the name in the address
            return self._form(request, safe_path(next, home))

        @router.post(self._page, dependencies=[Depends(same_origin)])
        async def enter(
            request: Request,
            code: Annotated[str, Form()] = "",
            next: Annotated[str, Form()] = "",  # noqa: A002 - the name in the form
        ) -> Response:
            path = safe_path(next, home)
            try:
                opens = self._opens(request, code)
            except Denied as denied:
                said = self._pages.message("too_many_tries", wait=_duration(denied.wait_s))
                return self._form(request, path, status=HTTPStatus.TOO_MANY_REQUESTS, error=said, wait_s=denied.wait_s)
            if not opens:
                said = self._pages.message("wrong_access_code")
                return self._form(request, path, status=HTTPStatus.UNPROCESSABLE_ENTITY, error=said)
            answer = RedirectResponse(path, HTTPStatus.SEE_OTHER)
            self.admit(answer, STAFF)
            return answer

        @router.post(f"{self._pages.prefix}/deconnexion", dependencies=[Depends(same_origin)])
        async def leave() -> Response:
            answer = RedirectResponse(self._page, HTTPStatus.SEE_OTHER)
            self.sign_out(answer)
            return answer

        return router


def _duration(seconds: int) -> str:
    minute = 60
    return plural(seconds, "seconde") if seconds < minute else plural(-(-seconds // minute), "minute")

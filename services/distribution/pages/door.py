"""Who stands before a page, and what refusals say there."""

from dataclasses import dataclass
from typing import Annotated, Any, get_args

from fastapi import Depends
from starlette.requests import Request
from starlette.responses import HTMLResponse

from services.distribution import store
from services.distribution.domain.book import Book
from services.distribution.domain.places import Structure
from shared.errors import Coded
from shared.events.base import DeviceType
from shared.http import At
from shared.ui import Pages, device
from shared.ui.access import STAFF, Access, Denied


@dataclass(frozen=True, slots=True)
class Visitor:
    """The staff, or a structure."""

    structure: Structure | None
    book: Book
    pages: Pages

    def show(self, request: Request, template: str, status: int = 200, *, private: bool = False, **context: Any) -> HTMLResponse:
        """Answer with a page that knows who looks at it."""
        return self.pages.render(request, template, status, private=private, visitor=self, book=self.book, **context)

    def said(self, error: Coded) -> str:
        """Say a refusal, device types in words."""
        kinds = get_args(DeviceType)
        return self.pages.message(
            error.code, **{name: device(str(value)) if value in kinds else value for name, value in error.detail.items()}
        )


async def visitor(request: Request, desk: At) -> Visitor:
    """Let the staff in, and structures while the link that they came by is open."""
    doors: Access = request.app.state.doors
    book: Book = request.app.state.book
    role = doors.role(request)
    if role is None:
        raise Denied("sign_in")
    if role == STAFF:
        return Visitor(None, book, request.app.state.pages)
    async with desk.read() as tx:
        name = await store.structure_of(tx, role)
    if name is None:
        raise Denied("sign_in" if role.startswith("structure:") else "not_allowed")
    return Visitor(book.atlas.structure(name), book, request.app.state.pages)


async def staff(who: Annotated[Visitor, Depends(visitor)]) -> Visitor:
    """Let the staff in."""
    if who.structure is not None:
        raise Denied("not_allowed")
    return who


Guest = Annotated[Visitor, Depends(visitor)]
Staff = Annotated[Visitor, Depends(staff)]

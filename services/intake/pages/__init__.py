"""Intake's pages for people: the form (`form`), what a donor follows (`tracking`), what the staff sees (`staff`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import Depends, Request

from services.intake.domain.offer import Terms
from services.intake.domain.story import Promises
from shared.errors import Malformed
from shared.ui import Access, Pages
from shared.ui.formats import local

LARGEST_FORM = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """What every page needs: made once, in `app`."""

    pages: Pages
    doors: Access
    terms: Terms
    promises: Promises
    words: Mapping[str, Any]
    draft_days: int

    def refurbisher(self, slug: str) -> str:
        """The name of a refurbisher and where it is; a new one shows by its slug until its name is in the words."""
        return str(self.words["refurbishers"].get(slug, slug.replace("-", " ").title()))


def house(request: Request) -> House:
    """Give the house to a page."""
    found: House = request.app.state.house
    return found


AtHome = Annotated[House, Depends(house)]


async def only_staff(request: Request) -> str:
    """Let the staff through; others go to the sign-in page."""
    return await house(request).doors.staff(request)


def day(moment: datetime) -> date:
    """The date that people see on that moment's calendar."""
    return local(moment).date()


async def posted(request: Request) -> dict[str, tuple[str, ...]]:
    """What a form sent, by field, as it was typed. Raises Malformed when it is no form, or larger than ours can be."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_FORM:
            raise Malformed("form_too_large")
    try:
        found = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=200, errors="replace")
    except ValueError:
        raise Malformed("malformed") from None
    return {name: tuple(values) for name, values in found.items()}

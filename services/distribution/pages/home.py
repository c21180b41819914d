"""What a structure sees first: what comes, what is here, what it asked for; and the page where it answers, by secret link or signed in."""

from collections.abc import Mapping
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.distribution import store
from services.distribution.domain import needs
from services.distribution.domain.offers import day
from services.distribution.domain.places import Structure
from services.distribution.domain.stock import Deliver, Item, item_id
from services.distribution.pages.door import Guest, Visitor
from shared.errors import Coded, Refused
from shared.events.base import DeviceType
from shared.http import At
from shared.ui import devices, same_origin
from shared.ui.access import Access, Denied

router = APIRouter()
TYPES: tuple[DeviceType, ...] = ("laptop", "desktop", "smartphone", "tablet", "screen", "printer")
"""What a structure can ask for: the types that have a price."""


def own(who: Visitor) -> Structure:
    """Give the structure who looks; the staff has none."""
    if who.structure is None:
        raise Denied("not_allowed")
    return who.structure


def still(who: Visitor, shown: object) -> None:
    """Refuse a form that was shown to another structure: another tab may have opened another space since."""
    if shown != (who.structure.id if who.structure else ""):
        raise Refused("structure_changed", structure=who.structure.name if who.structure else "")


@router.get("/")
async def home(request: Request, desk: At, who: Guest, noted: str = "") -> Response:
    """Show a structure what is given to it; the staff has its board."""
    if who.structure is None:
        return RedirectResponse("/distribution/tableau", 303)
    async with desk.read() as tx:
        items = await store.items_of(tx, who.structure.id)
        asked = await store.needs_of(tx, who.structure.id)
    coming = [item for item in items if item.status != "delivered"]
    here = [item for item in items if item.status == "delivered"]
    today = day(desk.now())
    prices: dict[UUID | None, int | None] = {}
    for item in here:
        try:
            prices[item.device_id] = who.book.quote(item, today).price_cents
        except Refused:
            prices[item.device_id] = None
    return who.show(
        request,
        "home.html",
        coming=coming,
        here=here,
        prices=prices,
        rows=served(asked),
        open_question=next((need for need in asked if need.status == "asked"), None),
        noted=noted[:100],
    )


def served(asked: list[needs.Need]) -> list[dict[str, object]]:
    """Count by type what was wanted and what was given, over all campaigns."""
    found: list[dict[str, object]] = []
    for kind in TYPES:
        wanted = sum(need.wanted.get(kind, 0) for need in asked)
        given = sum(need.given(kind) for need in asked)
        if wanted or given:
            found.append({"kind": kind, "wanted": wanted, "given": given})
    return found


@router.post("/recu", dependencies=[Depends(same_origin)])
async def received(desk: At, who: Guest, device: Annotated[UUID, Form()]) -> Response:
    """Note that a device has come."""
    structure = own(who)
    async with desk.read() as tx:
        items = await store.items_called(tx, str(device))
    await desk.carry_out([Deliver(id=item_id(device), structure=structure.id)])
    return RedirectResponse(f"/distribution/?noted={label(items)}", 303)


def label(items: list[Item]) -> str:
    """Give what stands on the label, for an address."""
    return "".join(c for c in (items[0].device_ref if items else "") if c.isalnum() or c in "-_.")


@router.get("/besoins")
async def needs_signed_in(request: Request, desk: At, who: Guest) -> Response:
    """Show the answer to the latest campaign that asked, or the standing need."""
    structure = own(who)
    async with desk.read() as tx:
        asked = await store.needs_of(tx, structure.id)
    need = asked[0] if asked else needs.Need(campaign=needs.STANDING)
    return form(request, who, structure, need, values(need))


@router.post("/besoins", dependencies=[Depends(same_origin)])
async def express_signed_in(request: Request, desk: At, who: Guest) -> Response:
    """Take the answer of a structure that is signed in, to the campaign that it was shown."""
    structure = own(who)
    posted = await request.form()
    still(who, posted.get("pour"))
    async with desk.read() as tx:
        asked = await store.needs_of(tx, structure.id)
    shown = next((need for need in asked if need.campaign == posted.get("campagne")), None)
    if shown is None and (asked or posted.get("campagne") != needs.STANDING):
        raise Refused("campaign_changed")
    return await take(request, desk, who, structure, shown or needs.Need(campaign=needs.STANDING))


@router.get("/besoins/{token}")
async def needs_by_link(request: Request, desk: At, token: str) -> Response:
    """Let a structure in by its secret link, to answer the campaign that sent it; who is signed in as another is asked first."""
    who, structure, need = await by_link(request, desk, token)
    if another(request, structure):
        return who.pages.render(
            request, "open.html", private=True, structure=structure, to=f"/distribution/besoins/{token}/ouvrir"
        )
    return admitted(request, form(request, who, structure, need, values(need), link=True), structure, token)


@router.post("/besoins/{token}/ouvrir", dependencies=[Depends(same_origin)])
async def open_by_link(request: Request, desk: At, token: str) -> Response:
    """Become that structure, whoever one was."""
    _, structure, _ = await by_link(request, desk, token)
    return admitted(request, RedirectResponse(f"/distribution/besoins/{token}", 303), structure, token)


@router.post("/besoins/{token}", dependencies=[Depends(same_origin)])
async def express_by_link(request: Request, desk: At, token: str) -> Response:
    """Take the answer of who has the link, cookie or not."""
    who, structure, need = await by_link(request, desk, token)
    answer = await take(request, desk, who, structure, need, link=True)
    return answer if another(request, structure) else admitted(request, answer, structure, token)


def another(request: Request, structure: Structure) -> bool:
    """Tell whether who asks is signed in as somebody else. A link that was slipped to them must not change who they are."""
    doors: Access = request.app.state.doors
    role = doors.role(request)
    return role is not None and not role.startswith(f"structure:{structure.id}:")


def admitted(request: Request, answer: Response, structure: Structure, token: str) -> Response:
    """Let who gets this answer in as the structure, as long as the link is open."""
    doors: Access = request.app.state.doors
    doors.admit(answer, store.role(structure.id, token))
    return answer


async def by_link(request: Request, desk: At, token: str) -> tuple[Visitor, Structure, needs.Need]:
    """Open a secret link."""
    book = request.app.state.book
    async with desk.read() as tx:
        found = await store.link(tx, store.fingerprint(token))
        if found is None or found[0] not in book.atlas.structures:
            raise Refused("link_unknown")
        need = await store.need(tx, needs.need_id(*found))
    structure = book.atlas.structures[found[0]]
    return Visitor(structure, book, request.app.state.pages), structure, need or needs.Need(campaign=found[1])


def values(need: needs.Need) -> dict[DeviceType, str]:
    """Write the answer into the fields; no answer yet leaves them empty."""
    return {kind: str(need.wanted.get(kind, 0)) for kind in TYPES} if need.status == "expressed" else {}


def form(
    request: Request,
    who: Visitor,
    structure: Structure,
    need: needs.Need,
    typed: Mapping[DeviceType, str],
    status: int = 200,
    *,
    link: bool = False,
    errors: Mapping[str, str] | None = None,
) -> Response:
    """Show the question."""
    return who.show(
        request,
        "needs.html",
        status,
        private=True,
        structure=structure,
        need=need,
        types=TYPES,
        values=typed,
        link=link,
        errors=dict(errors or {}),
        labels={kind: devices(kind) for kind in TYPES},
    )


async def take(
    request: Request, desk: At, who: Visitor, structure: Structure, need: needs.Need, *, link: bool = False
) -> Response:
    """Take the answer, or show again what was typed with what is wrong."""
    posted = await request.form()
    typed: dict[DeviceType, str] = {kind: str(posted.get(kind) or "")[:20] for kind in TYPES}
    wanted: dict[DeviceType, int] = {}
    errors: dict[str, str] = {}
    for kind in TYPES:
        plain = typed[kind].replace("\u00a0", "").replace(" ", "")
        if plain and not (plain.isascii() and plain.isdigit() and int(plain) <= needs.MOST):
            errors[kind] = f"Écrivez le nombre seul, entre 0 et {needs.MOST}, par exemple 24."
        else:
            wanted[kind] = int(plain or 0)
    if errors:
        return form(request, who, structure, need, typed, 422, link=link, errors=errors)
    command = needs.ExpressNeed(
        id=needs.need_id(structure.id, need.campaign),
        structure=structure.id,
        campaign=need.campaign,
        region=structure.region,
        wanted=wanted,
    )
    try:
        await desk.carry_out([command])
    except Refused as refusal:
        return form(request, who, structure, need, typed, 409, link=link, errors=refused(who, refusal))
    return RedirectResponse("/distribution/?noted=besoins", 303)


def refused(who: Visitor, refusal: Coded) -> dict[str, str]:
    """Put a refusal next to the field that it is about."""
    kind = refusal.detail.get("device_type")
    return {str(kind) if kind in TYPES else "": who.said(refusal)}

"""The consignments of a workshop: what comes, what is short or too many, and the word of the workshop on each.

What people say here goes the way of every partner's message: onto the workshop's own inbound topic, with a receipt.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.exceptions import HTTPException
from fastapi.responses import RedirectResponse

from services.refurb.pages import Looks, Visitor, named, show
from services.refurb.store import boards, rows
from shared.desk import Desk
from shared.events.base import DeviceType
from shared.http import At
from shared.ui import same_origin
from shared.ui.access import Denied

router = APIRouter(prefix="/refurb", include_in_schema=False)
SOURCE = "/maillon/console"
REASONS: Mapping[str, str] = {
    "no_capacity": "Plus de place cette semaine",
    "not_our_kind": "Ce type de matériel n'est pas le nôtre",
    "unsafe": "Envoi dangereux (batteries gonflées, casse)",
    "closed": "Atelier fermé",
}
MOST = 100_000
PLACES: tuple[DeviceType, ...] = ("laptop", "desktop", "smartphone", "tablet", "screen", "printer", "other")


def workshop(who: Looks) -> Visitor:
    """Only the people of a workshop speak for it; staff look on."""
    if who.refurbisher is None:
        raise Denied("not_allowed")
    return who


Speaks = Annotated[Visitor, Depends(workshop)]


async def tell(desk: Desk, who: Visitor, kind: str, key: str, value: Mapping[str, Any], ce_id: str) -> None:
    """Say something for the workshop, as its own system would. The same id again is answered once."""
    headers = {
        "ce_specversion": "1.0",
        "ce_id": ce_id,
        "ce_source": SOURCE,
        "ce_type": f"partner.{kind}.v1",
        "ce_time": datetime.now(UTC).isoformat(),
        "content-type": "application/json",
    }
    raw = json.dumps(value, ensure_ascii=False).encode()
    await desk.publish(f"refurb.inbound.{who.refurbisher}", [(key.encode(), raw, headers)])


def new_id() -> str:
    """The id of what a form will say: made when the form is shown, so that a form sent twice says it once."""
    return str(uuid4())


def the_id(given: str) -> str:
    """The id that the form came with. Anything else that was put there is no id of ours.

    A message adds to it what it says, where a form may come twice with something else: that is another message.
    """
    try:
        return str(UUID(given))
    except ValueError:
        return new_id()


def compared(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Where the numbers of a consignment part, each with its state: declared by the donor, counted and announced by the workshop."""
    declared, counted, announced = sum((row["declared"] or {}).values()), row["counted"], row["announced"]
    said: list[tuple[str, str]] = []
    if counted is not None and counted < declared:
        said.append(("warn", f"{declared - counted} de moins que déclaré"))
    if counted is not None and counted > declared:
        said.append(("info", f"{counted - declared} de plus que déclaré"))
    if counted is not None and announced < counted:
        said.append(("wait", f"{counted - announced} à identifier"))
    if counted is not None and announced > counted:
        said.append(("warn", f"{announced - counted} de plus que compté"))
    if row["lost"]:
        said.append(("bad", f"{row['lost']} introuvable{'s' if row['lost'] > 1 else ''}"))
    return said


def done(consignment: Mapping[str, Any]) -> bool:
    """Tell whether each device that was counted is ready, sold, scrapped or lost."""
    counted = consignment["counted"]
    return counted is not None and max(counted, consignment["announced"]) <= consignment["settled"]


@router.get("/envois")
async def consignments(request: Request, desk: At, who: Looks, dit: str = "") -> Response:
    """The consignments that go on, and the donors whose gifts are often not what they announced."""
    rule = desk.state["nonconformity"]
    async with desk.read() as tx:
        found = await rows.consignments(tx, who.refurbisher)
        gifts = await boards.gifts(tx, who.refurbisher, least=rule["least_devices"])
    listed = [
        {
            **c,
            "atelier": named(desk, c["refurbisher"]),
            "done": done(c),
            "gaps": compared(c),
            "declared": sum(c["declared"].values()),
        }
        for c in found
    ]
    return show(
        desk,
        request,
        "consignments.html",
        who,
        consignments=listed,
        gifts=[gift for gift in gifts if gift.percent >= rule["alert_percent"]],
        rule=rule,
        speaks=who.refurbisher is not None,
        said=dit in {"recu", "refus", "places"},
    )


async def known(desk: Desk, who: Visitor, consignment_id: UUID) -> Mapping[str, Any]:
    async with desk.read() as tx:
        found = await boards.consignment(tx, who.refurbisher, consignment_id)
    if found is None:
        raise HTTPException(404)
    return found


def one(
    desk: Desk,
    request: Request,
    who: Visitor,
    row: Mapping[str, Any],
    status: int = 200,
    *,
    typed: str | None = None,
    errors: Mapping[str, str] | None = None,
    ask: str = "",
    stop: str = "",
) -> Response:
    """The page of one consignment. `stop`: why what was just sent cannot be, when no field can be mended."""
    return show(
        desk,
        request,
        "consignment.html",
        who,
        status,
        row=row,
        atelier=named(desk, row["refurbisher"]),
        typed=typed,
        errors=errors or {},
        ask=ask or new_id(),
        stop=stop,
        reasons=list(REASONS.items()),
        speaks=who.refurbisher is not None,
    )


@router.post("/envois/{consignment_id}/recu", dependencies=[Depends(same_origin)])
async def arrived(
    consignment_id: UUID,
    request: Request,
    desk: At,
    who: Speaks,
    counted: Annotated[str, Form()] = "",
    corrects: Annotated[str, Form()] = "",
    id: Annotated[str, Form()] = "",  # noqa: A002 the name of the field
) -> Response:
    """It is here, and counted; or it was counted again, and the form names the count that it replaces."""
    row = await known(desk, who, consignment_id)
    number, before = counted.strip(), row["counted"]
    if row["arrival"] == "turned_down":
        stop = "Vous avez refusé cet envoi. Prévenez l'équipe s'il est quand même arrivé."
        return one(desk, request, who, row, 422, stop=stop)
    wrong = ""
    if not whole(number):
        wrong = "Écrivez le nombre d'appareils en chiffres, par exemple 12."
    elif before is not None and int(number) != before and corrects != str(before):
        wrong = f"Vous aviez compté {before} : ce compte est gardé. Pour le corriger en {int(number)}, validez ci-dessous."
    if wrong:
        return one(desk, request, who, row, 422, typed=counted[:20], errors={"counted": wrong}, ask=the_id(id))
    said: dict[str, Any] = {"consignment_id": str(consignment_id), "counted": int(number)}
    if whole(corrects):
        said["corrects"] = int(corrects)
    await tell(desk, who, "consignment_received", str(consignment_id), said, f"{the_id(id)}-{int(number)}")
    return RedirectResponse("/refurb/envois?dit=recu", 303)


@router.post("/envois/{consignment_id}/refus", dependencies=[Depends(same_origin)])
async def refused(
    consignment_id: UUID,
    request: Request,
    desk: At,
    who: Speaks,
    reason: Annotated[str, Form()] = "",
    id: Annotated[str, Form()] = "",  # noqa: A002 the name of the field
) -> Response:
    """The workshop cannot take it: it goes to another one."""
    row = await known(desk, who, consignment_id)
    if row["counted"] is not None:
        stop = "Vous avez déjà dit que cet envoi est arrivé : il ne peut plus être refusé."
        return one(desk, request, who, row, 422, stop=stop)
    if reason not in REASONS:
        wrong = {"reason": "Choisissez un motif."}
        return one(desk, request, who, row, 422, errors=wrong, ask=the_id(id))
    said = {"consignment_id": str(consignment_id), "reason": reason}
    await tell(desk, who, "consignment_refused", str(consignment_id), said, f"{the_id(id)}-{reason}")
    return RedirectResponse("/refurb/envois?dit=refus", 303)


@router.get("/envois/{consignment_id}/recu")
@router.get("/envois/{consignment_id}/refus")
async def asked(consignment_id: UUID) -> Response:
    """Lead who typed the address of a form, or came back to it, to the page that has it."""
    return RedirectResponse(f"/refurb/envois/{consignment_id}", 303)


@router.get("/envois/{consignment_id}")
async def consignment(consignment_id: UUID, request: Request, desk: At, who: Looks) -> Response:
    """One consignment, and what the workshop can say of it."""
    row = await known(desk, who, consignment_id)
    return one(desk, request, who, row)


@router.get("/capacite")
async def capacity(request: Request, desk: At, who: Speaks) -> Response:
    """What the workshop last said that it takes in a week."""
    async with desk.read() as tx:
        last = await boards.capacity(tx, who.refurbisher)
    typed = {kind: str(last[kind]) for kind in PLACES if kind in last}
    return show(desk, request, "capacity.html", who, kinds=PLACES, typed=typed, errors={}, ask=new_id())


@router.post("/capacite", dependencies=[Depends(same_origin)])
async def places(request: Request, desk: At, who: Speaks) -> Response:
    """How many devices of each type the workshop takes in a week. An empty field: none of these."""
    form = await request.form()
    typed = {kind: str(form.get(kind) or "").strip()[:20] for kind in PLACES}
    errors = {kind: "Écrivez un nombre en chiffres." for kind, text in typed.items() if text and not whole(text)}
    ask = the_id(str(form.get("id") or ""))
    if errors:
        return show(desk, request, "capacity.html", who, 422, kinds=PLACES, typed=typed, errors=errors, ask=ask)
    said = {kind: int(text) for kind, text in typed.items() if text}
    await tell(desk, who, "capacity_declared", str(who.refurbisher), {"weekly_places": said}, ask)
    return RedirectResponse("/refurb/envois?dit=places", 303)


def whole(text: str) -> bool:
    """Whether it is a number that the contract takes."""
    return text.isascii() and text.isdigit() and len(text) <= len(str(MOST)) and int(text) <= MOST

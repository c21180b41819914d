"""One medium and its chain: the devices it was in, the proofs, where it went; and the word of staff where two devices name it."""

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.exceptions import HTTPException
from fastapi.responses import RedirectResponse

from services.refurb.domain.chain import Link, chain
from services.refurb.domain.device import WithdrawAudit
from services.refurb.domain.holding import Holding, SettleDispute
from services.refurb.pages import Looks, Visitor, show
from services.refurb.store import boards, rows
from shared.aggregate import Command
from shared.desk import Desk
from shared.errors import Refused
from shared.http import At
from shared.ui import same_origin
from shared.ui.access import Denied

router = APIRouter(prefix="/refurb", include_in_schema=False)
WORDS: Mapping[str, tuple[str, str]] = {
    "seen": ("done", "Relevé dans l'appareil"),
    "proven": ("done", "Effacement prouvé"),
    "not_proven": ("cut", "Effacement non prouvé"),
    "ready": ("done", "L'appareil est prêt"),
    "scrapped": ("cut", "L'appareil est au rebut"),
    "sold": ("done", "L'appareil est vendu"),
    "lost": ("cut", "L'appareil est introuvable"),
    "found": ("done", "L'appareil est retrouvé"),
    "taken_back": ("cut", "L'appareil est sorti du stock"),
    "to_device": ("done", "Retiré pour un autre appareil"),
    "to_spare": ("done", "Retiré, gardé en réserve"),
    "to_destroyed": ("done", "Retiré et détruit"),
    "to_unknown": ("cut", "N'est plus dans l'audit, destination inconnue"),
}


@router.get("/supports/{serial:path}")
async def medium(serial: str, request: Request, desk: At, who: Looks, dit: str = "") -> Response:
    """What is known of a medium, by its serial number."""
    return await page(desk, request, who, serial, settled=dit == "regle")


@router.post("/supports/{serial:path}", dependencies=[Depends(same_origin)])
async def settle(
    serial: str,
    request: Request,
    desk: At,
    who: Looks,
    device_id: Annotated[UUID, Form()],
    how: Annotated[str, Form()] = "",
) -> Response:
    """Staff looked, and say where a medium is that two devices name."""
    if who.refurbisher is not None:
        raise Denied("not_allowed")
    async with desk.read() as tx:
        found = await boards.holding(tx, serial)
    if found is None:
        raise HTTPException(404)
    if how not in {"moved", "shared"}:
        return await page(desk, request, who, serial, 422, errors={"how": "Choisissez une des deux réponses."})
    settling: list[Command] = [SettleDispute(id=found[0], device_id=device_id, shared=how == "shared")]
    holder = found[1].holder
    if how == "moved" and holder not in {None, device_id}:  # in one transaction: its audit must not make it ready later
        settling.append(WithdrawAudit(id=holder, serial=found[1].serial))
    try:
        await desk.carry_out(settling)
    except Refused as error:
        if error.code != "medium_not_out":
            raise
        wrong = f"{found[1].holder_ref} n'est pas encore sorti de l'atelier : demandez-lui de dire que le support en est parti."
        return await page(desk, request, who, serial, 422, errors={"how": wrong})
    return RedirectResponse(f"/refurb/supports/{quote(serial, safe='')}?dit=regle", 303)


async def page(
    desk: Desk,
    request: Request,
    who: Visitor,
    serial: str,
    status: int = 200,
    *,
    settled: bool = False,
    errors: Mapping[str, str] | None = None,
) -> Response:
    """A medium: where it is, what is disputed about it, its chain. A workshop sees its own devices alone."""
    async with desk.read() as tx:
        found = await boards.with_medium(tx, who.refurbisher, serial[:200])
        lives = [(device_id, device.device_ref, await rows.history(tx, device_id)) for device_id, device in found]
        kept = await boards.holding(tx, serial[:200])
    held = kept[1] if kept else Holding()
    disputes = [place for place in held.disputed if who.refurbisher in {None, place.refurbisher}]
    if not found and not disputes and (kept is None or who.refurbisher is not None):
        raise HTTPException(404)
    here = [device.device_ref for _, device in found if device.audit and any(m.serial == serial for m in device.audit.media)]
    devices = {device_id: device.device_ref for device_id, device in found} | {p.device_id: p.device_ref for p in disputes}
    return show(
        desk,
        request,
        "medium.html",
        who,
        status,
        serial=serial,
        steps=[step(desk.state["words"], link) for link in chain(serial, lives)],
        devices=[(f"/refurb/appareils/{device_id}", ref) for device_id, ref in devices.items()],
        places=here,
        holder=held.holder_ref,
        left=held.left,
        admitted=held.admitted,
        disputes=disputes,
        settled=settled,
        errors=errors or {},
    )


def step(words: Mapping[str, str], link: Link) -> dict[str, object]:
    state, title = WORDS[link.what]
    detail = words.get(link.detail, link.detail) if link.what == "not_proven" else link.detail
    text = f"{link.device_ref}{', ' if detail else ''}{detail}"
    return {"state": state, "title": title, "when": link.at, "hour": True, "text": text, "badge": ""}

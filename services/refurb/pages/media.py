"""One medium and its chain: the devices it was in, the proofs, where it went."""

from collections.abc import Mapping

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import HTTPException

from services.refurb.domain.chain import Link, chain
from services.refurb.pages import Looks, show
from services.refurb.store import boards, rows
from shared.http import At

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
async def medium(serial: str, request: Request, desk: At, who: Looks) -> Response:
    """What is known of a medium, by its serial number."""
    async with desk.read() as tx:
        found = await boards.with_medium(tx, who.refurbisher, serial[:200])
        lives = [(device_id, device.device_ref, await rows.history(tx, device_id)) for device_id, device in found]
    if not found:
        raise HTTPException(404)
    here = [device.device_ref for _, device in found if device.audit and any(m.serial == serial for m in device.audit.media)]
    steps = [step(desk.state["words"], link) for link in chain(serial, lives)]
    devices = [(f"/refurb/appareils/{device_id}", device.device_ref) for device_id, device in found]
    return show(desk, request, "medium.html", who, serial=serial, steps=steps, devices=devices, places=here)


def step(words: Mapping[str, str], link: Link) -> dict[str, object]:
    state, title = WORDS[link.what]
    detail = words.get(link.detail, link.detail) if link.what == "not_proven" else link.detail
    text = f"{link.device_ref}{', ' if detail else ''}{detail}"
    return {"state": state, "title": title, "when": link.at, "hour": True, "text": text, "badge": ""}

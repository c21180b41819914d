"""The pages of refurb, in French: for the people of a workshop and for staff. A partner sees its own devices and nothing else."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import PlainTextResponse, RedirectResponse

from services.refurb.domain import contract
from services.refurb.domain.device import Device
from services.refurb.settings import RefurbSettings
from services.refurb.store import rows
from shared.desk import Desk
from shared.events import partner
from shared.http import At
from shared.ui import Access, Pages, same_origin
from shared.ui.access import STAFF, Denied

router = APIRouter(prefix="/refurb", include_in_schema=False)
KEYS: Mapping[str, str] = {"partner.capacity_declared.v1": "le nom court de l'atelier"}

SETTLED: Mapping[str, str] = {
    "sold": "Il est vendu : ce qui a été prouvé est réglé, et un rapport n'y change plus rien. S'il revient, l'atelier le dit d'abord.",
    "in_repair": "Il est en réparation sous garantie, avec les données de son propriétaire : aucun rapport n'est attendu.",
    "scrapped": "Il est au rebut : un rapport n'y change plus rien.",
    "lost": "Il est introuvable. Quand il est retrouvé, l'atelier le dit d'abord, puis dépose le rapport.",
}
"""States in which no report has an effect, and why."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who looks: staff (`refurbisher` is None), or the people of one refurbisher."""

    refurbisher: str | None

    def may_see(self, device: Device) -> bool:
        """Tell whether a device is theirs to see. One that is only announced is nobody's yet."""
        return device.status != "expected" and self.refurbisher in {None, device.refurbisher}


def visitor(request: Request, desk: At) -> Visitor:
    """Let staff and partners through; others go to the sign-in page."""
    role = cast("Access", desk.state["doors"]).role(request)
    if role is None:
        raise Denied("sign_in")
    if role == STAFF:
        return Visitor(None)
    if role.startswith("partner:"):
        return Visitor(role.removeprefix("partner:"))
    raise Denied("not_allowed")


Looks = Annotated[Visitor, Depends(visitor)]


def show(desk: Desk, request: Request, template: str, who: Visitor | None, status: int = 200, **context: Any) -> Response:
    """Answer with a page, its frame filled in. Never stored: Back asks anew, so no form comes again with an id that has served."""
    known = desk.state["refurbishers"].get(who.refurbisher, {}) if who else {}
    place = f"{known['name']}, {known['town']}" if known else "Tous les ateliers" if who else ""
    pages: Pages = desk.state["pages"]
    return pages.render(
        request,
        template,
        status,
        place=place,
        here=request.url.path,
        signed_in=who is not None,
        staff=bool(who and not known),
        headers={"Cache-Control": "no-store"},
        **context,
    )


def named(desk: Desk, slug: str) -> str:
    return str(desk.state["refurbishers"].get(slug, {}).get("name", slug))


@router.get("/")
async def home() -> Response:
    """Lead to the list."""
    return RedirectResponse("/refurb/appareils", 303)


@router.get("/reponses")
async def answers(request: Request, desk: At, who: Looks, vue: str = "refus") -> Response:
    """The receipts, those that ask for something first."""
    async with desk.read() as tx:
        found = await rows.receipts(tx, who.refurbisher, rejected=vue != "toutes")
    listed = [{"at": at, "receipt": r, "atelier": named(desk, r.refurbisher)} for at, r in found]
    return show(
        desk, request, "receipts.html", who, receipts=listed, days=rows.LAST_DAYS, view="toutes" if vue == "toutes" else "refus"
    )


@router.get("/partenaires")
async def partners(request: Request, desk: At) -> Response:
    """The contract, explained, and the door for those who have a key. Anyone may read it."""
    return show(desk, request, "partners.html", guest(request, desk), kinds=kinds())


def guest(request: Request, desk: Desk) -> Visitor | None:
    """Who looks at a page that is open to all: it keeps its frame for those who are signed in."""
    try:
        return visitor(request, desk)
    except Denied:
        return None


def kinds() -> list[dict[str, str]]:
    """The messages of the contract, for the table."""
    return [{"type": k.type, "key": KEYS.get(k.type) or contract.KEYS.get(k.type, "device_ref")} for k in partner.MESSAGES]


@router.post("/partenaires", dependencies=[Depends(same_origin)])
async def enter(request: Request, desk: At, key: Annotated[str, Form()] = "") -> Response:
    """Let a partner in with its API key."""
    digest = hashlib.sha256(key.strip().encode()).hexdigest()
    for slug, known in cast("RefurbSettings", desk.settings).refurb_api_keys.items():
        if any(hmac.compare_digest(each.lower(), digest) for each in known):
            answer = RedirectResponse("/refurb/appareils", 303)
            desk.state["doors"].admit(answer, f"partner:{slug}")
            return answer
    wrong = {"key": "Cette clé n'est pas la bonne. Copiez-la en entier, sans espace, puis réessayez."}
    return show(desk, request, "partners.html", None, 422, kinds=kinds(), errors=wrong)


@router.get("/contrat/{path:path}")
async def documents(path: str) -> Response:
    """The contract's documents, as committed in docs/partners/."""
    text = contract.files().get(path)
    return Response(text, media_type="application/json") if text else PlainTextResponse("", 404)

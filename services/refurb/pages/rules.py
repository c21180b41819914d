"""The grading rules and their versions; what a draft would change in the stock before anybody enacts it."""

import csv
import io

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import HTTPException

from services.refurb.domain import regrading
from services.refurb.domain.regrading import Effect
from services.refurb.pages import Looks, Visitor, named, show
from services.refurb.store import boards
from shared.desk import Desk
from shared.http import At

router = APIRouter(prefix="/refurb", include_in_schema=False)


async def computed(desk: Desk, who: Visitor, version: str) -> tuple[Effect, int]:
    """What `version` would make of the stock, and how many grades do not come out again under the rules of their day."""
    rules = desk.state["rules"]
    if version not in rules.versions:
        raise HTTPException(404)
    found, broken, after = Effect(version=version), 0, None
    async with desk.read() as tx:
        while page := await boards.graded(tx, who.refurbisher, after):
            part = regrading.effect(page, rules, version, most=1_000 - len(found.changes))
            found.devices += part.devices
            found.moves += part.moves
            found.changes += part.changes
            broken += sum(not regrading.stands(device, rules) for _, device in page)
            after = page[-1][0]
    return found, broken


@router.get("/regles")
async def page(request: Request, desk: At, who: Looks, version: str = "") -> Response:
    """The versions, and the effect of one of them: the draft that runs in shadow, unless another is asked for."""
    rules, draft = desk.state["rules"], desk.state["draft"]
    shown = version or draft or rules.computers
    found, broken = await computed(desk, who, shown)
    changes = [(change, named(desk, change.refurbisher)) for change in found.changes[:200]]
    return show(
        desk,
        request,
        "rules.html",
        who,
        versions=regrading.dates(rules),
        force=rules.computers,
        draft=draft,
        phone=rules.smartphone["id"],
        effect=found,
        broken=broken,
        changes=changes,
        order=[*reversed(regrading.ORDER)],
        hints=desk.state["hints"],
    )


@router.get("/regles/{version}.csv")
async def changes(version: str, desk: At, who: Looks) -> Response:
    """The devices that would change, as CSV; 1,000 at most."""
    found, _ = await computed(desk, who, version)
    out = io.StringIO()
    writer = csv.writer(out, delimiter=";")
    writer.writerow(["atelier", "appareil", "categorie", f"categorie_{version}", "motif"])
    for change in found.changes:
        writer.writerow([change.refurbisher, change.device_ref, change.now, change.then or "", change.why or ""])
    headers = {"Content-Disposition": f'attachment; filename="regles-{version}.csv"', "Cache-Control": "no-store"}
    return Response("\ufeff" + out.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)

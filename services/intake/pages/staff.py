"""Donations as the staff sees them: a list to search, a page each, a decision where the rules need a person."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from services.intake import store
from services.intake.domain.donation import AcceptDonation, Command, DeclineDonation
from services.intake.pages import AtHome, House, only_staff, posted
from services.intake.pages.tracking import renewed, told
from shared.desk import Desk
from shared.errors import Malformed, NotYet
from shared.http import At
from shared.ui import same_origin

router = APIRouter(prefix="/intake", include_in_schema=False, dependencies=[Depends(only_staff)])

PAGE = 50
STATES = ("", "accepted", "declined", "withdrawn")
TABS = {"": "Tous", "accepted": "Acceptés", "declined": "Refusés", "withdrawn": "Retirés"}


@router.get("/dons")
async def donations(request: Request, home: AtHome, desk: At, q: str = "", etat: str = "", page: int = 1) -> Response:
    """The list, latest first."""
    text, status, number = (
        " ".join(q.replace("\x00", "").split())[:100],
        etat if etat in STATES else "",
        max(1, min(page, 10_000)),
    )
    async with desk.read() as tx:
        rows = await store.search(tx, text, status, limit=PAGE + 1, offset=PAGE * (number - 1))
        counts = await store.count_by_status(tx)
    counts[""] = sum(counts.values())
    return home.pages.render(
        request,
        "donations.html",
        private=True,
        rows=rows[:PAGE],
        more=len(rows) > PAGE,
        q=text,
        state=status,
        page=number,
        total=counts.get(status, 0),
        tabs=[(TABS[one], f"/intake/dons?etat={one}" if one else "/intake/dons", counts.get(one, 0)) for one in STATES],
        outcomes=home.words["outcomes"],
        regions=home.words["regions"],
    )


@router.get("/dons/{donation_id}")
async def donation(request: Request, donation_id: UUID, home: AtHome, desk: At) -> Response:
    """One donation, with the people it concerns."""
    return await _page(request, donation_id, home, desk, {})


@router.post("/dons/{donation_id}/decision", dependencies=[Depends(same_origin)])
async def settle(request: Request, donation_id: UUID, home: AtHome, desk: At) -> Response:
    """A person decides otherwise than the rules, and says why."""
    form = {name: values[0] for name, values in (await posted(request)).items()}
    reason = form.get("reason", "")
    if reason not in home.terms.rules.by_hand:
        said = home.pages.message("choose_a_reason")
        return await _page(request, donation_id, home, desk, {"reason": said}, status=422)
    heard = await _heard(desk, donation_id)
    collected = any(step.code in {"collected", "delivered"} for one in heard.consignments.values() for step in one.steps)
    command: Command
    match form.get("decision"):
        case "accept":
            command = AcceptDonation(id=donation_id, at=desk.now(), reason=reason)
        case "decline":
            command = DeclineDonation(id=donation_id, at=desk.now(), reason=reason, collected=collected)
        case _:
            raise Malformed("malformed")
    await desk.carry_out([command])
    return RedirectResponse(f"/intake/dons/{donation_id}", 303)


@router.post("/dons/{donation_id}/lien", dependencies=[Depends(same_origin)])
async def renew(request: Request, donation_id: UUID, home: AtHome, desk: At) -> Response:
    """A new tracking link for a donor who lost it, or whose link is in other hands; the staff passes it on."""
    form = await posted(request)
    heard = await _heard(desk, donation_id)
    if not form.get("confirmed"):
        return home.pages.render(
            request,
            "confirm.html",
            private=True,
            title=f"Faire un nouveau lien pour le don {heard.donation.reference} ?",
            text="L'ancien n'ouvrira plus rien. Le nouveau s'affiche sur la page du don : transmettez-le à la personne qui donne.",
            verb="Faire un nouveau lien",
            keep="Garder ce lien",
            to=f"/intake/dons/{donation_id}/lien",
            fields={},
            back=f"/intake/dons/{donation_id}",
        )
    await renewed(home, desk, heard)
    return RedirectResponse(f"/intake/dons/{donation_id}?noted=lien#h-suivi", 303)


async def _heard(desk: Desk, donation_id: UUID) -> store.Heard:
    async with desk.read() as tx:
        heard = await store.hear(tx, donation_id)
    if heard is None:
        raise NotYet("donation_unknown")
    return heard


async def _page(
    request: Request, donation_id: UUID, home: House, desk: Desk, problems: dict[str, str], *, status: int = 200
) -> Response:
    """The page of one donation. What the vault holds is read here and nowhere else; the forgotten show as such."""
    heard = await _heard(desk, donation_id)
    people: dict[str, Any] = {"contact": None, "donor": None}
    async with desk.read() as tx:
        if heard.donation.contact:
            people["contact"] = await desk.vault.read(tx, heard.donation.contact)
        if heard.donation.donor and heard.donation.donor.person:
            people["donor"] = await desk.vault.read(tx, heard.donation.donor.person)
        token = await store.tracking_token(tx, home.terms.key, donation_id)
    fields = home.terms.questions.fields
    return home.pages.render(
        request,
        "donation.html",
        status,
        private=True,
        id=donation_id,
        people=people,
        tracking=store.tracking_url(desk.settings.public_url, token) if token else "",
        noted=request.query_params.get("noted", ""),
        consignments=list(heard.consignments.items()),
        errors=problems,
        say=home.terms.rules.say,
        by_hand=home.terms.rules.by_hand,
        outcomes=home.words["outcomes"],
        regions=home.words["regions"],
        donor_statuses=home.words["donor_status"],
        label=lambda name, code: fields[name].codes.get(code, code),
        access=", ".join(
            fields["access"].codes.get(code, code) for code in (heard.donation.codes.access if heard.donation.codes else ())
        ),
        **told(home, desk, heard),
    )

"""What became of a donation, behind a secret link: the story, the counts, what is late, the certificate."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from services.intake import store
from services.intake.domain import story
from services.intake.domain.chain import Certificate, Consignment
from services.intake.domain.donation import WithdrawDonation
from services.intake.domain.story import Story, Told
from services.intake.pages import AtHome, House, day, posted
from shared import passes
from shared.db import Tx
from shared.desk import Desk
from shared.errors import NotYet
from shared.http import At
from shared.ui import date_fr, fr, percent, plural, same_origin

router = APIRouter(prefix="/intake", include_in_schema=False)
FORM = [Depends(same_origin)]
CLOSES = "L'ancien lien n'ouvrira plus rien, pour vous comme pour ceux qui l'ont. Le nouveau s'affiche aussitôt : gardez-le."


@router.get("/suivi/{secret}")
async def follow(request: Request, secret: str, home: AtHome, desk: At, noted: str = "") -> Response:
    """The tracking page; after a change of its link it begins with the new one, to be kept."""
    heard = await opened(desk, secret)
    fresh = store.tracking_url(desk.settings.public_url, secret) if noted == "lien" else ""
    return home.pages.render(request, "tracking.html", private=True, secret=secret, fresh=fresh, **told(home, desk, heard))


@router.post("/suivi/{secret}/retirer", dependencies=FORM)
async def withdraw(request: Request, secret: str, home: AtHome, desk: At) -> Response:
    """The donor changed its mind: asked once more, then done."""
    form = await posted(request)
    heard = await opened(desk, secret)
    if not form.get("confirmed"):
        return home.pages.render(
            request,
            "confirm.html",
            private=True,
            title=f"Retirer le don {heard.donation.reference} ?",
            text="L'enlèvement sera annulé et l'atelier prévenu. Pour donner plus tard, il faudra répondre à nouveau aux six questions.",
            verb="Retirer mon don",
            keep="Garder mon don",
            to=f"/intake/suivi/{secret}/retirer",
            fields={},
            back=f"/intake/suivi/{secret}",
        )
    collected = any(step.code in {"collected", "delivered"} for one in heard.consignments.values() for step in one.steps)
    await desk.carry_out([WithdrawDonation(id=heard.id, at=desk.now(), reason="donor", collected=collected)])
    return RedirectResponse(f"/intake/suivi/{secret}", 303)


@router.post("/suivi/{secret}/changer", dependencies=FORM)
async def change(request: Request, secret: str, home: AtHome, desk: At) -> Response:
    """A new secret link, after asking once; the old one opens nothing any more."""
    form = await posted(request)
    heard = await opened(desk, secret)
    if not form.get("confirmed"):
        return home.pages.render(
            request,
            "confirm.html",
            private=True,
            title="Changer le lien de suivi ?",
            text=CLOSES,
            verb="Changer le lien",
            keep="Garder ce lien",
            to=f"/intake/suivi/{secret}/changer",
            fields={},
            back=f"/intake/suivi/{secret}",
        )
    fresh = await renewed(home, desk, heard)
    return RedirectResponse(f"/intake/suivi/{fresh}?noted=lien", 303, {"Referrer-Policy": "no-referrer"})


async def renewed(home: House, desk: Desk, heard: store.Heard) -> str:
    """Change the link of a donation; gives the new secret."""
    fresh: list[str] = []

    async def renew(tx: Tx) -> None:
        fresh[:] = [await store.change_link(tx, home.terms.key, heard.id)]

    await desk.carry_out([], renew)
    return fresh[0]


async def opened(desk: Desk, secret: str) -> store.Heard:
    """What the link opens. Raises NotYet when it opens nothing."""
    async with desk.read() as tx:
        found = await store.by_link(tx, secret)
        heard = await store.hear(tx, found) if found else None
    if heard is None:
        raise NotYet("link_unknown")
    return heard


def told(home: House, desk: Desk, heard: store.Heard) -> dict[str, Any]:
    """Everything the template shows, in words."""
    today = day(desk.now())
    made = story.tell(
        heard.donation,
        heard.consignments,
        heard.devices,
        heard.certificates,
        heard.sales,
        today=today,
        promises=home.promises,
    )
    certificates = [
        {
            "number": one.number,
            "erased": one.erased,
            "devices": one.devices,
            "at": one.issued_at,
            "href": _document(desk, one.number),
        }
        for one in heard.certificates.values()
        if one.replaced_by is None
    ]
    missing = sum(one.not_erased for one in heard.certificates.values() if one.replaced_by is None)
    sales = {sale.device_id: sale for sale in heard.sales.values()}
    return {
        "donation": heard.donation,
        "story": made,
        "headline": home.words["headlines"][made.headline].format(missing=plural(missing, "appareil")),
        "steps": [_step(home, heard, made, step) for step in made.steps],
        "late": [home.words["late"][one.name].format(due=date_fr(one.due)) for one in made.late],
        "refurbishers": {one.refurbisher: home.refurbisher(one.refurbisher) for one in heard.consignments.values()},
        "conditions": [home.terms.rules.say(code) for code in heard.donation.conditions],
        "certificates": certificates,
        "replaced": [{"number": c.number, "by": c.replaced_by} for c in heard.certificates.values() if c.replaced_by],
        "devices": [
            {
                "device": device,
                "status": "sold" if stream in sales else device.status,
                "why": _why(home, device.status, device.detail),
            }
            for stream, device in heard.devices.items()
        ],
        "sales": list(heard.sales.values()),
        "closes": CLOSES,
        "can_withdraw": heard.donation.status == "accepted" and made.collected is None and made.received is None,
    }


def _document(desk: Desk, number: str) -> str:
    """Where certs gives the document to whoever this page lets through, for seven days."""
    right = passes.issue(desk.settings.session_secret.get_secret_value(), f"certificate:{number}")
    return f"/certs/documents/{number}?droit={right}"


def _why(home: House, status: str, detail: str) -> str:
    if status != "scrapped":
        return ""
    reasons: Mapping[str, str] = home.words["scrapped"]
    return reasons.get(detail, reasons["not_repairable"])


def _step(home: House, heard: store.Heard, made: Story, step: Told) -> dict[str, Any]:
    """One ring of the chain: its title says whether it is done."""
    done, to_come = home.words["steps"][step.name]
    title = done if step.state == "done" else to_come
    if step.state == "cut":
        title = "Retiré" if heard.donation.status == "withdrawn" else home.words["outcomes"][heard.donation.outcome][1]
    shown: dict[str, Any] = {
        "title": title,
        "state": step.state,
        "when": step.when,
        "text": " ".join(_text(home, heard, made, step)),
    }
    if step.state == "cut":
        shown["badge"] = ""
    return shown


def _text(home: House, heard: store.Heard, made: Story, step: Told) -> list[str]:
    """What there is to say about a step, in sentences."""
    donation, going = heard.donation, {key: one for key, one in heard.consignments.items() if one.ended is None}
    if step.state == "cut" and donation.status == "withdrawn":
        return ["Vous avez retiré votre proposition. Rien ne sera enlevé."]
    match step.name:
        case "offered":
            return [f"{plural(made.declared, 'appareil déclaré', 'appareils déclarés')}."]
        case "decided":
            return [home.terms.rules.say(code) for code in donation.reasons]
        case "assigned":
            return [_refused(home, one) for one in heard.consignments.values() if one.ended == "refused"] + [
                _chosen(home, one) for one in going.values()
            ]
        case "collected":
            return _collection(made, going)
        case "counted" if made.received is not None and step.state == "done":
            return [_difference(made.received, made.declared)]
        case "settled" if made.ready or made.scrapped:
            return _settled(made)
        case "certified":
            return [_certified(one) for one in heard.certificates.values() if one.replaced_by is None]
        case "sold" if made.sold:
            return [f"{made.sold} sur {plural(made.ready, 'appareil prêt', 'appareils prêts')}."]
        case _:
            return []


def _chosen(home: House, one: Consignment) -> str:
    """Why this refurbisher: distance, load, out of how many."""
    among = f", choisi parmi {plural(one.candidates, 'atelier')}" if one.candidates > 1 else ", le seul qui pouvait tout prendre"
    stop = " Le matériel passe par un point de réception." if one.reception_point else ""
    return f"{home.refurbisher(one.refurbisher)} : à {one.distance_km} km, {percent(one.load)} de ses places prises{among}.{stop}"


def _refused(home: House, one: Consignment) -> str:
    return f"{home.refurbisher(one.refurbisher)} n'a pas pu le prendre ; nous avons choisi un autre atelier."


def _certified(one: Certificate) -> str:
    """What a certificate attests, and what it does not."""
    proven = f"Certificat {one.number} : effacement prouvé pour {plural(one.erased, 'appareil')} sur {one.devices}."
    return proven + (" Ceux dont l'effacement n'est pas prouvé ne sont pas vendus." if one.not_erased else "")


def _collection(made: Story, going: Mapping[UUID, Consignment]) -> list[str]:
    """The day that is planned, what was counted, and the stops on the way."""
    said = []
    if made.collected is not None:
        said.append(f"{plural(made.collected, 'appareil compté', 'appareils comptés')} par le chauffeur.")
    for one in going.values():
        if one.collection_date and not one.step("collected") and not one.step("delivered"):
            said.append(f"Prévu le {date_fr(one.collection_date)}.")
        if (point := one.step("at_point")) is not None:
            said.append(f"Passé par un point de réception le {date_fr(point.at)}.")
        if (missed := one.step("failed")) is not None and not one.step("collected"):
            said.append(f"Le chauffeur est reparti sans le matériel le {date_fr(missed.at)}.")
    return said


def _difference(received: int, declared: int) -> str:
    """What was received against what was declared."""
    words = plural(received, "appareil reçu", "appareils reçus")
    if received == declared:
        return f"{words}, comme déclaré."
    return f"{words}, {abs(received - declared)} de {'moins' if received < declared else 'plus'} que déclaré."


def _settled(made: Story) -> list[str]:
    """How many go on and how many are recycled."""
    said = [f"{plural(made.ready, 'appareil repart', 'appareils repartent')}."]
    if made.scrapped:
        said.append(f"{plural(made.scrapped, 'est recyclé', 'sont recyclés')}.")
    if made.lost:
        said.append(f"{plural(made.lost, 'est introuvable', 'sont introuvables')}.")
    if made.received and made.ready + made.scrapped + made.lost < made.received:
        said.append(fr(f"{made.received - made.ready - made.scrapped - made.lost} à contrôler."))
    return said

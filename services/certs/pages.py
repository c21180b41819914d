"""Pages for anyone: verify a certificate, read the public log. For the staff: what came after certificates."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Request, UploadFile
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from services.certs.domain import custody_words, words
from services.certs.domain.account import Account
from services.certs.domain.certificate import NUMBER, Certificate
from services.certs.domain.ledger import Followed, followed
from services.certs.domain.statement import digest
from services.certs.domain.trail import stays
from services.certs.domain.verdicts import ADVICE, CHECKS, TITLES
from services.certs.domain.words import drift as words_for
from services.certs.store import custody, tables
from services.certs.store.press import Press
from shared.desk import Desk
from shared.errors import NotYet
from shared.http import At
from shared.ui import Access, Pages, same_origin, wants_html
from shared.ui.access import STAFF
from shared.ui.formats import moment_fr

if TYPE_CHECKING:
    from services.certs.domain.verification import Verdict

router = APIRouter(prefix="/certs", include_in_schema=False)

LARGEST = 20_000_000
SHOWN = 20
DRIFTS_SHOWN = 300
DEVICES_SHOWN = 100
TABS = [("Registre public", "/certs/journal"), ("Écarts", "/certs/ecarts"), ("Comptes", "/certs/audit")]
MESSAGES: Mapping[str, str] = {
    "certificate_unknown": "Nous n’avons pas de certificat {number}. Vérifiez le numéro, en haut du document.",
    "log_empty": "Le registre est encore vide. Il s’ouvre avec le premier certificat.",
    "log_sizes": "Le registre a {size} inscriptions. Demandez deux tailles dans l’ordre, au plus {size}.",
    "not_settled": "Aucun appareil de cet envoi n’est encore prêt, au rebut ou introuvable : il n’y a rien à certifier pour l’instant.",
    "document_lost": "Ce document n’est pas disponible pour l’instant. Rien n’est perdu de ce qu’il atteste. Prévenez-nous.",
    "verifier_busy": "Trop de fichiers sont en cours de vérification. Le vôtre n’a pas été vérifié. Recommencez dans une minute.",
    "donation_unknown": "Aucun service n’a encore parlé de ce don.",
    "press": "La vérification n’a pas abouti. Votre fichier n’est pas en cause. Recommencez dans une minute.",
}
EARLY_TITLE = "Établir le certificat sans attendre ?"
EARLY = (
    "Il dira ce qui est prouvé aujourd’hui, et que les autres appareils sont encore à l’atelier. Quand tous seront prêts, au rebut ou "
    "introuvables, un second certificat le remplacera de lui-même."
)
STATES: Mapping[str, str] = {"valid": "ok", "modified": "bad", "not_logged": "bad"}


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """What every page needs: made once, in `app`."""

    pages: Pages
    doors: Access
    press: Press
    log: str
    """The log's verifier key."""
    early: Callable[[Desk, UUID], Awaitable[None]]
    """Begins the certificate of a consignment without waiting for its open devices."""
    wait_s: float
    """How long facts part from a certificate before it is corrected."""
    patience: timedelta
    """How long the audit waits for a word from another topic."""
    witnesses: tuple[str, ...] = ()
    """The verifier keys of those who sign with it."""


def house(request: Request) -> House:
    found: House = request.app.state.house
    return found


AtHome = Annotated[House, Depends(house)]


@router.get("/")
async def home() -> Response:
    return RedirectResponse("/certs/verifier", 303)


@router.get("/verifier")
async def ask(request: Request, desk: At, at_home: AtHome, numero: str = "") -> HTMLResponse:
    """The question, and what is known of a certificate by its number."""
    return at_home.pages.render(request, "verifier.html", **await by_number(desk, numero), verdict=None)


async def by_number(desk: Desk, typed: str) -> dict[str, Any]:
    number = typed.strip().upper()[:80]
    async with desk.read() as tx:
        known = await tables.certificate(tx, number) if NUMBER.fullmatch(number) else None
        doubted = known is not None and await tables.says_too_much(tx, number)
    return {"number": number, "known": known, "doubted": doubted}


@router.post("/verifier", dependencies=[Depends(same_origin)])
async def judge(request: Request, desk: At, at_home: AtHome, certificat: UploadFile | None = None) -> Response:
    """The verdict on a file. It is read, judged and forgotten. Outage when too many are at it (`Press.turn`)."""
    shown: dict[str, Any] = {"number": "", "known": None, "doubted": False}
    if certificat is None or not certificat.size:
        why = "Choisissez d’abord le fichier PDF du certificat."
        return at_home.pages.render(request, "verifier.html", 422, **shown, verdict=None, errors={"certificat": why})
    verdict, sha256 = await verified(at_home.press, certificat) if certificat.size <= LARGEST else (None, "")
    code = verdict.code if verdict else "too_large"
    statement = verdict.statement if verdict and verdict.ok else None
    known, doubted = await issued(desk, statement.number, sha256) if statement else (None, False)
    found: dict[str, Any] = {
        "code": code,
        "doubted": doubted,
        "state": "warn" if doubted or (known and known.superseded_by) else STATES.get(code, "wait"),
        "title": TITLES[code],
        "advice": ADVICE.get(code, ""),
        "checks": [(CHECKS[c.name], c.ok) for c in verdict.checks] if verdict else [],
        "leaf": verdict.leaf_index if verdict else None,
        "known": known,
        "statement": statement,
        "headline": words.headline(statement) if statement else "",
        "workshop": words.refurbisher(statement.refurbisher) if statement else "",
        "donor": ", ".join(words.donor(statement.donor)) if statement else "",
        "not_attested": [words.NOT_ATTESTED.get(c, c) for c in statement.not_attested] if statement else [],
    }
    if not wants_html(request):
        told = {
            "ok": code == "valid",
            "code": code,
            "checks": dict(found["checks"]),
            "number": statement.number if statement else None,
            "superseded_by": known.superseded_by if known else None,
        }
        return JSONResponse(told)
    return at_home.pages.render(request, "verifier.html", private=True, **shown, verdict=found)


async def verified(press: Press, file: UploadFile) -> tuple["Verdict", str]:
    """The verdict on a file, and its hash. It comes into memory when it is its turn, so that those who wait weigh little."""
    async with press.turn():
        data = await file.read()
        return await press.verify(data), digest(data)


async def issued(desk: Desk, number: str, sha256: str) -> tuple[Certificate | None, bool]:
    """The certificate of that number, when its file is this one; and whether it says more than is proven now."""
    async with desk.read() as tx:
        known, doubted = await tables.certificate(tx, number), await tables.says_too_much(tx, number)
    return (known, doubted) if known and known.document_sha256 == sha256 else (None, False)


@router.get("/journal")
async def journal(request: Request, desk: At, at_home: AtHome, numero: str = "") -> HTMLResponse:
    """The public log: its signed states, a search by number, how to check it."""
    async with desk.read() as tx:
        checkpoints = await tables.latest_checkpoints(tx, SHOWN)
        size = await tables.log_size(tx)
        outrun = await tables.outrun(tx) if at_home.doors.role(request) == STAFF else None
    known: dict[str, Any] = {"checkpoints": checkpoints, "size": size, "outrun": outrun} | await by_number(desk, numero)
    return at_home.pages.render(request, "journal.html", log=at_home.log, witnesses=at_home.witnesses, typed=numero[:80], **known)


@router.get("/ecarts")
async def drifts(request: Request, desk: At, at_home: AtHome, noted: str = "") -> HTMLResponse:
    """For the staff: the certificates after which the facts changed, and of which devices; the consignments that wait for theirs."""
    await at_home.doors.staff(request)
    async with desk.read() as tx:
        outrun, found = await tables.outrun(tx), await tables.latest_drifts(tx, DRIFTS_SHOWN + 1)
        waiting = await tables.waiting(tx, SHOWN + 1)
    shown = [(drift, *words_for(drift.finding)) for drift in found[:DRIFTS_SHOWN] if drift.finding]
    groups = [(number, list(rows)) for number, rows in groupby(shown, lambda row: row[0].number)]
    more = len(found) > DRIFTS_SHOWN
    known: dict[str, Any] = {"outrun": outrun, "groups": groups, "more": more, "shown": len(shown), "wait": wait(at_home.wait_s)}
    workshops = {row["refurbisher"]: words.refurbisher(row["refurbisher"]) for row in waiting}
    known |= {
        "tabs": TABS,
        "waiting": waiting,
        "most": SHOWN,
        "workshops": workshops,
        "noted": noted,
    }
    return at_home.pages.render(request, "drifts.html", **known)


def wait(seconds: float) -> str:
    """`dans la minute`, `après 60 minutes`, `après 2 heures`: how soon a correction comes."""
    if seconds < 120:
        return "dans la minute"
    return f"après {round(seconds / 60)} minutes" if seconds < 5400 else f"après {round(seconds / 3600)} heures"


@router.post("/ecarts/{consignment}/etablir", dependencies=[Depends(same_origin)])
async def early(
    request: Request, desk: At, at_home: AtHome, consignment: UUID, confirmed: Annotated[str, Form()] = ""
) -> Response:
    """Certify what is settled of a consignment; the rest follows as the certificate that supersedes this one."""
    await at_home.doors.staff(request)
    if not confirmed:
        return at_home.pages.render(
            request, "confirm.html", title=EARLY_TITLE, text=EARLY, verb="Établir le certificat", keep="Attendre",
            to=request.url.path, fields={}, back="/certs/ecarts",
        )  # fmt: skip
    await at_home.early(desk, consignment)
    return RedirectResponse("/certs/ecarts?noted=etabli", 303)


@router.get("/audit")
async def audit(request: Request, desk: At, at_home: AtHome, don: str = "") -> Response:
    """For the staff: how the sums of each donation stand, those that are broken first."""
    await at_home.doors.staff(request)
    typed = don.strip().upper()[:80]
    async with desk.read() as tx:
        wanted = await custody.donations(tx, typed) if typed else []
        found, counts = await custody.accounts(tx, DEVICES_SHOWN + 1), await custody.standings(tx)
    if wanted:
        return RedirectResponse(f"/certs/audit/{wanted[0]}", 303)
    shown = [(one, custody_words.STATES[one.state], [custody_words.sum_(s) for s in one.sums], why(one)) for one in found]
    known: dict[str, Any] = {
        "counts": counts,
        "shown": shown[:DEVICES_SHOWN],
        "more": len(shown) > DEVICES_SHOWN,
        "typed": typed,
        "tabs": TABS,
    }
    return at_home.pages.render(request, "audit.html", **known)


def why(one: Account) -> str:
    """The first thing that is wrong with a donation, and how many there are."""
    noted = one.broken or one.noted
    if not noted:
        return ""
    first = custody_words.breach(noted[0].breach)
    return first if len(noted) == 1 else f"{first} Et {len(noted) - 1} autres."


@router.get("/audit/{donation}")
async def account(request: Request, desk: At, at_home: AtHome, donation: UUID) -> HTMLResponse:
    """For the staff: the sums of one donation as they stand now, and who held each of its devices."""
    await at_home.doors.staff(request)
    async with desk.read() as tx:
        trails = await custody.trails(tx, donation)
        one = await custody.account_now(tx, donation, at_home.patience, desk.now())
    if not trails:
        raise NotYet("donation_unknown")
    wrong = {n.breach.subject for n in one.noted}
    things = followed(trails)
    devices = sorted((t for t in things if t.trail.kind == "device"), key=lambda t: t.trail.subject not in wrong)
    known: dict[str, Any] = {
        "account": one,
        "badge": custody_words.STATES[one.state],
        "breaches": [
            (n, custody_words.breach(n.breach), custody_words.holder(n.breach.holder), custody_words.step(n.breach.step))
            for n in one.noted
        ],
        "sums": [(custody_words.STATES[each.state], *custody_words.sum_(each)) for each in one.sums],
        "way": [
            [when, thing.trail.reference, *rest]
            for thing in things
            if thing.trail.kind != "device"
            for when, *rest in told(thing)
        ],
        "devices": [on_page(each, wrong=each.trail.subject in wrong) for each in devices[:DEVICES_SHOWN]],
        "count": len(devices),
        "tabs": TABS,
    }
    return at_home.pages.render(request, "account.html", **known)


def told(thing: Followed) -> list[list[str]]:
    """Each step as a row: when, what, who has it from then on, on whose word."""
    return [
        [moment_fr(step.at), custody_words.step(step), custody_words.holder(has), custody_words.publisher(step)]
        for step, has in thing.steps
    ]


def on_page(device: Followed, *, wrong: bool) -> dict[str, Any]:
    """A device with its steps, and the media that were in it."""
    media = [
        (custody_words.stay(stay), stay.since.at, stay.until and stay.until.at) for stay in stays(device.trail) if stay.medium
    ]
    return {
        "reference": device.trail.reference or str(device.trail.subject),
        "where": ", ".join(custody_words.BUCKETS[name] for name in device.bucket.split()),
        "has": custody_words.holder(device.steps[-1][1]),
        "steps": told(device),
        "media": media,
        "wrong": wrong,
    }

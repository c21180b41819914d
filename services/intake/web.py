"""Donations for programs: `PUT /intake/donations/{id}` under an id of the client's own, so that repeating is safe.

The body is laid out flat and meets the checks of the form. Programs are known by a key (`Authorization: Bearer`), of which the
settings hold the hash.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from services.intake import store
from services.intake.domain.answers import Problem, flat
from services.intake.domain.donation import Donation
from services.intake.domain.offer import Terms, donation_id, make
from shared.db import Tx
from shared.desk import Desk
from shared.errors import Malformed, NotYet
from shared.http import At, problem
from shared.ui.formats import local

router = APIRouter(prefix="/intake")

LARGEST_BODY = 65_536
CLIENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
EXAMPLE = {
    "declared": {"laptop": 24, "desktop": 10, "smartphone": 8},
    "condition": "mixed",
    "age": "3_to_5_years",
    "media": "inside",
    "sensitivity": "ordinary",
    "required_class": "Clear",
    "pickup": {
        "address": "12 rue de l’Aiguille",
        "postal_code": "69007",
        "city": "Lyon",
        "access": ["loading_dock"],
        "pallets": 2,
        "available_from": "2026-12-14",
        "remarks": "De 8 h à 16 h",
    },
    "donor": {"status": "company", "name": "Mercerie Brindille SAS", "company_number": "732829320"},
    "contact": {"name": "Camille Durand", "mail": "camille.durand@brindille.example", "phone": "01 99 00 12 34"},
    "owner": True,
}
CONTRACT: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"application/json": {"example": EXAMPLE, "schema": {"type": "object"}}}},
    "security": [{"key": []}],
}


def client_of(request: Request) -> str | None:
    """The client whose key the request carries."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key:
        return None
    clients: Mapping[str, str] = request.app.state.clients
    return clients.get(hashlib.sha256(key.strip().encode()).hexdigest())


def no_key() -> Response:
    """Answer whoever has no key of ours."""
    return problem(401, "key_unknown", {"text": "Authorization: Bearer <key>"}, {"WWW-Authenticate": "Bearer"})


async def read_json(request: Request) -> object:
    """The body as JSON. Raises Malformed when it is none, or larger than a donation can be."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise Malformed("body_too_large", largest=LARGEST_BODY)
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise Malformed("not_json") from None


@router.put("/donations/{client_id}", status_code=201, openapi_extra=CONTRACT)
async def offer_donation(client_id: str, request: Request, desk: At) -> Response:
    """Offer a donation. 201; 200 for the same again; 409 with both told for other answers under the same id; 422 with an entry a field."""
    client = client_of(request)
    if client is None:
        return no_key()
    if not CLIENT_ID.fullmatch(client_id):
        raise Malformed("wrong_id")
    terms: Terms = request.app.state.terms
    raw, problems = flat(await read_json(request))
    stream, now = donation_id(client, client_id), desk.now()
    offer = make(
        terms, raw, client=client, client_id=client_id, source=f"api:{client}", now=now, today=await _day(desk, stream, now)
    )
    if isinstance(offer, list) or problems:
        told = {one.field for one in problems}  # of the wrong type: not missing on top of it
        wrong = problems + [one for one in offer if one.field not in told] if isinstance(offer, list) else problems
        raise Malformed("answers_wrong", errors=_entries(wrong, request.app.state.say))

    async def keep(tx: Tx) -> None:
        await store.keep_private(tx, desk.vault, terms.key, offer)

    recorded = await desk.carry_out([offer.command], keep)
    shown = await _shown(desk, terms, stream)
    return JSONResponse(shown, 201 if recorded else 200, {"Location": f"/intake/donations/{client_id}"})


@router.get("/donations/{client_id}", openapi_extra={"security": [{"key": []}]})
async def show_donation(client_id: str, request: Request, desk: At) -> Response:
    """A donation of this client's, as it stands."""
    client = client_of(request)
    if client is None:
        return no_key()
    return JSONResponse(await _shown(desk, request.app.state.terms, donation_id(client, client_id)))


@router.get("/figures")
async def figures(request: Request, desk: At) -> JSONResponse:
    """Counts, for the staff: signed in, or a program with the staff code as its key."""
    await request.app.state.doors.staff(request)
    async with desk.read() as tx:
        return JSONResponse(await store.figures(tx))


async def _day(desk: Desk, stream: UUID, now: datetime) -> Any:
    """The day on which the answers count: that of the first offer, or an honest retry after midnight would be told `date_past`."""
    async with desk.read() as tx:
        known = (await store.DONATIONS.load(tx, [stream])).get(stream)
    first: Donation | None = known.state if known else None
    return local(first.offered_at if first and first.offered_at else now).date()


async def _shown(desk: Desk, terms: Terms, stream: UUID) -> dict[str, Any]:
    """A donation as JSON. Raises NotYet when there is none."""
    async with desk.read() as tx:
        heard = await store.hear(tx, stream)
        secret = await store.tracking_token(tx, terms.key, stream)
    if heard is None:
        raise NotYet("donation_unknown")
    donation = heard.donation

    def said(codes: tuple[str, ...]) -> list[dict[str, str]]:
        return [{"code": code, "text": terms.rules.say(code)} for code in codes]

    return {
        "id": str(stream),
        "reference": donation.reference,
        "status": donation.status,
        "outcome": donation.outcome,
        "reasons": said(donation.reasons),
        "conditions": said(donation.conditions),
        "rules": donation.rules,
        "declared": dict(donation.codes.declared) if donation.codes else {},
        "received": len(heard.devices),
        "sold": len(heard.sales),
        "certificates": [one.number for one in heard.certificates.values() if one.replaced_by is None],
        "tracking_url": store.tracking_url(desk.settings.public_url, secret) if secret else None,
    }


def _entries(problems: list[Problem], say: Callable[..., str]) -> list[dict[str, Any]]:
    """One entry a field: where, a stable code, words for a person."""
    return [
        {"pointer": p.pointer, "code": p.code, "text": say(p.code, **p.detail), "detail": dict(p.detail)} for p in problems[:100]
    ]

"""Vouchers, for referrers: give one (its code is shown once, on a sheet to print), see those given, take one back."""

from datetime import date
from typing import Annotated
from uuid import UUID, uuid4

import segno
from fastapi import APIRouter, Depends, Form
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.distribution import store
from services.distribution.domain import vouchers
from services.distribution.domain.offers import day
from services.distribution.domain.places import Structure
from services.distribution.pages.door import Guest, Visitor
from services.distribution.pages.home import TYPES, still
from shared.errors import Coded, Malformed, NotYet
from shared.http import At
from shared.ui import same_origin

router = APIRouter()


@router.get("/bons")
async def given(request: Request, desk: At, who: Guest) -> Response:
    """Show the form, and what was given."""
    return await page(request, desk, who, {})


async def page(request: Request, desk: At, who: Visitor, typed: dict[str, str], errors: dict[str, str] | None = None) -> Response:
    """Show the form as it was typed."""
    async with desk.read() as tx:
        found = await store.vouchers_of(tx, who.structure.id if who.structure else None)
    today = day(desk.now())
    return who.show(
        request,
        "vouchers.html",
        422 if errors else 200,
        vouchers=found,
        today=today,
        types=TYPES,
        request_id=uuid4().hex,
        typed={"jusqu_au": vouchers.last_day(today, None).isoformat()} | typed,
        errors=errors or {},
    )


@router.post("/bons", dependencies=[Depends(same_origin)])
async def give(
    request: Request,
    desk: At,
    who: Guest,
    demande: Annotated[str, Form(min_length=1, max_length=100)],
    type: Annotated[str, Form(max_length=20)] = "",  # noqa: A002 - the name of the field
    jusqu_au: Annotated[str, Form(max_length=20)] = "",
    structure: Annotated[str, Form(max_length=40)] = "",
    pour: Annotated[str, Form(max_length=40)] = "",
) -> Response:
    """Give a voucher and show its code. The form carries the request's number: sent twice, it is one voucher."""
    still(who, pour)
    typed = {"type": type, "jusqu_au": jusqu_au, "structure": structure}
    errors: dict[str, str] = {}
    kind = next((known for known in TYPES if known == type), None)
    if kind is None:
        errors["type"] = "Choisissez ce que la personne pourra acheter."
    referrer = who.structure or who.book.atlas.structures.get(structure.strip().upper())
    if referrer is None:
        errors["structure"] = who.pages.message("structure_unknown")
    try:
        asked = date.fromisoformat(jusqu_au) if jusqu_au.strip() else None
    except ValueError:
        errors["jusqu_au"] = "Choisissez une date, par exemple 18/12/2026."
        asked = None
    if errors or kind is None or referrer is None:
        return await page(request, desk, who, typed, errors)
    code = vouchers.make_code(desk.settings.session_secret.get_secret_value(), referrer.id, demande)
    voucher_id = vouchers.voucher_id(code)
    async with desk.read() as tx:
        known = await store.voucher(tx, voucher_id)
    try:
        expires = vouchers.last_day(day(desk.now()), asked, known)
        command = vouchers.IssueVoucher(
            id=voucher_id, structure=referrer.id, region=referrer.region, device_type=kind, expires=expires
        )
        await desk.carry_out([command])
    except Coded as error:
        return await page(request, desk, who, typed, {"jusqu_au" if isinstance(error, Malformed) else "type": who.said(error)})
    return shown(request, who, referrer, code, command)


def shown(request: Request, who: Visitor, referrer: Structure, code: str, command: vouchers.IssueVoucher) -> Response:
    """Show the code, this once. The QR holds the code alone: a scanner types it at the till."""
    square = segno.make(code, error="m").svg_inline(scale=6, border=4, light="#fff", svgclass=None, lineclass=None)
    return who.show(
        request,
        "voucher.html",
        private=True,
        code=code,
        referrer=referrer,
        kind=command.device_type,
        expires=command.expires,
        number=str(command.id)[:8].upper(),
        qr=Markup(square),  # noqa: S704 - made here, from a code of ours
    )


@router.post("/bons/{voucher_id}/reprendre", dependencies=[Depends(same_origin)])
async def revoke(
    request: Request,
    desk: At,
    who: Guest,
    voucher_id: UUID,
    raison: Annotated[vouchers.RevocationReason, Form()] = "mistake",
    confirmed: Annotated[str, Form()] = "",
) -> Response:
    """Take a voucher back, after asking once."""
    async with desk.read() as tx:
        voucher = await store.voucher(tx, voucher_id)
    if voucher is None or (who.structure is not None and who.structure.id != voucher.structure):
        raise NotYet("voucher_unknown")
    if confirmed != "oui":
        return who.show(
            request,
            "confirm.html",
            title="Reprendre ce bon ?",
            text="La personne ne pourra plus s'en servir. Un bon repris ne peut pas être rendu : il faudra en faire un autre.",
            verb="Reprendre le bon",
            to=f"/distribution/bons/{voucher_id}/reprendre",
            fields={"raison": raison},
            back="/distribution/bons",
        )
    await desk.carry_out([vouchers.RevokeVoucher(id=voucher_id, reason=raison)])
    return RedirectResponse("/distribution/bons", 303)

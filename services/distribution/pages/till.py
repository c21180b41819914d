"""The till: a voucher and a device, the price with its reason, the sale, the sheet to print with warranty and training."""

from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.distribution import store
from services.distribution.domain import till, vouchers
from services.distribution.domain.offers import Answer, day
from services.distribution.domain.sales import BookTraining, Sale, sale_stream
from services.distribution.domain.stock import Item
from services.distribution.pages.door import Guest, Visitor
from shared.errors import Coded, Malformed, NotYet, Refused
from shared.http import At
from shared.ui import same_origin, scanned

router = APIRouter()
Typed = Annotated[str, Form()]
"""Of any length: what is too long is wrong like any other, and comes back as it was typed."""


@router.get("/caisse")
async def counter(request: Request, who: Guest) -> Response:
    """Show an empty counter."""
    return who.show(request, "till.html", private=True, typed={})


@router.post("/caisse", dependencies=[Depends(same_origin)])
async def price(request: Request, desk: At, who: Guest, bon: Typed = "", appareil: Typed = "", gratuit: Typed = "") -> Response:
    """Say what the device costs and why, or what the sale would be refused for, before the person pays."""
    typed = {"bon": bon, "appareil": scanned(appareil), "gratuit": gratuit}
    errors = missing(bon, appareil)
    if errors:
        return who.show(request, "till.html", 422, private=True, typed=typed, errors=errors)
    now = desk.now()
    try:
        voucher_id = vouchers.voucher_id(bon)
        async with desk.read() as tx:
            item = till.choose(await store.items_called(tx, appareil), who.structure.id if who.structure else None)
            voucher = await store.voucher(tx, voucher_id)
        sale = basket(who, uuid4(), voucher_id, item, gratuit)
        till.rehearse(sale, voucher, who.book, now)
        quote = who.book.quote(item, day(now), gratuit or None)
    except Coded as error:
        return refuse(request, who, error, typed)
    return who.show(
        request, "till.html", private=True, typed=typed, item=item, voucher=voucher, quote=quote, sale_id=sale.sale_id
    )


def missing(bon: str, appareil: str) -> dict[str, str]:
    """Say which field is empty."""
    found = {}
    if not bon.strip():
        found["bon"] = "Scannez le bon, ou tapez ses 16 caractères."
    if not appareil.strip():
        found["appareil"] = "Scannez l'étiquette de l'appareil, ou tapez son numéro."
    return found


def basket(who: Visitor, sale_id: UUID, voucher_id: UUID, item: Item, gratuit: str, quoted: int | None = None) -> till.Basket:
    """Lay it on the counter. The staff's till stands where the device is."""
    structure = who.structure
    if structure is None:
        if item.structure is None:
            raise Refused("device_not_here", status=item.status)
        structure = who.book.atlas.structure(item.structure)
    return till.Basket(
        sale_id=sale_id,
        voucher_id=voucher_id,
        item=item,
        structure=structure,
        free_reason=gratuit or None,
        quoted_cents=quoted,
    )


def refuse(request: Request, who: Visitor, error: Coded, typed: dict[str, str]) -> Response:
    """Show the counter as it was typed, and the refusal."""
    title, _, rest = who.said(error).partition(". ")
    status = 404 if isinstance(error, NotYet) else 422 if isinstance(error, Malformed) else 409
    about = "appareil" if error.code.startswith("device") else "bon"
    return who.show(
        request,
        "till.html",
        status,
        private=True,
        typed=typed,
        refusal={"title": title.rstrip("."), "rest": rest, "code": error.code, "about": about},
    )


@router.post("/caisse/vente", dependencies=[Depends(same_origin)])
async def sell(
    request: Request,
    desk: At,
    who: Guest,
    vente: Annotated[UUID, Form()],
    prix: Annotated[int, Form(ge=0)],
    bon: Typed = "",
    appareil: Typed = "",
    gratuit: Typed = "",
) -> Response:
    """Make the sale. The form carries its id: sent twice, it is one sale."""
    typed = {"bon": bon, "appareil": appareil, "gratuit": gratuit}
    try:
        voucher_id = vouchers.voucher_id(bon)
        async with desk.read() as tx:
            sold = await store.sale(tx, vente)
            item = till.choose(await store.items_called(tx, appareil), who.structure.id if who.structure else None, sold)
        await desk.carry_out(till.sell(basket(who, vente, voucher_id, item, gratuit, prix), who.book, desk.now(), sold))
    except Coded as error:
        return refuse(request, who, error, typed)
    return RedirectResponse(f"/distribution/ventes/{vente}", 303)


async def known(desk: At, who: Visitor, sale_id: UUID) -> Sale:
    """The sale, for those who made it."""
    async with desk.read() as tx:
        sale = await store.sale(tx, sale_id)
    if sale is None or (who.structure is not None and who.structure.id != sale.structure):
        raise NotYet("sale_unknown")
    return sale


@router.get("/ventes/{sale_id}")
async def receipt(request: Request, desk: At, who: Guest, sale_id: UUID) -> Response:
    """Show the purchase sheet, to print, and the offer of training."""
    sale = await known(desk, who, sale_id)
    async with desk.read() as tx:
        items = await store.items_called(tx, str(sale.device_id))
    structure = who.book.atlas.structures.get(sale.structure)
    return who.show(request, "receipt.html", private=True, sale=sale, item=items[0] if items else None, structure=structure)


@router.post("/ventes/{sale_id}/formation", dependencies=[Depends(same_origin)])
async def training(desk: At, who: Guest, sale_id: UUID, reponse: Annotated[Answer, Form()]) -> Response:
    """Note what the person says to the offer."""
    await known(desk, who, sale_id)
    await desk.carry_out([BookTraining(id=sale_stream(sale_id), answer=reponse)])
    return RedirectResponse(f"/distribution/ventes/{sale_id}#formation", 303)

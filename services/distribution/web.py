"""The JSON API of distribution, for programs of the staff and of structures. Every PUT may be repeated: same id, same answer.

Who asks: `Authorization: Bearer <staff code>`, `Bearer <token of a structure's secret link>`, or the cookie of the pages.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from services.distribution import store
from services.distribution.domain import needs, till, vouchers
from services.distribution.domain.book import Book
from services.distribution.domain.offers import Answer, day
from services.distribution.domain.sales import BookTraining, Sale, sale_stream
from services.distribution.domain.stock import Deliver, Item, Ship, item_id
from shared.db import Tx
from shared.errors import Malformed, NotYet, Refused
from shared.events.base import DeviceType
from shared.http import At
from shared.ui.access import STAFF, Access, Denied
from shared.ui.origin import same_origin

router = APIRouter(prefix="/distribution", tags=["distribution"])


@dataclass(frozen=True, slots=True)
class Caller:
    """The staff (`structure` is None), or one structure."""

    structure: str | None

    def must_be(self, structure: str) -> None:
        """Let the staff and that structure through."""
        if self.structure not in {None, structure}:
            raise Denied("not_allowed")


async def caller(request: Request, desk: At) -> Caller:
    """Tell who asks, or deny."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        async with desk.read() as tx:
            link = await store.link(tx, store.fingerprint(token))
        if link is not None:
            return Caller(link[0])
    await same_origin(request)  # a cookie counts only for what our own pages send
    doors: Access = request.app.state.doors
    role = doors.role(request)
    if role is None:
        raise Denied("sign_in")
    if role == STAFF:
        return Caller(None)
    async with desk.read() as tx:
        structure = await store.structure_of(tx, role)
    if structure is None:
        raise Denied("sign_in" if role.startswith("structure:") else "not_allowed")
    return Caller(structure)


async def staff(who: Annotated[Caller, Depends(caller)]) -> None:
    """Let the staff through."""
    if who.structure is not None:
        raise Denied("not_allowed")


def rules(request: Request) -> Book:
    """Give prices and places."""
    found: Book = request.app.state.book
    return found


Who = Annotated[Caller, Depends(caller)]
Rules = Annotated[Book, Depends(rules)]


class Asked(BaseModel):
    """What a program sends. A field that nobody knows is a mistake, and is said."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AskedSale(Asked):
    """A voucher and a device on the counter."""

    voucher: str = Field(max_length=60)
    device: str = Field(max_length=500, description="what stands on the label or in its code, or the device's id")
    price_cents: int | None = Field(None, ge=0, description="the price that the person was told")
    free_reason: str | None = Field(None, max_length=40)


class AskedVoucher(Asked):
    """The right to a device of this type, until a day."""

    device_type: DeviceType
    expires: date | None = None
    structure: str | None = Field(None, max_length=40, description="for the staff: in whose name")


class AskedRevocation(Asked):
    """Why a voucher is taken back."""

    reason: vouchers.RevocationReason


class AskedNeed(Asked):
    """Type -> how many."""

    wanted: dict[DeviceType, int]


class AskedCampaign(Asked):
    """Who is asked: the structures named, or those of the regions named, or all."""

    answer_by: date | None = None
    regions: list[str] | None = Field(None, max_length=50)
    structures: list[str] | None = Field(None, max_length=5_000)


class AskedTraining(Asked):
    """What the person said to the offer."""

    answer: Answer


@router.put("/sales/{sale_id}")
async def sell(sale_id: UUID, asked: AskedSale, desk: At, who: Who, book: Rules) -> dict[str, Any]:
    """Sell a device for a voucher. The seller makes the id; the same again is the same answer, whatever happened to the first one."""
    now = desk.now()
    async with desk.read() as tx:
        sold = await store.sale(tx, sale_id)
        item = till.choose(await store.items_called(tx, asked.device), who.structure, sold)
    basket = till.Basket(
        sale_id=sale_id,
        voucher_id=vouchers.voucher_id(asked.voucher),
        item=item,
        structure=book.atlas.structure(where(who, item, sold)),
        free_reason=asked.free_reason,
        quoted_cents=asked.price_cents,
    )
    await desk.carry_out(till.sell(basket, book, now, sold))
    async with desk.read() as tx:
        return told_sale(await known_sale(tx, sale_id, who))


def where(who: Caller, item: Item, sold: Sale | None) -> str:
    """Say where the till stands: with its structure; the staff's, where the device is, or was when it was sold."""
    found = who.structure or (sold.structure if sold else item.structure)
    if found is None:
        raise Refused("device_not_here", status=item.status)
    return found


async def known_sale(tx: Tx, sale_id: UUID, who: Caller) -> Sale:
    """The sale, for those who made it: to others it does not exist."""
    sale = await store.sale(tx, sale_id)
    if sale is None or who.structure not in {None, sale.structure}:
        raise NotYet("sale_unknown")
    return sale


def told_sale(sale: Sale) -> dict[str, Any]:
    """Tell a sale."""
    return {
        "sale_id": sale.sale_id,
        "device_id": sale.device_id,
        "device_ref": sale.device_ref,
        "device_type": sale.device_type,
        "category": sale.category,
        "structure": sale.structure,
        "voucher_id": sale.voucher_id,
        "price_cents": sale.price_cents,
        "list_price_cents": sale.list_price_cents,
        "ceiling_cents": sale.ceiling_cents,
        "free_reason": sale.free_reason,
        "price_rules": sale.price_rules,
        "warranty_until": sale.warranty_until,
        "sold_at": sale.sold_at,
        "training": sale.training,
    }


@router.get("/sales/{sale_id}")
async def one_sale(sale_id: UUID, desk: At, who: Who) -> dict[str, Any]:
    """Tell a sale."""
    async with desk.read() as tx:
        return told_sale(await known_sale(tx, sale_id, who))


@router.put("/sales/{sale_id}/training")
async def answer_training(sale_id: UUID, asked: AskedTraining, desk: At, who: Who) -> dict[str, Any]:
    """Note the person's answer to the offer of training."""
    async with desk.read() as tx:
        await known_sale(tx, sale_id, who)
    await desk.carry_out([BookTraining(id=sale_stream(sale_id), answer=asked.answer)])
    async with desk.read() as tx:
        return told_sale(await known_sale(tx, sale_id, who))


@router.get("/quote")
async def quote(device: str, desk: At, who: Who, book: Rules, free_reason: str | None = None) -> dict[str, Any]:
    """Say what a device costs today, and why."""
    async with desk.read() as tx:
        item = till.choose(await store.items_called(tx, device), who.structure)
    who.must_be(item.structure or "")
    found = book.quote(item, day(desk.now()), free_reason)
    return {
        "device_id": item.device_id,
        "price_cents": found.price_cents,
        "list_price_cents": found.list_cents,
        "ceiling_cents": found.ceiling_cents,
        "because": found.because,
        "price_rules": found.rules,
    }


@router.put("/vouchers/{request_id}")
async def issue(request_id: str, asked: AskedVoucher, response: Response, desk: At, who: Who, book: Rules) -> dict[str, Any]:
    """Give a voucher under the referrer's own number for the request. The code is the secret: it is told here and kept nowhere."""
    if not 1 <= len(request_id) <= 100:
        raise Malformed("request_id_unreadable")
    structure = book.atlas.structure(who.structure or asked.structure or "")
    if asked.structure is not None:
        who.must_be(asked.structure)
    code = vouchers.make_code(desk.settings.session_secret.get_secret_value(), structure.id, request_id)
    voucher_id = vouchers.voucher_id(code)
    async with desk.read() as tx:
        known = await store.voucher(tx, voucher_id)
    expires = vouchers.last_day(day(desk.now()), asked.expires, known)
    await desk.carry_out(
        [
            vouchers.IssueVoucher(
                id=voucher_id, structure=structure.id, region=structure.region, device_type=asked.device_type, expires=expires
            )
        ]
    )
    response.headers["Cache-Control"] = "no-store"
    return {
        "voucher_id": voucher_id,
        "code": code,
        "device_type": asked.device_type,
        "expires": expires,
        "structure": structure.id,
    }


@router.put("/vouchers/{voucher_id}/revocation")
async def revoke(voucher_id: UUID, asked: AskedRevocation, desk: At, who: Who) -> dict[str, Any]:
    """Take a voucher back before its use."""
    async with desk.read() as tx:
        voucher = await store.voucher(tx, voucher_id)
    if voucher is None or who.structure not in {None, voucher.structure}:
        raise NotYet("voucher_unknown")
    await desk.carry_out([vouchers.RevokeVoucher(id=voucher_id, reason=asked.reason)])
    return {"voucher_id": voucher_id, "status": "revoked"}


@router.put("/needs/{structure}/{campaign}")
async def express(structure: str, campaign: str, asked: AskedNeed, desk: At, who: Who, book: Rules) -> dict[str, Any]:
    """Say what the structure needs, type -> how many; a later answer replaces the earlier one."""
    who.must_be(structure)
    place, name = book.atlas.structure(structure), needs.campaign_name(campaign)
    need_id = needs.need_id(structure, name)
    async with desk.read() as tx:
        known = await store.need(tx, need_id)
    if known is None and who.structure is not None and name != needs.STANDING:
        raise NotYet("need_unknown")
    await desk.carry_out(
        [needs.ExpressNeed(id=need_id, structure=structure, campaign=name, region=place.region, wanted=asked.wanted)]
    )
    async with desk.read() as tx:
        return told_need(await store.need(tx, need_id) or needs.Need())


def told_need(need: needs.Need) -> dict[str, Any]:
    """Tell a need and how far it is met."""
    return {
        "structure": need.structure,
        "campaign": need.campaign,
        "status": need.status,
        "answer_by": need.answer_by,
        "reminders": need.reminders,
        "wanted": need.wanted,
        "given": {kind: need.given(kind) for kind in need.wanted},
        "unmet": need.unmet,
    }


@router.put("/campaigns/{campaign}", dependencies=[Depends(staff)])
async def ask(campaign: str, asked: AskedCampaign, response: Response, desk: At, book: Rules) -> dict[str, Any]:
    """Ask structures for their needs. Links are told once, to those asked now; nobody is asked twice."""
    name = needs.campaign_name(campaign)
    async with desk.read() as tx:
        already = await store.asked_already(tx, name)
    questions = needs.ask(
        book.atlas, name, answer_by=asked.answer_by, regions=asked.regions, structures=asked.structures, already=already
    )
    tokens = {question.structure: secrets.token_urlsafe(24) for question in questions}

    async def keep(tx: Tx) -> None:
        await store.add_links(tx, name, tokens)

    await desk.carry_out(questions, also=keep)
    response.headers["Cache-Control"] = "no-store"
    return {"campaign": name, "asked": len(questions), "already": len(already), "links": links(desk.settings.public_url, tokens)}


def links(public_url: str, tokens: Mapping[str, str]) -> list[dict[str, str]]:
    """Write the secret links out: structure, token for programs, link for people."""
    root = public_url.rstrip("/")
    return [
        {"structure": structure, "token": token, "link": f"{root}/distribution/besoins/{token}"}
        for structure, token in tokens.items()
    ]


@router.get("/campaigns/{campaign}", dependencies=[Depends(staff)])
async def board(campaign: str, desk: At) -> dict[str, Any]:
    """Say who answered and who did not."""
    async with desk.read() as tx:
        found = await store.campaign(tx, needs.campaign_name(campaign))
    return {"campaign": campaign, "needs": [told_need(need) for need in found]}


@router.get("/devices")
async def devices(desk: At, who: Who) -> list[dict[str, Any]]:
    """Tell a structure its devices, and the staff the whole stock, up to 5,000."""
    async with desk.read() as tx:
        found = await store.items_of(tx, who.structure) if who.structure else await store.stock(tx, 5_000)
    return [told_item(item) for item in found]


def told_item(item: Item) -> dict[str, Any]:
    """Tell a device in stock."""
    return {
        "device_id": item.device_id,
        "device_ref": item.device_ref,
        "device_type": item.device_type,
        "category": item.category,
        "refurbisher": item.refurbisher,
        "status": item.status,
        "structure": item.structure,
        "distance_km": item.distance_km,
        "reason": item.reason,
    }


@router.put("/devices/{device_id}/{step}")
async def move(device_id: UUID, step: Literal["shipment", "delivery"], desk: At, who: Who) -> dict[str, Any]:
    """`shipment`, by the staff: it left for its structure. `delivery`: the structure has it."""
    if step == "shipment":
        await staff(who)
        await desk.carry_out([Ship(id=item_id(device_id))])
    else:
        async with desk.read() as tx:
            found = till.choose(await store.items_called(tx, str(device_id)), who.structure)
        await desk.carry_out([Deliver(id=item_id(device_id), structure=who.structure or found.structure or "")])
    async with desk.read() as tx:
        return told_item((await store.items_called(tx, str(device_id)))[0])


@router.get("/figures", dependencies=[Depends(staff)])
async def figures(desk: At) -> dict[str, Any]:
    """Everything in counts, of one moment."""
    async with desk.read() as tx:
        return await store.counts(tx)

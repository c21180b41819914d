"""The board of the staff: stock and why it waits, needs, campaigns and who answered."""

import csv
import secrets
from collections.abc import Sequence
from datetime import date
from io import StringIO
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.distribution import store
from services.distribution.domain import needs
from services.distribution.domain.allotment import why_waiting
from services.distribution.domain.offers import day
from services.distribution.domain.stock import Ship, item_id
from services.distribution.pages.door import Staff, Visitor
from shared.db import Tx
from shared.errors import Coded
from shared.http import At
from shared.ui import same_origin

router = APIRouter()
SHOWN = 200
"""Devices on the board; the counts are of all."""


@router.get("/tableau")
async def board(request: Request, desk: At, who: Staff) -> Response:
    """Show where everything stands."""
    return await page(request, desk, who, {})


async def page(request: Request, desk: At, who: Visitor, typed: dict[str, str], errors: dict[str, str] | None = None) -> Response:
    """Show the board, with the form as it was typed."""
    async with desk.read() as tx:
        items = await store.stock(tx, SHOWN)
        kinds = await store.available_types(tx)
        unmet = await store.unmet_needs(tx, kinds) if kinds else {}
        counts = await store.counts(tx)
        campaigns = await store.campaigns(tx)
    waiting = [item for item in items if item.status == "available"]
    return who.show(
        request,
        "board.html",
        422 if errors else 200,
        items=[item for item in items if item.status != "available"],
        waiting=waiting,
        why=why_waiting(waiting, unmet.values()),
        counts=counts,
        campaigns=campaigns,
        typed=typed,
        errors=errors or {},
    )


@router.post("/expedier", dependencies=[Depends(same_origin)])
async def ship(desk: At, _: Staff, device: Annotated[UUID, Form()]) -> Response:
    """Note that a device left for its structure."""
    await desk.carry_out([Ship(id=item_id(device))])
    return RedirectResponse("/distribution/tableau", 303)


@router.post("/campagnes", dependencies=[Depends(same_origin)])
async def ask(
    request: Request,
    desk: At,
    who: Staff,
    nom: Annotated[str, Form(max_length=60)] = "",
    region: Annotated[str, Form(max_length=10)] = "",
    avant_le: Annotated[str, Form(max_length=20)] = "",
) -> Response:
    """Ask the structures of a region, or all, and show the links, this once."""
    typed = {"nom": nom, "region": region, "avant_le": avant_le}
    errors: dict[str, str] = {}
    try:
        answer_by = date.fromisoformat(avant_le) if avant_le.strip() else None
        if answer_by is not None and answer_by < day(desk.now()):
            errors["avant_le"] = who.pages.message("date_past")
    except ValueError:
        answer_by, errors["avant_le"] = None, "Choisissez une date, par exemple 18/12/2026."
    try:
        name = needs.campaign_name(nom)
        async with desk.read() as tx:
            already = await store.asked_already(tx, name)
        regions = [region] if region else None
        questions = needs.ask(who.book.atlas, name, answer_by=answer_by, regions=regions, already=already)
    except Coded as error:
        errors["region" if error.code == "region_unknown" else "nom"] = who.said(error)
        return await page(request, desk, who, typed, errors)
    if errors:
        return await page(request, desk, who, typed, errors)
    tokens = {question.structure: secrets.token_urlsafe(24) for question in questions}

    async def keep(tx: Tx) -> None:
        await store.add_links(tx, name, tokens)

    await desk.carry_out(questions, also=keep)
    return links(request, desk, who, name, tokens, already=len(already))


def links(request: Request, desk: At, who: Visitor, campaign: str, tokens: dict[str, str], already: int = 0) -> Response:
    """Show secret links, also as a file to take away: they are kept nowhere, so it is now or never.

    `already` is how many structures this campaign had asked before: two ways of writing a name may mean the same campaign.
    """
    root = desk.settings.public_url.rstrip("/")
    shown = [
        (who.book.atlas.structures[structure], f"{root}/distribution/besoins/{token}") for structure, token in tokens.items()
    ]
    return who.show(
        request,
        "links.html",
        private=True,
        campaign=campaign,
        links=shown,
        table=table([(structure.id, structure.name, link) for structure, link in shown]),
        already=already,
        days=store.LINK_DAYS,
    )


def table(rows: Sequence[tuple[str, str, str]]) -> str:
    """Write the links as spreadsheets of French offices read them: semicolons, and a mark that says UTF-8."""
    file = StringIO()
    csv.writer(file, delimiter=";").writerows([("\ufeffNuméro", "Structure", "Lien"), *rows])
    return file.getvalue()


@router.get("/campagnes/{campaign}")
async def campaign(request: Request, desk: At, who: Staff, campaign: str) -> Response:
    """Show who answered and who did not."""
    async with desk.read() as tx:
        found = await store.campaign(tx, campaign)
    return who.show(request, "campaign.html", campaign=campaign, needs=found)


@router.post("/campagnes/{campaign}/relancer", dependencies=[Depends(same_origin)])
async def remind(
    request: Request, desk: At, who: Staff, campaign: str, structure: Annotated[str, Form(max_length=40)]
) -> Response:
    """A new link, which replaces the earlier one; a reminder, if there is no answer. There is no mail yet: it is shown to be passed on."""
    who.book.atlas.structure(structure)
    need_id = needs.need_id(structure, campaign)
    async with desk.read() as tx:
        need = await store.need(tx, need_id)
    again = [] if need and need.status == "expressed" else [needs.RemindNeed(id=need_id)]
    tokens = {structure: secrets.token_urlsafe(24)}

    async def replace(tx: Tx) -> None:
        await store.end_links(tx, structure, campaign)
        await store.add_links(tx, campaign, tokens)

    await desk.carry_out(again, also=replace)
    return links(request, desk, who, campaign, tokens)

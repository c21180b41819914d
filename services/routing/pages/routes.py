"""Where the pages are, and what their forms do. Every form may be sent twice: the same fact changes nothing."""

import json
from collections.abc import Callable
from datetime import date, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse
from starlette.datastructures import FormData

from services.routing import store
from services.routing.domain.consignments import (
    FAILURES,
    CollectConsignment,
    Consignment,
    ConsignmentCommand,
    CountAtPoint,
    FailCollection,
    ReceiveAtPoint,
    ScheduleConsignment,
    SendOn,
)
from services.routing.domain.planning import Country
from services.routing.domain.standing import View
from services.routing.pages import board, words
from shared.desk import Desk
from shared.errors import NotYet
from shared.http import At
from shared.ui import Access, Pages, same_origin
from shared.ui.formats import date_fr, local, plural

SHOWN = 200
STALE = timedelta(seconds=30)
"""A view that was not right for so long says that it stands still."""
Errors = dict[str, str]
Reading = Callable[[UUID, Consignment, FormData, Errors, "Site", date], ConsignmentCommand | None]


class Site:
    """What pages need of the app's state."""

    def __init__(self, request: Request) -> None:
        state = request.app.state
        self.country: Country = state.country
        self.view: View = state.view
        self.map: Any = state.france
        self.outlines: board.Outlines = state.outlines


Here = Annotated[Site, Depends(Site)]


def router(pages: Pages, doors: Access) -> APIRouter:
    """All pages, for the staff only."""
    routes = APIRouter(prefix="/routing", include_in_schema=False, dependencies=[Depends(doors.staff)])

    @routes.get("/")
    async def show_board(request: Request, desk: At, site: Here) -> Response:
        return pages.render(request, "board.html", **await board_context(desk, site))

    @routes.get("/charge")
    async def show_load(request: Request, desk: At, site: Here) -> Response:
        async with desk.read() as tx:
            loads = await store.loads(tx, site.country.network)
        rings = board.rings(loads, {}, site.country, site.map)
        weeks = [(monday, words.workshop(slug, site.country.network), figures) for monday, slug, figures in site.view.by_week()]
        stale = site.view.last_right is not None and desk.now() - site.view.last_right > STALE
        context: dict[str, Any] = {"view": site.view, "stale": stale, "weeks": weeks, "rings": rings, "rules": site.country.rules}
        return pages.render(request, "load.html", **context)

    @routes.get("/envois/{consignment}")
    async def show_consignment(request: Request, consignment: UUID, desk: At, site: Here) -> Response:
        return pages.render(request, "consignment.html", **await consignment_context(desk, site, consignment))

    def form(path: str, read: Reading) -> None:
        @routes.post(f"/envois/{{consignment}}/{path}", name=path, dependencies=[Depends(same_origin)])
        async def act(request: Request, consignment: UUID, desk: At, site: Here) -> Response:
            context = await consignment_context(desk, site, consignment)
            typed, errors = await request.form(), Errors()
            command = read(consignment, context["it"], typed, errors, site, local(desk.now()).date())
            if command is None:
                answer = context | {"errors": errors, "values": dict(typed), "open": path}
                return pages.render(request, "consignment.html", 422, **answer)
            await desk.carry_out([command])
            return RedirectResponse(f"/routing/envois/{consignment}", 303)

    for path, read in FORMS.items():
        form(path, read)
    return routes


async def board_context(desk: Desk, site: Site) -> dict[str, Any]:
    """One moment of everything."""
    async with desk.read() as tx:
        moving = await store.under_way(tx, SHOWN)
        settled = await store.lately_settled(tx, 20)
        wishes = await store.everyone_waiting(tx, SHOWN)
        loads = await store.loads(tx, site.country.network)
        states = await store.refurbisher_states(tx)
    today = local(desk.now()).date()
    rows = board.rows(moving, site.country, site.outlines, today)
    late = sum(row.late for row in rows)
    declared = {slug: state.weekly_places is not None for slug, state in states.items()}
    flows = board.flows(moving, site.country, site.map, site.outlines)
    return {
        "heading": words.heading(len(wishes), late, len(rows)),
        "today": today,
        "devices": sum(flow.devices for flow in flows),
        "rows": rows,
        "settled": board.rows(settled, site.country, site.outlines, today),
        "waiting": board.waiting(wishes, site.country, site.outlines),
        "flows": flows,
        "dots": board.dots(flows),
        "rings": board.rings(loads, declared, site.country, site.map),
        "shapes": site.outlines.shapes,
        "rules": site.country.rules,
    }


async def consignment_context(desk: Desk, site: Site, wanted: UUID) -> dict[str, Any]:
    """One consignment with its story. Raises NotYet for one that does not exist."""
    async with desk.read() as tx:
        it = await store.consignment(tx, wanted)
        events = await store.history(tx, wanted)
    if it is None:
        raise NotYet("consignment_unknown")
    network = site.country.network
    candidates = [(c, words.workshop(c.refurbisher, network)) for c in (*([it.chosen] if it.chosen else []), *it.others)]
    return {
        "id": wanted,
        "it": it,
        "heading": words.standing(it, network),
        "state": words.state(it),
        "late": board.late(it, local(desk.now()).date(), site.country.rules.delivered_within_days),
        "workshop": words.workshop(it.refurbisher, network),
        "origin": board.origin(it.postal_code, site.country, site.outlines),
        "devices_text": words.some(it.declared),
        "required": words.ERASURE[it.required_class],
        "why": words.why(it, network),
        "candidates": [
            (name, c.distance_km, c.load, c.cost, words.EXCLUDED.get(c.excluded or "", "") if c.excluded else "")
            for c, name in candidates
        ],
        "chosen_name": candidates[0][1] if it.chosen else "",
        "steps": [step(at, kind, json.loads(data), site) for at, kind, data in events],
        "points": [(point.id, point.name) for point in network.reception_points],
        "point_name": next((p.name for p in network.reception_points if p.id == it.reception_point), it.reception_point),
        "failures": list(words.FAILURES.items()),
        "values": {},
        "open": "",
        "rules": site.country.rules,
    }


def step(at: object, kind: str, data: dict[str, Any], site: Site) -> dict[str, Any]:
    """One link of the chain: what happened, when, with the figure that was told."""
    text = ""
    if (counted := data.get("counted")) is not None:
        text = plural(counted, "appareil compté", "appareils comptés")
    elif day := data.get("collection_date"):
        text = date_fr(date.fromisoformat(day))
    elif kind == "routing.collection_failed.v1":
        text = words.FAILURES.get(data["reason"], data["reason"])
    elif point := data.get("reception_point"):
        found = site.country.network.points.get(point)
        text = found.name if found else point
    elif successor := data.get("next_refurbisher"):
        text = f"Repris par {words.workshop(successor, site.country.network)}"
    cut = kind in {"routing.collection_failed.v1", "routing.consignment_refused.v1"}
    return {
        "title": words.STEPS.get(kind, kind),
        "state": "cut" if cut else "done",
        "when": at,
        "hour": True,
        "text": text,
        "badge": "Bloqué" if cut else "Fait",
    }


def read_date(i: UUID, _: Consignment, typed: FormData, errors: Errors, __: Site, today: date) -> ScheduleConsignment | None:
    """A day that is still to come."""
    try:
        day = date.fromisoformat(text(typed, "collection_date"))
    except ValueError:
        errors["collection_date"] = "Choisissez une date, par exemple 30/11/2026."
        return None
    if day < today:
        errors["collection_date"] = "Cette date est passée. Choisissez une date à venir."
        return None
    return ScheduleConsignment(id=i, collection_date=day)


def read_collected(i: UUID, _: Consignment, typed: FormData, errors: Errors, __: Site, ___: date) -> CollectConsignment | None:
    """Devices counted, and pallets where there were some."""
    counted = number(typed, "counted", errors)
    pallets = number(typed, "pallets", errors) if text(typed, "pallets") else None
    return None if errors or counted is None else CollectConsignment(id=i, counted=counted, pallets=pallets)


def read_failure(i: UUID, it: Consignment, typed: FormData, errors: Errors, _: Site, __: date) -> FailCollection | None:
    """Why, and for which day: the form carries the day that it showed."""
    reason = text(typed, "reason")
    if reason not in FAILURES:
        errors["reason"] = "Choisissez ce qui a empêché l'enlèvement."
        return None
    try:
        planned = date.fromisoformat(text(typed, "planned"))
    except ValueError:
        planned = it.collection_date or date.min
    return FailCollection(id=i, reason=reason, planned=planned)


def read_received(i: UUID, _: Consignment, typed: FormData, errors: Errors, site: Site, __: date) -> ReceiveAtPoint | None:
    """At which point."""
    point = text(typed, "reception_point")
    if point not in site.country.network.points:
        errors["reception_point"] = "Choisissez un point de réception dans la liste."
        return None
    return ReceiveAtPoint(id=i, reception_point=point)


def read_counted(i: UUID, it: Consignment, typed: FormData, errors: Errors, _: Site, __: date) -> CountAtPoint | None:
    """Devices counted at the point where it is."""
    counted = number(typed, "counted_at_point", errors)
    return None if counted is None else CountAtPoint(id=i, reception_point=it.reception_point or "", counted=counted)


def read_sent_on(i: UUID, it: Consignment, _: FormData, __: Errors, ___: Site, ____: date) -> SendOn:
    """It leaves the point where it is."""
    return SendOn(id=i, reception_point=it.reception_point or "")


FORMS: dict[str, Reading] = {
    "date": read_date,
    "enleve": read_collected,
    "echec": read_failure,
    "recu": read_received,
    "compte": read_counted,
    "reparti": read_sent_on,
}


def text(typed: FormData, name: str) -> str:
    """What was typed in a field; a file is nothing."""
    value = typed.get(name, "")
    return value.strip() if isinstance(value, str) else ""


def number(typed: FormData, name: str, errors: Errors) -> int | None:
    """A number as people write it, `1 200` too; else what to do."""
    written = text(typed, name).replace("\N{NO-BREAK SPACE}", "").replace("\N{NARROW NO-BREAK SPACE}", "").replace(" ", "")
    if written.isascii() and written.isdigit() and len(written) <= 5:
        return int(written)
    errors[name] = "Écrivez le nombre seul, par exemple 24."
    return None

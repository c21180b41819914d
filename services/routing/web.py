"""The JSON API of routing, for programs of the staff: `Authorization: Bearer <staff code>`, or the cookie of the pages.

Telling the same fact again changes nothing and gives the same answer, so repeating is always safe; another fact is 409, both told.
"""

from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from services.routing import store
from services.routing.domain.consignments import (
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
from shared.desk import Desk
from shared.errors import Malformed, NotYet
from shared.http import At
from shared.ui.access import Access
from shared.ui.origin import same_origin

STATE = TypeAdapter(Consignment)
Count = Annotated[int, Field(ge=0, le=100_000)]


async def staff(request: Request) -> None:
    """Let the staff through, with its code or its cookie. A cookie counts only for what our own pages send."""
    doors: Access = request.app.state.doors
    await doors.staff(request)
    await same_origin(request)


def country(request: Request) -> Country:
    """Give the network and the rules."""
    found: Country = request.app.state.country
    return found


Known = Annotated[Country, Depends(country)]
router = APIRouter(prefix="/routing", tags=["routing"], dependencies=[Depends(staff)])


class Told(BaseModel):
    """What a program tells. A field that nobody knows is a mistake, and is said."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ToldDate(Told):
    """A day for the collection."""

    collection_date: date


class ToldCollected(Told):
    """What the driver counted."""

    counted: Count
    pallets: Count | None = None


class ToldFailure(Told):
    """Why the driver came back without it."""

    reason: Literal["absent", "no_access", "not_ready", "vehicle", "other"]
    planned: date = Field(description="the day that had been planned: it makes the same message safe to repeat")


class ToldPoint(Told):
    """At which reception point."""

    reception_point: str = Field(max_length=60)


class ToldCount(ToldPoint):
    """What the reception point counted."""

    counted: Count


@router.get("/figures")
async def figures(desk: At) -> dict[str, Any]:
    """Counts, to compare with the other services'."""
    async with desk.read() as tx:
        return await store.counts(tx)


@router.get("/consignments")
async def consignments_of(donation_id: UUID, desk: At) -> list[dict[str, Any]]:
    """The consignments of a donation, in the order in which they were made."""
    async with desk.read() as tx:
        found = await store.of_donations(tx, [donation_id])
    return [told(i, state) for i, state in sorted(found.items(), key=lambda pair: number(pair[1].reference))]


@router.get("/consignments/{consignment}")
async def show(consignment: UUID, desk: At) -> dict[str, Any]:
    """One consignment, as it is."""
    async with desk.read() as tx:
        found = await store.consignment(tx, consignment)
    if found is None:
        raise NotYet("consignment_unknown")
    return told(consignment, found)


@router.post("/consignments/{consignment}/scheduled")
async def schedule(consignment: UUID, body: ToldDate, desk: At) -> dict[str, Any]:
    """Set the day of collection."""
    if body.collection_date < desk.now().date():
        raise Malformed("date_past", date=str(body.collection_date))
    return await done(desk, ScheduleConsignment(id=consignment, collection_date=body.collection_date))


@router.post("/consignments/{consignment}/collected")
async def collected(consignment: UUID, body: ToldCollected, desk: At) -> dict[str, Any]:
    """The driver has it, and counted."""
    return await done(desk, CollectConsignment(id=consignment, counted=body.counted, pallets=body.pallets))


@router.post("/consignments/{consignment}/collection-failed")
async def failed(consignment: UUID, body: ToldFailure, desk: At) -> dict[str, Any]:
    """The driver came on the planned day and left without it."""
    return await done(desk, FailCollection(id=consignment, reason=body.reason, planned=body.planned))


@router.post("/consignments/{consignment}/received-at-point")
async def received_at_point(consignment: UUID, body: ToldPoint, desk: At, known: Known) -> dict[str, Any]:
    """A reception point took it in."""
    return await done(desk, ReceiveAtPoint(id=consignment, reception_point=a_point(body.reception_point, known)))


@router.post("/consignments/{consignment}/counted-at-point")
async def counted_at_point(consignment: UUID, body: ToldCount, desk: At, known: Known) -> dict[str, Any]:
    """A reception point counted it."""
    point = a_point(body.reception_point, known)
    return await done(desk, CountAtPoint(id=consignment, reception_point=point, counted=body.counted))


@router.post("/consignments/{consignment}/sent-on")
async def sent_on(consignment: UUID, body: ToldPoint, desk: At, known: Known) -> dict[str, Any]:
    """It left the reception point."""
    return await done(desk, SendOn(id=consignment, reception_point=a_point(body.reception_point, known)))


async def done(desk: Desk, command: ConsignmentCommand) -> dict[str, Any]:
    """Carry it out, and give the consignment as it then is."""
    await desk.carry_out([command])
    return await show(command.id, desk)


def a_point(name: str, known: Country) -> str:
    """A reception point that exists."""
    if name not in known.network.points:
        raise Malformed("reception_point_unknown", told=name, known=sorted(known.network.points))
    return name


def told(consignment: UUID, state: Consignment) -> dict[str, Any]:
    """A consignment for programs."""
    plain: dict[str, Any] = STATE.dump_python(state, mode="json")
    return {"id": str(consignment), "devices": state.devices, **plain}


def number(reference: str) -> int:
    """The number of a consignment within its donation: `2` of `DON-7K3M-24PQ/2`."""
    return int(reference.rpartition("/")[2])

"""Labels to print: one for a device, or a sheet for a consignment, a lot or a pallet."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Response
from fastapi.exceptions import HTTPException
from starlette.concurrency import run_in_threadpool

from services.refurb.domain import labels
from services.refurb.domain.device import Device
from services.refurb.pages import Looks
from services.refurb.settings import RefurbSettings
from services.refurb.store import DEVICES, boards
from shared.desk import Desk
from shared.http import At
from shared.ui import device as device_fr

router = APIRouter(prefix="/refurb", include_in_schema=False)
TEMPLATE = Path(__file__).parents[1] / "templates" / "labels.typ"


@router.get("/appareils/{device_id}/etiquette.pdf")
async def one(device_id: UUID, desk: At, who: Looks) -> Response:
    """The label of one device, for a label printer."""
    async with desk.read() as tx:
        row = (await DEVICES.load(tx, [device_id])).get(device_id)
    if row is None or not who.may_see(row.state):
        raise HTTPException(404)
    return await printed(desk, [row.state], sheet=False)


@router.get("/etiquettes.pdf")
async def several(desk: At, who: Looks, envoi: UUID | None = None, lot: str = "") -> Response:
    """A sheet of labels: of a consignment (`envoi`), of a lot or a pallet (`lot`)."""
    async with desk.read() as tx:
        if envoi is not None:
            found = await boards.of_consignment(tx, who.refurbisher, envoi)
        else:
            found = await boards.in_lot(tx, who.refurbisher, lot[:64]) if lot else []
    if not found:
        raise HTTPException(404)
    return await printed(desk, [device for _, device in found], sheet=True)


async def printed(desk: Desk, devices: Sequence[Device], *, sheet: bool) -> Response:
    home = cast("RefurbSettings", desk.settings).public_url.rstrip("/")
    made = [
        labels.Label(
            ref=device.device_ref,
            address=f"{home}/refurb/appareils?q={quote(device.device_ref)}",
            lines=tuple(line for line in said(device) if line),
        )
        for device in devices
    ]
    data = await run_in_threadpool(labels.pdf, made, TEMPLATE, sheet=sheet)
    headers = {"Content-Disposition": 'inline; filename="etiquettes.pdf"', "Cache-Control": "no-store"}
    return Response(data, media_type="application/pdf", headers=headers)


def said(device: Device) -> tuple[str, ...]:
    """What stands below the reference. Never a donor's or a person's name: a label goes with the device."""
    kind = device_fr(device.device_type or "other", short=True).capitalize()
    return (
        f"{kind} {device.maker or ''}".strip(),
        device.model or "",
        f"Série {device.serial}" if device.serial else "",
        f"Lot {device.lot}" if device.lot else "",
        f"Palette {device.pallet}" if device.pallet else "",
    )

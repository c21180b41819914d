"""The devices of a workshop as a table to take away, and the pace of its work."""

from uuid import UUID

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from services.refurb.domain import export
from services.refurb.pages import Looks, show
from services.refurb.store import boards, rows
from shared.http import At

router = APIRouter(prefix="/refurb", include_in_schema=False)
MOST_ROWS = 20_000
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@router.get("/export.xlsx")
async def table(desk: At, who: Looks) -> Response:
    """All devices in the charity's own record, as XLSX."""
    made: list[dict[str, export.Cell]] = []
    after: UUID | None = None
    async with desk.read() as tx:
        while len(made) < MOST_ROWS:
            found = await boards.records(tx, who.refurbisher, after)
            if not found:
                break
            where = await rows.steps(tx, [device_id for device_id, _, _ in found])
            made += [export.record(device, at, where.get(device_id, "workshop")) for device_id, device, at in found]
            after = found[-1][0]
    data = await run_in_threadpool(export.workbook, made)
    headers = {"Content-Disposition": 'attachment; filename="appareils.xlsx"', "Cache-Control": "no-store"}
    return Response(data, media_type=XLSX, headers=headers)


@router.get("/rythme")
async def pace(request: Request, desk: At, who: Looks) -> Response:
    """Week by week: what came, what got ready, what was scrapped, and how long it took."""
    async with desk.read() as tx:
        weeks = await boards.pace(tx, who.refurbisher)
    return show(desk, request, "pace.html", who, weeks=weeks)

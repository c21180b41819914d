"""The drop zone: a report of an erasure is dropped on its device, and the verdict is there with the answer.

The verdict shown is what the judge says of the device with this report; it counts when the message that files it has had its effect,
as any other of the workshop's messages.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, File, Form, Request, Response, UploadFile
from fastapi.exceptions import HTTPException
from starlette.concurrency import run_in_threadpool

from services.refurb.domain import judge, life, receipt
from services.refurb.domain.cases import filed
from services.refurb.domain.device import Device, FileEvidence, evolve
from services.refurb.domain.readers.facts import LARGEST, Unreadable
from services.refurb.domain.readers.recognise import read
from services.refurb.pages import show
from services.refurb.pages.arrivals import Speaks, new_id, tell, the_id
from services.refurb.store import DEVICES, Evidence
from shared.desk import Desk
from shared.errors import Coded
from shared.http import At
from shared.ui import same_origin

router = APIRouter(prefix="/refurb", include_in_schema=False)
MOST_FILES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """One file, and what is to be said of it. `lines`: state, words, the line it rests on."""

    name: str
    sent: bool
    lines: Sequence[tuple[str, str, str]]


@router.get("/rapports/{device_id}")
async def ask(device_id: UUID, request: Request, desk: At, who: Speaks) -> Response:
    """Where reports are dropped."""
    device = await theirs(desk, device_id, who.refurbisher)
    return show(desk, request, "reports.html", who, device=device, device_id=device_id, dropped=[], errors={}, ask=new_id())


@router.post("/rapports/{device_id}", dependencies=[Depends(same_origin)])
async def drop(
    device_id: UUID,
    request: Request,
    desk: At,
    who: Speaks,
    reports: Annotated[list[UploadFile] | None, File()] = None,
    id: Annotated[str, Form()] = "",  # noqa: A002 the name of the field
) -> Response:
    """Keep each file, judge it, and file it as the workshop's message."""
    device = await theirs(desk, device_id, who.refurbisher)
    given = [report for report in reports or [] if report.filename]
    errors = {} if given else {"reports": "Choisissez au moins un fichier."}
    if len(given) > MOST_FILES:
        errors, given = {"reports": f"Déposez {MOST_FILES} fichiers au plus à la fois."}, []
    base, dropped = the_id(id), []
    for number, report in enumerate(given):
        data = await report.read(LARGEST + 1)
        lines, good = await run_in_threadpool(verdict, desk, device_id, device, data)
        if good:
            evidence: Evidence = desk.state["evidence"]
            sha256 = await run_in_threadpool(evidence.keep, data)
            about = {"consignment_id": str(device.consignment_id), "device_ref": device.device_ref, "evidence_sha256": sha256}
            await tell(desk, who, "medium_erased", device.device_ref, about, f"{base}-{number}")
        dropped.append(Dropped(name=(report.filename or "")[-80:], sent=good, lines=lines))
    shown: dict[str, Any] = {"device": device, "device_id": device_id, "dropped": dropped, "errors": errors, "ask": new_id()}
    return show(desk, request, "reports.html", who, 422 if errors else 200, **shown)


async def theirs(desk: Desk, device_id: UUID, refurbisher: str | None) -> Device:
    """The device, when it is this workshop's."""
    async with desk.read() as tx:
        row = (await DEVICES.load(tx, [device_id])).get(device_id)
    if row is None or row.state.status == "expected" or row.state.refurbisher != refurbisher:
        raise HTTPException(404)
    found: Device = row.state
    return found


def verdict(desk: Desk, device_id: UUID, device: Device, data: bytes) -> tuple[list[tuple[str, str, str]], bool]:
    """What the judge would say of each medium with this report, and whether it is a report at all."""
    hints: receipt.Hints = desk.state["hints"]
    found = read(data)
    if isinstance(found, Unreadable) or not found.runs:
        code = found.reason if isinstance(found, Unreadable) else "not_an_erasure"
        return [("bad", receipt.fault(code, hints, "", {"medium": "de cet appareil"}).hint, "")], False
    media = device.audit.media if device.audit else ()
    if not media:
        return [("wait", "Bien reçu. L'audit matériel n'est pas encore arrivé : le rapport sera jugé avec lui.", "")], True
    policy: judge.Policy = desk.state["policy"]
    about = FileEvidence(
        id=device_id, refurbisher=device.refurbisher, consignment_id=consignment(device), filed=filed(data), policy=policy
    )
    try:
        life.decide(device, about)
    except Coded as refusal:
        return [("bad", fault.hint, "") for fault in receipt.faults(refusal, hints)], False
    return [line(one, hints) for one in life.verdicts(evolve(device, about.filed), policy)], True


def consignment(device: Device) -> UUID:
    if device.consignment_id is None:
        raise AssertionError("a device that was received has one")
    return device.consignment_id


def line(one: judge.Verdict, hints: receipt.Hints) -> tuple[str, str, str]:
    name = one.medium.serial or one.medium.model or "sans numéro"
    rests = "; ".join(f"ligne {number} : {words}" for number, words in one.rests_on if words)
    if one.accepted:
        return "ok", f"Support {name} : effacement prouvé ({one.technique}, niveau {one.method_class}).", rests
    state = "wait" if one.reason == "no_evidence" else "bad"
    return state, receipt.fault(one.reason, hints, "", {"medium": name}).hint, rests

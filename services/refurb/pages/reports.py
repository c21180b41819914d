"""The drop zone: a report about a device (its hardware, or an erasure) is dropped on it, and what it says is there with the answer.

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

from services.refurb.domain import audit, judge, life, receipt
from services.refurb.domain.cases import filed
from services.refurb.domain.device import AuditDevice, Device, FileEvidence, evolve
from services.refurb.domain.readers.facts import LARGEST, Unreadable, Unusable
from services.refurb.domain.readers.recognise import read
from services.refurb.pages import SETTLED, show
from services.refurb.pages.arrivals import Speaks, new_id, tell, the_id
from services.refurb.store import DEVICES, Evidence
from shared.desk import Desk
from shared.errors import Coded
from shared.events.refurb import DeviceAudited
from shared.http import At
from shared.ui import same_origin
from shared.ui.formats import size_fr

router = APIRouter(prefix="/refurb", include_in_schema=False)
MOST_FILES = 10
Line = tuple[str, str, str]
"""State, words, the line of the report that they rest on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """One file, and what is to be said of it. `lines`: state, words, the line it rests on."""

    name: str
    sent: bool
    lines: Sequence[Line]


@router.get("/rapports/{device_id}")
async def ask(device_id: UUID, request: Request, desk: At, who: Speaks) -> Response:
    """Where reports are dropped."""
    device = await theirs(desk, device_id, who.refurbisher)
    shown: dict[str, Any] = {"device": device, "device_id": device_id, "dropped": [], "errors": {}, "ask": new_id()}
    return show(desk, request, "reports.html", who, settled=SETTLED.get(device.status, ""), **shown)


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
        kind, lines = await run_in_threadpool(verdict, desk, device_id, device, data)
        if kind:
            evidence: Evidence = desk.state["evidence"]
            sha256 = await evidence.kept(data)
            about = {"consignment_id": str(device.consignment_id), "device_ref": device.device_ref, "evidence_sha256": sha256}
            await tell(desk, who, kind, device.device_ref, about, f"{base}-{number}")
        dropped.append(Dropped(name=(report.filename or "")[-80:], sent=bool(kind), lines=lines))
    shown: dict[str, Any] = {"device": device, "device_id": device_id, "dropped": dropped, "errors": errors, "ask": new_id()}
    settled = SETTLED.get(device.status, "")
    return show(desk, request, "reports.html", who, 422 if errors else 200, settled=settled, **shown)


async def theirs(desk: Desk, device_id: UUID, refurbisher: str | None) -> Device:
    """The device, when it is this workshop's."""
    async with desk.read() as tx:
        row = (await DEVICES.load(tx, [device_id])).get(device_id)
    if row is None or row.state.status == "expected" or row.state.refurbisher != refurbisher:
        raise HTTPException(404)
    found: Device = row.state
    return found


def verdict(desk: Desk, device_id: UUID, device: Device, data: bytes) -> tuple[str, list[Line]]:
    """Which message a file makes (none: it says nothing of this device), and what is to be said of it."""
    hints: receipt.Hints = desk.state["hints"]
    found = read(data)
    if isinstance(found, Unreadable):
        return "", [("bad", receipt.fault(found.reason, hints).hint, "")]
    try:
        if not found.runs:
            return "device_audited", hardware(desk, device_id, device, data)
        return "medium_erased", erasure(desk, device_id, device, data)
    except Unusable as refusal:
        return "", [("bad", receipt.fault(refusal.code, hints).hint, "")]
    except Coded as refusal:
        return "", [("bad", fault.hint, "") for fault in receipt.faults(refusal, hints)]


def hardware(desk: Desk, device_id: UUID, device: Device, data: bytes) -> list[Line]:
    """What a hardware report says. Raises Unusable, or Refused as the rules say."""
    found = audit.read(data, device.device_ref)
    machine = found.hardware
    audited = DeviceAudited(
        media=machine.media,
        cpu=machine.cpu,
        ram_gb=machine.ram_gb,
        maker=machine.maker,
        model=machine.model,
        serial=machine.serial,
    )
    about = AuditDevice(
        id=device_id,
        refurbisher=device.refurbisher,
        consignment_id=consignment(device),
        audited=audited,
        policy=desk.state["policy"],
    )
    life.decide(device, about)
    named = " ".join(filter(None, (machine.maker, machine.model, machine.cpu))) or "modèle inconnu"
    memory = f", {machine.ram_gb} Go de mémoire" if machine.ram_gb else ""
    lines: list[Line] = [("ok", f"Matériel lu : {named}{memory}.", "")]
    for one in machine.media:
        size = size_fr(one.bytes) if one.bytes else "taille inconnue"
        if one.serial:
            lines.append(("ok", f"Support {one.serial} : {size}.", ""))
        else:
            lines.append(("warn", f"Un support sans numéro de série ({size}) : son effacement ne pourra pas être prouvé.", ""))
    return lines if machine.media else [*lines, ("warn", "Aucun support lu.", "")]


def erasure(desk: Desk, device_id: UUID, device: Device, data: bytes) -> list[Line]:
    """What the judge would say of each medium with this report. Raises Refused as the rules say."""
    media = device.audit.media if device.audit else ()
    if not media:
        return [("wait", "Bien reçu. L'audit matériel n'est pas encore arrivé : le rapport sera jugé avec lui.", "")]
    policy: judge.Policy = desk.state["policy"]
    about = FileEvidence(
        id=device_id, refurbisher=device.refurbisher, consignment_id=consignment(device), filed=filed(data), policy=policy
    )
    life.decide(device, about)
    return [line(one, desk.state["hints"]) for one in life.verdicts(evolve(device, about.filed), policy)]


def consignment(device: Device) -> UUID:
    if device.consignment_id is None:
        raise AssertionError("a device that was received has one")
    return device.consignment_id


def line(one: judge.Verdict, hints: receipt.Hints) -> Line:
    name = one.medium.serial or one.medium.model or "sans numéro"
    rests = "; ".join(f"ligne {number} : {words}" for number, words in one.rests_on if words)
    if one.accepted:
        return "ok", f"Support {name} : effacement prouvé ({one.technique}, niveau {one.method_class}).", rests
    state = "wait" if one.reason == "no_evidence" else "bad"
    return state, receipt.fault(one.reason, hints, "", {"medium": name}).hint, rests

"""The devices of a workshop: the work queue, and a page for each, with what is proven of its media and what it lived through."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import HTTPException
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from services.refurb.domain import regrading
from services.refurb.domain.device import Device, Finding
from services.refurb.domain.holding import Holding
from services.refurb.domain.receipt import Open
from services.refurb.domain.statuses import charity_status
from services.refurb.domain.whereabouts import Step
from services.refurb.pages import SETTLED, Looks, named, show
from services.refurb.store import DEVICES, Evidence, boards, rows
from shared.desk import Desk
from shared.events.base import Medium
from shared.events.refurb import ErasureRun
from shared.http import At
from shared.ui import moment_fr, number_fr, scanned
from shared.ui.formats import size_fr

router = APIRouter(prefix="/refurb", include_in_schema=False)
TABS: Mapping[str, str] = {
    "a-traiter": "À traiter",
    "en-cours": "En cours",
    "prets": "Prêts",
    "vendus": "Vendus",
    "rebut": "Sortis",
}
KINDS: Mapping[str, str] = {
    "hdd": "Disque dur",
    "ssd": "SSD",
    "nvme": "SSD NVMe",
    "emmc": "Mémoire soudée",
    "phone": "Mémoire du téléphone",
    "unknown": "Support",
}
STEPS: Mapping[str, tuple[str, str]] = {
    "refurb.report_held.v1": ("done", "Rapport en attente de l'appareil"),
    "refurb.device_received.v1": ("done", "Reçu"),
    "refurb.device_audited.v1": ("done", "Audité"),
    "refurb.evidence_filed.v1": ("done", "Rapport d'effacement reçu"),
    "refurb.medium_sanitised.v1": ("done", "Effacement prouvé"),
    "refurb.sanitisation_rejected.v1": ("cut", "Effacement non prouvé"),
    "refurb.device_graded.v1": ("done", "Catégorie calculée"),
    "refurb.device_repaired.v1": ("done", "Réparé"),
    "refurb.device_ready.v1": ("done", "Prêt"),
    "refurb.device_scrapped.v1": ("cut", "Mis au rebut"),
    "refurb.device_taken_back.v1": ("cut", "Retiré du stock"),
    "refurb.device_lost.v1": ("cut", "Introuvable"),
    "refurb.device_found.v1": ("done", "Retrouvé"),
    "refurb.medium_removed.v1": ("done", "Support retiré"),
    "refurb.audit_withdrawn.v1": ("cut", "À auditer de nouveau"),
    "refurb.warranty_repair_begun.v1": ("done", "Revenu pour réparation sous garantie"),
    "refurb.warranty_repair_ended.v1": ("done", "Rendu à son propriétaire"),
    "refurb.device_handed_over.v1": ("done", "Vendu"),
}

REMOVED_TO: Mapping[str, str] = {
    "device": "posé dans",
    "spare": "gardé en réserve",
    "destroyed": "détruit",
    "unknown": "destination inconnue",
}
POINTS: Mapping[str, str] = {
    "cpu_mark": "Processeur",
    "ram_gb": "Mémoire",
    "disks": "Disques",
    "storage_gb": "Stockage",
    "index_thousands": "Indice",
    "weighting": "Pondération",
    "nvme": "Disque NVMe",
    "caps": "Plafonds de la règle",
}
PLACES: Mapping[Step, tuple[str, str] | None] = {
    "workshop": None,
    "shipped": ("info", "En livraison"),
    "delivered": ("ok", "Chez la structure"),
}
"""Where a ready device is, as a badge."""
BATTERIES: Mapping[str, str] = {"ok": "bonne", "worn": "usée", "missing": "absente"}


@router.get("/appareils")
async def queue(request: Request, desk: At, who: Looks, vue: str = "a-traiter", q: str = "") -> Response:
    """The devices of one view; a scanned reference or serial number opens its device, or lists those that share it."""
    view = vue if vue in TABS else "a-traiter"
    async with desk.read() as tx:
        found = await rows.devices_called(tx, who.refurbisher, scanned(q)[:100]) if q.strip() else []
        if len(found) == 1:
            return RedirectResponse(f"/refurb/appareils/{found[0][0]}", 303)
        listed = found or await rows.devices(tx, who.refurbisher, view)
        counts = await rows.counts(tx, who.refurbisher)
        elsewhere = held_elsewhere(await boards.disputes(tx, who.refurbisher))
        ids = [device_id for device_id, _, _ in listed]
        shared = await rows.sharing(tx, who.refurbisher, ids)
        where = await rows.steps(tx, ids)
    missing = (
        f"Aucun appareil ne porte « {q[:40]} ». Vérifiez l'étiquette, ou attendez que l'atelier l'annonce."
        if q and not found
        else ""
    )
    devices = [
        {
            "href": f"/refurb/appareils/{device_id}",
            "device": device,
            "atelier": named(desk, device.refurbisher),
            **kept_back(desk, device_id, device, elsewhere, shared),
            "gone": scrapped(desk, device),
            "place": PLACES[where.get(device_id, "workshop")],
            "since": at,
        }
        for device_id, device, at in listed
    ]
    return show(
        desk,
        request,
        "queue.html",
        who,
        view="" if found else view,
        tabs=TABS,
        counts=counts,
        devices=devices,
        typed=q[:100],
        missing=missing,
    )


Elsewhere = Mapping[UUID, Sequence[tuple[str, Holding]]]
"""Device -> the media that it names while another device has them."""
Shared = Mapping[UUID, Sequence[tuple[UUID, str]]]
"""Device -> the others that are here under its serial number."""


def held_elsewhere(disputes: Sequence[tuple[UUID, Holding]]) -> Elsewhere:
    found: dict[UUID, list[tuple[str, Holding]]] = {}
    for _, held in disputes:
        for place in held.disputed:
            found.setdefault(place.device_id, []).append((held.serial, held))
    return found


def kept_back(desk: Desk, device_id: UUID, device: Device, elsewhere: Elsewhere, shared: Shared) -> dict[str, str]:
    """Why people must see to a device, in a word, and what to do."""
    words = desk.state["words"]
    if device.exception is None and device_id in elsewhere:
        serial, held = elsewhere[device_id][0]
        hint = desk.state["hints"]["medium_elsewhere"].format_map(
            Open(medium=serial, device=held.holder_told(device.refurbisher))
        )
        return {"word": words["medium_elsewhere"], "why": hint}
    if device.exception is None and device_id in shared:
        others = ", ".join(ref for _, ref in shared[device_id])
        return {"word": words["serial_shared"], "why": words["serial_shared_why"].format_map(Open(others=others))}
    return {"word": words.get(device.exception or "", ""), "why": blocked(desk, device)}


def blocked(desk: Desk, device: Device) -> str:
    """What to do about the first thing that keeps a device back."""
    found = next((f for f in device.findings if not f.accepted), None)
    if found is not None:
        return hint(desk, found)
    text = desk.state["hints"].get(device.exception or "", "")
    return str(text).format_map(Open(medium="de cet appareil"))


def scrapped(desk: Desk, device: Device) -> str:
    """Why it was scrapped, or is lost or in repair, in words; a workshop may have codes of its own."""
    reason = device.fault or device.lost_reason or device.scrap_reason or ""
    return str(desk.state["scrapped"].get(reason) or f"autre motif ({reason})")


def hint(desk: Desk, finding: Finding) -> str:
    text = str(desk.state["hints"].get(finding.reason, desk.state["hints"]["other"]))
    return text.format_map(Open(code=finding.reason, medium=finding.medium.serial or finding.medium.model or "sans numéro"))


@router.get("/appareils/{device_id}")
async def device_page(device_id: UUID, request: Request, desk: At, who: Looks) -> Response:
    """One device: its media with what is proven of each, its category, its timeline."""
    async with desk.read() as tx:
        row = (await DEVICES.load(tx, [device_id])).get(device_id)
        lived = await rows.history(tx, device_id)
        sent = await boards.sent(tx, row.state.consignment_id) if row else None
        elsewhere = held_elsewhere(await boards.disputes(tx, who.refurbisher)).get(device_id, ())
        shared = (await rows.sharing(tx, who.refurbisher, [device_id])).get(device_id, ())
        step = (await rows.steps(tx, [device_id])).get(device_id, "workshop")
    if row is None or not who.may_see(row.state):
        raise HTTPException(404)
    device: Device = row.state
    media = [medium_view(desk, device, medium) for medium in (device.audit.media if device.audit else ())]
    return show(
        desk,
        request,
        "device.html",
        who,
        device=device,
        device_id=device_id,
        atelier=named(desk, device.refurbisher),
        sent=sent,
        points=[(POINTS[part], given) for part, given in regrading.reasons(device, desk.state["rules"])],
        battery=BATTERIES.get(device.audit.battery or "", "") if device.audit else "",
        media=media,
        scrapped=scrapped(desk, device),
        unproven=len([m for m in media if m["state"] != "ok"]),
        steps=steps(desk.state["scrapped"], desk.state["parts"], lived),
        parts=[desk.state["parts"].get(part, part) for part in device.parts],
        charity=charity_status(device, step),
        shelf=PLACES[step],
        settled=device.status in SETTLED,
        removed_to=REMOVED_TO,
        elsewhere=[serial for serial, _ in elsewhere],
        shared=[(f"/refurb/appareils/{other}", ref) for other, ref in shared],
        speaks=who.refurbisher is not None,
    )


def medium_view(desk: Desk, device: Device, medium: Medium) -> dict[str, Any]:
    """One medium, with the lines of its verdict: state, text, the words of the report."""
    found = next((f for f in device.findings if f.medium == medium), None)
    run = deciding(device, found)
    lines: list[tuple[str, str, str]] = []
    if found is None:
        lines.append(("wait", "Aucun rapport d'effacement ne parle encore de ce support.", ""))
    elif not found.accepted:
        lines.append(("bad", hint(desk, found), f"ligne {found.line} : {found.said}" if found.line and found.said else ""))
    else:
        lines = proof(device, found, run)
    state, word = (
        ("wait", "En attente") if found is None else ("ok", "Effacement prouvé") if found.accepted else ("bad", "Non prouvé")
    )
    return {
        "title": f"{KINDS[medium.kind]} {size_fr(medium.bytes) if medium.bytes else ''}".strip(),
        "medium": medium,
        "finding": found,
        "required": device.required_class,
        "state": state,
        "word": word,
        "lines": lines,
        "run": run,
    }


def deciding(device: Device, found: Finding | None) -> ErasureRun | None:
    """The run that a finding rests on."""
    runs = [r for e in device.evidence if found and e.evidence_sha256 == found.evidence_sha256 for r in e.runs]
    return next((r for r in reversed(runs) if found and found.medium.serial in {r.serial, *r.doubtful_serials}), None)


def proof(device: Device, found: Finding, run: ErasureRun | None) -> list[tuple[str, str, str]]:
    """The rules that an accepted erasure keeps, each with what it rests on."""
    lines = [("ok", "Même numéro de série dans l'audit et dans le rapport", found.medium.serial or "")]
    if run is None:
        return lines
    if run.covered_bytes is not None:
        size = f"{number_fr(run.covered_bytes)} octets pour {number_fr(found.medium.bytes or 0)}"
        lines.append(("ok", "Tout l'espace est couvert à chaque passe", size))
    ended = f"{moment_fr(run.started_at)} à {moment_fr(run.ended_at)}" if run.started_at and run.ended_at else ""
    return [
        *lines,
        (
            "ok",
            "Aucune erreur, rapport complet du début à la fin",
            f"ligne {run.line} : {run.said}" if run.line and run.said else "",
        ),
        ("ok", "Vérifié après l'effacement", ""),
        ("ok", f"Méthode admise : {found.technique}", f"atteint {found.method_class}, demandé {device.required_class}"),
        ("ok", "Fini après avoir commencé", ended),
    ]


def steps(reasons: Mapping[str, str], parts: Mapping[str, str], lived: list[tuple[datetime, str, str]]) -> list[dict[str, Any]]:
    """The timeline. Of events of one kind at one moment, one step."""
    shown: list[dict[str, Any]] = []
    for at, kind, text in lived:
        state, title = STEPS.get(kind, ("done", kind))
        if shown and shown[-1]["title"] == title and shown[-1]["when"] == at:
            continue
        shown.append(
            {
                "state": state,
                "title": title,
                "when": at,
                "hour": True,
                "badge": "",
                "text": detail(reasons, parts, kind, json.loads(text)),
            }
        )
    if lived and lived[-1][1] not in {
        "refurb.device_ready.v1",
        "refurb.device_scrapped.v1",
        "refurb.device_handed_over.v1",
    }:
        shown.append({"state": "", "title": "Prêt", "text": "Quand chaque support est prouvé effacé et que l'atelier a fini."})
    return shown


def detail(reasons: Mapping[str, str], parts: Mapping[str, str], kind: str, data: Mapping[str, Any]) -> str:
    """What a step says besides its title, in a few words."""
    match kind:
        case "refurb.device_graded.v1":
            return f"{data['category'].capitalize()}, {data['points']} points, règle {data['rules']}"
        case "refurb.device_repaired.v1":
            return ", ".join(parts.get(part, part) for part in data["parts"])
        case "refurb.device_scrapped.v1" | "refurb.device_taken_back.v1" | "refurb.device_lost.v1":
            return str(reasons.get(data["reason"], data["reason"]))
        case "refurb.warranty_repair_begun.v1":
            return str(data["fault"])
        case "refurb.warranty_repair_ended.v1":
            return "Réparé" if data["outcome"] == "repaired" else "Non réparable"
        case "refurb.medium_removed.v1":
            return f"{data['medium'].get('serial') or ''}, {REMOVED_TO[data['to']]} {data.get('to_device_ref') or ''}".strip()
        case "refurb.audit_withdrawn.v1":
            return f"Le support {data['serial']} est dans un autre appareil"
        case "refurb.evidence_filed.v1":
            return str(data["tool"])
        case _:
            return ""


def originals(device: Device) -> set[str]:
    """The hashes of what came about a device: reports, and what its audit was read from."""
    return {e.evidence_sha256 for e in device.evidence} | ({device.audit.evidence_sha256 or ""} if device.audit else set())


@router.get("/appareils/{device_id}/preuves/{sha256}")
async def original(device_id: UUID, sha256: str, desk: At, who: Looks) -> Response:
    """The original of a report of this device, as it came."""
    async with desk.read() as tx:
        row = (await DEVICES.load(tx, [device_id])).get(device_id)
    known = row is not None and who.may_see(row.state) and sha256 in originals(row.state)
    evidence: Evidence = desk.state["evidence"]
    data = await run_in_threadpool(evidence.fetch, sha256) if known else None
    if data is None:
        raise HTTPException(404)
    headers = {
        "Content-Disposition": f'attachment; filename="rapport-{sha256[:12]}.txt"',
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": "no-store",
    }
    return Response(data, media_type="application/octet-stream", headers=headers)

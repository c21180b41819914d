"""The way in by HTTP for partners who cannot speak Kafka, and counts for staff.

A partner's lines go onto its own inbound topic, so there is one way in; what is wrong with a line is said at once. The key in
`Authorization: Bearer …` names the refurbisher; of the key itself only the SHA-256 is kept.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, cast
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from pydantic_core import from_json, to_json
from starlette.concurrency import run_in_threadpool

from services.refurb.domain import receipt
from services.refurb.domain.readers.facts import LARGEST
from services.refurb.settings import RefurbSettings
from services.refurb.store import Evidence, rows
from shared.consumer import malformed
from shared.desk import Desk
from shared.errors import Coded, Malformed, Refused
from shared.events import partner
from shared.events.refurb import Fault
from shared.http import LARGEST_BODY, At, problem
from shared.ui.access import STAFF, Access, Denied

router = APIRouter(prefix="/refurb")
CONTRACTS: Mapping[str, type[partner.Report]] = {kind.type: kind for kind in partner.MESSAGES}
ATTRIBUTES = ("specversion", "id", "source", "type", "time")
PARTS = msgspec.json.Decoder(dict[str, msgspec.Raw])
"""The parts of a line as they came: what it is about is read once, by its contract, and sent on byte for byte."""
MOST_LINES = 1_000
LARGEST_MESSAGE = 950_000
"""Bytes of one message; the topic takes 1,000,000 with its headers."""


async def refurbisher(request: Request, desk: At) -> str:
    """Whose key this is. Raises Denied without a key that we know."""
    given = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
    digest = hashlib.sha256(given.encode()).hexdigest()
    found = None
    for slug, known in cast("RefurbSettings", desk.settings).refurb_api_keys.items():
        for each in known:
            if hmac.compare_digest(each.lower(), digest):
                found = slug
    if found is None:
        raise Denied("sign_in")
    return found


Partner = Annotated[str, Depends(refurbisher)]
Line = tuple[bytes, bytes, dict[str, str]]
"""Key, value, headers of a message."""


@router.post("/reports", status_code=202)
async def report(request: Request, desk: At, slug: Partner) -> Response:
    """Take up to 1,000 messages, one CloudEvent (structured mode, JSON) a line. Tells for each line whether it is on its way."""
    body = await read_body(request, LARGEST_BODY)
    lines = [line for line in body.split(b"\n") if line.strip()]
    if not lines:
        raise Malformed("no_lines")
    if len(lines) > MOST_LINES:
        raise Malformed("too_many_lines", most=MOST_LINES)
    hints: receipt.Hints = desk.state["hints"]
    answers: list[dict[str, Any]] = []
    ready: list[tuple[bytes | None, bytes, Mapping[str, str]]] = []
    for number, read in enumerate(await run_in_threadpool(lambda: [one(line, slug, hints) for line in lines]), 1):
        if isinstance(read, tuple):
            ready.append(read)
            answers.append({"line": number, "id": read[2]["ce_id"], "accepted": True})
        else:
            answers.append({"line": number, **read, "accepted": False})
    if ready:
        await desk.publish(f"refurb.inbound.{slug}", ready)
    return JSONResponse({"published": len(ready), "lines": answers}, 202)


def one(line: bytes, slug: str, hints: receipt.Hints) -> Line | dict[str, Any]:
    """Read one line: the message it makes, or its id and faults."""
    try:
        parts = PARTS.decode(line)
        event = {name: from_json(bytes(parts[name])) for name in ATTRIBUTES if name in parts}
    except msgspec.ValidationError:
        return {"id": None, "faults": shown((receipt.fault("not_an_object", hints),))}
    except (msgspec.DecodeError, ValueError, RecursionError):
        return {"id": None, "faults": shown((receipt.fault("malformed_json", hints),))}
    ce_id = event.get("id") if isinstance(event.get("id"), str) else None
    try:
        return message(event, bytes(parts.get("data", b"null")), slug)
    except Coded as error:
        return {"id": ce_id, "faults": shown(receipt.faults(error, hints))}


def message(event: Mapping[str, Any], value: bytes, slug: str) -> Line:
    """Turn a CloudEvent into key, value and headers. Raises Malformed or Refused with what the receipt would say."""
    attributes = {name: event.get(name) for name in ("id", "source", "type", "time")}
    for name, given in attributes.items():
        if name == "time" and given is None:
            continue
        if not isinstance(given, str) or not given or len(given) > receipt.LONGEST_NAME or not given.isprintable():
            raise Malformed(f"missing_ce_{name}" if name != "time" else "bad_ce_time")
    if event.get("specversion", "1.0") != "1.0":
        raise Malformed("bad_ce_specversion")
    if not receipt.dated(event.get("time")):
        raise Malformed("bad_ce_time")
    kind = CONTRACTS.get(str(attributes["type"]))
    if kind is None:
        raise Malformed("unknown_type")
    try:
        said = kind.model_validate_json(value)
    except ValidationError as error:
        raise malformed(error) from error
    if len(value) > LARGEST_MESSAGE:
        value = to_json(from_json(value))  # without its escapes and blanks it may fit
    if len(value) > LARGEST_MESSAGE:
        raise Refused("message_too_large", largest=LARGEST_MESSAGE)
    headers = {f"ce_{name}": str(found) for name, found in attributes.items() if found is not None}
    headers |= {"ce_specversion": "1.0", "content-type": "application/json"}
    return key(said, slug).encode(), value, headers


def key(said: partner.Report, slug: str) -> str:
    """What keeps the order: the device, else the consignment, else the refurbisher."""
    if isinstance(said, partner.OfDevice):
        return said.device_ref
    return str(said.consignment_id) if isinstance(said, partner.OfConsignment) else slug


def shown(faults: tuple[Fault, ...]) -> list[dict[str, Any]]:
    return [fault.model_dump(exclude_none=True) for fault in faults]


async def read_body(request: Request, largest: int) -> bytes:
    """Read a body of bounded size, whatever its headers promised."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > largest:
            raise Malformed("too_large", limit=largest)
        parts.append(part)
    return b"".join(parts)


@router.put("/evidence/{sha256}")
async def keep_evidence(sha256: str, request: Request, desk: At, _: Partner) -> Response:
    """Store an original of up to 16 MiB under its SHA-256. Repeating it changes nothing."""
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise Malformed("evidence_hash_differs")
    data = await read_body(request, LARGEST)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise Malformed("evidence_hash_differs")
    evidence: Evidence = desk.state["evidence"]
    known = await run_in_threadpool(evidence.fetch, sha256) is not None
    await evidence.kept(data)
    return JSONResponse({"sha256": sha256, "bytes": len(data)}, 200 if known else 201)


@router.get("/receipts")
async def receipts(
    desk: At,
    slug: Partner,
    after: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 500,
) -> dict[str, Any]:
    """Receipts after a number, in order; `next` is the number to go on from. Ask again from there: nothing is skipped."""
    async with desk.read() as tx:
        found = await rows.receipts_after(tx, f"refurb.receipts.{slug}", after, limit)
    listed = [
        {"number": number, "at": at.isoformat(), "accepted": kind == "refurb.report_accepted.v1", **json.loads(data)}
        for number, at, kind, data in found
    ]
    return {"receipts": listed, "next": found[-1][0] if found else after}


@router.get("/figures")
async def figures(request: Request, desk: At) -> Response:
    """Counts for staff: by sign-in, or `Authorization: Bearer <staff code>` for programs."""
    if not is_staff(request, desk):
        return problem(401, "sign_in")
    async with desk.read() as tx:
        return JSONResponse(await rows.figures(tx))


def is_staff(request: Request, desk: Desk) -> bool:
    return cast("Access", desk.state["doors"]).role(request) == STAFF


@router.get("/devices/{device_id}")
async def device(device_id: UUID, request: Request, desk: At) -> Response:
    """One device as JSON, for staff's programs."""
    if not is_staff(request, desk):
        return problem(401, "sign_in")
    async with desk.read() as tx:
        found = (await rows.DEVICES.load(tx, [device_id])).get(device_id)
        lived = await rows.history(tx, device_id)
    if found is None:
        return problem(404, "device_unknown")
    events = [{"at": at.isoformat(), "type": kind, "data": json.loads(data)} for at, kind, data in lived]
    return JSONResponse({"status": found.state.status, "blocked": found.state.blocked, "events": events})

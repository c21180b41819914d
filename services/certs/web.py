"""Certificates and the public log for programs: download, the issuer's keys, the log's signed state, proofs, counts."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from services.certs.domain import merkle, tiles
from services.certs.domain.assets import DATA, offline
from services.certs.domain.certificate import NUMBER, Draft
from services.certs.domain.statement import digest
from services.certs.store import tables
from services.certs.store.files import Documents
from services.certs.store.shelf import Shelf
from shared import passes
from shared.desk import Desk
from shared.errors import Malformed, NotYet, Outage
from shared.http import At

router = APIRouter(prefix="/certs")

PASS_S = 7 * 24 * 3600
PRIVATE = {"Cache-Control": "private, no-store", "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex"}
PAGE = 1_000


@router.get("/documents/{number}")
async def download(request: Request, desk: At, number: str, droit: str = "") -> Response:
    """The certificate, for who holds a pass for it (7 days) and for the staff: the same bytes each time."""
    secret = desk.settings.session_secret.get_secret_value()
    if not (droit and passes.holds(secret, f"certificate:{number}", droit, PASS_S)):
        await request.app.state.doors.staff(request)
    async with desk.read() as tx:
        certificate = await tables.certificate(tx, number) if NUMBER.fullmatch(number) else None
        draft = await tables.draft_numbered(tx, number)
    if certificate is None or certificate.document_sha256 is None:
        raise NotYet("certificate_unknown", number=number)
    documents: Documents = request.app.state.documents
    content = await asyncio.to_thread(documents.read, certificate.document_sha256)
    if content is None:
        content = await made_again(request, desk, draft, certificate.document_sha256, documents)
    named = {"Content-Disposition": f'attachment; filename="{number}.pdf"', "ETag": f'"{certificate.document_sha256}"'}
    return Response(content, media_type="application/pdf", headers=PRIVATE | named)


async def made_again(request: Request, desk: Desk, draft: Draft | None, sha256: str, documents: Documents) -> bytes:
    """A file that was lost, from what is committed. Raises Outage when other keys or another typst make other bytes."""
    sealed: Callable[[Desk, Draft], Awaitable[bytes]] = request.app.state.sealed
    if draft is None:
        raise Outage("document_lost", sha256=sha256)
    content = await sealed(desk, draft)
    if digest(content) != sha256:
        raise Outage("document_lost", sha256=sha256)
    await asyncio.to_thread(documents.keep, content)
    return content


@router.get("/status/{number}")
async def status(desk: At, number: str) -> JSONResponse:
    """What is known of a certificate by its number: for who holds one, and wants to know whether it is the last word."""
    async with desk.read() as tx:
        known = await tables.certificate(tx, number) if NUMBER.fullmatch(number) else None
        doubted = known is not None and await tables.says_too_much(tx, number)
    if known is None or known.issued_at is None:
        raise NotYet("certificate_unknown", number=number)
    told = {
        "number": number,
        "issued_at": known.issued_at.isoformat(),
        "edition": known.edition,
        "supersedes": known.supersedes,
        "superseded_by": known.superseded_by,
        "under_correction": doubted and known.superseded_by is None,
        "document_sha256": known.document_sha256,
        "leaf_index": known.leaf_index,
    }
    return JSONResponse(told, headers={"Cache-Control": "no-store"})


@router.get("/issuer.pem")
async def issuer(request: Request) -> Response:
    """The public keys that certificates and the log are checked with: get them once, keep them."""
    return PlainTextResponse(request.app.state.trust, media_type="application/x-pem-file")


@router.get("/verify.html")
async def verify_page(request: Request) -> Response:
    """The page that verifies a certificate in the browser. Works from a saved file; nothing leaves it."""
    page, policy = await asyncio.to_thread(offline, request.app.state.trust)
    headers = {"Content-Security-Policy": f"{policy}; frame-ancestors 'none'", "Referrer-Policy": "no-referrer"}
    return Response(page, media_type="text/html; charset=utf-8", headers=headers)


@router.get("/verify_certificate.py")
async def verify_program() -> Response:
    """The program that verifies a certificate, in one file."""
    return await given("verify_certificate.py")


@router.get("/witness.py")
async def witness_program() -> Response:
    """The program that witnesses the log, or follows it, in one file."""
    return await given("witness.py")


async def given(name: str) -> Response:
    """A program to take away."""
    text = await asyncio.to_thread((DATA / name).read_bytes)
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "X-Content-Type-Options": "nosniff"}
    return Response(text, media_type="text/x-python; charset=utf-8", headers=headers)


@router.get("/log/checkpoint")
async def checkpoint(request: Request) -> Response:
    """The newest published state of the log, signed by the log and by the witnesses that saw it."""
    shelf: Shelf = request.app.state.shelf
    text = await asyncio.to_thread(lambda: shelf.published)
    if not text:
        raise NotYet("log_empty")
    return PlainTextResponse(text, headers={"Cache-Control": "no-cache"})


@router.get("/log/tile/{level}/{path:path}")
async def tile(level: str, path: str, request: Request) -> Response:
    """A tile of the log's hashes (C2SP tlog-tiles). It never changes."""
    found = tiles.parsed(level, path)
    shelf: Shelf = request.app.state.shelf
    content = await asyncio.to_thread(shelf.read, found) if found else None
    if content is None:
        raise NotYet("tile_unknown")
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(content, media_type="application/octet-stream", headers=headers)


@router.get("/log/leaves")
async def leaves(desk: At, start: Annotated[int, Query(ge=0, le=2**40)] = 0) -> JSONResponse:
    """Hashes of the entries from `start` on, at most 1,000: enough to build the tree again."""
    async with desk.read() as tx:
        return JSONResponse({"start": start, "leaf_hashes": await tables.leaves(tx, start, PAGE)})


@router.get("/log/consistency")
async def consistency(desk: At, old: Annotated[int, Query(ge=1)], new: Annotated[int, Query(ge=1)]) -> JSONResponse:
    """Proof that the log of `old` entries is the beginning of the log of `new`."""
    async with desk.read() as tx:
        size = await tables.log_size(tx)
        if not old <= new <= size:
            raise Malformed("log_sizes", old=old, new=new, size=size)
        found = await tables.nodes(tx, merkle.needed(lambda read: merkle.consistency(old, new, read)))
    return JSONResponse({"old": old, "new": new, "path": [h.hex() for h in merkle.consistency(old, new, merkle.reader(found))]})


@router.get("/figures")
async def figures(request: Request, desk: At) -> JSONResponse:
    """Counts, for the staff: signed in, or a program with the staff code as its key."""
    await request.app.state.doors.staff(request)
    async with desk.read() as tx:
        return JSONResponse(await tables.figures(tx))

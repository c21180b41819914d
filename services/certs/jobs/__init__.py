"""Issuing: from a settled consignment to a signed certificate, in steps that each bear being cut off.

    draft   content, number, date and salt are fixed, in one transaction
    log     the document is laid out, its hash enters the public log, in one transaction; the log's state is signed only afterwards,
            over what is committed, so that no two roots are ever signed for one size
    issue   proof and signature are made, the file is stored, then the certificate is told, in one transaction

From `log` on every byte follows from what is committed: two runners, or one after a crash, make the same file.

Beside it, `watch` looks after certificates: facts may come that they do not say. Where they stay, `correct` drafts the next edition, which
goes the same way and supersedes the one before. `publisher` brings the log to its files and witnesses, `auditor` audits custody.
"""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from services.certs.domain import merkle, note
from services.certs.domain.assets import layout
from services.certs.domain.certificate import (
    Draft,
    DraftCertificate,
    IssueCertificate,
    LogDocument,
    SignCheckpoint,
    SupersedeCertificate,
    certificate_id,
    checkpoint_id,
    draft_id,
    leaf_extra,
    number_of,
)
from services.certs.domain.custody import Custody, Held, settled
from services.certs.domain.drift import DriftNoted, drifted, notes, to_correct
from services.certs.domain.issuer import Keys
from services.certs.domain.statement import Finding, Statement, Superseded, digest, state
from services.certs.settings import CertsSettings
from services.certs.store import tables
from services.certs.store.files import Documents
from services.certs.store.press import Press
from shared.db import AWAY, Tx
from shared.desk import Desk
from shared.errors import Coded, NotYet, Outage
from shared.log import log

AT_ONCE = 20
COMPARED_AT_ONCE = 200


@dataclass(slots=True, kw_only=True)
class Issuer:
    """Issues certificates. One that fails rests, longer each time; the others go on."""

    settings: CertsSettings
    press: Press
    keys: Keys
    origin: str
    documents: Documents
    resting: dict[UUID, tuple[float, float]] = field(default_factory=dict)

    async def run(self, desk: Desk) -> None:
        """Bring every settled consignment as far as it goes, and every certificate that the facts outran to its correction."""
        quiet = desk.now() - timedelta(seconds=self.settings.certs_correction_after_s)
        async with desk.read() as tx:
            ripe, outrun = await tables.ripe(tx, AT_ONCE), await tables.to_correct(tx, quiet, AT_ONCE)
        for consignment in ripe:
            await self._one(desk, consignment, self.draft)
        for consignment in outrun:
            await self._one(desk, consignment, self.correct)
        async with desk.read() as tx:
            unfinished = await tables.unfinished(tx, AT_ONCE)
        for consignment in unfinished:
            await self._one(desk, consignment)

    async def _one(self, desk: Desk, consignment: UUID, first: Callable[[Desk, UUID], Awaitable[None]] | None = None) -> None:
        """What is to be done `first`, then the steps that follow from a draft."""
        until, wait_s = self.resting.get(consignment, (0.0, 0.5))
        if until > time.monotonic():
            return
        try:
            if first is not None:
                await first(desk, consignment)
            await self.enter(desk, consignment)
            await self.issue(desk, consignment)
            self.resting.pop(consignment, None)
        except Exception as error:  # noqa: BLE001 one consignment's trouble is not the others'; it is tried again
            self.resting[consignment] = (time.monotonic() + wait_s, min(wait_s * 2, 60.0))
            if isinstance(error, Coded):
                log.warning("certificate_waits", consignment=str(consignment), code=error.code, detail=error.detail)
            else:
                log.exception("certificate_failed", consignment=str(consignment))

    async def draft(self, desk: Desk, consignment: UUID, *, early: bool = False) -> None:
        """Fix what the first certificate says, unless it is fixed already. `early`: without waiting for the devices that are still open."""
        issued_at = desk.now().replace(microsecond=0)
        async with desk.read() as tx:
            if await tables.draft(tx, consignment) is not None:
                return
            statement = await self.statement(tx, consignment, issued_at, early=early)

        async def also(tx: Tx) -> None:
            """Facts may have come since they were read: then nothing is fixed, and the next turn reads them."""
            if await self.statement(tx, consignment, issued_at, early=early) != statement:
                raise NotYet("facts_moved")
            await tables.keep_statement(tx, statement.canonical)
            await tables.keep_compared(tx, consignment, await tables.facts(tx, consignment), again=False)

        command = DraftCertificate(id=draft_id(consignment), statement=statement, salt=secrets.token_hex(16))
        await desk.carry_out([command], also=also)

    async def early(self, desk: Desk, consignment: UUID) -> None:
        """Begin the certificate of what is settled; the steps after it are taken by the clock."""
        await self.draft(desk, consignment, early=True)

    async def statement(self, tx: Tx, consignment: UUID, issued_at: datetime, *, early: bool = False) -> Statement:
        """What can be certified of the consignment now. Raises NotYet while it is not settled, or `early`, while no device is."""
        custody, devices = await tables.custody(tx, consignment)
        some = custody.ended is None and custody.counted is not None and any(device.outcome != "open" for device in devices)
        if not (settled(custody, devices) or (early and some)):
            raise NotYet("not_settled")
        return self.stated(custody, devices, issued_at)

    async def correct(self, desk: Desk, consignment: UUID) -> None:
        """Fix what the next edition says, when there is something to correct and the edition before is issued."""
        issued_at = desk.now().replace(microsecond=0)
        async with desk.read() as tx:
            before = await drafted(tx, consignment)
            corrected = await self.corrected(tx, before, issued_at)
            known = await tables.drifts(tx, consignment)
        if corrected is None:
            return
        statement, left = corrected

        async def also(tx: Tx) -> None:
            if await self.corrected(tx, before, issued_at) != corrected:
                raise NotYet("facts_moved")
            await tables.keep_statement(tx, statement.canonical)
            await tables.keep_compared(tx, consignment, await tables.facts(tx, consignment), again=True)

        drafting = DraftCertificate(id=draft_id(consignment, statement.version), statement=statement, salt=secrets.token_hex(16))
        noting = notes(consignment, statement.number, left, known, desk.now())
        await desk.carry_out([drafting, *noting], also=also)

    async def corrected(self, tx: Tx, before: Draft, issued_at: datetime) -> tuple[Statement, list[Finding]] | None:
        """What the edition after `before` would say, and where the facts would still part from it. None when nothing is to be corrected."""
        consignment, number = before.consignment_id, before.number or ""
        certificate = await tables.certificate(tx, number)
        if (
            consignment is None
            or certificate is None
            or certificate.document_sha256 is None
            or certificate.superseded_by is not None
        ):
            return None
        said = Statement.model_validate_json(await tables.statement(tx, before.statement_sha256))
        custody, devices = await tables.custody(tx, consignment)
        changes = to_correct(drifted(said, custody, devices), custody, devices)
        if not changes:
            return None
        superseded = Superseded(number=number, issued_at=said.issued_at, document_sha256=certificate.document_sha256)
        statement = self.stated(custody, devices, issued_at, version=before.edition + 1, supersedes=superseded, changes=changes)
        return statement, drifted(statement, custody, devices)

    def stated(
        self,
        custody: Custody,
        devices: Sequence[Held],
        issued_at: datetime,
        *,
        version: int = 1,
        supersedes: Superseded | None = None,
        changes: Sequence[Finding] = (),
    ) -> Statement:
        """The statement of these facts, by this issuer."""
        return state(
            custody,
            devices,
            number=number_of(custody.reference or "", version),
            issued_at=issued_at,
            version=version,
            supersedes=supersedes,
            changes=changes,
            issuer=self.settings.certs_issuer,
            verify_url=self.settings.verify_url,
            layout=layout(),
        )

    async def enter(self, desk: Desk, consignment: UUID) -> None:
        """Lay the document out and enter its hash in the log, unless it is there already."""
        async with desk.read() as tx:
            draft = await drafted(tx, consignment)
            if draft.leaf_index is not None:
                return
            body, size = await tables.statement(tx, draft.statement_sha256), await tables.log_size(tx)
        document = await self.press.render(body)
        sha256 = await asyncio.to_thread(self.documents.keep, document)
        command = LogDocument(
            id=draft_id(consignment, draft.edition), document_sha256=sha256, document_bytes=len(document), leaf_index=size
        )
        await desk.carry_out([command], also=tables.grow)

    async def issue(self, desk: Desk, consignment: UUID) -> None:
        """Sign, store, tell, and with it that the edition before is superseded; unless it was told. A repeat makes the same bytes."""
        async with desk.read() as tx:
            draft = await drafted(tx, consignment)
            if draft.number and await tables.certificate(tx, draft.number) is not None:
                return
            root, signed_note, _ = await self.proven(tx, draft)
        signed = await self.sealed(desk, draft)
        sha256 = await asyncio.to_thread(self.documents.keep, signed)
        size, refurbisher = (draft.leaf_index or 0) + 1, draft.refurbisher or ""
        before = certificate_id(consignment, draft.edition - 1)
        await desk.carry_out(
            [
                IssueCertificate(id=certificate_id(consignment, draft.edition), draft=draft, signed_sha256=sha256),
                SignCheckpoint(
                    id=checkpoint_id(refurbisher, size),
                    refurbisher=refurbisher,
                    size=size,
                    root_hash=root.hex(),
                    note=signed_note,
                ),
                *(
                    [SupersedeCertificate(id=before, by_number=draft.number or "", reason="corrected")]
                    if draft.supersedes
                    else []
                ),
            ]
        )

    async def sealed(self, desk: Desk, draft: Draft) -> bytes:
        """The signed file of a draft that is in the log: the same bytes whenever it is made, as long as the keys are the same."""
        if draft.document_sha256 is None or draft.issued_at is None:
            raise NotYet("document_not_logged")
        async with desk.read() as tx:
            body = await tables.statement(tx, draft.statement_sha256)
            _, _, proof = await self.proven(tx, draft)
        document = await asyncio.to_thread(self.documents.read, draft.document_sha256) or await self.press.render(body)
        if digest(document) != draft.document_sha256:
            raise Outage("document_lost", sha256=draft.document_sha256)
        return await self.press.seal(document, proof.text.encode(), draft.issued_at)

    async def proven(self, tx: Tx, draft: Draft) -> tuple[bytes, str, note.Proof]:
        """Root and signed state of the log right after the draft's entry, and the proof that the entry is in it."""
        if draft.leaf_index is None or draft.document_sha256 is None or draft.document_bytes is None or draft.number is None:
            raise NotYet("document_not_logged")
        index, size = draft.leaf_index, draft.leaf_index + 1
        wanted = merkle.needed(lambda read: (merkle.root(size, read), merkle.inclusion(index, size, read)))
        read = merkle.reader(await tables.nodes(tx, wanted))
        root = merkle.root(size, read)
        signed = note.sign(note.Checkpoint(origin=self.origin, size=size, root=root), self.keys.log)
        extra = leaf_extra(draft.number, draft.salt, draft.document_sha256, draft.document_bytes)
        return root, signed, note.Proof(extra=extra, index=index, path=tuple(merkle.inclusion(index, size, read)), note=signed)


async def drafted(tx: Tx, consignment: UUID) -> Draft:
    draft = await tables.draft(tx, consignment)
    if draft is None:
        raise NotYet("certificate_not_drafted")
    return draft


async def watch(desk: Desk) -> None:
    """Compare certificates with the facts that moved since, and note where they part. `Issuer.correct` begins from these notes.

    A certificate that came back from its topic after the loss of the database has no draft here, so it is not compared.
    """
    async with desk.read() as tx:
        moved = await tables.moved(tx, COMPARED_AT_ONCE)
    trouble: Exception | None = None
    for consignment in moved:
        try:
            await compare(desk, consignment)
        except (Outage, *AWAY):
            raise
        except Exception as error:  # noqa: BLE001 one consignment's trouble is not the others'; it is told at the end
            trouble = error
    if trouble is not None:
        raise trouble


async def compare(desk: Desk, consignment: UUID) -> None:
    """Note what the facts say now where the certificate says something else, and log once what was not known before."""
    async with desk.read() as tx:
        draft, word = await drafted(tx, consignment), await tables.facts(tx, consignment)
        statement = Statement.model_validate_json(await tables.statement(tx, draft.statement_sha256))
        custody, devices = await tables.custody(tx, consignment)
        known = await tables.drifts(tx, consignment)

    async def also(tx: Tx) -> None:
        await tables.keep_compared(tx, consignment, word, again=True)

    found = drifted(statement, custody, devices)
    recorded = await desk.carry_out(notes(consignment, statement.number, found, known, desk.now()), also=also)
    new = [r.event for r in recorded if isinstance(r.event, DriftNoted) and r.event.device_ref not in known]
    if new:
        kinds = Counter(event.kind for event in new)
        devices_named = [event.device_ref for event in new if event.device_ref][:AT_ONCE]
        log.warning("certificate_outrun", certificate=statement.number, kinds=dict(kinds), devices=devices_named)

"""How certs is put together. Read downwards; nothing happens at import."""

from datetime import UTC, datetime
from pathlib import Path

from services.certs import jobs, web
from services.certs import pages as certs_pages
from services.certs.domain import account, certificate, cosignature, custody, drift, trail, verification
from services.certs.jobs import Issuer
from services.certs.jobs.auditor import Auditor
from services.certs.jobs.publisher import Publisher
from services.certs.pages import House
from services.certs.reactions import REACTIONS
from services.certs.settings import CertsSettings
from services.certs.store import files, tables
from services.certs.store.files import Documents
from services.certs.store.press import Press
from services.certs.store.shelf import Shelf
from shared.aggregate import Aggregate, Aggregates
from shared.events.certs import CertificateIssued, CertificateSuperseded, CheckpointSigned
from shared.jobs import Job
from shared.run import Service
from shared.ui import Access, Pages

HERE = Path(__file__).parent

# What the others tell, and certificates on their way: local events, sent to nobody.
CUSTODY = Aggregate(
    name="custody",
    events=(custody.CustodyOpened, custody.CustodyCounted, custody.CustodyEnded),
    new=custody.Custody(),
    decide=custody.decide_custody,
    evolve=custody.evolve_custody,
    topic=lambda _: None,
    rows=tables.CUSTODIES,
)
HELD = Aggregate(
    name="held",
    events=(
        custody.HeldNoted,
        custody.HeldAudited,
        custody.HeldErased,
        custody.HeldDoubted,
        custody.HeldSettled,
        custody.HeldReopened,
        custody.HeldReturned,
        custody.HeldFound,
    ),
    new=custody.Held(),
    decide=custody.decide_held,
    evolve=custody.evolve_held,
    topic=lambda _: None,
    rows=tables.HELD,
)
DRAFT = Aggregate(
    name="draft",
    events=(certificate.CertificateDrafted, certificate.DocumentLogged),
    new=certificate.Draft(),
    decide=certificate.decide_draft,
    evolve=certificate.evolve_draft,
    topic=lambda _: None,
    rows=tables.DRAFTS,
)
CERTIFICATE = Aggregate(
    name="certificate",
    events=(CertificateIssued, CertificateSuperseded),
    new=certificate.Certificate(),
    decide=certificate.decide_certificate,
    evolve=certificate.evolve_certificate,
    topic=lambda state: f"certs.certificates.{state.refurbisher}",
    rows=tables.CERTIFICATES,
)
CHECKPOINT = Aggregate(
    name="checkpoint",
    events=(CheckpointSigned,),
    new=certificate.Checkpoint(),
    decide=certificate.decide_checkpoint,
    evolve=certificate.evolve_checkpoint,
    topic=lambda state: f"certs.certificates.{state.refurbisher}",
    rows=tables.CHECKPOINTS,
)
# Where the facts have come to say something else than a certificate: for the staff, told to nobody.
DRIFT = Aggregate(
    name="drift",
    events=(drift.DriftNoted, drift.DriftEnded),
    new=drift.Drift(),
    decide=drift.decide_drift,
    evolve=drift.evolve_drift,
    topic=lambda _: None,
    rows=tables.DRIFTS,
)
# What the others said of where each thing was, step by step, and what the audit finds in it.
TRAIL = Aggregate(
    name="trail",
    events=(trail.StepNoted,),
    new=trail.Trail(),
    decide=trail.decide_trail,
    evolve=trail.evolve_trail,
    topic=lambda _: None,
    rows=tables.TRAILS,
)
ACCOUNT = Aggregate(
    name="account",
    events=(account.AccountNoted,),
    new=account.Account(),
    decide=account.decide_account,
    evolve=account.evolve_account,
    topic=lambda _: None,
    rows=tables.ACCOUNTS,
)

AGGREGATES: Aggregates = {
    custody.NoteCustody: CUSTODY,
    custody.NoteHeld: HELD,
    certificate.DraftCertificate: DRAFT,
    certificate.LogDocument: DRAFT,
    certificate.IssueCertificate: CERTIFICATE,
    certificate.SupersedeCertificate: CERTIFICATE,
    certificate.SignCheckpoint: CHECKPOINT,
    drift.NoteDrift: DRIFT,
    trail.NoteStep: TRAIL,
    account.NoteAccount: ACCOUNT,
}


def build(settings: CertsSettings) -> Service:
    """Wire the service. Makes the keys at the very first start."""
    files.ensure_keys(settings.keys_folder, settings.certs_issuer, settings.certs_log_origin, datetime.now(UTC))
    trust = files.trust(settings.keys_folder)
    press = Press(settings.keys_folder, workers=settings.certs_press)
    log = verification.Trust.read(trust).log
    documents = Documents(settings.documents_folder)
    issuer = Issuer(settings=settings, press=press, keys=files.keys(settings.keys_folder), origin=log.name, documents=documents)
    shelf = Shelf(settings.log_folder)
    publisher = Publisher(shelf=shelf, witnesses=cosignature.witnesses(settings.certs_witnesses))
    pages = Pages("certs", HERE / "templates", messages=certs_pages.MESSAGES)
    doors = Access(
        pages,
        secret=settings.session_secret.get_secret_value(),
        staff_code=settings.staff_code.get_secret_value(),
        public_url=settings.public_url,
    )
    return Service(
        settings=settings,
        aggregates=AGGREGATES,
        reactions=REACTIONS,
        hears={
            "intake.donations": "regions",
            "routing.consignments": "refurbishers",
            "refurb.devices": "refurbishers",
            "distribution.stock": "regions",
            "distribution.sales": "regions",
        },
        tells={"certs.certificates": "refurbishers"},
        routers=(web.router, certs_pages.router),
        files=("/certs/verifier",),
        jobs=(
            Job("issuer", 0.4, issuer.run),
            Job("watch", 5, jobs.watch),
            Job("publisher", 0.5, publisher.run),
            Job("auditor", 2, Auditor(patience=settings.audit_patience).run),
        ),
        migrations=HERE / "migrations",
        pages=pages,
        doors=doors,
        state={
            "doors": doors,
            "documents": documents,
            "shelf": shelf,
            "sealed": issuer.sealed,
            "trust": trust,
            "house": House(
                pages=pages,
                doors=doors,
                press=press,
                log=str(log),
                early=issuer.early,
                wait_s=settings.certs_correction_after_s,
                patience=settings.audit_patience,
                witnesses=tuple(map(str, publisher.witnesses)),
            ),
        },
        background=(press.keep,),
    )

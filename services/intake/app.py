"""How intake is put together. Read downwards; nothing happens at import."""

import csv
import hashlib
from pathlib import Path

import yaml

from services.intake import store, web
from services.intake.domain import chain, donation, questions, story, triage
from services.intake.domain.offer import Terms
from services.intake.jobs import JOBS
from services.intake.pages import House, form, staff, tracking
from services.intake.reactions import REACTIONS
from services.intake.settings import IntakeSettings
from shared.aggregate import Aggregate, Aggregates
from shared.events.intake import DonationAccepted, DonationDeclined, DonationOffered, DonationWithdrawn
from shared.run import Service
from shared.ui import Access, Pages

HERE = Path(__file__).parent
DATA = HERE / "data"

DONATION = Aggregate(
    name="donation",
    events=(DonationOffered, DonationAccepted, DonationDeclined, DonationWithdrawn),
    new=donation.Donation(),
    decide=donation.decide,
    evolve=donation.evolve,
    topic=lambda state: f"intake.donations.{state.region}",
    rows=store.DONATIONS,
)
# What the others tell: kept by local events, sent to nobody.
CONSIGNMENT = Aggregate(
    name="consignment",
    events=(chain.ConsignmentNoted, chain.CollectionPlanned, chain.StepNoted, chain.ConsignmentClosed),
    new=chain.Consignment(),
    decide=chain.decide_consignment,
    evolve=chain.evolve_consignment,
    topic=lambda _: None,
    rows=store.CONSIGNMENTS,
)
DEVICE = Aggregate(
    name="device",
    events=(chain.DeviceNoted, chain.DeviceNamed, chain.DeviceMoved),
    new=chain.Device(),
    decide=chain.decide_device,
    evolve=chain.evolve_device,
    topic=lambda _: None,
    rows=store.DEVICES,
)
CERTIFICATE = Aggregate(
    name="certificate",
    events=(chain.CertificateNoted, chain.CertificateReplaced),
    new=chain.Certificate(),
    decide=chain.decide_certificate,
    evolve=chain.evolve_certificate,
    topic=lambda _: None,
    rows=store.CERTIFICATES,
)
SALE = Aggregate(
    name="sale",
    events=(chain.SaleNoted,),
    new=chain.Sale(),
    decide=chain.decide_sale,
    evolve=chain.evolve_sale,
    topic=lambda _: None,
    rows=store.SALES,
)

AGGREGATES: Aggregates = {
    donation.OfferDonation: DONATION,
    donation.AcceptDonation: DONATION,
    donation.DeclineDonation: DONATION,
    donation.WithdrawDonation: DONATION,
    chain.NoteConsignment: CONSIGNMENT,
    chain.NoteDevice: DEVICE,
    chain.NoteCertificate: CERTIFICATE,
    chain.NoteSale: SALE,
}


def read_terms(settings: IntakeSettings) -> Terms:
    """Read the questions, rules and postal codes in force. The key of fingerprints and links comes from that of the vault."""
    with (DATA / "postal_codes.csv").open(encoding="utf-8", newline="") as file:
        regions = {row["code"]: row["region"] for row in csv.DictReader(file)}
    return Terms(
        questions=questions.read((DATA / f"{settings.intake_questions}.yaml").read_text("utf-8")),
        rules=triage.read((DATA / f"{settings.intake_triage}.yaml").read_text("utf-8")),
        regions=regions,
        key=hashlib.sha256(b"intake:" + settings.vault_key.get_secret_value().encode()).digest(),
    )


def build(settings: IntakeSettings) -> Service:
    """Wire the service."""
    words = yaml.safe_load((DATA / "words.yaml").read_text("utf-8"))
    with (DATA / "regions.csv").open(encoding="utf-8", newline="") as file:
        words["regions"] = {row["slug"]: row["name"] for row in csv.DictReader(file)}
    pages = Pages("intake", HERE / "templates", messages=words["messages"])
    doors = Access(
        pages,
        secret=settings.session_secret.get_secret_value(),
        staff_code=settings.staff_code.get_secret_value(),
        public_url=settings.public_url,
    )
    house = House(
        pages=pages,
        doors=doors,
        terms=read_terms(settings),
        promises=story.read((DATA / f"{settings.intake_promises}.yaml").read_text("utf-8")),
        words=words,
        draft_days=settings.intake_draft_days,
    )
    return Service(
        settings=settings,
        aggregates=AGGREGATES,
        reactions=REACTIONS,
        hears={
            "routing.consignments": "refurbishers",
            "refurb.devices": "refurbishers",
            "certs.certificates": "refurbishers",
            "distribution.sales": "regions",
        },
        tells={"intake.donations": "regions"},
        routers=(web.router, form.router, tracking.router, staff.router),
        jobs=JOBS,
        migrations=HERE / "migrations",
        pages=pages,
        doors=doors,
        state={"house": house, "terms": house.terms, "clients": settings.clients, "say": pages.message, "doors": doors},
    )

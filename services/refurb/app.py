"""How refurb is put together. Read downwards; nothing happens at import."""

from pathlib import Path
from typing import get_args

from services.refurb import jobs, pages, web
from services.refurb.domain import arrival, consignment, device, grading, holding, judge, life, receipt, whereabouts
from services.refurb.pages import arrivals, devices, labels, media, records, reports, rules
from services.refurb.reactions.house import reactions
from services.refurb.reactions.partners import Partners, refers
from services.refurb.settings import DATA, RefurbSettings, document
from services.refurb.store import (
    ARRIVALS,
    CAPACITIES,
    CONSIGNMENTS,
    DEVICES,
    EVIDENCE_USES,
    MEDIA,
    RECEIPTS,
    WHEREABOUTS,
    Book,
    Evidence,
    ObjectStore,
)
from shared.aggregate import Aggregate, Aggregates
from shared.consumer import Outside
from shared.events.refurb import ArrivalEvent, CapacityDeclared, DeviceEvent, ReceiptEvent
from shared.run import Service
from shared.ui import Access, Pages

HERE = Path(__file__).parent


def own(_: object) -> None:
    """What only refurb needs is not published."""


DEVICE = Aggregate(
    name="device",
    events=get_args(DeviceEvent),
    new=device.Device(),
    decide=life.decide,
    evolve=device.evolve,
    topic=lambda state: f"refurb.devices.{state.refurbisher}",
    rows=DEVICES,
)
ARRIVAL = Aggregate(
    name="arrival",
    events=get_args(ArrivalEvent),
    new=arrival.Arrival(),
    decide=arrival.decide,
    evolve=arrival.evolve,
    topic=lambda state: f"refurb.devices.{state.refurbisher}",
    rows=ARRIVALS,
)
CAPACITY = Aggregate(
    name="capacity",
    events=(CapacityDeclared,),
    new=arrival.Capacity(),
    decide=arrival.declare,
    evolve=arrival.declared,
    topic=lambda state: f"refurb.devices.{state.refurbisher}",
    rows=CAPACITIES,
)
RECEIPT = Aggregate(
    name="receipt",
    events=get_args(ReceiptEvent),
    new=receipt.Receipt(),
    decide=receipt.decide,
    evolve=receipt.evolve,
    topic=lambda state: f"refurb.receipts.{state.refurbisher}",
    rows=RECEIPTS,
)
CONSIGNMENT = Aggregate(
    name="consignment",
    events=get_args(consignment.LocalEvent),
    new=consignment.Consignment(),
    decide=consignment.decide,
    evolve=consignment.evolve,
    topic=own,
    rows=CONSIGNMENTS,
)
EVIDENCE_USE = Aggregate(
    name="evidence_use",
    events=(consignment.EvidenceClaimed,),
    new=consignment.EvidenceUse(),
    decide=consignment.claim,
    evolve=consignment.claimed,
    topic=own,
    rows=EVIDENCE_USES,
)
MEDIUM = Aggregate(
    name="medium",
    events=get_args(holding.HoldingEvent),
    new=holding.Holding(),
    decide=holding.decide,
    evolve=holding.evolve,
    topic=own,
    rows=MEDIA,
)
MOVES = Aggregate(
    name="whereabouts",
    events=(whereabouts.DeviceMoved,),
    new=whereabouts.Whereabouts(),
    decide=whereabouts.decide,
    evolve=whereabouts.evolve,
    topic=own,
    rows=WHEREABOUTS,
)
AGGREGATES: Aggregates = {
    **dict.fromkeys(get_args(device.Command), DEVICE),
    **dict.fromkeys((arrival.ReceiveConsignment, arrival.TurnDownConsignment), ARRIVAL),
    arrival.DeclareCapacity: CAPACITY,
    **dict.fromkeys((receipt.AcceptReport, receipt.RejectReport), RECEIPT),
    **dict.fromkeys(get_args(consignment.Command), CONSIGNMENT),
    consignment.ClaimEvidence: EVIDENCE_USE,
    **dict.fromkeys(get_args(holding.Command), MEDIUM),
    whereabouts.MoveDevice: MOVES,
}


def build(settings: RefurbSettings) -> Service:
    """Put the service together. Read it downwards."""
    words = document(DATA / "hints.yaml")
    refurbishers = document(DATA / "refurbishers.yaml")
    book = Book()
    archive = ObjectStore(settings.refurb_evidence_url) if settings.refurb_evidence_url else None
    evidence = Evidence(settings.evidence_dir, archive)
    partners = Partners(
        consignments=book,
        originals=evidence,
        rules=grading.rules(document(DATA / "grading.yaml"), settings.refurb_rules),
        policy=judge.policy(document(DATA / "erasure.yaml"), settings.refurb_policy),
        hints=words["hints"],
        regions={slug: known["region"] for slug, known in refurbishers.items()},
    )
    site = Pages("refurb", HERE / "templates", messages=words["hints"])
    doors = Access(
        site,
        secret=settings.session_secret.get_secret_value(),
        staff_code=settings.staff_code.get_secret_value(),
        public_url=settings.public_url,
    )
    return Service(
        settings=settings,
        aggregates=AGGREGATES,
        reactions=reactions(book),
        hears={
            "routing.consignments": "refurbishers",
            "refurb.inbound": "refurbishers",
            "distribution.stock": "regions",
            "distribution.sales": "regions",
        },
        tells={"refurb.devices": "refurbishers", "refurb.receipts": "refurbishers"},
        routers=tuple(part.router for part in (web, pages, devices, arrivals, labels, media, records, reports, rules)),
        files=("/refurb/reports", "/refurb/evidence/", "/refurb/rapports/"),
        outside=Outside("refurb.inbound", partners.reactions(), partners.reject, refers, evidence.settle),
        migrations=HERE / "migrations",
        pages=site,
        doors=doors,
        state={
            "pages": site,
            "doors": doors,
            "evidence": evidence,
            "hints": words["hints"],
            "policy": partners.policy,
            "rules": partners.rules,
            "draft": grading.draft(partners.rules, settings.refurb_draft_rules),
            "nonconformity": document(DATA / "nonconformity.yaml"),
            "words": words["words"],
            "scrapped": words["scrapped"],
            "parts": words["parts"],
            "refurbishers": refurbishers,
        },
        background=(jobs.book_keeper(book), jobs.archivist(evidence), jobs.place_media),
    )

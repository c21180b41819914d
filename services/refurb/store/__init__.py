"""All the SQL of refurb, the evidence store, and the book of consignments."""

from services.refurb.store.archive import ObjectStore
from services.refurb.store.book import Book
from services.refurb.store.evidence import Evidence
from services.refurb.store.rows import (
    ARRIVALS,
    CAPACITIES,
    CONSIGNMENTS,
    DEVICES,
    EVIDENCE_USES,
    MEDIA,
    RECEIPTS,
    WHEREABOUTS,
)

__all__ = [
    "ARRIVALS",
    "CAPACITIES",
    "CONSIGNMENTS",
    "DEVICES",
    "EVIDENCE_USES",
    "MEDIA",
    "RECEIPTS",
    "WHEREABOUTS",
    "Book",
    "Evidence",
    "ObjectStore",
]

"""Answers that are right, for tests to spoil, and what stands around them."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from services.intake.app import DATA
from services.intake.domain import questions, triage
from services.intake.domain.answers import Known, Raw
from services.intake.domain.offer import Offer, Terms, make

QUESTIONS = questions.read((DATA / "questions-2026-01.yaml").read_text("utf-8"))
RULES = triage.read((DATA / "triage-2026-01.yaml").read_text("utf-8"))
REGIONS = {"69007": "ara", "75002": "idf", "79140": "naq", "59000": "hdf"}
TERMS = Terms(questions=QUESTIONS, rules=RULES, regions=REGIONS, key=b"k" * 32)
NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
TODAY = date(2026, 11, 23)
KNOWN = Known(regions=REGIONS, today=TODAY)

RIGHT: Mapping[str, Raw] = {
    "laptop": "24",
    "desktop": "10",
    "screen": "",
    "tablet": "",
    "smartphone": "8",
    "printer": "",
    "other": "",
    "condition": "mixed",
    "age": "3_to_5_years",
    "media": "inside",
    "sensitivity": "ordinary",
    "required_class": "Clear",
    "address": "12 rue de l’Aiguille",
    "postal_code": "69007",
    "city": "Lyon",
    "access": ("loading_dock",),
    "pallets": "2",
    "available_from": "14/12/2026",
    "remarks": "De 8 h à 16 h.\nSonner deux fois.",
    "donor_status": "company",
    "donor_name": "Mercerie Brindille SAS",
    "company_number": "732 829 320 00074",
    "contact_name": "Camille Durand",
    "mail": "camille.durand@brindille.example",
    "phone": "01 99 00 12 34",
    "owner": "yes",
}
PRIVATE = ("Aiguille", "Durand", "camille", "199001234", "Sonner")
"""What may stand in no event."""


def offered(client_id: str = "D-1", now: datetime = NOW, **changes: Raw) -> Offer:
    """An offer with some answers changed."""
    made = make(TERMS, {**RIGHT, **changes}, client="acme", client_id=client_id, source="api:acme", now=now, today=now.date())
    assert isinstance(made, Offer), made
    return made


def soon(days: int = 14) -> str:
    """A day to come, by the clock of the machine, as a program writes it."""
    return (datetime.now(UTC).date() + timedelta(days=days)).isoformat()


def body(**changes: Any) -> dict[str, Any]:
    """The JSON of a program's donation."""
    return {
        "declared": {"laptop": 24, "desktop": 10, "smartphone": 8},
        "condition": "mixed",
        "age": "3_to_5_years",
        "media": "inside",
        "sensitivity": "ordinary",
        "required_class": "Clear",
        "pickup": {
            "address": "12 rue de l’Aiguille",
            "postal_code": "69007",
            "city": "Lyon",
            "access": ["loading_dock"],
            "pallets": 2,
            "available_from": soon(),
            "remarks": "Sonner deux fois",
        },
        "donor": {"status": "company", "name": "Mercerie Brindille SAS", "company_number": "732829320"},
        "contact": {"name": "Camille Durand", "mail": "camille.durand@brindille.example", "phone": "01 99 00 12 34"},
        "owner": True,
    } | changes

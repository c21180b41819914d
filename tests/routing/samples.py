"""Donations, refurbishers and messages that the tests of routing share."""

from datetime import UTC, date, datetime
from pathlib import Path
from uuid import UUID

from services.routing.app import country
from services.routing.domain.network import Network, ReceptionPoint, Rules, Workshop
from services.routing.domain.planning import Country
from services.routing.domain.wishes import Wish
from shared.events.base import DeviceType, Donor, MethodClass, stream_id
from shared.events.routing import Candidate, ConsignmentAssigned

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)  # a Monday
COUNTRY: Country = country()
DONATION = stream_id("donation", "test", "routing")
CONSIGNMENT = stream_id("consignment", DONATION, 1)
DONOR = Donor(status="company", name="Société Exemple", siren="552100554")
RULES = Rules(
    name="test",
    per_km=1.0,
    per_full_load=300.0,
    full_at=1.0,
    least_share=0.25,
    collection_lead_days=3,
    few_devices=10,
    near_km=30,
    delivered_within_days=7,
)


def workshop(slug: str, lat: float = 45.5, lon: float = 5.0, erasure: MethodClass = "Purge", **places: int) -> Workshop:
    return Workshop.model_validate(
        {
            "slug": slug,
            "name": slug.capitalize(),
            "town": "Exemple",
            "postal_code": "38780",
            "lat": lat,
            "lon": lon,
            "department": "38",
            "region": "ara",
            "certainty": "assumed",
            "erasure": erasure,
            "weekly_places": places or {"laptop": 100},
        }
    )


def point(name: str, lat: float, lon: float) -> ReceptionPoint:
    return ReceptionPoint(
        id=name, name=name, postal_code="69008", lat=lat, lon=lon, department="69", region="ara", certainty="assumed"
    )


def small_country(*workshops: Workshop) -> Country:
    """The real postal codes and reception points, with these refurbishers."""
    network = Network(refurbishers=workshops, reception_points=COUNTRY.network.reception_points)
    return Country(network=network, postal_codes=COUNTRY.postal_codes, rules=RULES)


def wish(devices: dict[DeviceType, int] | None = None, *, postal_code: str = "69007", by_point: bool = False) -> Wish:
    return Wish(
        status="accepted",
        reference="DON-7K3M-24PQ",
        donor=DONOR,
        region="ara",
        postal_code=postal_code,
        devices=devices or {"laptop": 12},
        required_class="Clear",
        available_from=date(2026, 11, 24),
        by_point=by_point,
        accepted_at=NOW,
        open=True,
    )


CHOSEN = Candidate(refurbisher="trira", distance_km=27, load=0.1, cost=57.0)


def assigned(consignment: UUID = CONSIGNMENT, refurbisher: str = "trira", point: str | None = None) -> ConsignmentAssigned:
    return ConsignmentAssigned(
        consignment_id=consignment,
        reference="DON-7K3M-24PQ/1",
        donation_id=DONATION,
        donation_reference="DON-7K3M-24PQ",
        refurbisher=refurbisher,
        region="ara",
        postal_code="69007",
        donor=DONOR,
        required_class="Clear",
        declared={"laptop": 12},
        chosen=CHOSEN,
        reception_point=point,
        rules="test",
    )


DATA = Path(__file__).parents[2] / "services" / "routing" / "data"

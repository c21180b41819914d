"""Who is there: refurbishers and reception points, and the rules that weigh them. Data, checked when it is read; never code."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from services.routing.domain.geography import Place
from shared.events.base import DeviceType, Fact, MethodClass

Certainty = Literal["reported", "partial", "assumed"]


class Site(Fact):
    """A place of the network."""

    name: str
    postal_code: str
    lat: float
    lon: float
    department: str
    region: str
    certainty: Certainty

    @property
    def place(self) -> Place:
        return Place(lat=self.lat, lon=self.lon, department=self.department, region=self.region)


class Workshop(Site):
    """A refurbisher's place: what it can do (`weekly_places` by type of device, until it says otherwise), how well it erases."""

    slug: str
    town: str
    erasure: MethodClass
    weekly_places: dict[DeviceType, int]


class ReceptionPoint(Site):
    """A place that takes equipment in, counts it and sends it on."""

    id: str


class Network(Fact):
    """All of them."""

    refurbishers: tuple[Workshop, ...]
    reception_points: tuple[ReceptionPoint, ...]

    @property
    def workshops(self) -> Mapping[str, Workshop]:
        return {workshop.slug: workshop for workshop in self.refurbishers}

    @property
    def points(self) -> Mapping[str, ReceptionPoint]:
        return {point.id: point for point in self.reception_points}


class Rules(Fact):
    """One version of the rules. What each figure means stands in `data/rules-*.yaml`."""

    name: str
    per_km: float = Field(ge=0)
    per_full_load: float = Field(ge=0)
    full_at: float = Field(gt=0)
    least_share: float = Field(gt=0, le=1)
    collection_lead_days: int = Field(ge=0)
    few_devices: int = Field(ge=0)
    near_km: int = Field(ge=0)
    delivered_within_days: int = Field(ge=0)

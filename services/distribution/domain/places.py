"""Structures and refurbishers on the map, and how far they are from each other."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from shared.errors import NotYet

EARTH_KM = 6371.0088
"""Mean radius (IUGG)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A point, WGS 84, in degrees."""

    lat: float
    lon: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """A social structure. `priority` 1 is the most urgent."""

    id: str
    name: str
    kind: str
    postal_code: str
    region: str
    priority: int
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Atlas:
    """Who is where. Regions by slug -> their names."""

    structures: Mapping[str, Structure]
    refurbishers: Mapping[str, Place]
    refurbisher_names: Mapping[str, str]
    regions: Mapping[str, str]

    @classmethod
    def read(
        cls,
        structures: Iterable[Mapping[str, str]],
        refurbishers: Iterable[Mapping[str, str]],
        regions: Iterable[Mapping[str, str]],
    ) -> Self:
        """Read the rows of `data/structures.csv`, `data/refurbishers.csv` and `data/regions.csv`."""
        known = list(refurbishers)
        return cls(
            structures={
                row["id"]: Structure(
                    id=row["id"],
                    name=row["name"],
                    kind=row["kind"],
                    postal_code=row["postal_code"],
                    region=row["region"],
                    priority=int(row["priority"]),
                    place=Place(lat=float(row["lat"]), lon=float(row["lon"])),
                )
                for row in structures
            },
            refurbishers={row["slug"]: Place(lat=float(row["lat"]), lon=float(row["lon"])) for row in known},
            refurbisher_names={row["slug"]: row["name"] for row in known},
            regions={row["slug"]: row["name"] for row in regions},
        )

    def structure(self, structure_id: str) -> Structure:
        """The structure, or NotYet: the list is data and grows."""
        if structure_id not in self.structures:
            raise NotYet("structure_unknown", structure=structure_id)
        return self.structures[structure_id]

    def origin(self, refurbisher: str, region: str) -> tuple[Place | None, bool]:
        """Where the refurbisher's devices come from, and whether that is its own place or only the middle of its region's structures."""
        if refurbisher in self.refurbishers:
            return self.refurbishers[refurbisher], True
        near = [structure.place for structure in self.structures.values() if structure.region == region]
        if not near:
            return None, False
        return Place(lat=sum(p.lat for p in near) / len(near), lon=sum(p.lon for p in near) / len(near)), False


def distance_km(one: Place, other: Place) -> float:
    """Great-circle distance (haversine). Roads are longer, by about a third; for who is nearest that changes little."""
    lat1, lat2 = math.radians(one.lat), math.radians(other.lat)
    across = math.sin((lat2 - lat1) / 2) ** 2
    along = math.sin(math.radians(other.lon - one.lon) / 2) ** 2
    return 2 * EARTH_KM * math.asin(math.sqrt(min(1.0, across + math.cos(lat1) * math.cos(lat2) * along)))

"""Where things are: points, distances over the ground, the points of postal codes, and their place on the map of France."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

EARTH_KM = 6371.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A point of the earth (WGS 84, degrees) and the department and region it lies in."""

    lat: float
    lon: float
    department: str
    region: str


def distance_km(a: Place, b: Place) -> int:
    """Great-circle distance (haversine), in whole kilometres: points are those of postal codes, finer would be invented."""
    phi_a, phi_b = math.radians(a.lat), math.radians(b.lat)
    half = math.sin((phi_b - phi_a) / 2) ** 2 + math.cos(phi_a) * math.cos(phi_b) * math.sin(math.radians(b.lon - a.lon) / 2) ** 2
    return round(2 * EARTH_KM * math.asin(math.sqrt(min(1.0, half))))


@dataclass(frozen=True)
class PostalCodes:
    """The points of the postal codes."""

    known: Mapping[str, Place]

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, str]]) -> "PostalCodes":
        """From the rows of `data/postal_codes.csv`."""
        return cls(
            {
                row["code"]: Place(
                    lat=float(row["lat"]), lon=float(row["lon"]), department=row["department"], region=row["region"]
                )
                for row in rows
            }
        )

    def place(self, code: str) -> Place | None:
        """Where a code lies. A code we do not know (CEDEX, a new one) lies in the middle of those that begin alike; else nowhere."""
        return self.known.get(code) or self.middles.get(code[:3] if code.startswith("97") else code[:2])

    @cached_property
    def middles(self) -> Mapping[str, Place]:
        """The mean of the points of each department, by the first digits of its codes."""
        alike: defaultdict[str, list[Place]] = defaultdict(list)
        for code, place in self.known.items():
            alike[code[:3] if code.startswith("97") else code[:2]].append(place)
        return {
            start: Place(
                lat=sum(p.lat for p in places) / len(places),
                lon=sum(p.lon for p in places) / len(places),
                department=places[0].department,
                region=places[0].region,
            )
            for start, places in alike.items()
        }


@dataclass(frozen=True, slots=True)
class Projection:
    """From latitude and longitude to the map of `data/france.svg`, by the constants of `data/projection.json`."""

    constants: Mapping[str, Any]

    def xy(self, place: Place) -> tuple[float, float]:
        """Mainland and Corsica: Lambert-93, then a scale. Overseas departments: a box of their own below the map."""
        inset = self.constants["insets"].get(place.department)
        if inset is not None:
            return (
                round(inset["ox"] + (place.lon - inset["lon0"]) * inset["sx"], 1),
                round(inset["oy"] + (inset["lat1"] - place.lat) * inset["sy"], 1),
            )
        metro = self.constants["metro"]
        sin_phi = math.sin(math.radians(place.lat))
        isometric = math.atanh(sin_phi) - metro["e"] * math.atanh(metro["e"] * sin_phi)
        radius = metro["C"] * math.exp(-metro["n"] * isometric)
        angle = metro["n"] * math.radians(place.lon - metro["lon0_deg"])
        east = metro["Xs"] + radius * math.sin(angle)
        north = metro["Ys"] - radius * math.cos(angle)
        return round((east - metro["x0_m"]) * metro["scale"], 1), round((metro["y1_m"] - north) * metro["scale"], 1)

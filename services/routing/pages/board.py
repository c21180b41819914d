"""What the board shows: flows on the map, consignments, load, what waits and why. Read from Postgres; no HTTP here."""

import math
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from uuid import UUID

from markupsafe import Markup

from services.routing.domain.consignments import Consignment
from services.routing.domain.geography import Place, Projection
from services.routing.domain.planning import Country
from services.routing.domain.weighing import Load
from services.routing.domain.wishes import Wish
from services.routing.pages import words

MOVING = ("assigned", "scheduled", "collected", "at_point", "counted_at_point", "sent_on")


@dataclass(frozen=True, slots=True)
class Outlines:
    """The map of France without its own style, and the names of its departments."""

    shapes: Markup
    departments: Mapping[str, str]


def outlines(svg: str) -> Outlines:
    """Take the shapes out of `data/france.svg`, our own file: pages may hold no style of their own."""
    boxes = re.findall(r'<rect id="inset-\d+" ([^/]*)/>', svg)
    paths = re.findall(r'<path id="dep-(\w+)" data-name="([^"]*)" d="([^"]*)"', svg)
    drawn = "".join(f'<rect class="inset" {box}/>' for box in boxes) + '<g class="r">'
    drawn += "".join(f'<path d="{d}"/>' for _, _, d in paths) + "</g>"
    return Outlines(Markup(drawn), {code: name for code, name, _ in paths})  # noqa: S704 our own file


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One consignment on the board."""

    id: UUID
    reference: str
    origin: str
    refurbisher: str
    devices: int
    colour: str
    state: str
    why: str
    day: date | None
    late: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """Devices on their way from a department to a refurbisher, the same for the map and for the table."""

    origin: str
    by: str
    refurbisher: str
    devices: int
    consignments: int
    paths: tuple[str, ...]
    width: float
    dot: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ring:
    """A refurbisher on the map, and its load."""

    name: str
    x: float
    y: float
    devices: int
    places: int
    share: float
    full: bool
    declared: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A donation of which something has no refurbisher."""

    reference: str
    origin: str
    devices: str
    because: list[str]
    since: object


def late(consignment: Consignment, today: date, within_days: int) -> bool:
    """The day of collection went by without it, or it is not there in time after it."""
    day = consignment.collection_date
    if day is None or consignment.status not in MOVING:
        return False
    return today > day if consignment.status == "scheduled" else today > day + timedelta(days=within_days)


def origin(postal_code: str, country: Country, france: Outlines) -> str:
    """`Rhône (69007)`."""
    place = country.postal_codes.place(postal_code)
    return f"{france.departments.get(place.department, place.department)} ({postal_code})" if place else postal_code


def rows(found: Mapping[UUID, Consignment], country: Country, france: Outlines, today: date) -> list[Row]:
    """Consignments as lines of a table."""
    return [
        Row(
            id=i,
            reference=consignment.reference,
            origin=origin(consignment.postal_code, country, france),
            refurbisher=words.workshop(consignment.refurbisher, country.network),
            devices=consignment.devices,
            colour=words.state(consignment)[0],
            state=words.state(consignment)[1],
            why=words.why(consignment, country.network),
            day=consignment.collection_date,
            late=late(consignment, today, country.rules.delivered_within_days),
        )
        for i, consignment in found.items()
    ]


def waiting(wishes: Mapping[UUID, Wish], country: Country, france: Outlines) -> list[Waiting]:
    """What waits, and why: in words, and in whose."""
    return [
        Waiting(
            reference=wish.reference,
            origin=origin(wish.postal_code, country, france),
            devices=words.some(wish.remaining),
            because=words.why_not(wish.waits, country.network)
            or [
                "le code postal n'est pas connu : l'adresse est à vérifier avec le donateur"
                if wish.waits_code == "place_unknown"
                else "le choix de l'atelier est en cours"
            ],
            since=wish.waits_since or wish.accepted_at,
        )
        for wish in wishes.values()
    ]


def flows(found: Mapping[UUID, Consignment], country: Country, map_of: Projection, france: Outlines) -> list[Flow]:
    """Sum what moves by department, reception point and refurbisher; the largest first."""
    grouped: defaultdict[tuple[str, str, str], list[tuple[Place, int]]] = defaultdict(list)
    for consignment in found.values():
        place = country.postal_codes.place(consignment.postal_code)
        known = consignment.refurbisher in country.network.workshops
        if place is not None and known and consignment.status in MOVING:
            group = (place.department, consignment.reception_point or "", consignment.refurbisher)
            grouped[group].append((place, consignment.devices))
    made = []
    for (department, by, slug), places in grouped.items():
        workshop, point = country.network.workshops[slug], country.network.points.get(by)
        start = map_of.xy(places[0][0])
        stops = [start, *([map_of.xy(point.place)] if point else []), map_of.xy(workshop.place)]
        devices = sum(count for _, count in places)
        made.append(
            Flow(
                origin=france.departments.get(department, department),
                by=point.name if point else "",
                refurbisher=workshop.name,
                devices=devices,
                consignments=len(places),
                paths=tuple(curve(a, b) for a, b in pairwise(stops)),
                width=round(min(8.0, 1.5 + math.sqrt(devices) / 2.5), 1),
                dot=start,
            )
        )
    return sorted(made, key=lambda flow: (-flow.devices, flow.origin, flow.refurbisher, flow.by))


def dots(found: list[Flow]) -> list[tuple[float, float, str, int]]:
    """Where flows begin: one dot and one figure a department, however many ways its devices take."""
    sums: dict[str, tuple[float, float, int]] = {}
    for flow in found:
        x, y, devices = sums.get(flow.origin, (*flow.dot, 0))
        sums[flow.origin] = (x, y, devices + flow.devices)
    return [(x, y, name, devices) for name, (x, y, devices) in sums.items()]


def curve(a: tuple[float, float], b: tuple[float, float]) -> str:
    """A line that bends to one side, so that ways there and back stay apart."""
    middle = (a[0] + b[0]) / 2 - (b[1] - a[1]) * 0.15, (a[1] + b[1]) / 2 + (b[0] - a[0]) * 0.15
    return f"M{a[0]} {a[1]}Q{middle[0]:.1f} {middle[1]:.1f} {b[0]} {b[1]}"


def rings(loads: Mapping[str, Load], declared: Mapping[str, bool], country: Country, map_of: Projection) -> list[Ring]:
    """Refurbishers with their load, the fullest first."""
    made = []
    for workshop in country.network.refurbishers:
        load = loads[workshop.slug]
        x, y = map_of.xy(workshop.place)
        made.append(
            Ring(
                name=workshop.name,
                x=x,
                y=y,
                devices=load.devices,
                places=load.places,
                share=load.share,
                full=load.share >= country.rules.full_at,
                declared=declared.get(workshop.slug, False),
            )
        )
    return sorted(made, key=lambda ring: (-ring.share, ring.name))

"""Which refurbisher should have it: skill, erasure, free places, distance and load, with a reason for each that is not chosen."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from services.routing.domain.geography import Place, distance_km
from services.routing.domain.network import ReceptionPoint, Rules, Workshop
from shared.events.base import DeviceType, MethodClass
from shared.events.routing import Candidate

STRENGTH: Mapping[MethodClass, int] = {"Clear": 1, "Purge": 2, "Destroy": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a refurbisher has now: places a week, and devices that are there or on their way, by type."""

    weekly_places: Mapping[DeviceType, int]
    outstanding: Mapping[DeviceType, int] = field(default_factory=dict)

    @property
    def places(self) -> int:
        return sum(self.weekly_places.values())

    @property
    def devices(self) -> int:
        return sum(self.outstanding.values())

    @property
    def share(self) -> float:
        """Taken share of the places of a week, all types together: 1.0 = full. Nothing at all counts as full."""
        return round(self.devices / self.places, 3) if self.places else 1.0

    def plus(self, devices: Mapping[DeviceType, int]) -> "Load":
        """What whoever is weighed next finds there, once these devices are taken."""
        more = {kind: self.outstanding.get(kind, 0) + devices.get(kind, 0) for kind in {*self.outstanding, *devices}}
        return Load(weekly_places=self.weekly_places, outstanding=more)

    def free(self, kind: DeviceType, full_at: float) -> int:
        """Places left for a type."""
        return max(0, int(self.weekly_places.get(kind, 0) * full_at) - self.outstanding.get(kind, 0))

    def fits(self, devices: Mapping[DeviceType, int], full_at: float) -> bool:
        """Tell whether every type still has room for what is asked."""
        return all(
            self.outstanding.get(kind, 0) + count <= self.weekly_places.get(kind, 0) * full_at for kind, count in devices.items()
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What has to go somewhere. `refused_by`: refurbishers that turned this donation down, and are not asked again."""

    place: Place
    devices: Mapping[DeviceType, int]
    required_class: MethodClass
    refused_by: frozenset[str] = frozenset()


def weigh(asked: Asked, refurbishers: Iterable[tuple[Workshop, Load]], rules: Rules) -> list[Candidate]:
    """Every refurbisher: those that can take all of it first, the least cost in front (at equal cost by name); then the others.

    cost = km * per_km + load before this * per_full_load. Distance and load are rounded first, so that anyone can add it up again.
    """
    candidates = []
    for workshop, load in refurbishers:
        km = distance_km(asked.place, workshop.place)
        candidates.append(
            Candidate(
                refurbisher=workshop.slug,
                distance_km=km,
                load=load.share,
                cost=round(km * rules.per_km + load.share * rules.per_full_load, 1),
                excluded=excluded(asked, workshop, load, rules),
            )
        )
    return sorted(candidates, key=lambda c: (c.excluded is not None, c.cost, c.refurbisher))


def excluded(asked: Asked, workshop: Workshop, load: Load, rules: Rules) -> str | None:
    """Why it cannot be this one: the reason that lasts longest is told first."""
    if workshop.slug in asked.refused_by:
        return "refused_before"
    if any(not workshop.weekly_places.get(kind) and not load.weekly_places.get(kind) for kind in asked.devices):
        return "skill"
    if STRENGTH[workshop.erasure] < STRENGTH[asked.required_class]:
        return "erasure_class"
    if any(not load.weekly_places.get(kind) for kind in asked.devices):
        return "closed"
    if not Load(weekly_places=load.weekly_places).fits(asked.devices, rules.full_at):
        return "too_small"
    if not load.fits(asked.devices, rules.full_at):
        return "capacity"
    return None


def point_on_the_way(
    place: Place, devices: int, points: Iterable[ReceptionPoint], rules: Rules, *, always: bool
) -> ReceptionPoint | None:
    """The nearest reception point, for what is too little for a lorry of its own; in any case where triage said so (`always`)."""
    km, _, point = min(
        ((distance_km(place, point.place), point.id, point) for point in points),
        key=lambda found: found[:2],
        default=(0, "", None),
    )
    return point if always or (devices <= rules.few_devices and km <= rules.near_km) else None

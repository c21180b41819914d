"""Which ready device goes to which structure: the nearest with an unmet need of that type. Same input, same answer.

Devices take turns by how long they have been ready; among needs equally near (in whole kilometres) the structure with the more
urgent priority goes first, then the smaller id, so that nothing depends on the order of rows. What nobody wants stays where it is.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from services.distribution.domain.needs import MeetNeed, Need
from services.distribution.domain.places import Atlas, Place, Structure, distance_km
from services.distribution.domain.stock import Allot, Item, item_id
from shared.events.base import DeviceType


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """One device for one need: both commands, carried out together or not at all."""

    allot: Allot
    meet: MeetNeed


@dataclass(frozen=True, slots=True, order=True)
class Wish:
    """A need as seen from one refurbisher; they sort in the order in which they are served."""

    km: int
    priority: int
    structure: str
    campaign: str
    need_id: UUID


def plan(items: Iterable[Item], needs: Mapping[UUID, Need], atlas: Atlas) -> list[Lot]:
    """Give each waiting device to the nearest unmet need of its type."""
    lacking = {(need_id, kind): need.lacks(kind) for need_id, need in needs.items() for kind in need.wanted}
    wishes: dict[tuple[str, str, DeviceType], list[Wish]] = {}
    lots = []
    for item in sorted(items, key=turn):
        if item.device_id is None:
            continue
        key = (item.refurbisher, item.region, item.device_type)
        if key not in wishes:
            wishes[key] = rank(item, needs, atlas)
        open_ones = [wish for wish in wishes[key] if lacking[wish.need_id, item.device_type] > 0]
        wishes[key] = open_ones
        if not open_ones:
            continue
        chosen = open_ones[0]
        lacking[chosen.need_id, item.device_type] -= 1
        lots.append(lot(item, item.device_id, open_ones, atlas))
    return lots


def turn(item: Item) -> tuple[float, str]:
    """Sort devices: the longest ready first."""
    return (item.ready_at.timestamp() if item.ready_at else 0.0, str(item.device_id))


def rank(item: Item, needs: Mapping[UUID, Need], atlas: Atlas) -> list[Wish]:
    """Put the needs of the device's type in the order of their distance from its refurbisher."""
    origin, _ = atlas.origin(item.refurbisher, item.region)
    found = []
    for need_id, need in needs.items():
        structure = atlas.structures.get(need.structure)
        if structure and origin and need.lacks(item.device_type) > 0:
            km = kilometres(origin, structure)
            found.append(Wish(km, structure.priority, structure.id, need.campaign, need_id))
    return sorted(found)


def kilometres(origin: Place, structure: Structure) -> int:
    """Whole kilometres: finer than that, the points of postal codes say nothing."""
    return round(distance_km(origin, structure.place))


def lot(item: Item, device_id: UUID, wishes: list[Wish], atlas: Atlas) -> Lot:
    """Make the commands for the first of `wishes`, with what there is to say about the choice."""
    chosen = wishes[0]
    others = [wish for wish in wishes if wish.structure != chosen.structure]
    _, own_place = atlas.origin(item.refurbisher, item.region)
    return Lot(
        allot=Allot(
            id=item_id(device_id),
            structure=chosen.structure,
            structure_region=atlas.structures[chosen.structure].region,
            need_id=chosen.need_id,
            distance_km=chosen.km,
            reason="nearest" if own_place else "nearest_to_region",
            candidates=len({wish.structure for wish in wishes}),
            runner_up=others[0].structure if others else None,
            runner_up_km=others[0].km if others else None,
        ),
        meet=MeetNeed(id=chosen.need_id, device_id=device_id, device_type=item.device_type),
    )


def why_waiting(items: Iterable[Item], needs: Iterable[Need]) -> dict[DeviceType, Literal["unwanted", "next_turn"]]:
    """Say why devices of a type wait: nobody asked for the type (or all who did are served), or the planner has yet to come by."""
    lacking: defaultdict[DeviceType, int] = defaultdict(int)
    for need in needs:
        for kind in need.wanted:
            lacking[kind] += max(0, need.lacks(kind))
    return {item.device_type: "next_turn" if lacking[item.device_type] else "unwanted" for item in items}

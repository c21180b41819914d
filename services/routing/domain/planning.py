"""From what waits to commands: who gets which part of a donation, and when it is collected. Pure: the planner job feeds it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from services.routing.domain.consignments import AssignConsignment, Consignment, EndConsignment, ScheduleConsignment
from services.routing.domain.geography import Place, PostalCodes
from services.routing.domain.network import Network, Rules
from services.routing.domain.refurbishers import FreePlaces, TakePlaces, refurbisher_id
from services.routing.domain.weighing import Asked, Load, point_on_the_way, weigh
from services.routing.domain.wishes import LetWait, Part, PlaceWish, ReopenWish, Wish, consignment_id
from services.routing.domain.workdays import first_collection
from shared.events.base import DeviceType, Donor
from shared.events.routing import Candidate, ConsignmentAssigned

PlannerCommand = (
    AssignConsignment | ScheduleConsignment | EndConsignment | TakePlaces | FreePlaces | PlaceWish | ReopenWish | LetWait
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Country:
    """What a decision rests on besides the donation: data of the service, read once at start."""

    network: Network
    postal_codes: PostalCodes
    rules: Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Devices that go to one refurbisher together, and who was weighed for them, best first."""

    devices: Mapping[DeviceType, int]
    candidates: list[Candidate] = field(default_factory=list)


def plan(donation: UUID, wish: Wish, loads: Mapping[str, Load], country: Country, now: datetime) -> list[PlannerCommand]:
    """All that follows for one open wish: consignments for what can be placed, and a word for what must wait.

    `loads` by slug, the assumed ones included. Carried out together or not at all.
    """
    place = country.postal_codes.place(wish.postal_code)
    if place is None:
        return [LetWait(id=donation, devices=wish.remaining, candidates=(), code="place_unknown", at=now)]
    shares, left = shared_out(wish, place, loads, country)
    commands: list[PlannerCommand] = []
    for number, share in enumerate(shares, len(wish.parts) + 1):
        commands += assigned(donation, wish, share, number, place, country, now)
    if left.devices:
        waiting = LetWait(id=donation, devices=left.devices, candidates=tuple(left.candidates), code="no_refurbisher", at=now)
        commands.append(waiting)
    return commands


def shared_out(wish: Wish, place: Place, loads: Mapping[str, Load], country: Country) -> tuple[list[Share], Share]:
    """Everything to one refurbisher where one can take it all; else type by type, and types with the same winner together.

    More of one type than anybody has places in a week goes to several. Gives the shares that found a refurbisher, and what
    found none (with the candidates of its first type, each with its reason).
    """
    loads = dict(loads)
    asked = Asked(place=place, devices=wish.remaining, required_class=wish.required_class, refused_by=frozenset(wish.refused_by))
    whole = weighed(asked, loads, country)
    if whole and whole[0].excluded is None:
        return [Share(devices=wish.remaining, candidates=whole)], Share(devices={})
    winners: dict[str, Share] = {}
    waiting: dict[DeviceType, int] = {}
    why: list[Candidate] = []
    for kind, count in sorted(wish.remaining.items()):
        candidates = weighed(replace(asked, devices={kind: count}), loads, country)
        left = count
        for candidate, devices in takers(replace(asked, devices={kind: count}), candidates, loads, country):
            slug = candidate.refurbisher
            others = [other for other in candidates if other.refurbisher != slug]
            before = winners.get(slug, Share(devices={}, candidates=[candidate, *others]))
            winners[slug] = Share(devices={**before.devices, kind: devices}, candidates=before.candidates)
            loads[slug] = loads[slug].plus({kind: devices})
            left -= devices
        if left:
            waiting[kind] = left
            why = why or candidates
    return list(winners.values()), Share(devices=waiting, candidates=why)


def takers(
    asked: Asked, candidates: Sequence[Candidate], loads: Mapping[str, Load], country: Country
) -> list[tuple[Candidate, int]]:
    """Who takes how many of one type: the first that can take all; several only where nobody ever could take all.

    A share fills a good part of a week, so that a large donation does not go in crumbs, one for each place that becomes free.
    """
    [(kind, count)] = asked.devices.items()
    if candidates and candidates[0].excluded is None:
        return [(candidates[0], count)]
    rules, reasons = country.rules, {candidate.excluded for candidate in candidates}
    if "too_small" not in reasons or "capacity" in reasons:
        return []
    found, left = [], count
    for candidate in weighed(replace(asked, devices={kind: 1}), loads, country):
        load = loads[candidate.refurbisher]
        devices = min(left, load.free(kind, rules.full_at))
        enough = devices == left or devices >= rules.least_share * load.weekly_places.get(kind, 0)
        if candidate.excluded is None and devices and enough:
            found.append((candidate, devices))
            left -= devices
    return found


def weighed(asked: Asked, loads: Mapping[str, Load], country: Country) -> list[Candidate]:
    workshops = country.network.workshops
    return weigh(asked, [(workshops[slug], load) for slug, load in loads.items()], country.rules)


def assigned(
    donation: UUID, wish: Wish, share: Share, number: int, place: Place, country: Country, now: datetime
) -> list[PlannerCommand]:
    """The commands that give a share to the first of its candidates. The wish and the refurbisher check again."""
    chosen, *others = share.candidates
    consignment = consignment_id(donation, number)
    replaces = next((part for part in wish.parts if gave_back(part, share)), None)
    point = point_on_the_way(
        place, sum(share.devices.values()), country.network.reception_points, country.rules, always=wish.by_point
    )
    event = ConsignmentAssigned(
        consignment_id=consignment,
        reference=f"{wish.reference}/{number}",
        donation_id=donation,
        donation_reference=wish.reference,
        refurbisher=chosen.refurbisher,
        region=wish.region,
        postal_code=wish.postal_code,
        donor=wish.donor or Donor(status="person"),
        required_class=wish.required_class,
        declared=dict(share.devices),
        chosen=chosen,
        others=tuple(others),
        reception_point=point.id if point else None,
        replaces=replaces.consignment_id if replaces else None,
        rules=country.rules.name,
    )
    day = first_collection(
        decided=now.date(), available_from=wish.available_from or now.date(), lead_days=country.rules.collection_lead_days
    )
    commands: list[PlannerCommand] = [
        PlaceWish(
            id=donation,
            consignment_id=consignment,
            refurbisher=chosen.refurbisher,
            devices=share.devices,
            replaces=event.replaces,
        ),
        TakePlaces(
            id=refurbisher_id(chosen.refurbisher),
            slug=chosen.refurbisher,
            consignment_id=consignment,
            devices=share.devices,
            assumed=country.network.workshops[chosen.refurbisher].weekly_places,
            full_at=country.rules.full_at,
        ),
        AssignConsignment(id=consignment, event=event),
        ScheduleConsignment(id=consignment, collection_date=day),
    ]
    if replaces:
        commands.append(
            EndConsignment(
                id=replaces.consignment_id,
                reason="refused",
                next_id=consignment,
                next_refurbisher=chosen.refurbisher,
            )
        )
    return commands


def recollect(donation: UUID, wish: Wish, known: Mapping[UUID, Consignment]) -> list[PlannerCommand]:
    """Put back what the wish does not remember although its consignments exist.

    So it is after the database was put back in time: consignments are taken in again from their topic, the wish is not.
    """
    commands: list[PlannerCommand] = []
    number = len(wish.parts) + 1
    while (there := known.get(consignment_id(donation, number))) is not None:
        commands += [
            PlaceWish(
                id=donation,
                consignment_id=consignment_id(donation, number),
                refurbisher=there.refurbisher,
                devices=there.declared,
                replaces=there.replaces,
            ),
            TakePlaces(
                id=refurbisher_id(there.refurbisher),
                slug=there.refurbisher,
                consignment_id=consignment_id(donation, number),
                devices=there.declared,
                assumed={},
                full_at=None,
            ),
        ]
        if there.refused_reason is not None:
            commands.append(
                ReopenWish(id=donation, consignment_id=consignment_id(donation, number), refurbisher=there.refurbisher)
            )
        if there.status in {"refused", "ended"}:
            commands.append(FreePlaces(id=refurbisher_id(there.refurbisher), consignment_id=consignment_id(donation, number)))
        number += 1
    return commands


def gave_back(part: Part, share: Share) -> bool:
    """Tell whether the part was turned down and holds devices of the share."""
    return part.turned_down and not part.replaced and bool(part.devices.keys() & share.devices.keys())

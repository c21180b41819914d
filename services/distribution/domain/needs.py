"""What one structure needs in one campaign, and what it was given. Stream `("need", structure, campaign)`."""

import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Literal, assert_never
from uuid import UUID

from services.distribution.domain.places import Atlas
from shared.errors import Malformed, NotYet, Refused
from shared.events.base import DeviceType, stream_id
from shared.events.distribution import NeedAsked, NeedEvent, NeedExpressed, NeedMet, NeedReminded, NeedReopened

MOST = 999
"""Devices of one type that one answer may ask for: above, it is a slip of the keyboard. Assumed."""
STANDING = "permanent"
"""The campaign of a need that nobody asked for: a structure may say at any time what it lacks."""


def need_id(structure: str, campaign: str) -> UUID:
    """Name a need."""
    return stream_id("need", structure, campaign)


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """`met` says which device was given for which type; `unmet` is how many are still to come, all types together."""

    status: Literal["unknown", "asked", "expressed"] = "unknown"
    structure: str = ""
    campaign: str = ""
    region: str = ""
    answer_by: date | None = None
    reminders: int = 0
    wanted: dict[DeviceType, int] = field(default_factory=dict)
    met: dict[UUID, DeviceType] = field(default_factory=dict)
    unmet: int = 0

    def given(self, device_type: DeviceType) -> int:
        """How many devices of this type were allotted."""
        return sum(1 for kind in self.met.values() if kind == device_type)

    def lacks(self, device_type: DeviceType) -> int:
        """How many devices of this type are still to come."""
        return self.wanted.get(device_type, 0) - self.given(device_type)


@dataclass(frozen=True, slots=True, kw_only=True)
class AskNeed:
    """A campaign asks the structure."""

    id: UUID
    structure: str
    campaign: str
    region: str
    answer_by: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemindNeed:
    """The structure has not answered: ask again."""

    id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpressNeed:
    """The structure answers, or changes its answer. Types it does not name are not wanted."""

    id: UUID
    structure: str
    campaign: str
    region: str
    wanted: Mapping[DeviceType, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetNeed:
    """A device was allotted for it."""

    id: UUID
    device_id: UUID
    device_type: DeviceType


@dataclass(frozen=True, slots=True, kw_only=True)
class ReopenNeed:
    """The device will not come after all."""

    id: UUID
    device_id: UUID


Command = AskNeed | RemindNeed | ExpressNeed | MeetNeed | ReopenNeed


def campaign_name(typed: str) -> str:
    """Read the name of a campaign as people write it, `Hiver 2026`: it stands in addresses, topics' streams and tables as `hiver-2026`."""
    plain = unicodedata.normalize("NFKD", typed).encode("ascii", "ignore").decode().lower()
    name = "-".join(re.findall(r"[a-z0-9]+", plain))
    if not name or len(name) > 40 or "\ufffd" in typed:  # what could not be decoded is another name than what is left of it
        raise Malformed("campaign_unreadable")
    return name


def ask(
    atlas: Atlas,
    campaign: str,
    *,
    answer_by: date | None,
    regions: Collection[str] | None = None,
    structures: Collection[str] | None = None,
    already: Collection[str] = (),
) -> list[AskNeed]:
    """Make the questions of a campaign: to the structures named, or to those of the regions named, or to all. Nobody is asked twice."""
    if unknown := set(regions or ()) - set(atlas.regions):
        raise Malformed("region_unknown", regions=sorted(unknown))
    chosen = (
        [atlas.structure(name) for name in structures]
        if structures is not None
        else [known for known in atlas.structures.values() if regions is None or known.region in regions]
    )
    return [
        AskNeed(
            id=need_id(structure.id, campaign),
            structure=structure.id,
            campaign=campaign,
            region=structure.region,
            answer_by=answer_by,
        )
        for structure in {each.id: each for each in chosen}.values()
        if structure.id not in already
    ]


def decide(need: Need, command: Command) -> list[NeedEvent]:
    """Say what happens, or refuse. A command already carried out yields no event."""
    match command:
        case AskNeed():
            if need.status != "unknown":
                return []
            return [
                NeedAsked(
                    structure=command.structure,
                    campaign=command.campaign,
                    answer_by=command.answer_by,
                    region=command.region,
                )
            ]
        case RemindNeed():
            if need.status == "unknown":
                raise NotYet("need_unknown")
            if need.status == "expressed":
                raise Refused("need_already_expressed")
            return [NeedReminded(structure=need.structure, campaign=need.campaign)]
        case ExpressNeed():
            return express(need, command)
        case MeetNeed(device_id=device_id, device_type=device_type):
            if device_id in need.met:
                return []
            if need.lacks(device_type) <= 0:
                raise Refused("need_already_met", structure=need.structure, device_type=device_type)
            return [NeedMet(structure=need.structure, device_id=device_id, device_type=device_type)]
        case ReopenNeed(device_id=device_id):
            if device_id not in need.met:
                return []
            return [NeedReopened(structure=need.structure, device_id=device_id, device_type=need.met[device_id])]
        case _:
            assert_never(command)


def express(need: Need, command: ExpressNeed) -> list[NeedEvent]:
    """Take the answer. It cannot go below what has been given already: those devices are on their way."""
    for device_type, count in command.wanted.items():
        if not 0 <= count <= MOST:
            raise Malformed("need_out_of_bounds", device_type=device_type, most=MOST)
    wanted = {device_type: count for device_type, count in sorted(command.wanted.items()) if count}
    for device_type in sorted(set(need.met.values())):
        if (given := need.given(device_type)) > wanted.get(device_type, 0):
            raise Refused("need_below_given", device_type=device_type, given=given)
    if need.status == "expressed" and wanted == need.wanted:
        return []
    return [NeedExpressed(structure=command.structure, campaign=command.campaign, wanted=wanted, region=command.region)]


def evolve(need: Need, event: NeedEvent) -> Need:
    """Give the need after the event."""
    match event:
        case NeedAsked():
            after = replace(
                need,
                status="asked",
                structure=event.structure,
                campaign=event.campaign,
                region=event.region,
                answer_by=event.answer_by,
            )
        case NeedReminded():
            after = replace(need, reminders=need.reminders + 1)
        case NeedExpressed():
            after = replace(
                need,
                status="expressed",
                structure=event.structure,
                campaign=event.campaign,
                region=event.region,
                wanted=dict(event.wanted),
            )
        case NeedMet(device_id=device_id, device_type=device_type):
            after = replace(need, met={**need.met, device_id: device_type})
        case NeedReopened(device_id=device_id):
            after = replace(need, met={device: kind for device, kind in need.met.items() if device != device_id})
        case _:
            assert_never(event)
    return replace(after, unmet=sum(max(0, after.lacks(kind)) for kind in after.wanted))

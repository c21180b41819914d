"""A donation as its donor reads it: the steps with their dates, the counts, why this refurbisher, what is late. Codes, not words."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal
from uuid import UUID

import yaml
from pydantic import BaseModel, ConfigDict, Field

from services.intake.domain.chain import Certificate, Consignment, Device, Sale
from services.intake.domain.donation import Donation
from shared.events.base import DeviceType

StepState = Literal["done", "now", "cut", ""]
StepName = Literal["offered", "decided", "assigned", "collected", "counted", "settled", "certified", "sold"]
When = date | datetime | None


class Promises(BaseModel):
    """After how many days a step is called late."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: str
    certainty: Literal["known", "likely", "assumed"]
    assign_days: int = Field(ge=0)
    collect_days: int = Field(ge=0)
    deliver_days: int = Field(ge=0)
    settle_days: int = Field(ge=0)
    certify_days: int = Field(ge=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One step of the story."""

    name: StepName
    state: StepState
    when: When = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """One device type, from what was declared to what was sold. `received`: identified one by one at the refurbisher."""

    device_type: DeviceType
    declared: int
    received: int
    ready: int
    scrapped: int
    sold: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """A step that should have happened by `due`."""

    name: StepName
    due: date
    consignment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Everything the tracking page tells. Totals are null until somebody counted."""

    steps: tuple[Told, ...]
    counts: tuple[Count, ...]
    declared: int
    collected: int | None
    received: int | None
    ready: int
    scrapped: int
    lost: int
    sold: int
    late: tuple[Late, ...]
    headline: str
    """Code of the sentence that says where things stand."""


def read(text: str) -> Promises:
    """Read one version of the promises. Raises ValueError when it is not whole."""
    return Promises.model_validate(yaml.safe_load(text))


def tell(
    donation: Donation,
    consignments: Mapping[UUID, Consignment],
    devices: Mapping[UUID, Device],
    certificates: Mapping[UUID, Certificate],
    sales: Mapping[UUID, Sale],
    *,
    today: date,
    promises: Promises,
) -> Story:
    """Make the story. With several consignments a step is done when all that go on have done it."""
    ways = [
        Way(
            consignment=one,
            devices=tuple(device for device in devices.values() if device.consignment_id == stream),
            certified_at=max(
                (c.issued_at for c in certificates.values() if c.consignment_id == stream and c.issued_at and not c.replaced_by),
                default=None,
            ),
        )
        for stream, one in consignments.items()
        if one.ended is None
    ]
    counts = _counts(donation, devices.values(), sales.values())
    totals = {
        name: sum(getattr(count, name) for count in counts) for name in ("declared", "received", "ready", "scrapped", "sold")
    }
    counted = _sum(way.counted("delivered") for way in ways)
    moments = _moments(donation, ways, [sale.sold_at for sale in sales.values()], to_sell=totals["ready"])
    return Story(
        steps=_steps(donation, moments),
        counts=counts,
        declared=totals["declared"],
        collected=_sum(way.counted("collected") for way in ways),
        received=counted if counted is not None else (totals["received"] or None),
        ready=totals["ready"],
        scrapped=totals["scrapped"],
        lost=sum(device.status == "lost" for device in devices.values()),
        sold=totals["sold"],
        late=_late(donation, ways, today, promises) if donation.status == "accepted" else (),
        headline=_headline(donation, moments, proven=all(not c.not_erased for c in certificates.values() if not c.replaced_by)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A consignment that goes on, with its devices and its certificate."""

    consignment: Consignment
    devices: tuple[Device, ...]
    certified_at: datetime | None

    def at(self, code: Literal["collected", "delivered"]) -> datetime | None:
        """When it did that step. What was delivered was collected, whether or not somebody said so."""
        step = self.consignment.step(code) or self.consignment.step("delivered")
        return step.at if step else None

    def counted(self, code: Literal["collected", "delivered"]) -> int | None:
        """What was counted at that step."""
        step = self.consignment.step(code)
        return step.counted if step else None

    @property
    def settled_at(self) -> datetime | None:
        """When the last of all counted devices was ready or scrapped."""
        moments = [device.settled_at for device in self.devices if device.settled_at]
        counted = self.counted("delivered")
        return max(moments) if counted is not None and moments and len(moments) >= counted else None


def _counts(donation: Donation, devices: Iterable[Device], sales: Iterable[Sale]) -> tuple[Count, ...]:
    declared = donation.codes.declared if donation.codes else {}
    here, sold = list(devices), list(sales)
    kinds: list[DeviceType] = ["laptop", "desktop", "smartphone", "tablet", "screen", "printer", "other"]
    found = (
        Count(
            device_type=kind,
            declared=declared.get(kind, 0),
            received=sum(device.device_type == kind for device in here),
            ready=sum(device.device_type == kind and device.status == "ready" for device in here),
            scrapped=sum(device.device_type == kind and device.status == "scrapped" for device in here),
            sold=sum(sale.device_type == kind for sale in sold),
        )
        for kind in kinds
    )
    return tuple(count for count in found if count.declared or count.received)


def _sum(numbers: Iterable[int | None]) -> int | None:
    """The sum of what was counted; null until somebody counted."""
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None


def _last(moments: Iterable[datetime | None]) -> datetime | None:
    """The latest moment, once all have one."""
    known: list[datetime] = []
    for moment in moments:
        if moment is None:
            return None
        known.append(moment)
    return max(known, default=None)


def _moments(
    donation: Donation, ways: Sequence[Way], sold: Sequence[datetime | None], *, to_sell: int
) -> dict[StepName, datetime | None]:
    """When each step was done for all that goes on; null where it is not."""
    settled = _last(way.settled_at for way in ways)
    return {
        "offered": donation.offered_at,
        "decided": donation.decided_at,
        "assigned": _last(way.consignment.assigned_at for way in ways),
        "collected": _last(way.at("collected") for way in ways),
        "counted": _last(way.at("delivered") for way in ways),
        "settled": settled,
        "certified": _last(way.certified_at for way in ways),
        "sold": _last(sold) if settled and to_sell and len(sold) >= to_sell else None,
    }


def _steps(donation: Donation, moments: Mapping[StepName, datetime | None]) -> tuple[Told, ...]:
    """The steps in order: done, the one that is now, those to come. A no, or a withdrawal, cuts the chain."""
    steps: list[Told] = []
    waiting = False
    for name, when in moments.items():
        if donation.status == "declined" and name == "decided":
            return (*steps, Told(name=name, state="cut", when=when))
        if donation.status == "withdrawn" and when is None:
            return (*steps, Told(name=name, state="cut", when=donation.withdrawn_at))
        state: StepState = "done" if when else ("" if waiting else "now")
        waiting = waiting or state == "now"
        steps.append(Told(name=name, state=state, when=when))
    return tuple(steps)


def _late(donation: Donation, ways: Sequence[Way], today: date, promises: Promises) -> tuple[Late, ...]:
    """What should have happened by now: the first thing that each consignment waits for."""
    if not ways:
        waits: list[tuple[StepName, When, int, str]] = [("assigned", donation.decided_at, promises.assign_days, "")]
    else:
        waits = [_waits_for(way, promises) for way in ways]
    found = []
    for name, since, days, consignment in waits:
        if since is None:
            continue
        due = (since.date() if isinstance(since, datetime) else since) + timedelta(days=days)
        if today > due:
            found.append(Late(name=name, due=due, consignment=consignment))
    return tuple(found)


def _waits_for(way: Way, promises: Promises) -> tuple[StepName, When, int, str]:
    """The next step of a consignment, and since when and how many days it may take. Null when nothing is promised."""
    one = way.consignment
    if way.at("collected") is None:
        return "collected", one.collection_date, promises.collect_days, one.reference
    if way.at("delivered") is None:
        return "counted", way.at("collected"), promises.deliver_days, one.reference
    if way.settled_at is None:
        return "settled", way.at("delivered"), promises.settle_days, one.reference
    return "certified", None if way.certified_at else way.settled_at, promises.certify_days, one.reference


def _headline(donation: Donation, moments: Mapping[StepName, datetime | None], *, proven: bool) -> str:
    """Where things stand, as a code: the furthest step that is done. No word of erased data where an erasure is not proven."""
    if donation.status in {"declined", "withdrawn"}:
        return donation.status
    furthest = next((name for name in reversed(list(moments)) if moments[name]), "offered")
    return "certified_in_part" if furthest == "certified" and not proven else furthest

"""The audit of the chain of custody: whether the steps of a donation can all be true together, and whether its counts add up.

    offered   = collected + missing
    collected = received + on its way + lost in transit
    received  = in the workshop + in stock + sold + given + scrapped + lost + returned

Judged is the whole of what is known, never the order in which it came (`domain.passage` says how of a device).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from services.certs.domain.passage import STALLED, Breach, Bucket, Code, Device, device_breaches, shared
from services.certs.domain.trail import NOBODY, Holder, Kind, Step, Trail, held, held_before, in_time
from shared.events.base import Fact

BUCKETS: tuple[Bucket, ...] = ("open", "stock", "sold", "given", "scrapped", "lost", "returned")
State = Literal["holds", "open", "broken"]
KINDS: tuple[Kind, ...] = ("donation", "consignment", "device")
PARTS: tuple[str, ...] = ("collected", "received", "on_its_way", *BUCKETS)
REST = {"offered": "missing", "collected": "lost_in_transit", "received": "unexplained"}
"""What the difference of each sum is called."""


class Sum(Fact):
    """A count and what became of it. `difference`: what no part explains; below zero there is more than was counted."""

    name: Literal["offered", "collected", "received"]
    whole: int
    parts: dict[str, int]
    state: State

    @property
    def difference(self) -> int:
        return self.whole - sum(self.parts.values())

    @property
    def spelled(self) -> dict[str, int]:
        """The sum with the name of its difference: `missing`, `lost_in_transit`, `unexplained`."""
        parts = {part: self.parts[part] for part in PARTS if part in self.parts}  # a table keeps them in an order of its own
        return {self.name: self.whole, **parts, REST[self.name]: self.difference}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the audit of one donation finds at one moment."""

    reference: str = ""
    sums: tuple[Sum, ...] = ()
    breaches: tuple[Breach, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """A thing by its own steps, each with who had it from then on."""

    trail: Trail
    bucket: str
    """Of a device: where it is, or all the places where its steps say that it is."""
    steps: tuple[tuple[Step, Holder], ...]


def followed(trails: Iterable[Trail]) -> list[Followed]:
    """Who had a donation, its consignments and its devices, from when and on whose word: in this order, each by its reference."""
    known = sorted(trails, key=lambda trail: (KINDS.index(trail.kind), trail.reference, str(trail.subject)))
    steps = {trail.subject: trail.steps for trail in known}
    donation = steps.get(known[0].donation_id, ()) if known else ()
    found = []
    for trail in known:
        before = () if trail.kind == "donation" else donation
        if trail.kind == "device":
            before = (*before, *steps.get(trail.consignment_id or NOBODY, ()))
        its = tuple(pair for pair in held((*before, *trail.steps)) if pair[0] in trail.steps)
        bucket = " ".join(Device(trail).buckets()) if trail.kind == "device" else ""
        found.append(Followed(trail=trail, bucket=bucket, steps=its))
    return found


def judge(trails: Iterable[Trail], twins: Sequence[Trail], now: datetime) -> Verdict:
    """Audit a donation: its own trail, its consignments' and its devices'. `twins`: other devices that named a serial number of these."""
    known = sorted(trails, key=lambda trail: (trail.reference, str(trail.subject)))
    donation = next((trail for trail in known if trail.kind == "donation"), Trail(kind="donation"))
    consignments = [Consignment(trail) for trail in known if trail.kind == "consignment"]
    devices = [Device(trail) for trail in known if trail.kind == "device"]
    under = {c.trail.subject: c for c in consignments}
    found: list[Breach] = []
    for device in devices:
        came = under.get(device.trail.consignment_id or NOBODY)
        device.before = (*donation.steps, *(came.trail.steps if came else ()))
        found += device_breaches(device, now, assigned=came is not None and came.assigned is not None)
        found += shared(device, twins)
    for consignment in consignments:
        its = [d for d in devices if d.trail.consignment_id == consignment.trail.subject and d.received]
        found += count_breaches(consignment, donation.steps, its, now)
    reference = donation.reference or next((c.trail.reference.partition("/")[0] for c in consignments if c.trail.reference), "")
    return Verdict(
        reference=reference,
        sums=(offered(donation, consignments), collected(consignments), received(consignments, devices)),
        breaches=tuple(sorted(found, key=lambda b: (b.step.at, b.step.place, b.code))),
    )


# ── a consignment ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Consignment:
    """A consignment by its counts: who took it over said how many there were, and the last word of each stands."""

    def __init__(self, trail: Trail) -> None:
        self.trail = trail
        self.assigned = next((s for s in trail.steps if s.what == "assigned"), None)
        self.collected = next((s for s in reversed(trail.steps) if s.what == "collected"), None)
        self.points = [s for s in trail.steps if s.what == "counted_at_point"]
        self.counts = [s for s in trail.steps if s.what == "counted"]
        self.live = not any(s.what in {"ended", "turned_down"} for s in trail.steps)

    @property
    def taken(self) -> int | None:
        """How many left the donor: the first that anybody counted on the way, else what the workshop counted."""
        on_the_way = [self.collected] if self.collected else self.points or self.counts
        return on_the_way[-1].count if on_the_way else None

    @property
    def counted(self) -> int | None:
        return self.counts[-1].count if self.counts else None


def count_breaches(
    consignment: Consignment, before: Sequence[Step], devices: Sequence[Device], now: datetime
) -> Iterable[Breach]:
    """Where a count does not go with the one before, or with the devices that have a name."""
    trail, steps = consignment.trail, (*before, *consignment.trail.steps)

    def breach(code: Code, step: Step, *, sure: bool = True, of: Sequence[Step] = steps) -> Breach:
        had = held_before(of, step)
        return Breach(
            code=code, kind="consignment", subject=trail.subject, reference=trail.reference, step=step, holder=had, sure=sure
        )

    if consignment.assigned is None and trail.steps:
        yield breach("unassigned", trail.steps[0], sure=False)
    taken, counted = consignment.taken, consignment.counted
    seen = (consignment.counts or consignment.points)[-1:]
    if taken is not None and seen and seen[0].count != taken:
        code: Code = "lost_in_transit" if (seen[0].count or 0) < taken else "more_than_collected"
        off = first_off([*consignment.points, *consignment.counts], taken) or seen[0]
        yield breach(code, off, sure=counted is not None)  # a point may be wrong, and the workshop right
    if counted is None and (left := consignment.collected) is not None and now - left.at > STALLED:
        yield breach("not_arrived", in_time(trail.steps)[-1], sure=False)
    named = in_time(d.received for d in devices if d.received)
    if counted is not None and len(named) > counted:
        count = consignment.counts[-1]
        extra = max(named[counted], count, key=lambda s: s.at)
        yield breach("more_than_counted", extra, sure=False, of=(*steps, *named))
    if counted is not None and len(named) < counted and now - consignment.counts[-1].at > STALLED:
        yield breach("not_named", consignment.counts[-1], sure=False)


def first_off(counts: Iterable[Step], whole: int) -> Step | None:
    """The count from which on none was `whole` any more."""
    off: Step | None = None
    for step in counts:
        off = None if step.count == whole else off or step
    return off


# ── the sums ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def offered(donation: Trail, consignments: Sequence[Consignment]) -> Sum:
    """What is missing here the donor never gave: it is shown, and breaks nothing."""
    live = [c for c in consignments if c.live]
    planned = sum(c.assigned.count or 0 for c in live if c.assigned)
    told = next((s.count for s in donation.steps if s.what == "offered"), None)
    closed = any(s.what in {"declined", "withdrawn"} for s in donation.steps)
    under_way = any(c.taken is None for c in live) or (not closed and (told is None or planned < told))
    whole = planned if told is None else told
    return Sum(
        name="offered",
        whole=whole,
        parts={"collected": sum(c.taken or 0 for c in live)},
        state="open" if under_way else "holds",
    )


def collected(consignments: Sequence[Consignment]) -> Sum:
    """What left the donor, and what a workshop counted of it."""
    live = [c for c in consignments if c.live and c.taken is not None]
    parts = {
        "received": sum(c.counted or 0 for c in live),
        "on_its_way": sum(c.taken or 0 for c in live if c.counted is None),
    }
    whole = sum(c.taken or 0 for c in live)
    off = sum(parts.values()) != whole
    return Sum(
        name="collected",
        whole=whole,
        parts=parts,
        state="broken" if off else "open" if parts["on_its_way"] or not live else "holds",
    )


def received(consignments: Sequence[Consignment], devices: Sequence[Device]) -> Sum:
    """What the workshops counted, and where each device of it is. One that has no name yet is in the workshop."""
    counted = {c.trail.subject: c.counted for c in consignments if c.counted is not None}
    named = Counter(d.trail.consignment_id for d in devices if d.received)
    parts = dict.fromkeys(BUCKETS, 0)
    for device in devices:
        if device.received:
            for bucket, count in device.buckets().items():
                parts[bucket] += count
    parts["open"] += sum(max(0, count - named[consignment]) for consignment, count in counted.items())
    whole = sum(counted.values()) + sum(count for consignment, count in named.items() if consignment not in counted)
    off = sum(parts.values()) != whole
    busy = parts["open"] or parts["returned"] or not counted
    return Sum(
        name="received",
        whole=whole,
        parts={str(bucket): count for bucket, count in parts.items()},
        state="broken" if off else "open" if busy else "holds",
    )

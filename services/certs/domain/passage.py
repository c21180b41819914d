"""A device in the audit: where its steps take it, stream by stream, and what of that cannot be true.

What one stream says is complete up to its last step, so a step that cannot follow there is broken for `sure`. What lacks its cause or its
effect in another stream may only be early: `domain.account` waits before it calls it broken.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from services.certs.domain.trail import Holder, Kind, Step, Trail, held_before, in_time, stays
from shared.events.base import Fact

STALLED = timedelta(days=30)
"""After so long, what was handed over and seen by nobody since is looked for."""

Code = Literal[
    "not_received",
    "received_twice",
    "two_consignments",
    "other_consignment",
    "unassigned",
    "cannot_follow",
    "after_scrapped",
    "scrapped_and_sold",
    "serial_changed",
    "serial_twice",
    "medium_twice",
    "ready_unstocked",
    "stocked_unready",
    "stocked_twice",
    "not_delivered",
    "sold_unstocked",
    "sold_twice",
    "sold_withdrawn",
    "sold_elsewhere",
    "left_unsold",
    "lost_in_transit",
    "more_than_collected",
    "more_than_counted",
    "not_arrived",
    "not_named",
]
Bucket = Literal["open", "stock", "sold", "given", "scrapped", "lost", "returned"]


class Breach(Fact):
    """A step that cannot be true with the others, or a count that does not add up: the first that broke it, and who had the device then."""

    code: Code
    kind: Kind
    subject: UUID
    reference: str
    step: Step
    holder: Holder
    other: str = ""
    """The other device, of two that bear one number."""
    sure: bool = True
    """False: a word from another stream may still explain it."""

    @property
    def key(self) -> tuple[str, UUID, UUID, int]:
        """What tells breaches apart from one judgement to the next."""
        return self.code, self.subject, self.step.stream, self.step.number


WORKSHOP: Mapping[tuple[str, str], str] = {
    ("nowhere", "received"): "open",
    ("open", "ready"): "ready",
    ("open", "scrapped"): "scrapped",
    ("open", "lost"): "lost",
    ("ready", "lost"): "lost",
    ("ready", "taken_back"): "open",
    ("ready", "handed_over"): "handed_over",
    ("handed_over", "taken_back"): "open",
    ("handed_over", "repair_begun"): "in_repair",
    ("in_repair", "repair_ended"): "handed_over",
    ("in_repair", "taken_back"): "open",
    ("lost", "found"): "open",
    ("lost", "found_ready"): "ready",
}
"""Where a device is by its refurbisher's word, and where a step takes it."""
STOCK: Mapping[tuple[str, str], str] = {
    ("out", "stocked"): "in",
    ("in", "shipped"): "shipped",
    ("in", "delivered"): "delivered",
    ("shipped", "delivered"): "delivered",
    ("delivered", "left"): "out",
    ("in", "stock_withdrawn"): "out",
    ("shipped", "stock_withdrawn"): "out",
    ("delivered", "stock_withdrawn"): "out",
    ("out", "stock_withdrawn"): "out",  # it comes back after a sale
}
AFTER: Mapping[str, str] = {"received": "open", "stocked": "in", "found": "open", "taken_back": "open", "left": "out"}
"""Where a step leads that could not follow, where the step is not itself the name of the place."""
ASIDE = {"audited", "medium_removed", "audit_withdrawn"}


@dataclass(slots=True)
class Device:
    """A device as refurb's stream, the stock's and the sales tell of it: its n-th stay in stock follows its n-th time of being ready."""

    trail: Trail
    before: tuple[Step, ...] = ()
    """Steps of its donation and its consignment."""
    at: str = "nowhere"
    stock: str = "out"
    readies: list[Step] = field(default_factory=list)
    ends: dict[int, Step] = field(default_factory=dict)
    """What ended the n-th time that it was ready."""
    stocked: list[Step] = field(default_factory=list)
    odd: list[tuple[Code, Step]] = field(default_factory=list)
    """Steps that cannot follow in their own stream."""

    def __post_init__(self) -> None:
        for step in self.trail.of("refurb"):
            self.work(step)
        for step in self.trail.of("distribution"):
            if step.what == "stocked":
                self.stocked.append(step)
            if (self.stock, step.what) not in STOCK:
                self.odd.append(("stocked_twice" if step.what == "stocked" else "cannot_follow", step))
            self.stock = STOCK.get((self.stock, step.what), AFTER.get(step.what, step.what))

    @property
    def sales(self) -> list[Step]:
        return in_time(self.trail.of("distribution", sales=True))

    @property
    def received(self) -> Step | None:
        return next((s for s in self.trail.steps if s.what == "received"), None)

    def work(self, step: Step) -> None:
        """Take in one step of refurb's stream, which may be one that cannot follow."""
        if step.what in ASIDE:
            if self.at == "nowhere":
                self.odd.append(("not_received", step))
            return
        if self.at == step.what == "ready":
            return  # another category: the stock takes it as such
        if (self.at, step.what) not in WORKSHOP:
            self.odd.append((self.oddity(step), step))
        if step.what == "ready":
            self.readies.append(step)
        elif step.what == "found_ready":
            self.ends.pop(len(self.readies), None)
        elif self.at in {"ready", "handed_over", "in_repair"}:
            self.ends[len(self.readies)] = step
        self.at = WORKSHOP.get((self.at, step.what), AFTER.get(step.what, step.what))

    def oddity(self, step: Step) -> Code:
        if step.what == "received":
            return "received_twice" if step.consignment_id == self.trail.consignment_id else "two_consignments"
        if self.at == "nowhere":
            return "not_received"
        if self.at == "scrapped":
            return "after_scrapped"
        sold = self.at in {"handed_over", "in_repair"} or any(s.times == len(self.readies) for s in self.sales)
        return "scrapped_and_sold" if step.what == "scrapped" and sold else "cannot_follow"

    def buckets(self) -> Counter[Bucket]:
        """Where it is, once: unless its steps claim it for two places, then each counts, and the sum shows it."""
        back = {s.sale_id for s in self.trail.of("refurb") if s.what == "taken_back" and s.sale_id}
        sold = {s.sale_id: s.what for s in self.sales if s.sale_id not in back}
        found: Counter[Bucket] = Counter("given" if what == "given" else "sold" for what in sold.values())
        if self.at == "scrapped":
            found["scrapped"] += 1
        if not found:
            found[self.bucket()] += 1
        return found

    def bucket(self) -> Bucket:
        if self.at == "lost":
            return "lost"
        if self.at in {"ready", "handed_over", "in_repair"}:
            return "stock" if len(self.stocked) >= len(self.readies) else "open"
        last = self.ends.get(len(self.readies))
        return "returned" if last is not None and last.what == "taken_back" and last.sale_id else "open"

    def breach(self, code: Code, step: Step, *, sure: bool = True, other: str = "") -> Breach:
        return Breach(
            code=code,
            kind="device",
            subject=self.trail.subject,
            reference=self.trail.reference,
            step=step,
            holder=held_before((*self.before, *self.trail.steps), step),
            other=other,
            sure=sure,
        )


def device_breaches(device: Device, now: datetime, *, assigned: bool) -> list[Breach]:
    """What cannot be true of one device."""
    found = [device.breach(code, step) for code, step in first_of_each(device.odd)]
    if device.received is not None and not assigned:
        found.append(device.breach("unassigned", device.received, sure=False))
    here, given = {None, device.trail.consignment_id}, {None, device.trail.donation_id}
    others = [s for s in device.trail.steps if s.consignment_id not in here or s.donation_id not in given]
    found += [device.breach("other_consignment", step) for step in others[:1] if step.what != "received"]
    if (step := other_serial(device.trail)) is not None:
        found.append(device.breach("serial_changed", step))
    return [*found, *stock_breaches(device, now), *sale_breaches(device)]


def first_of_each(odd: Iterable[tuple[Code, Step]]) -> Iterable[tuple[Code, Step]]:
    """One step that cannot follow makes others after it: the first of a kind says it."""
    seen: set[Code] = set()
    for code, step in odd:
        if code not in seen:
            seen.add(code)
            yield code, step


def other_serial(trail: Trail) -> Step | None:
    """The first step in refurb's stream that gives the device another serial number than a step before."""
    known = ""
    for step in trail.of("refurb"):
        said = (step.serial or "").strip().upper() if step.what not in {"medium_removed", "audit_withdrawn"} else ""
        if said and known and said != known:
            return step
        known = said or known
    return None


def stock_breaches(device: Device, now: datetime) -> Iterable[Breach]:
    """Where workshop and stock do not go together."""
    ready, stocked = len(device.readies), len(device.stocked)
    if stocked > ready:
        yield device.breach("stocked_unready", device.stocked[ready], sure=device.at == "scrapped")
    if ready > stocked and device.at in {"ready", "handed_over"}:
        yield device.breach("ready_unstocked", device.readies[stocked], sure=False)
    if device.stock == "shipped":
        sent = [s for s in device.trail.of("distribution") if s.what == "shipped"][-1]
        if now - sent.at > STALLED:
            yield device.breach("not_delivered", sent, sure=False)
    told = {s.sale_id for s in device.sales}
    for step in device.trail.steps:
        if step.what in {"left", "handed_over"} and step.sale_id not in told:
            yield device.breach("left_unsold", step, sure=False)
            break


def sale_breaches(device: Device) -> Iterable[Breach]:
    """Each stay in stock ends with one sale at most, of what was there."""
    first: dict[int, Step] = {}
    for sale in device.sales:
        times = sale.times or 1
        if times in first:
            if sale.sale_id != first[times].sale_id:
                yield device.breach("sold_twice", sale)
            continue
        first[times] = sale
        end = device.ends.get(times)
        if device.at == "scrapped" and len(device.readies) < times:
            scrapped = [s for s in device.trail.of("refurb") if s.what == "scrapped"][-1]
            yield device.breach("scrapped_and_sold", in_time([scrapped, sale])[-1])
        elif times > len(device.stocked):
            yield device.breach("sold_unstocked", sale, sure=False)
        elif end is not None and (end.what == "lost" or (end.what == "taken_back" and end.sale_id != sale.sale_id)):
            yield device.breach("sold_withdrawn", sale, sure=end.what == "taken_back")
        there = stay_of(device, times)
        if there and there != sale.who:
            yield device.breach("sold_elsewhere", sale)


def stay_of(device: Device, times: int) -> str:
    """The structure that had it during its n-th stay in stock."""
    count, there = 0, ""
    for step in device.trail.of("distribution"):
        count += step.what == "stocked"
        if count == times and step.what in {"shipped", "delivered"}:
            there = step.who
    return there


def shared(device: Device, twins: Sequence[Trail]) -> Iterable[Breach]:
    """Serial numbers that are in this device while another has them; said of the one that named it later."""
    mine = stays(device.trail)
    for twin in twins:
        if twin.subject == device.trail.subject:
            continue
        for other in stays(twin):
            for stay in mine:
                later = (stay.since.at, str(device.trail.subject)) > (other.since.at, str(twin.subject))
                if stay.name == other.name and later and stay.meets(other):
                    code: Code = "medium_twice" if stay.medium else "serial_twice"
                    yield device.breach(code, stay.since, sure=False, other=twin.reference)

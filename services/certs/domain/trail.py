"""The chain of custody: what the others said of a donation, a consignment or a device, each word one step, kept by local events.

A trail holds its steps in one order, whatever order they came in: topics do not wait for each other. Who held what, since when and on
whose word follows from them (`held`, `stays`); whether they can be true together is for `domain.ledger` to say.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal, assert_never
from uuid import UUID

from shared.events.base import Event, Fact, stream_id

Kind = Literal["donation", "consignment", "device"]
What = Literal[
    "offered",
    "declined",
    "withdrawn",
    "assigned",
    "collected",
    "received_at_point",
    "counted_at_point",
    "sent_on",
    "ended",
    "counted",
    "turned_down",
    "received",
    "audited",
    "medium_removed",
    "audit_withdrawn",
    "ready",
    "scrapped",
    "taken_back",
    "lost",
    "found",
    "found_ready",
    "handed_over",
    "repair_begun",
    "repair_ended",
    "stocked",
    "shipped",
    "delivered",
    "left",
    "stock_withdrawn",
    "sold",
    "given",
]
Role = Literal["donor", "carrier", "reception_point", "refurbisher", "structure", "beneficiary", "waste", "nobody"]

NOBODY = UUID(int=0)
"""The donation of a trail of which none has been named yet."""
RANK: Mapping[str, int] = {"intake": 0, "routing": 1, "refurb": 2, "distribution": 3}
"""Publishers in the order of the chain: what one says of the origin of a device goes before what those after it repeat."""


class Step(Fact):
    """One word of a publisher about a donation, a consignment or a device: an event, by its place, and what of it matters here.

    Ids, counts and serial numbers only. `who` is the refurbisher, reception point or structure that the event names.
    """

    what: What
    at: datetime
    topic: str
    stream: UUID
    number: int
    who: str = ""
    reference: str = ""
    count: int | None = None
    serial: str | None = None
    media: tuple[str, ...] = ()
    sale_id: UUID | None = None
    times: int | None = None
    consignment_id: UUID | None = None
    donation_id: UUID | None = None

    @property
    def publisher(self) -> str:
        return self.topic.partition(".")[0]

    @property
    def place(self) -> tuple[int, str, str, int]:
        """Where it stands among the steps of its trail: each stream in its own order, and streams along the chain."""
        return RANK.get(self.publisher, len(RANK)), self.topic, str(self.stream), self.number


class StepNoted(Event):
    """A publisher said this of a donation, a consignment or a device."""

    type: ClassVar[str] = "certs.step_noted.v1"

    kind: Kind
    subject: UUID
    step: Step


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteStep:
    """Keep what was said."""

    id: UUID
    kind: Kind
    subject: UUID
    step: Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """All that was said of one thing. What stands beside `steps` follows from them, and is there to be looked up by.

    `named`: every serial number that it ever bore (`serial:…`) or held (`medium:…`).
    """

    kind: Kind = "device"
    subject: UUID = NOBODY
    donation_id: UUID = NOBODY
    consignment_id: UUID | None = None
    reference: str = ""
    named: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()

    def of(self, publisher: str, *, sales: bool = False) -> list[Step]:
        """The steps of one publisher, in order; distribution's stock and sales apart."""
        return [s for s in self.steps if s.publisher == publisher and (s.what in {"sold", "given"}) is sales]


class Holder(Fact):
    """Who had it. `name` is the slug or id of the party; empty where the role says all that we know."""

    role: Role
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """A serial number was in a device from one step to another; `until` is None while it is."""

    name: str
    since: Step
    until: Step | None = None

    @property
    def medium(self) -> bool:
        return self.name.startswith("medium:")

    def meets(self, other: "Stay") -> bool:
        """Whether both were at one moment."""
        return (other.until is None or self.since.at < other.until.at) and (self.until is None or other.since.at < self.until.at)


def trail_id(kind: Kind, subject: UUID) -> UUID:
    return stream_id("trail", kind, subject)


def decide_trail(trail: Trail, command: NoteStep) -> list[StepNoted]:
    """Note what is new. What is known already yields no event."""
    if command.step in trail.steps:
        return []
    return [StepNoted(kind=command.kind, subject=command.subject, step=command.step)]


def evolve_trail(trail: Trail, event: StepNoted) -> Trail:
    """The trail with one step more, at its place: the same whatever order its steps came in."""
    steps = tuple(sorted((*trail.steps, event.step), key=lambda step: step.place))
    return Trail(
        kind=event.kind,
        subject=event.subject,
        donation_id=event.subject if event.kind == "donation" else next((s.donation_id for s in steps if s.donation_id), NOBODY),
        consignment_id=event.subject
        if event.kind == "consignment"
        else next((s.consignment_id for s in steps if s.consignment_id), None),
        reference=next((s.reference for s in steps if s.reference), ""),
        named=tuple(sorted({name for step in steps for name in names(step)})),
        steps=steps,
    )


def names(step: Step) -> Iterable[str]:
    """The serial numbers that a step names, in normal form."""
    if step.serial and step.serial.strip():
        yield f"serial:{step.serial.strip().upper()}"
    yield from (f"medium:{serial.strip().upper()}" for serial in step.media if serial.strip())


def holder(step: Step) -> Holder | None:
    """Who has it from this step on; None when it stays where it was."""
    match step.what:
        case "offered":
            return Holder(role="donor")
        case "collected" | "sent_on" | "shipped":
            return Holder(role="carrier")
        case "received_at_point" | "counted_at_point":
            return Holder(role="reception_point", name=step.who)
        case "counted" | "received" | "taken_back" | "found" | "repair_begun":
            return Holder(role="refurbisher", name=step.who)
        case "delivered":
            return Holder(role="structure", name=step.who)
        case "sold" | "given" | "repair_ended":
            return Holder(role="beneficiary")
        case "scrapped":
            return Holder(role="waste")
        case "lost":
            return Holder(role="nobody")
        case (
            "declined"
            | "withdrawn"
            | "assigned"
            | "ended"
            | "turned_down"
            | "audited"
            | "medium_removed"
            | "audit_withdrawn"
            | "ready"
            | "found_ready"
            | "handed_over"
            | "stocked"
            | "left"
            | "stock_withdrawn"
        ):
            return None
        case _:
            assert_never(step.what)


def in_time(steps: Iterable[Step]) -> list[Step]:
    """In the order in which it happened, as far as the clocks of the publishers say."""
    return sorted(steps, key=lambda step: (step.at, step.place))


def held(steps: Iterable[Step]) -> list[tuple[Step, Holder]]:
    """Each step with who has it from then on. Give the steps of its donation and consignment too: before it has a name, it is theirs."""
    found, now = [], Holder(role="donor")
    for step in in_time(steps):
        now = holder(step) or now
        found.append((step, now))
    return found


def held_before(steps: Sequence[Step], broken: Step) -> Holder:
    """Who had it when `broken` was said."""
    before = [has for step, has in held(steps) if (step.at, step.place) < (broken.at, broken.place)]
    return before[-1] if before else Holder(role="donor")


def stays(trail: Trail) -> list[Stay]:
    """Which serial numbers were in a device and when: its own, and those of its media.

    Its own leaves with it, when it is sold, scrapped or lost. A medium goes where the device goes: it leaves when an audit no longer
    names it, when it is said to be removed or to be in another device, and with a return, after which the device is audited anew.
    """
    here: dict[str, Step] = {}
    found: list[Stay] = []

    def out(gone: Iterable[str], until: Step) -> None:
        found.extend(Stay(name=name, since=here.pop(name), until=until) for name in list(gone) if name in here)

    for step in in_time(trail.steps):
        said = set(names(step))
        media = {name for name in here if name.startswith("medium:")}
        match step.what:
            case "audited":
                out(media - said, step)
            case "medium_removed" | "audit_withdrawn":
                out(said, step)
                continue
            case "taken_back" if step.sale_id:
                out(media, step)
            case "sold" | "given" | "scrapped" | "lost":
                out(here.keys() - media, step)
                continue
            case _:
                pass
        for name in sorted(said):
            here.setdefault(name, step)
    return [*found, *(Stay(name=name, since=since) for name, since in sorted(here.items()))]

"""What the facts have come to say after a certificate was fixed: a device that it does not name, a verdict that is another one now.

A certificate says what was known on its day, and it is never changed. What came after is noted here, device by device, so that people
see it and know of which certificates they can no longer say all; it ends by itself when the facts say again what the certificate
says. Correcting such a certificate (one that supersedes it, a notice to the donor) is not done yet: it can begin from these notes.

The grade of a device may change without a note: no certificate attests it.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar, Literal, assert_never
from uuid import UUID

from services.certs.domain.custody import Custody, Held, same_medium
from services.certs.domain.statement import DeviceLine, Statement, device_line, use
from shared.events.base import Event, Fact, Medium, stream_id

Kind = Literal["late", "gone", "reopened", "verdict", "outcome", "media", "counted", "ended"]


class Finding(Fact):
    """One point where facts and certificate part. `device_ref` is empty where it is about the consignment as a whole.

    late       identified after the certificate, which does not name it; `now` is open, ready, scrapped or lost
    gone       the certificate names it, it is no more of this consignment
    reopened   it came back and is worked on again; `certified` and `now` are verdicts
    verdict    the evidence says another verdict now; `certified` and `now` are verdicts
    outcome    ready, scrapped or lost: it is another of them now
    media      the verdict is the same, of other media
    counted    the refurbisher counted again; `certified` and `now` are numbers
    ended      the consignment was taken from the refurbisher; `now` is the reason
    """

    device_ref: str
    kind: Kind
    certified: str | None = None
    now: str | None = None


class DriftNoted(Event):
    """The facts about a device say something else than the certificate of its consignment."""

    type: ClassVar[str] = "certs.drift_noted.v1"

    consignment_id: UUID
    number: str
    device_ref: str
    kind: Kind
    certified: str | None
    now: str | None
    noted_at: datetime


class DriftEnded(Event):
    """They say the same again."""

    type: ClassVar[str] = "certs.drift_ended.v1"


DriftEvent = DriftNoted | DriftEnded


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteDrift:
    """Keep what was found about a device; `finding` is None when nothing is."""

    id: UUID
    consignment_id: UUID
    number: str
    finding: Finding | None
    noted_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Where the facts about a device stand beside the certificate. `kind` is None when they say the same again."""

    consignment_id: UUID | None = None
    number: str = ""
    device_ref: str = ""
    kind: Kind | None = None
    certified: str | None = None
    now: str | None = None
    noted_at: datetime | None = None

    @property
    def finding(self) -> Finding | None:
        return (
            None
            if self.kind is None
            else Finding(device_ref=self.device_ref, kind=self.kind, certified=self.certified, now=self.now)
        )


def drift_id(consignment: UUID, device_ref: str) -> UUID:
    return stream_id("drift", consignment, device_ref)


def decide_drift(drift: Drift, command: NoteDrift) -> list[DriftEvent]:
    """Note what is new. The same finding again yields no event."""
    if command.finding == drift.finding:
        return []
    if command.finding is None:
        return [DriftEnded()]
    known = {"consignment_id": command.consignment_id, "number": command.number, "noted_at": command.noted_at}
    return [DriftNoted.model_validate(known | command.finding.model_dump())]


def evolve_drift(drift: Drift, event: DriftEvent) -> Drift:
    """The drift after the event."""
    match event:
        case DriftNoted():
            return replace(drift, **event.model_dump())
        case DriftEnded():
            return replace(drift, kind=None, certified=None, now=None, noted_at=None)
        case _:
            assert_never(event)


def drifted(statement: Statement, custody: Custody, devices: Collection[Held]) -> list[Finding]:
    """Where the facts of today say something else than `statement`: first of the consignment, then device by device."""
    found = []
    if custody.ended is not None:
        found.append(Finding(device_ref="", kind="ended", now=custody.ended))
    elif custody.counted != statement.counts.counted:
        found.append(
            Finding(device_ref="", kind="counted", certified=str(statement.counts.counted), now=str(custody.counted or 0))
        )
    said = {line.device_ref: line for line in statement.devices}
    known = {device.device_ref: device for device in devices}
    found += [Finding(device_ref=ref, kind="gone", certified=said[ref].verdict) for ref in sorted(said.keys() - known.keys())]
    used = Counter(use(e) for device in devices for e in device.erasures)
    for ref, device in sorted(known.items()):
        if ref not in said:
            found.append(Finding(device_ref=ref, kind="late", now=device.outcome))
        elif finding := compared(said[ref], device, used, custody):
            found.append(finding)
    return found


def compared(line: DeviceLine, device: Held, used: Counter[tuple[str, str]], custody: Custody) -> Finding | None:
    """The first point where a device is no more what the certificate says of it, the heaviest first."""
    ref, is_open = device.device_ref, device.outcome == "open"
    today = device_line(replace(device, outcome=line.outcome) if is_open else device, used, custody.required_class)
    if is_open:
        return Finding(device_ref=ref, kind="reopened", certified=line.verdict, now=today.verdict)
    if today.verdict != line.verdict:
        return Finding(device_ref=ref, kind="verdict", certified=line.verdict, now=today.verdict)
    if today.outcome != line.outcome:
        return Finding(device_ref=ref, kind="outcome", certified=line.outcome, now=today.outcome)
    return None if media(today) == media(line) else Finding(device_ref=ref, kind="media")


def media(line: DeviceLine) -> list[tuple[str, bool]]:
    """Which media the device has, and which of them are erased."""
    return sorted((same_medium(Medium.model_validate(m.model_dump())), m.erased) for m in line.media)


def notes(
    consignment: UUID, number: str, found: Sequence[Finding], known: Mapping[str, Drift], noted_at: datetime
) -> list[NoteDrift]:
    """What is to be noted when `found` is what was found today, and `known` what stands (by `device_ref`)."""
    today = {finding.device_ref: finding for finding in found}
    return [
        NoteDrift(
            id=drift_id(consignment, ref), consignment_id=consignment, number=number, finding=today.get(ref), noted_at=noted_at
        )
        for ref in sorted(today.keys() | known.keys())
    ]

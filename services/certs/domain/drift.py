"""What the facts have come to say after a certificate was fixed: a device that it does not name, a verdict that is another one now.

A certificate says what was known on its day, and it is never changed. What came after is noted here, device by device, so that people
see it and know of which certificates they can no longer say all; it ends by itself when the facts say again what the certificate
says. A certificate that supersedes it begins from these notes: at once where it says too much, else when all is settled again.

The grade of a device may change without a note: no certificate attests it.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar, assert_never
from uuid import UUID

from services.certs.domain.custody import Custody, Held, same_medium, settled
from services.certs.domain.statement import Change, DeviceLine, Finding, Statement, device_line, use
from shared.events.base import Event, Medium, stream_id


class DriftNoted(Event):
    """The facts about a device say something else than the certificate of its consignment."""

    type: ClassVar[str] = "certs.drift_noted.v1"

    consignment_id: UUID
    number: str
    device_ref: str
    kind: Change
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
    kind: Change | None = None
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
    """Note what is new. The same finding beside the same certificate yields no event."""
    if command.finding == drift.finding and (command.finding is None or command.number == drift.number):
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


def to_correct(found: Sequence[Finding], custody: Custody, devices: Collection[Held]) -> tuple[Finding, ...]:
    """What a correction would be about now, or nothing: one that says too much does not wait, any other waits until all is settled.

    A consignment that was taken away is not corrected for that: what was certified of it was true, and is another's to go on with.
    """
    about = tuple(finding for finding in found if finding.kind != "ended")
    return about if any(f.says_too_much for f in about) or settled(custody, devices) else ()


def compared(line: DeviceLine, device: Held, used: Counter[tuple[str, str]], custody: Custody) -> Finding | None:
    """The first point where a device is no more what the certificate says of it, the heaviest first."""
    ref, is_open = device.device_ref, device.outcome == "open"
    today = device_line(replace(device, outcome=line.outcome) if is_open else device, used, custody.required_class)
    if is_open and line.outcome != "open":
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

"""The chain of one medium: every device it was in, what was proven of it there, and where it went, from the events themselves.

A medium has no stream of its own: its serial number is in the events of its devices, so nothing can tell two stories (ADR 0012).
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

ENDS = {
    "refurb.device_ready.v1": "ready",
    "refurb.device_scrapped.v1": "scrapped",
    "refurb.device_handed_over.v1": "sold",
    "refurb.device_lost.v1": "lost",
    "refurb.device_found.v1": "found",
    "refurb.device_taken_back.v1": "taken_back",
}
"""What happens to a device happens to the media in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One thing that happened to the medium. `what`: seen, proven, not_proven, or a word of `ENDS`, or where it went (`to_…`)."""

    at: datetime
    device_id: UUID
    device_ref: str
    what: str
    detail: str = ""
    evidence_sha256: str | None = None


def chain(serial: str, lives: Iterable[tuple[UUID, str, Iterable[tuple[datetime, str, str]]]]) -> list[Link]:
    """The links in the order of time, of all devices that ever named the medium (`lives`: id, reference, events with their JSON)."""
    links: list[Link] = []
    for device_id, device_ref, events in lives:
        inside = False
        for at, kind, text in events:
            data: Mapping[str, Any] = json.loads(text)
            said, inside = heard(serial, kind, data, inside=inside)
            if said:
                links.append(Link(at=at, device_id=device_id, device_ref=device_ref, **said))
    return sorted(links, key=lambda link: link.at)


def heard(serial: str, kind: str, data: Mapping[str, Any], *, inside: bool) -> tuple[dict[str, Any] | None, bool]:
    """What one event of a device says of the medium, and whether the medium is in the device after it."""
    if kind == "refurb.device_audited.v1":
        named = any(medium.get("serial") == serial for medium in data["media"])
        return ({"what": "seen"} if named and not inside else None), named
    if kind == "refurb.audit_withdrawn.v1":
        return None, inside and data["serial"] != serial
    of_it = (data.get("medium") or {}).get("serial") == serial
    if kind == "refurb.medium_removed.v1" and of_it:
        return {"what": f"to_{data['to']}", "detail": data.get("to_device_ref") or ""}, False
    if kind == "refurb.medium_sanitised.v1" and of_it:
        how = f"{data['technique']}, {data['tool']} {data.get('tool_version') or ''}".strip()
        return {"what": "proven", "detail": how, "evidence_sha256": data["evidence_sha256"]}, inside
    if kind == "refurb.sanitisation_rejected.v1" and of_it:
        return {"what": "not_proven", "detail": data["reason"], "evidence_sha256": data.get("evidence_sha256")}, inside
    if inside and kind in ENDS:
        return {"what": ENDS[kind], "detail": data.get("reason") or ""}, inside
    return None, inside

"""Judges a labelled case: a device and its files as `case.yaml` describes them, for `python -m services.refurb judge` and the tests."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from services.refurb.domain import judge
from services.refurb.domain.readers.facts import LOCAL, Facts, Unreadable
from services.refurb.domain.readers.recognise import read
from shared.events.base import Medium
from shared.events.refurb import EvidenceFiled


def filed(data: bytes) -> EvidenceFiled:
    """File a report: its hash and what it says."""
    found = read(data)
    return EvidenceFiled(
        evidence_sha256=hashlib.sha256(data).hexdigest(),
        tool=found.tool,
        size_bytes=len(data),
        runs=found.runs if isinstance(found, Facts) else (),
        unusable=found.reason if isinstance(found, Unreadable) else None if found.runs else "not_an_erasure",
    )


def judged(case: Mapping[str, Any], files: Mapping[str, bytes], policy: judge.Policy) -> dict[str, Any]:
    """The verdicts on a case, as one JSON object. Its `expect` part is not looked at."""
    device = case["device"]
    media = [Medium(serial=m.get("serial"), model=m.get("model"), kind=kind(m), bytes=m.get("bytes")) for m in device["media"]]
    verdicts = judge.judge(
        media,
        [filed(files[name]) for name in case["files"]],
        case.get("required_class", "Clear"),
        policy,
        not_before=moment(case.get("assigned_at")),
        transfer_at=moment(case.get("transfer_at")),
        used=[
            judge.Used(sha256=str(u.get("sha256", "")), serial=u.get("serial"), ended_at=moment(u.get("ended_at")))
            for u in case.get("previously_used") or ()
            if u.get("device") != device["id"]
        ],
    )
    return {
        "case": case["id"],
        "device_accepted": bool(verdicts) and all(v.accepted for v in verdicts),
        "media": [
            {
                "serial": v.medium.serial,
                "method_class": v.method_class or "none",
                "verified": v.verified,
                "accepted": v.accepted,
                "reason": v.reason,
            }
            for v in verdicts
        ],
    }


def kind(medium: Mapping[str, Any]) -> Any:
    given = medium.get("type", "unknown")
    return given if given in {"hdd", "ssd", "nvme", "emmc", "phone"} else "unknown"


def moment(given: Any) -> datetime | None:
    """A date as YAML gives it; without an offset it is a local one."""
    if given is None:
        return None
    at = given if isinstance(given, datetime) else datetime.fromisoformat(str(given))
    return at if at.tzinfo else at.replace(tzinfo=LOCAL)

"""The answer to one message of a partner: exactly one, accepted or rejected with each fault, where it is and how to mend it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, Literal, assert_never
from uuid import UUID

from shared.errors import Coded
from shared.events.refurb import Fault, ReceiptEvent, ReportAccepted, ReportRejected

MOST_FAULTS = 20
MOST_REUSED = 100
"""Other messages under one id that get a rejection each. A program in a loop gets no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What is known of the message that is answered."""

    report_id: str | None
    report_type: str | None
    source: str | None
    refurbisher: str
    device_ref: str | None
    content_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptReport:
    """The message had its effect. Comes last among its commands, so that a refusal of one leaves no receipt."""

    id: UUID
    told: Told


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectReport:
    """The message had no effect."""

    id: UUID
    told: Told
    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What was answered under one message id. `reused`: other messages came under it, each rejected once."""

    outcome: Literal["none", "accepted", "rejected"] = "none"
    refurbisher: str = ""
    report_id: str | None = None
    report_type: str | None = None
    device_ref: str | None = None
    content_sha256: str = ""
    faults: tuple[Fault, ...] = ()
    reused: tuple[str, ...] = ()


def decide(receipt: Receipt, command: AcceptReport | RejectReport) -> list[ReceiptEvent]:
    """Answer once. The same message again is answered already; another one under its id gets a rejection of its own."""
    told = command.told
    fields: dict[str, Any] = {
        "report_id": told.report_id,
        "report_type": told.report_type,
        "source": told.source,
        "refurbisher": told.refurbisher,
        "device_ref": told.device_ref,
        "content_sha256": told.content_sha256,
    }
    if len(receipt.reused) >= MOST_REUSED:
        return []
    if receipt.outcome != "none" and told.content_sha256 in {receipt.content_sha256, *receipt.reused}:
        return []
    match command:
        case AcceptReport():
            return [ReportAccepted(**fields)]
        case RejectReport(faults=faults):
            return [ReportRejected(**fields, faults=faults)]
        case _:
            assert_never(command)


def evolve(receipt: Receipt, event: ReceiptEvent) -> Receipt:
    """The receipt after the event."""
    if receipt.outcome != "none":
        return replace(receipt, reused=(*receipt.reused, event.content_sha256))
    return Receipt(
        outcome="accepted" if isinstance(event, ReportAccepted) else "rejected",
        refurbisher=event.refurbisher,
        report_id=event.report_id,
        report_type=event.report_type,
        device_ref=event.device_ref,
        content_sha256=event.content_sha256,
        faults=event.faults if isinstance(event, ReportRejected) else (),
    )


Hints = Mapping[str, str]
"""Code of a fault -> how to mend it, in the partner's language; `{names}` are filled from the fault's detail."""

BY_PYDANTIC: Mapping[str, str] = {
    "json_invalid": "malformed_json",
    "missing": "missing_field",
    "model_type": "not_an_object",
    "finite_number": "not_a_number",
    "uuid_parsing": "not_an_id",
    "uuid_type": "not_an_id",
    "string_pattern_mismatch": "bad_form",
    "string_too_long": "too_long",
    "string_too_short": "too_short",
    "too_long": "too_many",
    "literal_error": "not_one_of",
    "enum": "not_one_of",
    "int_type": "not_a_number",
    "int_from_float": "not_a_number",
    "int_parsing_size": "out_of_range",
    "greater_than_equal": "out_of_range",
    "less_than_equal": "out_of_range",
    "control_characters": "control_characters",
    "one_of": "one_of",
}
"""What the contract's reader says -> our code. Anything else is `wrong_value`."""
ENVELOPE = {
    "missing_ce_id",
    "missing_ce_source",
    "missing_ce_type",
    "bad_ce_id",
    "bad_ce_source",
    "bad_ce_specversion",
    "bad_ce_time",
}
LONGEST_NAME = 200
"""Characters of an id or a source: what a receipt repeats."""


def repeatable(name: str) -> bool:
    """Whether a receipt can repeat an id or a source as it came. Bytes that are no text were replaced before we saw it."""
    return 0 < len(name) <= LONGEST_NAME and name.isprintable() and "\ufffd" not in name


def dated(time: str | None) -> bool:
    """Whether a message says when it happened as CloudEvents asks: RFC 3339, with its offset; or not at all."""
    if time is None:
        return True
    try:
        return datetime.fromisoformat(time).tzinfo is not None
    except ValueError:
        return False


def faults(error: Exception, hints: Hints) -> tuple[Fault, ...]:
    """What was wrong with a message, one fault for each thing."""
    if not isinstance(error, Coded):
        return (fault("our_fault", hints),)
    detail = error.detail
    if error.code == "contract":
        listed = detail.get("faults")
        return tuple(of_contract(each, hints) for each in listed[:MOST_FAULTS]) if isinstance(listed, list) else ()
    if error.code == "erasure_not_proven":
        media = detail.get("media")
        return tuple(of_medium(each, hints) for each in media[:MOST_FAULTS]) if isinstance(media, list) else ()
    if error.code in ENVELOPE:
        return (fault(error.code, hints, f"header:{error.code.partition('_')[2]}"),)
    where = {"unknown_type": "header:ce_type", "id_reused": "header:ce_id"}.get(error.code, str(detail.get("where", "")))
    return (fault(error.code, hints, where, detail),)


def fault(
    code: str, hints: Hints, where: str = "", detail: Mapping[str, object] | None = None, evidence: str | None = None
) -> Fault:
    """One fault with its hint. A code without a hint of its own shows itself."""
    text = hints.get(code) or hints.get("other", "{code}")
    named = {name: plain(value) for name, value in (detail or {}).items()} | {"code": code}
    named |= {name: hints[f"value_{value}"] for name, value in named.items() if f"value_{value}" in hints}
    return Fault(where=where, code=code, hint=text.format_map(Open(named)), evidence=evidence)


class Open(dict[str, str]):
    """Names that the detail does not give are left open: the sentence still stands."""

    def __missing__(self, key: str) -> str:
        return "…"


def plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def of_contract(found: Mapping[str, Any], hints: Hints) -> Fault:
    where = str(found.get("where", ""))
    code = BY_PYDANTIC.get(str(found.get("why")), "wrong_value")
    return fault(code, hints, "" if where == "/" else where, {"field": PurePosixPath(where).name})


def of_medium(found: Mapping[str, Any], hints: Hints) -> Fault:
    """Which medium is not proven, why, and the line of the report that says so."""
    line, said = found.get("line"), found.get("said")
    evidence = f"ligne {line} : {said}" if line and said else None
    name = found.get("serial") or found.get("model") or "sans numéro"
    return fault(str(found["reason"]), hints, "/media", {"medium": name}, evidence)


def headed(headers: Mapping[str, str], name: str) -> str | None:
    """A header, cut to what a receipt can carry."""
    return (headers.get(name) or None) and headers[name][:LONGEST_NAME]


def device_ref(value: bytes) -> str | None:
    """The device's own reference, when even a message that is wrong elsewhere gives a usable one."""
    try:
        said = json.loads(value)
    except (ValueError, RecursionError):
        return None
    ref = said.get("device_ref") if isinstance(said, dict) else None
    return ref if isinstance(ref, str) and 0 < len(ref) <= 64 and ref.isprintable() else None

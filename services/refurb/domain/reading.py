"""From the bytes of a report to facts: text is found, then the format, then its reader is asked. What cannot be read says why."""

import json
import re
from dataclasses import dataclass
from typing import Any

from services.refurb.domain import forms, nwipe
from shared.events.refurb import ErasureRun

LARGEST = 16 * 1024 * 1024
LARGEST_STATEMENT = 1024 * 1024
"""Characters of a JSON report. Those that we read have a few hundred."""
DEEPEST = 64
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a report says. `unusable` is the code of why nothing could be read from it."""

    tool: str = "unknown"
    runs: tuple[ErasureRun, ...] = ()
    unusable: str | None = None


def read(data: bytes) -> Reading:
    """Read a report of any format we know: nwipe logs, reset and destruction statements."""
    if len(data) > LARGEST:
        return Reading(unusable="too_large")
    text = decoded(data)
    if text is None or not text.strip():
        return Reading(unusable="unreadable")
    if CONTROL.search(text):
        return Reading(unusable="hostile_input")
    if text.lstrip().startswith("{"):
        return statement(text)
    if not nwipe.looks_like(text):
        return Reading(unusable="unsupported_format")
    try:
        runs = tuple(nwipe.read(text))
    except ValueError:
        return Reading(tool="nwipe", unusable="too_large")
    return Reading(tool="nwipe", runs=runs, unusable=None if runs else "unreadable")


def decoded(data: bytes) -> str | None:
    """UTF-8, UTF-8 or UTF-16 with a byte order mark, Windows-1252 otherwise."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return data.decode("utf-16")
        except UnicodeDecodeError:
            return None
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return None


def statement(text: str) -> Reading:
    """A statement of ours, or JSON of a format that has no reader."""
    if len(text) > LARGEST_STATEMENT:
        return Reading(unusable="too_large")
    if depth(text) > DEEPEST:
        return Reading(unusable="hostile_input")
    try:
        content: Any = json.loads(text)
    except ValueError:
        return Reading(unusable="unreadable")
    form = content.get("form") if isinstance(content, dict) else None
    if not isinstance(form, str) or form not in forms.FORMS:
        return Reading(unusable="unsupported_format")
    try:
        return Reading(tool=form, runs=tuple(forms.read(text, form)))
    except ValueError:
        return Reading(tool=form, unusable="unreadable")


def depth(text: str) -> int:
    """The deepest nesting of brackets outside strings, counted before any parser is trusted with them."""
    now = deepest = 0
    for match in re.finditer(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', text):
        if match[0] in "[{":
            now += 1
            deepest = max(deepest, now)
        elif match[0] in "]}":
            now -= 1
    return deepest

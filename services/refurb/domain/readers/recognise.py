"""Recognises the format of a report and asks its reader. For any input at most about two seconds and 200 MB."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from services.refurb.domain.readers import (
    blancco,
    dmidecode,
    hdparm,
    lshw,
    nvme,
    nwipe,
    records,
    sheets,
    smartctl,
    statements,
    workbench,
)
from services.refurb.domain.readers.facts import LARGEST, LARGEST_OTHER, Facts, Unreadable, Unusable, parsed

CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)")
NOT_TEXT = (b"%PDF-", b"\x89PNG", b"\xff\xd8\xff", b"\x1f\x8b", b"\xd0\xcf\x11\xe0", b"PK\x05\x06", b"Rar!", b"7z\xbc\xaf")
"""How files begin that people attach and that no reader is for: PDF, pictures, archives, old Office files."""
TEXTS: Sequence[tuple[Callable[[str], bool], Callable[[str], Facts]]] = (
    (hdparm.looks_like, hdparm.facts),
    (dmidecode.looks_like, dmidecode.facts),
    (records.looks_like_csv, records.facts_of_csv),
)
OBJECTS: Sequence[tuple[Callable[[Any], bool], Callable[[Any], Facts]]] = (
    (statements.looks_like, statements.facts),
    (nvme.looks_like, nvme.facts),
    (blancco.looks_like, blancco.facts),
    (smartctl.looks_like, smartctl.facts),
    (lshw.looks_like, lshw.facts),
    (workbench.looks_like, workbench.facts),
    (records.looks_like, records.facts),
)


def read(data: bytes) -> Facts | Unreadable:
    """Read a report of any format we know."""
    if len(data) > LARGEST:
        return Unreadable(reason="too_large")
    if data.startswith(NOT_TEXT):
        return Unreadable(reason="unsupported_format")
    try:
        found = sheets.facts(data) if sheets.looks_like(data) else facts(plain(data))
    except Unusable as refusal:
        return Unreadable(reason=refusal.code)
    if found is None:
        return Unreadable(reason="unsupported_format")
    if not (found.runs or found.hardware or found.records):
        return Unreadable(reason="unreadable", tool=found.tool)
    return found


def plain(data: bytes) -> str:
    """The text of a report. Raises Unusable."""
    text = decoded(data)
    if text is None or not text.strip():
        raise Unusable("unreadable")
    if CONTROL.search(text):
        raise Unusable("hostile_input")
    return text


def facts(text: str) -> Facts | None:
    """Ask the reader of the format. None: there is none. Raises Unusable."""
    if nwipe.looks_like(text):
        return nwipe.facts(text)
    if len(text) > LARGEST_OTHER:
        raise Unusable("too_large")
    for fits, reader in TEXTS:
        if fits(text):
            return reader(text)
    begin = text[:2000].lstrip()[:1]
    if begin == "<":
        return blancco.read_xml(text)
    if begin in {"{", "["}:
        content = parsed(text)
        return next((as_json(content) for fits_json, as_json in OBJECTS if fits_json(content)), None)
    return None


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

"""What readers hand over: facts of a report, or the reason why it has none. And what several of them ask of a text."""

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from shared.events.base import Medium
from shared.events.refurb import ErasureRun

LOCAL = ZoneInfo("Europe/Paris")
"""Times without an offset are local ones."""
LARGEST = 16 * 1024 * 1024
LARGEST_JSON = 3 * 1024 * 1024
"""Characters. Above it, a hostile text could take more time and memory than a reader may have."""
LARGEST_OTHER = 4 * 1024 * 1024
"""The same for XML and for the texts whose readers take them in whole."""
DEEPEST = 64
WHEN = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:?\d\d)?")
BESIDE_BRACKETS = re.compile(r'"(?:[^"\\]++|\\.)*+"|[^\[\]{}"]++', re.DOTALL)


class Unusable(ValueError):
    """Raised by a reader: nothing can be read, and the code of why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """What a report says of a machine. Null or absent: it does not say."""

    media: tuple[Medium, ...] = ()
    maker: str | None = None
    model: str | None = None
    serial: str | None = None
    cpu: str | None = None
    ram_gb: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a report says: erasures, machines, or rows of a list. `tool` is the format as we name it."""

    tool: str
    runs: tuple[ErasureRun, ...] = ()
    hardware: tuple[Hardware, ...] = ()
    records: tuple[Mapping[str, str | int | None], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """Why nothing can be read from a report: a code. `tool` is what it seemed to be."""

    reason: str
    tool: str = "unknown"


def parsed(text: str) -> Any:
    """Strict JSON: bounded in length and depth, no name twice in an object, no NaN. Raises Unusable."""
    if len(text) > LARGEST_JSON:
        raise Unusable("too_large")
    if deeper_than(text, DEEPEST):
        raise Unusable("hostile_input")
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except ValueError as error:
        raise Unusable("unreadable") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name twice in one object")
    return found


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def deeper_than(text: str, most: int) -> bool:
    """Tell whether brackets outside strings nest deeper, before any parser is trusted with them."""
    depth = 0
    for bracket in BESIDE_BRACKETS.sub("", text):
        if bracket in "[{":
            depth += 1
            if depth > most:
                return True
        else:
            depth -= 1
    return False


def part(found: Any, *names: str) -> Any:
    """What stands under these names, one in the other; None where the way ends."""
    for name in names:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def identifier(given: object) -> str | None:
    """A serial number as it is printed, without the blanks around it. Raises Unusable for one that hides characters."""
    if not isinstance(given, str):
        return None
    found = given.strip()
    if any(unicodedata.category(c) in {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"} for c in found):
        raise Unusable("hostile_input")
    return found or None


def words(given: object) -> str | None:
    """A name for people; None when it is not printable text."""
    return given.strip()[:200] or None if isinstance(given, str) and given.isprintable() else None


def count(given: object) -> int | None:
    """A whole number of JSON; True and 1.0 are none."""
    return given if isinstance(given, int) and not isinstance(given, bool) and given >= 0 else None


def moment(given: object) -> datetime | None:
    """A date and time of ISO 8601, aware."""
    if not isinstance(given, str) or not WHEN.fullmatch(given.strip(" ")):
        return None
    try:
        at = datetime.fromisoformat(given.strip(" "))
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=LOCAL)

"""What readers of hardware share: serial numbers that are none, and one machine made of what several tools said of it."""

import re

PLACEHOLDER = re.compile(
    r"(to be filled( by o\.?e\.?m\.?)?|default string|not (specified|available|applicable|defined)|none|unknown|invalid|n/?a|oem|o\.e\.m\.?"
    r"|system serial number|chassis serial number|base ?board serial number|serial number|system manufacturer|system product name"
    r"|chassis manufacture|no asset (tag|information)|eval|empty|[x?.\-_ ]+|0+|f+|(mb-)?0?123456789[0-9]*|1234567)",
    re.IGNORECASE,
)
"""What firmware prints when nobody filled the field in. Thousands of machines share each of these: as serial numbers they merge devices."""
GIB = 2**30


def serial(given: str | None) -> str | None:
    """A serial number that is one: trimmed, and null when it is a placeholder."""
    found = (given or "").strip()
    return None if not found or PLACEHOLDER.fullmatch(found) else found


def first(*given: str | None) -> str | None:
    return next((found[:200] for value in given if (found := serial(value))), None)


def whole_gib(size: int) -> int | None:
    """Memory as people count it. What firmware keeps for itself is less than half a GiB."""
    return round(size / GIB) or None

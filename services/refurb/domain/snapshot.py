"""Reads what hardware tools print: smartctl JSON, dmidecode and lscpu texts. What a tool could not tell is null, never a guess."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from shared.events.base import Medium

Kind = Literal["hdd", "ssd", "nvme", "emmc", "phone", "unknown"]
PLACEHOLDER = re.compile(
    r"(to be filled( by o\.?e\.?m\.?)?|default string|not (specified|available|applicable|defined)|none|unknown|invalid|n/?a|oem|o\.e\.m\.?"
    r"|system serial number|chassis serial number|base ?board serial number|serial number|system manufacturer|system product name"
    r"|chassis manufacture|no asset (tag|information)|eval|empty|[x?.\-_ ]+|0+|f+|(mb-)?0?123456789[0-9]*|1234567)",
    re.IGNORECASE,
)
"""What firmware prints when nobody filled the field in. Thousands of machines share each of these: as serial numbers they merge devices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """What a snapshot says of a machine."""

    media: tuple[Medium, ...] = ()
    maker: str | None = None
    model: str | None = None
    serial: str | None = None
    cpu: str | None = None


def serial(given: str | None) -> str | None:
    """A serial number that is one: trimmed, and null when it is a placeholder."""
    found = (given or "").strip()
    return None if not found or PLACEHOLDER.fullmatch(found) else found


def read(smartctl: Sequence[Mapping[str, Any]], dmidecode: str | None = None, lscpu: str | None = None) -> Hardware:
    """Read a snapshot. The serial number is the machine's or its chassis', never the main board's, which outlives repairs elsewhere."""
    blocks = dmi(dmidecode or "")
    machine, chassis, board = (
        blocks.get(name, {}) for name in ("System Information", "Chassis Information", "Base Board Information")
    )
    return Hardware(
        media=tuple(medium(disk) for disk in smartctl),
        maker=first(machine.get("Manufacturer"), board.get("Manufacturer"), chassis.get("Manufacturer")),
        model=first(machine.get("Product Name"), board.get("Product Name")),
        serial=first(machine.get("Serial Number"), chassis.get("Serial Number")),
        cpu=cpu(lscpu or ""),
    )


def first(*given: str | None) -> str | None:
    return next((found[:200] for value in given if (found := serial(value))), None)


def cpu(lscpu: str) -> str | None:
    match = re.search(r"^Model name:[ \t]*(\S.*)$", lscpu, re.MULTILINE)
    return " ".join(match[1].split())[:200] if match else None


def dmi(text: str) -> dict[str, dict[str, str]]:
    """The fields of each kind of block, of the first block of that kind."""
    blocks: dict[str, dict[str, str]] = {}
    for block in re.split(r"\n\s*\n", text.replace("\r\n", "\n")):
        lines = block.split("\n")
        title = next(
            (line.strip() for line in lines if line and not line[0].isspace() and not line.startswith(("Handle", "#"))), ""
        )
        fields = dict(re.findall(r"^\t([^:\t]+): ?(.*)$", block, re.MULTILINE))
        if fields:
            blocks.setdefault(title, fields)
    return blocks


def medium(disk: Mapping[str, Any]) -> Medium:
    """One disk as smartctl saw it."""
    capacity = part(disk, "user_capacity").get("bytes")
    size = capacity if isinstance(capacity, int) and not isinstance(capacity, bool) and capacity > 0 else None
    return Medium(serial=serial(text(disk, "serial_number")), model=text(disk, "model_name"), kind=kind(disk), bytes=size)


def kind(disk: Mapping[str, Any]) -> Kind:
    """By protocol and rotation. An ATA disk of before that field turns when it counts its spin-ups."""
    protocol, rotation = part(disk, "device").get("protocol"), disk.get("rotation_rate")
    if protocol == "NVMe":
        return "nvme"
    if protocol != "ATA":
        return "hdd" if isinstance(rotation, int) and rotation > 1 else "unknown"
    if isinstance(rotation, int):
        return "hdd" if rotation > 0 else "ssd"
    table = part(disk, "ata_smart_attributes").get("table")
    names = [row.get("name") for row in table if isinstance(row, Mapping)] if isinstance(table, list) else []
    return "hdd" if "Spin_Up_Time" in names else "unknown"


def part(disk: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = disk.get(name)
    return found if isinstance(found, Mapping) else {}


def text(disk: Mapping[str, Any], name: str) -> str | None:
    """A text field; None when missing, of another type, or with control characters."""
    found = disk.get(name)
    return found.strip()[:200] or None if isinstance(found, str) and found.isprintable() else None

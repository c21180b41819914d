"""Reads `smartctl -j -a`: one disk as a JSON object, or several in a list. What smartctl could not tell is null, never a guess.

Checked against captures of 21 machines (smartctl 7.2, ATA, NVMe and USB bridges).
"""

from collections.abc import Mapping
from typing import Any, Literal

from services.refurb.domain.readers.facts import Facts, Hardware, count, part, words
from services.refurb.domain.readers.hardware import serial
from shared.events.base import Medium

Kind = Literal["hdd", "ssd", "nvme", "emmc", "phone", "unknown"]
MOST_DISKS = 64


def looks_like(content: Any) -> bool:
    """Tell whether JSON is of smartctl, or a list of it."""
    disks = content if isinstance(content, list) else [content]
    return bool(disks) and all(part(disk, "smartctl", "version") is not None for disk in disks)


def facts(content: Any) -> Facts:
    """The disks of one machine."""
    disks = content if isinstance(content, list) else [content]
    return Facts(tool="smartctl", hardware=(Hardware(media=tuple(medium(disk) for disk in disks[:MOST_DISKS])),))


def medium(disk: Mapping[str, Any]) -> Medium:
    """One disk as smartctl saw it."""
    size = count(part(disk, "user_capacity", "bytes"))
    return Medium(
        serial=serial(words(disk.get("serial_number"))), model=words(disk.get("model_name")), kind=kind(disk), bytes=size or None
    )


def kind(disk: Mapping[str, Any]) -> Kind:
    """By protocol and rotation. An ATA disk of before that field turns when it counts its spin-ups."""
    protocol, rotation = part(disk, "device", "protocol"), disk.get("rotation_rate")
    if protocol == "NVMe":
        return "nvme"
    if protocol != "ATA":
        return "hdd" if isinstance(rotation, int) and rotation > 1 else "unknown"
    if isinstance(rotation, int):
        return "hdd" if rotation > 0 else "ssd"
    table = part(disk, "ata_smart_attributes", "table")
    names = [row.get("name") for row in table if isinstance(row, Mapping)] if isinstance(table, list) else []
    return "hdd" if "Spin_Up_Time" in names else "unknown"

"""What a hardware report says of one device: a machine that a tool read, or the device's line in a list."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from services.refurb.domain.readers.facts import Facts, Hardware, Unreadable, Unusable
from services.refurb.domain.readers.hardware import serial
from services.refurb.domain.readers.recognise import read as recognised
from services.refurb.domain.readers.records import Row
from shared.events.base import Medium

GB = 1_000_000_000
SIZE = re.compile(r"(\d{1,5}(?:[.,]\d{1,2})?) ?(Go|GB|To|TB)?", re.IGNORECASE)
Kind = Literal["hdd", "ssd", "nvme", "emmc", "phone", "unknown"]
KINDS: Mapping[str, Kind] = {"hdd": "hdd", "ssd": "ssd", "nvme": "nvme", "ssd nvme": "nvme", "m.2 nvme": "nvme", "emmc": "emmc"}
"""Spellings of the types of disks. Any other is unknown: a wrong one would be graded, and judged by wrong rules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Under which names a list says what. Empty: it does not."""

    ref: str
    serial: str
    maker: str
    model: str
    cpu: str
    ram: str
    os: str
    disks: tuple[tuple[str, str], ...]
    imei: str = ""


LISTS: Mapping[str, Columns] = {
    "device-record": Columns(
        ref="idMaterielReconditionneur",
        serial="numeroSerie",
        maker="marque",
        model="model",
        cpu="processeur",
        ram="RAM",
        os="systemeExploitation",
        disks=(("typeDisqueDur1", "tailleDisqueDur1"), ("typeDisqueDur2", "tailleDisqueDur2")),
        imei="IMEI1",
    ),
    "form-computers": Columns(
        ref="Identifiant unique",
        serial="N° Serie",
        maker="Constructeur",
        model="Model",
        cpu="Processeur",
        ram="RAM",
        os="",
        disks=(("Type disque 1", "Taille disque 1"), ("Type disque 2", "taille disque 2")),
    ),
    "form-telephones": Columns(
        ref="Identifiant unique",
        serial="",
        maker="Constructeur",
        model="Modèle",
        cpu="Processeur",
        ram="RAM",
        os="OS",
        disks=(("", "Taille stockage"),),
        imei="IMEI",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """A machine, and its system where the report names it."""

    hardware: Hardware
    os: str | None = None


def read(data: bytes, device_ref: str) -> Audit:
    """What a report says of this device. Raises Unusable: with several machines, or when no line of a list is the device's."""
    found = recognised(data)
    if isinstance(found, Unreadable):
        raise Unusable(found.reason)
    if found.hardware:
        if len(found.hardware) > 1:
            raise Unusable("several_devices")
        return Audit(hardware=found.hardware[0])
    if not found.records:
        raise Unusable("not_hardware")
    return of_line(its_line(found, device_ref), LISTS[found.tool])


def its_line(found: Facts, device_ref: str) -> Row:
    """The line with the device's reference; case does not tell two devices apart."""
    name = LISTS[found.tool].ref
    lines = [row for row in found.records if str(row.get(name) or "").casefold() == device_ref.casefold()]
    if len(lines) != 1:
        raise Unusable("several_devices" if lines else "not_this_device")
    return lines[0]


def of_line(row: Row, columns: Columns) -> Audit:
    """A list tells no serial number of a disk: its erasure can be matched only after an audit by a tool. Of a telephone it has the IMEI."""

    def said(name: str) -> str | None:
        return str(row[name])[:200] if name and row.get(name) is not None else None

    media = tuple(disk(said(kind), said(size)) for kind, size in columns.disks if said(kind) or said(size))
    imei = said(columns.imei)
    if imei:  # the memory of a telephone has no number of its own
        media = (Medium(serial=imei, kind="phone", bytes=media[0].bytes if media else None),)
    hardware = Hardware(
        media=media,
        maker=said(columns.maker),
        model=said(columns.model),
        serial=serial(said(columns.serial)),
        cpu=said(columns.cpu),
        ram_gb=gigabytes(said(columns.ram)),
    )
    return Audit(hardware=hardware, os=said(columns.os))


def disk(kind: str | None, size: str | None) -> Medium:
    whole = gigabytes(size)
    return Medium(kind=KINDS.get((kind or "").strip().casefold(), "unknown"), bytes=whole * GB if whole else None)


def gigabytes(given: str | None) -> int | None:
    """A size in GB as people write it: `256`, `256 Go`, `1 To`. None for anything else, and for what is no whole number of GB."""
    match = SIZE.fullmatch((given or "").strip())
    if match is None:
        return None
    number = float(match[1].replace(",", ".")) * (1_000 if (match[2] or "").casefold() in {"to", "tb"} else 1)
    return int(number) if number.is_integer() and number > 0 else None

"""The devices of a workshop as rows of the charity's own record (27 fields, `readers.records`), for a table or for its system.

What maillon does not know stays empty: a wrong value is worse than none. Ids of tec.tech (`id`, `idStock`, `idGroupe`) are its own.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from services.refurb.domain.device import Device
from services.refurb.domain.readers.records import FIELDS
from services.refurb.domain.statuses import charity_status
from services.refurb.domain.whereabouts import Step

GB = 1_000_000_000
TYPES: Mapping[str, str] = {
    "laptop": "ORDINATEUR_PORTABLE",
    "desktop": "ORDINATEUR_FIXE",
    "smartphone": "SMARTPHONE",
    "tablet": "TABLETTE",
}
SYSTEMS: Mapping[str, str] = {
    "windows": "Windows",
    "linux": "Linux",
    "ubuntu": "Linux",
    "debian": "Linux",
    "macos": "MacOS",
    "os x": "MacOS",
    "android": "Android",
    "ios": "iOS",
}
Cell = str | int | None


def record(device: Device, changed_at: datetime, step: Step = "workshop") -> dict[str, Cell]:
    """One device. Sizes in GB (10^9), memory in GiB, as tec.tech counts them."""
    audit, phone = device.audit, device.device_type in {"smartphone", "tablet"}
    disks = list(audit.media) if audit else []
    imeis = [m.serial for m in disks if m.kind == "phone"]
    row: dict[str, Cell] = dict.fromkeys(FIELDS)
    row |= {
        "statut": charity_status(device, step),
        "typeMateriel": TYPES.get(device.device_type or ""),
        "numeroSerie": device.serial,
        "IMEI1": imeis[0] if imeis else None,
        "IMEI2": imeis[1] if len(imeis) > 1 else None,
        "idMaterielReconditionneur": device.device_ref,
        "model": device.model,
        "marque": device.maker,
        "processeur": audit.cpu if audit else None,
        "RAM": audit.ram_gb if audit else None,
        "categorie": device.category,
        "idLot": device.lot,
        "systemeExploitation": system(audit.os if audit else None),
        "updatedAt": changed_at.isoformat(timespec="seconds"),
        "reconditionneur": device.refurbisher,
    }
    for number, disk in enumerate([] if phone else disks[:2], 1):
        row[f"typeDisqueDur{number}"] = None if disk.kind == "unknown" else disk.kind.upper()
        row[f"tailleDisqueDur{number}"] = round(disk.bytes / GB) if disk.bytes else None
    return row


def system(said: str | None) -> str | None:
    """One of the five systems that tec.tech knows."""
    text = (said or "").lower()
    return next((name for word, name in SYSTEMS.items() if word in text), None)


def workbook(rows: Iterable[Mapping[str, Cell]]) -> bytes:
    """The rows as XLSX. Text stays text: nothing that a device calls itself becomes a formula or a link."""
    import io

    import xlsxwriter  # only when somebody asks for a table

    out = io.BytesIO()
    safe = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(out, safe) as book:
        sheet = book.add_worksheet("Appareils")
        sheet.freeze_panes(1, 0)
        bold = book.add_format({"bold": True})
        for column, name in enumerate(FIELDS):
            sheet.write_string(0, column, name, bold)
        count = 0
        for count, row in enumerate(rows, 1):
            for column, name in enumerate(FIELDS):
                value = row[name]
                if isinstance(value, int):
                    sheet.write_number(count, column, value)
                elif value is not None:
                    sheet.write_string(count, column, value)
        sheet.autofilter(0, 0, max(count, 1), len(FIELDS) - 1)
        sheet.set_column(0, len(FIELDS) - 1, 16)
    return out.getvalue()

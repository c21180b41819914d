"""The document before it is signed: PDF/A-3a and PDF/UA-1, its data attached as JSON. Same statement, same bytes, on any machine.

typst is pinned by the lock, the fonts are in the tree, system fonts are ignored, the only date is the statement's.
Imported in worker processes only: laying out pages is work for a processor, and the library is large.
"""

import io
import json
from functools import cache

import segno
import typst

from services.certs.domain import words
from services.certs.domain.assets import TEMPLATES
from services.certs.domain.statement import Statement

ATTACHMENT = "certificat.json"
CHANGES_SHOWN = 40
"""More of them are in the attached data."""


def render(statement: Statement) -> bytes:
    """The PDF that says what `statement` says."""
    made = compiler().compile(
        format="pdf",
        sys_inputs={
            "view": json.dumps(view(statement), ensure_ascii=False, sort_keys=True),
            "data": statement.canonical.decode(),
            "qr": qr(f"{statement.verify_url}?numero={statement.number}"),
        },
        pdf_standards=["a-3a", "ua-1"],
        timestamp=int(statement.issued_at.timestamp()),
    )
    if not isinstance(made, bytes):
        raise TypeError("typst made several files")
    return made if made.endswith(b"\n") else made + b"\n"  # PDF/A: what is appended begins on a line of its own


@cache
def compiler() -> typst.Compiler:
    fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[str(TEMPLATES / "fonts")])
    return typst.Compiler(str(TEMPLATES / "certificate.typ"), root=str(TEMPLATES), font_paths=fonts, ignore_system_fonts=True)


def qr(address: str) -> str:
    out = io.BytesIO()
    segno.make(address, error="m").save(out, kind="svg", border=0, xmldecl=False, dark="#2b1b33", nl=False)
    return out.getvalue().decode()


def view(statement: Statement) -> dict[str, object]:
    """The words of the document, so that the template only lays out."""
    counts = statement.counts
    left, old = words.still_open(statement), statement.supersedes
    lost = counts.devices - counts.ready - counts.scrapped - left
    return {
        "number": statement.number,
        "issuer": words.printable(statement.issuer),
        "date": words.day(statement.issued_at),
        "iso_date": [statement.issued_at.year, statement.issued_at.month, statement.issued_at.day],
        "donor": words.donor(statement.donor),
        "donation": words.printable(statement.donation_reference),
        "consignment": words.printable(statement.consignment_reference),
        "origin": words.printable(statement.postal_code),
        "refurbisher": words.refurbisher(statement.refurbisher),
        "received": words.day(statement.received_at),
        "required": words.CLASSES[statement.required_class],
        "headline": words.headline(statement),
        "url": statement.verify_url,
        "counts": [
            ["Appareils déclarés par le donateur", str(counts.declared)],
            ["Appareils comptés à l’arrivée par l’atelier", str(counts.counted)],
            ["Appareils identifiés un par un", str(counts.devices)],
            ["– données effacées, preuve à l’appui", str(counts.erased)],
            ["– effacement non attesté", str(counts.not_erased)],
            ["– sans support de stockage au relevé", str(counts.without_medium)],
            ["Supports de stockage relevés", str(counts.media)],
            ["– effacés, preuve à l’appui", str(counts.media_erased)],
            ["Appareils prêts pour le réemploi", str(counts.ready)],
            ["Appareils mis au rebut", str(counts.scrapped)],
            *([["Appareils introuvables", str(lost)]] if lost else []),
            *([["Appareils encore à l’atelier", str(left)]] if left else []),
        ],
        "replaces": [old.number, words.day(old.issued_at)] if old else [],
        "changes": words.changes(statement)[:CHANGES_SHOWN],
        "more_changes": max(0, len(statement.changes) - CHANGES_SHOWN),
        "not_attested": [words.NOT_ATTESTED.get(code, code) for code in statement.not_attested],
        "devices": [words.device(line) for line in statement.devices],
        "media": [words.medium(line.device_ref, medium) for line in statement.devices for medium in line.media],
    }

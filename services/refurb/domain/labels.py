"""Labels for devices, as PDF: the workshop's reference in large, and a QR code that opens the device's page. Same devices, same bytes."""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

LARGEST_REF_PT, SMALLEST_REF_PT = 11.0, 5.0
WIDTH_OF_REF_PT = 92.0
"""What is left for the reference beside the code, in points; a character of the font is 0.6 em wide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """`address` is what the code says; `lines` stand below the reference."""

    ref: str
    address: str
    lines: tuple[str, ...]


def pdf(labels: Sequence[Label], template: Path, *, sheet: bool) -> bytes:
    """A sheet of 24 a page, or one label a page for a label printer."""
    import typst  # large, and only needed when somebody prints

    view = [
        {"ref": one.ref, "size": size(one.ref), "lines": [line[:60] for line in one.lines], "qr": qr(one.address)}
        for one in labels
    ]
    fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=True, font_paths=[])
    compiler = typst.Compiler(str(template), root=str(template.parent), font_paths=fonts, ignore_system_fonts=True)
    inputs = {"labels": json.dumps(view, ensure_ascii=False), "sheet": "oui" if sheet else "non"}
    made = compiler.compile(format="pdf", sys_inputs=inputs, timestamp=0)
    if not isinstance(made, bytes):
        raise TypeError("typst made several files")
    return made


def size(ref: str) -> float:
    """Of the reference's letters: as large as fits beside the code."""
    return max(SMALLEST_REF_PT, min(LARGEST_REF_PT, WIDTH_OF_REF_PT / (0.6 * max(len(ref), 1))))


def qr(address: str) -> str:
    import segno

    out = io.BytesIO()
    segno.make(address, error="m").save(out, kind="svg", border=0, xmldecl=False, nl=False)
    return out.getvalue().decode()

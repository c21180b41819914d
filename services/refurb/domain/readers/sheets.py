"""Reads the first sheet of an XLSX workbook that holds a table we know (`records`), whatever the file pretends to be.

The archive is unpacked by us within bounds and packed again before the library sees it: a small file may unfold to gigabytes, and one
cell far down and right makes a table of billions. Sizes, cells and the reach of a sheet are counted first; a DOCTYPE is refused.
"""

import io
import re
import zipfile
import zlib

from python_calamine import CalamineError, CalamineWorkbook

from services.refurb.domain.readers.facts import Facts, Unusable
from services.refurb.domain.readers.records import facts_of_rows

MOST_PARTS = 200
MOST_BYTES = 16 * 1024 * 1024
"""Of all parts unpacked."""
MOST_CELLS = 250_000
"""Rows times columns of the rectangle that a sheet's cells span."""
CELL = re.compile(rb"""\b(?:r|ref) *= *["'] *([A-Za-z]{1,3})(\d{1,7})(?::([A-Za-z]{1,3})(\d{1,7}))?""")
MAGIC = b"PK\x03\x04"


def looks_like(data: bytes) -> bool:
    """Tell whether bytes may be a workbook."""
    return data.startswith(MAGIC)


def facts(data: bytes) -> Facts:
    """The table of the first sheet. Raises Unusable."""
    try:
        with CalamineWorkbook.from_filelike(io.BytesIO(repacked(data))) as book:
            rows = book.get_sheet_by_index(0).to_python(skip_empty_area=False)
    except (CalamineError, IndexError, ValueError) as error:
        if isinstance(error, Unusable):
            raise
        raise Unusable("unreadable") from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise Unusable("unreadable") from error  # a panic of the library's own, which is no Exception
    return facts_of_rows(rows)


def repacked(data: bytes) -> bytes:
    """The same parts, none compressed, all counted. Raises Unusable."""
    out, left = io.BytesIO(), MOST_BYTES
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as given, zipfile.ZipFile(out, "w") as packed:
            parts = given.infolist()
            if "[Content_Types].xml" not in given.namelist():
                raise Unusable("unsupported_format")
            if len(parts) > MOST_PARTS:
                raise Unusable("too_large")
            for part in parts:
                with given.open(part) as opened:
                    content = opened.read(left + 1)
                left -= len(content)
                if left < 0:
                    raise Unusable("too_large")
                if part.filename.lower().endswith((".xml", ".rels")):
                    inspect(content)
                packed.writestr(zipfile.ZipInfo(part.filename), content)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise Unusable("unreadable") from error
    return out.getvalue()


def inspect(content: bytes) -> None:
    """Refuse a part that would cost too much. Raises Unusable."""
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content or b"\x00" in content:
        raise Unusable("hostile_input")
    rows = columns = 0
    for match in CELL.finditer(content):
        rows = max(rows, int(match[2]), int(match[4] or 0))
        columns = max(columns, column(match[1]), column(match[3] or b"A"))
    if rows * columns > MOST_CELLS or len(re.findall(rb"<(?:\w+:)?c\b", content)) > MOST_CELLS:
        raise Unusable("too_large")


def column(name: bytes) -> int:
    """A is 1, Z 26, AA 27."""
    number = 0
    for letter in name.upper():
        number = number * 26 + letter - 64
    return number

"""What is inside a PDF: files attached to it, and what an incremental update changed. Reads files that we made, with pyhanko.

Imported in worker processes only.
"""

import io
from typing import Any

from pyhanko.pdf_utils import generic, misc
from pyhanko.pdf_utils.reader import PdfFileReader

CATALOG_MAY = frozenset({"/AcroForm", "/Perms", "/AF", "/Names"})
PAGE_MAY = frozenset({"/Annots"})


class Unreadable(Exception):
    """Not a PDF of ours, or what was looked for is not in it."""


def attached(pdf: bytes, name: str) -> bytes:
    """The content of the file attached under `name`."""
    return files(reader(pdf))[name] if name in files(reader(pdf)) else missing(name)


def missing(name: str) -> bytes:
    raise Unreadable(f"no {name}")


def reader(pdf: bytes) -> PdfFileReader:
    try:
        return PdfFileReader(io.BytesIO(pdf), strict=True)
    except (misc.PdfError, ValueError, TypeError, KeyError, IndexError) as error:
        raise Unreadable("not a readable PDF") from error


def files(pdf: PdfFileReader) -> dict[str, bytes]:
    try:
        names = pdf.root["/Names"]["/EmbeddedFiles"]["/Names"]
        return {str(names[i]): names[i + 1]["/EF"]["/F"].data for i in range(0, len(names), 2)}
    except (misc.PdfError, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise Unreadable("no attached files") from error


def only_sealed(document: bytes, whole: bytes) -> str:
    """What the update to `whole` changed of what `document` shows, or nothing: it may only bring the proof and the signature.

    Of the objects that were there before, only the catalog, its first page and its lists of attached files may be written again, and of
    these only what hangs the proof and the (invisible) signature on them.
    """
    before, after = reader(document), reader(whole)
    if after.xrefs.total_revisions != before.xrefs.total_revisions + 1:
        return "more than one update"
    catalog, page, lists = before.root_ref.idnum, first_page(before), list_references(before)
    if catalog != after.root_ref.idnum:
        return "another catalog"
    for reference in after.xrefs.explicit_refs_in_revision(after.xrefs.total_revisions - 1):
        if reference.idnum >= before.trailer["/Size"] or reference.idnum in lists:
            continue
        old, new = before.get_object(reference, never_decrypt=True), after.get_object(reference, never_decrypt=True)
        may = CATALOG_MAY if reference.idnum == catalog else PAGE_MAY if reference.idnum == page else frozenset()
        if not same(old, new, may):
            return f"object {reference.idnum} was changed after the document was made"
    if fault := hung(before, after, page):
        return fault
    kept = {name: data for name, data in files(after).items() if name in files(before)}
    return "" if kept == files(before) else "an attached file was changed"


def hung(before: PdfFileReader, after: PdfFileReader, page: int) -> str:
    """What the update hung on the page besides the field of the signature, which nobody sees; or nothing."""
    had, has = (list(pdf.get_object(generic.Reference(page, 0, pdf)).get("/Annots", ())) for pdf in (before, after))
    if len(has) < len(had) or any(not same(old, new, frozenset()) for old, new in zip(had, has, strict=False)):
        return "what hangs on a page was changed"
    for field in (hung_on.get_object() for hung_on in has[len(had) :]):
        if field.get("/FT") != "/Sig" or any(float(side) for side in field.get("/Rect", (1,))) or "/AP" in field:
            return "something visible was hung on a page"
    return ""


def first_page(pdf: PdfFileReader) -> int:
    """Number of the page that the signature's (empty) field hangs on."""
    node = pdf.root.raw_get("/Pages")
    while "/Kids" in node.get_object():
        node = node.get_object()["/Kids"].raw_get(0)
    return int(node.idnum)


def list_references(pdf: PdfFileReader) -> set[int]:
    """Where the lists of attached files live, as far as they are objects of their own."""
    names = pdf.root["/Names"]
    files = names["/EmbeddedFiles"].raw_get("/Names")
    holders = [pdf.root.raw_get("/Names"), names.raw_get("/EmbeddedFiles"), files, pdf.root.raw_get("/AF")]
    return {h.idnum for h in holders if isinstance(h, generic.IndirectObject)}


def same(old: Any, new: Any, may: frozenset[str]) -> bool:
    """Whether two objects are written alike, but for the entries `may`."""
    return written(old, may) == written(new, may)


def written(value: Any, may: frozenset[str]) -> bytes:
    if isinstance(value, generic.DictionaryObject) and not isinstance(value, generic.StreamObject):
        value = generic.DictionaryObject({k: value.raw_get(k) for k in value if k not in may})
    out = io.BytesIO()
    value.write_to_stream(out, None)
    return out.getvalue()

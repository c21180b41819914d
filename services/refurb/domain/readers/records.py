"""Reads the charity's own device record: 27 fields, as JSON, CSV or a sheet of XLSX. And the two Excel forms that refurbishers fill in.

Checked against the facts known of tec.tech and its clients (names of the fields, which are required, the closed lists, numbers or null)
and the columns known of the two forms (computers: header on row 4; telephones: header on row 2). No file of theirs was at hand: the list
of 77 makers, the statuses of telephones' forms and what stands above the forms' headers are not checked.
"""

import csv
import io
import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from stdnum import imei

from services.refurb.domain.readers.facts import Facts, Unusable

Row = Mapping[str, str | int | None]
FIELDS = (
    "id", "statut", "typeMateriel", "numeroSerie", "IMEI1", "IMEI2", "idMaterielReconditionneur", "idEsn", "model", "marque",
    "processeur", "typeDisqueDur1", "tailleDisqueDur1", "typeDisqueDur2", "tailleDisqueDur2", "RAM", "categorie", "lecteurDVD",
    "webcam", "commentaire", "idLot", "systemeExploitation", "idStock", "idGroupe", "createdAt", "updatedAt", "reconditionneur",
)  # fmt: skip
REQUIRED = ("typeMateriel", "idMaterielReconditionneur", "statut", "idStock", "numeroSerie", "idLot")
NUMBERS = {"tailleDisqueDur1", "tailleDisqueDur2", "RAM"}
LISTS: Mapping[str, frozenset[str]] = {
    "typeMateriel": frozenset({"ORDINATEUR_FIXE", "ORDINATEUR_PORTABLE", "SMARTPHONE", "TABLETTE"}),
    "categorie": frozenset({"PREMIUM", "A", "B", "C", "D"}),
    "systemeExploitation": frozenset({"Android", "iOS", "Linux", "MacOS", "Windows"}),
    "webcam": frozenset({"OUI", "NON"}),
    "lecteurDVD": frozenset({"OUI", "NON"}),
    "statut": frozenset(
        {
            "A_TRAITER", "EN_COURS_DE_TRAITEMENT", "PRET_A_COMMANDER", "EN_COURS_DE_LIVRAISON",
            "PRET_A_DISTRIBUER", "DISTRIBUE", "SAV", "NON_REEMPLOYABLE",
        }
    ),
}  # fmt: skip
COMPUTER = (
    "Numéro Lot", "Identifiant unique", "Type matériel", "Constructeur", "Model", "N° Serie", "Processeur", "Type disque 1",
    "Taille disque 1", "Type disque 2", "taille disque 2", "RAM", "DVD", "Webcam", "ECRAN", "REMARQUES", "Grade esth.", "Catégorie",
    "Erreur calcul",
)  # fmt: skip
TELEPHONE = (
    "Numéro Lot", "Identifiant unique", "Type matériel", "Constructeur", "Modèle", "IMEI", "Processeur", "OS", "Taille stockage",
    "RAM", "État Batterie", "Taille écran", "Résolution", "Chargeur", "Opérateur", "Statut", "Commentaire", "Couleur", "Grade esth.",
    "Catégorie", "Erreur",
)  # fmt: skip
FORMS: Mapping[str, tuple[int, Sequence[str]]] = {"form-computers": (4, COMPUTER), "form-telephones": (2, TELEPHONE)}
"""Where each form has its header, counted from 1."""
MOST_ROWS = 20_000
LONGEST = 2_000
"""Characters of a field."""
WHOLE = re.compile(r"\d{1,9}")


def looks_like(content: Any) -> bool:
    """Tell whether JSON is a record or a list of records."""
    first = content[0] if isinstance(content, list) and content else content
    return isinstance(first, Mapping) and {"typeMateriel", "numeroSerie"} <= set(first)


def facts(content: Any) -> Facts:
    """The records of JSON. Raises Unusable."""
    rows = content if isinstance(content, list) else [content]
    return table("device-record", [record(row) for row in rows])


def looks_like_csv(text: str) -> bool:
    """Tell whether a text is CSV with the record's header."""
    head = text.partition("\n")[0]
    return "typeMateriel" in head and "numeroSerie" in head and not head.lstrip().startswith(("{", "["))


def facts_of_csv(text: str) -> Facts:
    """The records of a CSV, with commas or semicolons. Raises Unusable."""
    head = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=";" if head.count(";") > head.count(",") else ",", strict=True)
    try:
        return facts_of_rows(list(itertools.islice(reader, MOST_ROWS + 2)))
    except csv.Error as error:
        raise Unusable("unreadable") from error


def facts_of_rows(rows: Sequence[Sequence[Any]]) -> Facts:
    """The records of a table: the 27 fields, or one of the two forms. Raises Unusable."""
    if len(rows) > MOST_ROWS + 1:
        raise Unusable("too_large")
    header = [str(name).strip() for name in rows[0]] if rows else []
    if {"typeMateriel", "numeroSerie"} <= set(header):
        return table("device-record", [record(row) for row in named(header, rows[1:])])
    for form, (line, columns) in FORMS.items():
        found = [str(name).strip() for name in rows[line - 1]] if len(rows) >= line else []
        if found[: len(columns)] == list(columns):
            filled = [row for row in named(columns, rows[line:]) if row["Identifiant unique"] is not None]
            return table(form, [form_row(form, row) for row in filled])
    raise Unusable("unsupported_format")


def named(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    """Each row under its header; blank cells are null, rows without any value are left out. Raises Unusable."""
    if len(set(header)) != len(header):
        raise Unusable("unreadable")
    found = []
    for row in rows:
        cells = [None if cell is None or str(cell).strip() == "" else cell for cell in row]
        if any(cell is not None for cell in cells[len(header) :]):
            raise Unusable("unreadable")
        if any(cell is not None for cell in cells):
            found.append(dict(zip(header, [*cells, *[None] * len(header)], strict=False)))
    return found


def table(tool: str, rows: Sequence[Row]) -> Facts:
    if len(rows) > MOST_ROWS:
        raise Unusable("too_large")
    return Facts(tool=tool, records=tuple(rows))


def record(given: Any) -> Row:
    """One record: known fields, in their lists, numbers as numbers. Raises Unusable."""
    if not isinstance(given, Mapping) or not set(given) <= set(FIELDS):
        raise Unusable("unreadable")
    found = {name: number(given.get(name)) if name in NUMBERS else text(given.get(name)) for name in FIELDS}
    if any(found[name] is None for name in REQUIRED):
        raise Unusable("unreadable")
    if any(found[name] is not None and found[name] not in known for name, known in LISTS.items()):
        raise Unusable("unreadable")
    if any(found[name] is not None and not imei.is_valid(str(found[name])) for name in ("IMEI1", "IMEI2")):
        raise Unusable("invalid_imei")
    return found


def form_row(form: str, given: Mapping[str, Any]) -> Row:
    """One row of a form, as it was written: disk types and sizes come in many spellings. An IMEI must be one. Raises Unusable."""
    found = {name: text(value) for name, value in given.items()}
    if form == "form-telephones" and found["IMEI"] is not None and not imei.is_valid(str(found["IMEI"])):
        raise Unusable("invalid_imei")
    return found


def number(given: Any) -> int | None:
    """A whole number, or the text of one. Raises Unusable for anything else."""
    if given is None or given == "":
        return None
    found = text(given) or ""
    if not WHOLE.fullmatch(found):
        raise Unusable("unreadable")
    return int(found)


def text(given: Any) -> str | None:
    """A cell as text. A sheet has whole numbers as 64.0. Raises Unusable for what is no cell, and for control characters."""
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        raise Unusable("unreadable")
    if isinstance(given, int) and abs(given) > 10**18:
        raise Unusable("unreadable")
    found = f"{given:.0f}" if isinstance(given, float) and given.is_integer() and abs(given) < 10**18 else str(given).strip()
    if len(found) > LONGEST:
        raise Unusable("too_large")
    if any(c < " " and c not in "\t\r\n" for c in found):
        raise Unusable("hostile_input")
    return found or None

"""French for what a certificate says. The same words, the same bytes: nothing here depends on a machine's locale or time zone."""

import csv
import unicodedata
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import assert_never

from services.certs.domain.assets import TEMPLATES
from services.certs.domain.statement import DeviceLine, Finding, MediumLine, Statement
from shared.events.base import Donor

SPACE = "\u00a0"
DAYS = ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche")
MONTHS = (
    "janvier",
    "février",
    "mars",
    "avril",
    "mai",
    "juin",
    "juillet",
    "août",
    "septembre",
    "octobre",
    "novembre",
    "décembre",
)
DEVICES: Mapping[str, str] = {
    "laptop": "Ordinateur portable",
    "desktop": "Ordinateur fixe",
    "smartphone": "Smartphone",
    "tablet": "Tablette",
    "screen": "Écran",
    "printer": "Imprimante",
    "other": "Autre matériel",
}
KINDS: Mapping[str, str] = {
    "hdd": "disque dur",
    "ssd": "SSD",
    "nvme": "SSD NVMe",
    "emmc": "eMMC",
    "phone": "mémoire du téléphone",
    "unknown": "support de type inconnu",
}
REASONS: Mapping[str, str] = {
    "no_evidence": "aucun rapport d’effacement reçu",
    "not_audited": "aucun relevé de ses supports reçu",
    "evidence_used_twice": "le même rapport est cité pour deux supports",
    "class_below_required": "effacement d’un niveau inférieur à celui demandé",
    "before_receipt": "effacé avant d’être confié à l’atelier",
    "after_transfer": "effacé après la remise",
    "capacity_short": "effacement incomplet",
    "class_insufficient": "effacement d’un niveau inférieur à celui demandé",
    "contradictory": "rapports contradictoires",
    "duplicate_evidence": "le même rapport est cité pour deux supports",
    "serial_mismatch": "le rapport parle d’un autre support",
    "serial_missing": "numéro de série absent",
    "time_inverted": "dates du rapport incohérentes",
    "verification_missing": "effacement non vérifié",
    "failed": "l’effacement a échoué",
    "aborted": "effacement arrêté avant la fin",
    "in_progress": "effacement non terminé",
    "truncated": "rapport incomplet",
    "write_errors": "erreurs d’écriture pendant l’effacement",
    "verification_errors": "erreurs à la relecture",
    "not_an_erasure": "le rapport n’est pas celui d’un effacement",
    "account_locked": "compte encore verrouillé",
    "unreadable": "rapport illisible",
}
SCRAPPED: Mapping[str, str] = {
    "erasure_failed": "effacement non abouti",
    "broken": "hors d’usage",
    "not_repairable": "non réparable",
    "obsolete": "trop ancien",
    "missing_parts": "pièces manquantes",
    "locked": "compte verrouillé",
}
CLASSES: Mapping[str, str] = {
    "Clear": "Clear (effacement logique)",
    "Purge": "Purge (effacement renforcé)",
    "Destroy": "Destroy (destruction)",
}
NOT_ATTESTED: Mapping[str, str] = {
    "media_removed_before": "Les supports retirés des appareils avant le don, ou que l’atelier n’a pas reçus.",
    "copies_elsewhere": "Les copies gardées ailleurs\u00a0: sauvegardes, comptes en ligne, autres appareils.",
    "evidence_is_the_refurbishers": "Nous n’avons pas assisté à l’effacement. Nous avons jugé les rapports de l’atelier, dont les "
    "empreintes SHA-256 sont dans les données jointes.",
    "signing_time": "La date est la nôtre\u00a0: aucune autorité d’horodatage ne l’a confirmée.",
    "not_a_tax_receipt": "Ce document n’est ni un acte de don ni un reçu fiscal.",
}


def day(when: datetime) -> str:
    """`lundi 23 novembre 2026`, in UTC."""
    number = "1er" if when.day == 1 else str(when.day)
    return f"{DAYS[when.weekday()]} {number}{SPACE}{MONTHS[when.month - 1]}{SPACE}{when.year}"


def moment(when: datetime | None) -> str:
    """`23/11/2026 10:42`, in UTC, as the head of the table says."""
    return f"{when:%d/%m/%Y} {when:%H:%M}" if when else "non daté"


def capacity(size: int | None) -> str:
    """In powers of ten, as makers count: `500 Go`."""
    if size is None:
        return "capacité inconnue"
    for unit, name in ((10**12, "To"), (10**9, "Go"), (10**6, "Mo")):
        if size >= unit:
            shown = f"{size / unit:.1f}".removesuffix(".0").replace(".", ",")
            return f"{shown}{SPACE}{name}"
    return f"{size}{SPACE}octets"


def count(number: int, one: str, many: str) -> str:
    """`1 appareil`, `0 appareil`, `1 200 appareils`."""
    return f"{number:,}".replace(",", SPACE) + SPACE + (many if number >= 2 else one)


def donor(who: Donor) -> list[str]:
    """Name and number of a legal person; a natural person is not named in a document that others will read."""
    if who.name is None or who.status == "person":
        return ["Donateur particulier"]
    number = f"SIRET {grouped(who.siret)}" if who.siret else f"SIREN {grouped(who.siren)}" if who.siren else ""
    return [printable(who.name), *([number] if number else [])]


def grouped(digits: str) -> str:
    head, tail = digits[:9], digits[9:]
    return SPACE.join([head[i : i + 3] for i in range(0, 9, 3)] + ([tail] if tail else []))


@cache
def refurbishers() -> Mapping[str, str]:
    """Name and place of each refurbisher by its slug: drawn into documents, so a part of the layout."""
    lines = (TEMPLATES / "refurbishers.csv").read_text("utf-8").splitlines()
    return {row["slug"]: f"{row['name']}, {row['place']}" for row in csv.DictReader(lines)}


def refurbisher(slug: str) -> str:
    """`Trira, Pont-Évêque (Isère)`; one that is not in our data yet shows by its slug."""
    return printable(refurbishers().get(slug, slug))


def device(line: DeviceLine) -> dict[str, str]:
    """One row of the table of devices."""
    named = " ".join(printable(part) for part in (line.maker, line.model) if part)
    return {
        "ref": printable(line.device_ref),
        "kind": DEVICES[line.device_type],
        "name": named or "marque et modèle non lus",
        "serial": printable(line.serial) if line.serial else "",
        "fate": f"Réemploi, catégorie{SPACE}{line.category.capitalize()}"
        if line.category and line.outcome == "ready"
        else fate(line),
        "verdict": line.verdict,
        "words": verdict(line),
    }


def fate(line: DeviceLine) -> str:
    if line.outcome == "ready":
        return "Réemploi"
    if line.outcome == "lost":
        return "Introuvable"
    if line.outcome == "open":
        return "Encore à l’atelier"
    because = line.scrapped_because
    return f"Rebut ({SCRAPPED.get(because, printable(because))})" if because else "Rebut"


def verdict(line: DeviceLine) -> str:
    """What is said of the device's data, in the fewest words that are still true."""
    match line.verdict:
        case "erased":
            return "Données effacées, preuve à l’appui"
        case "without_medium":
            return "Sans support de stockage au relevé"
        case _:
            return f"Effacement non attesté\u00a0: {why(line.reason)}"


def why(reason: str | None) -> str:
    return REASONS.get(reason or "", f"rapport refusé ({printable(reason or '?')})")


def medium(device_ref: str, line: MediumLine) -> dict[str, str]:
    """One row of the table of media."""
    version = f"{SPACE}{printable(line.tool_version)}" if line.tool_version else ""
    return {
        "ref": printable(device_ref),
        "name": printable(line.model) if line.model else "modèle non lu",
        "serial": printable(line.serial) if line.serial else "non lu",
        "kind": f"{KINDS.get(line.kind, line.kind)}, {capacity(line.bytes)}",
        "erased": "yes" if line.erased else "",
        "method": method(line),
        "tool": f"{printable(line.tool or '')}{version}" if line.erased else "",
        "verified": ("vérifié" if line.verified else "non vérifié") if line.erased else "",
        "when": f"{moment(line.started_at)} – {moment(line.ended_at)}" if line.erased else "",
        "evidence": f"{line.evidence_sha256[:16]}…" if line.erased and line.evidence_sha256 else "",
    }


def method(line: MediumLine) -> str:
    if not line.erased:
        return f"Non attesté\u00a0: {why(line.reason)}"
    return f"{line.method_class}\u00a0: {printable(line.technique or '')}"


SAID: Mapping[str, str] = {
    "erased": "données effacées",
    "not_erased": "effacement non attesté",
    "without_medium": "sans support de stockage",
    "ready": "prêt au réemploi",
    "scrapped": "au rebut",
    "lost": "introuvable",
    "open": "encore à l’atelier",
}
LATE: Mapping[str, str] = {
    "open": "L’atelier y travaille encore.",
    "ready": "Il est prêt, donc peut être vendu.",
    "scrapped": "Il est au rebut.",
    "lost": "Il est introuvable.",
}
ENDED: Mapping[str, str] = {"refused": "L’atelier a refusé l’envoi.", "reassigned": "L’envoi est confié à un autre atelier."}


def drift(found: Finding, certificate: str = "Le certificat") -> tuple[str, str]:
    """State and words for what is not any more as `certificate` says: `bad` where it says that data are erased and no proof does."""
    certified, now = SAID.get(found.certified or "", "autre chose"), SAID.get(found.now or "", "autre chose")
    state = "bad" if found.says_too_much else "info" if found.now == "erased" else "warn"
    they = certificate[:1].lower() + certificate[1:]
    match found.kind:
        case "late":
            fate = LATE.get(found.now or "", "")
            return "warn", f"Signalé après {they}, qui n’en parle pas. {fate}".strip()
        case "gone":
            return state, f"{certificate} en parle, mais l’atelier ne le compte plus dans cet envoi."
        case "reopened":
            return state, f"Revenu à l’atelier. {certificate} dit : {certified}. Aujourd’hui : {now}."
        case "verdict":
            return state, f"{certificate} dit : {certified}. Les preuves disent : {now}."
        case "outcome":
            return "warn", f"{certificate} dit : {certified}. L’atelier dit : {now}."
        case "media":
            return "warn", f"Ses supports de stockage ne sont plus ceux que dit {they}."
        case "counted":
            return "warn", f"L’atelier a compté à nouveau : {found.now or '?'} au lieu de {found.certified or '?'}."
        case "ended":
            return "warn", ENDED.get(found.now or "", "L’envoi a été clos.")
        case _:
            assert_never(found.kind)


def headline(statement: Statement) -> str:
    """The sentence that people quote: it never says more than the counts."""
    counts = statement.counts
    erased = count(counts.erased, "appareil dont les données ont", "appareils dont les données ont")
    parts = [f"{erased} été effacées, preuve à l’appui ({count(counts.media_erased, 'support', 'supports')})"]
    if counts.not_erased:
        parts.append(f"{count(counts.not_erased, 'appareil', 'appareils')} dont l’effacement n’est pas attesté")
    if counts.without_medium:
        parts.append(f"{count(counts.without_medium, 'appareil', 'appareils')} sans support de stockage")
    if (left := still_open(statement)) and statement.version == 1:
        parts.append(f"{count(left, 'appareil encore', 'appareils encore')} à l’atelier, dont un second certificat parlera")
    return ", ".join(parts[:-1]) + (" et " if len(parts) > 1 else "") + parts[-1] + "."


def still_open(statement: Statement) -> int:
    """How many of its devices the workshop still works on."""
    return sum(line.outcome == "open" for line in statement.devices)


def changes(statement: Statement) -> list[list[str]]:
    """What a correction says otherwise than the certificate that it supersedes: device, and words."""
    before = f"Le certificat {statement.supersedes.number}" if statement.supersedes else "Le certificat"
    return [[printable(c.device_ref) or "Tout l’envoi", printable(drift(c, before)[1])] for c in statement.changes]


@cache
def drawable() -> frozenset[int]:
    """Code points that the fonts can draw."""
    lines = (TEMPLATES / "fonts" / "coverage.txt").read_text("ascii").split()
    return frozenset(c for first, last in (line.split("-") for line in lines) for c in range(int(first, 16), int(last, 16) + 1))


def printable(text: str) -> str:
    """What others sent, as the fonts can draw it: any other character is written as its code point, never left out in silence."""
    return "".join(c if ord(c) in drawable() else f"[U+{ord(c):04X}]" for c in unicodedata.normalize("NFC", text))

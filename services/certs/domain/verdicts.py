"""French for verdicts, and for what came after a certificate. A title's first sentence is the result, the rest what to do."""

from collections.abc import Mapping
from typing import assert_never

from services.certs.domain import words
from services.certs.domain.drift import Finding
from services.certs.domain.statement import Statement

TITLES: Mapping[str, str] = {
    "valid": "Valide : ce certificat est vrai, et le fichier n’a pas changé",
    "modified": "Modifié : ne vous fiez pas à ce fichier",
    "unknown_signer": "Inconnu : nous n’avons pas signé ce document",
    "unsigned": "Inconnu : ce PDF n’est pas signé",
    "not_a_pdf": "Ce fichier n’est pas un PDF",
    "too_large": "Ce fichier est trop gros pour un certificat",
    "not_a_certificate": "Inconnu : ce document est signé, mais ce n’est pas un certificat",
    "not_logged": "Suspect : ce document n’est pas inscrit au registre public",
}
ADVICE: Mapping[str, str] = {
    "modified": "Ce fichier n’est pas celui que nous avons signé : quelqu’un l’a changé, ou la copie est abîmée. Demandez l’original "
    "au donateur.",
    "unknown_signer": "Aucun de nos certificats ne porte cette signature. Vérifiez que c’est bien le PDF d’origine.",
    "unsigned": "Nos certificats sont tous signés. Vérifiez que c’est bien le PDF d’origine, et non une impression ou une photo.",
    "not_a_pdf": "Un certificat est un fichier PDF. Déposez le fichier reçu, et non une photo ou une archive.",
    "too_large": "Un certificat fait au plus 20 Mo. Vérifiez que c’est bien le bon fichier.",
    "not_a_certificate": "Il vient peut-être de nous, mais il n’atteste aucun effacement.",
    "not_logged": "La signature est là, mais la preuve d’inscription manque ou ne tient pas. Signalez-nous ce document.",
}
CHECKS: Mapping[str, str] = {
    "file": "Fichier lisible",
    "whole_file": "La signature couvre tout le fichier",
    "signature": "Signature intacte",
    "signer": "Signataire reconnu",
    "log_inclusion": "Inscrit au registre public",
    "time": "Signé pendant la vie du certificat de l’émetteur",
    "content": "Contenu d’un certificat",
    "document": "Le document dit ce que disent ses données",
}

SAID: Mapping[str, str] = {
    "erased": "données effacées",
    "not_erased": "effacement non attesté",
    "without_medium": "sans support de stockage",
    "ready": "prêt au réemploi",
    "scrapped": "au rebut",
    "lost": "introuvable",
}
LATE: Mapping[str, str] = {
    "open": "L’atelier y travaille encore.",
    "ready": "Il est prêt, donc peut être vendu.",
    "scrapped": "Il est au rebut.",
    "lost": "Il est introuvable.",
}
ENDED: Mapping[str, str] = {"refused": "L’atelier a refusé l’envoi.", "reassigned": "L’envoi est confié à un autre atelier."}


def drift(found: Finding) -> tuple[str, str]:
    """State and words for what is not any more as the certificate says: `bad` where it says that data are erased and no proof does."""
    certified, now = SAID.get(found.certified or "", "autre chose"), SAID.get(found.now or "", "autre chose")
    state = "bad" if found.certified == "erased" and found.now != "erased" else "info" if found.now == "erased" else "warn"
    match found.kind:
        case "late":
            fate = LATE.get(found.now or "", "")
            return "warn", f"Signalé après le certificat, qui n’en parle pas. {fate}".strip()
        case "gone":
            return "warn", "Le certificat en parle, mais l’atelier ne le compte plus dans cet envoi."
        case "reopened":
            return state, f"Revenu à l’atelier. Le certificat dit : {certified}. Aujourd’hui : {now}."
        case "verdict":
            return state, f"Le certificat dit : {certified}. Les preuves disent : {now}."
        case "outcome":
            return "warn", f"Le certificat dit : {certified}. L’atelier dit : {now}."
        case "media":
            return "warn", "Ses supports de stockage ne sont plus ceux du certificat."
        case "counted":
            return "warn", f"L’atelier a compté à nouveau : {found.now or '?'} au lieu de {found.certified or '?'}."
        case "ended":
            return "warn", ENDED.get(found.now or "", "L’envoi a été clos.")
        case _:
            assert_never(found.kind)


def attested(statement: Statement) -> list[str]:
    """What the certificate attests, and what it does not, line by line."""
    lines = [
        f"Certificat {statement.number}, établi le {words.day(statement.issued_at)} par {statement.issuer}.",
        f"Donateur : {', '.join(words.donor(statement.donor))}.",
        f"Envoi {statement.consignment_reference}, atelier {words.refurbisher(statement.refurbisher)}.",
        f"Il atteste : {words.headline(statement)}",
        "Il n’atteste pas :",
    ]
    return lines + [f"  - {words.NOT_ATTESTED.get(code, code)}" for code in statement.not_attested]

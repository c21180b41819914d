"""French for verdicts. A title's first sentence is the result, the rest what to do."""

from collections.abc import Mapping

from services.certs.domain import words
from services.certs.domain.statement import Statement

TITLES: Mapping[str, str] = {
    "valid": "Valide : ce certificat est vrai, et le fichier n’a pas changé",
    "modified": "Modifié : ne vous fiez pas à ce fichier",
    "unknown_signer": "Inconnu : nous n’avons pas signé ce document",
    "unsigned": "Inconnu : ce PDF n’est pas signé",
    "not_a_pdf": "Ce fichier n’est pas un PDF",
    "too_large": "Ce fichier est trop gros pour un certificat",
    "not_a_certificate": "Inconnu : ce document est signé, mais ce n’est pas un certificat",
    "superseded": "Remplacé : ce certificat était vrai, il n’est plus le dernier mot",
    "log_rewritten": "Suspect : le registre public d’aujourd’hui n’est pas la suite de celui que porte ce certificat",
    "not_logged": "Suspect : ce document n’est pas inscrit au registre public",
}
ADVICE: Mapping[str, str] = {
    "superseded": "Demandez au donateur le certificat qui le remplace.",
    "log_rewritten": "Gardez ce fichier : il prouve que le registre a été récrit. Signalez-le.",
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
    "consistency": "Le registre d’aujourd’hui continue celui de ce jour-là",
    "superseded": "Aucun certificat ne l’a remplacé",
}


def attested(statement: Statement) -> list[str]:
    """What the certificate attests, and what it does not, line by line."""
    lines = [
        f"Certificat {statement.number}, établi le {words.day(statement.issued_at)} par {statement.issuer}.",
        f"Donateur : {', '.join(words.donor(statement.donor))}.",
        f"Envoi {statement.consignment_reference}, atelier {words.refurbisher(statement.refurbisher)}.",
        *(
            [f"Il remplace le certificat {statement.supersedes.number}, qui n’est plus le dernier mot."]
            if statement.supersedes
            else []
        ),
        f"Il atteste : {words.headline(statement)}",
        "Il n’atteste pas :",
    ]
    return lines + [f"  - {words.NOT_ATTESTED.get(code, code)}" for code in statement.not_attested]

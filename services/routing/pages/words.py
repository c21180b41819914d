"""What routing says in French: states, reasons, refusals."""

from collections.abc import Mapping, Sequence

from services.routing.domain.consignments import Consignment
from services.routing.domain.network import Network
from shared.events.base import DeviceType
from shared.events.routing import Candidate
from shared.ui import words
from shared.ui.formats import date_fr, number_fr, percent, plural

STATES: Mapping[str, tuple[str, str]] = {
    "assigned": ("now", "À planifier"),
    "scheduled": ("info", "Enlèvement prévu"),
    "collected": ("ok", "Enlevé"),
    "at_point": ("info", "Au point de réception"),
    "counted_at_point": ("info", "Compté au point"),
    "sent_on": ("info", "En route vers l'atelier"),
    "delivered": ("ok", "Livré"),
    "refused": ("bad", "Refusé, à confier à un autre"),
    "ended": ("wait", "Clos"),
}
ENDED: Mapping[str, str] = {
    "refused": "Réattribué après refus",
    "withdrawn": "Don retiré",
    "reassigned": "Réattribué",
}
EXCLUDED: Mapping[str, str] = {
    "refused_before": "a déjà refusé ce don",
    "skill": "ne traite pas ce type d'appareil",
    "erasure_class": "n'atteint pas le niveau d'effacement demandé",
    "closed": "n'ouvre pas de place pour ce type d'appareil en ce moment",
    "too_small": "n'a pas autant de places en une semaine",
    "capacity": "n'a plus assez de places cette semaine",
}
ERASURE: Mapping[str, str] = {
    "Clear": "vérifié (niveau Clear)",
    "Purge": "renforcé (niveau Purge)",
    "Destroy": "destruction des disques (niveau Destroy)",
}
FAILURES: Mapping[str, str] = {
    "absent": "Personne sur place",
    "no_access": "Accès impossible",
    "not_ready": "Matériel pas prêt",
    "vehicle": "Véhicule trop petit ou en panne",
    "other": "Autre raison",
}
STEPS: Mapping[str, str] = {
    "routing.consignment_assigned.v1": "Confié à un atelier",
    "routing.consignment_scheduled.v1": "Jour d'enlèvement fixé",
    "routing.consignment_collected.v1": "Enlevé chez le donateur",
    "routing.collection_failed.v1": "Enlèvement manqué",
    "routing.received_at_point.v1": "Reçu au point de réception",
    "routing.counted_at_point.v1": "Compté au point de réception",
    "routing.sent_on.v1": "Parti vers l'atelier",
    "routing.consignment_delivered.v1": "Reçu par l'atelier",
    "routing.consignment_refused.v1": "Refusé par l'atelier",
    "routing.consignment_ended.v1": "Clos",
}
MESSAGES: Mapping[str, str] = {
    "consignment_unknown": "Cet envoi n'existe pas ici. Rien n'a changé. Retrouvez-le sur la carte des envois.",
    "consignment_ended": "Cet envoi est clos. Rien n'a été enregistré. Ouvrez l'envoi qui le remplace, indiqué sur sa page.",
    "already_collected": "Cet envoi est déjà enlevé, avec {counted} appareils comptés. Ce que vous écrivez ({told}) n'est pas enregistré. "
    "Si le premier compte est faux, l'atelier le corrige à la réception.",
    "already_gone": "Cet envoi n'est plus chez le donateur. Rien n'a été enregistré. Rechargez sa page pour voir où il est.",
    "already_delivered": "L'atelier a déjà reçu cet envoi. Rien n'a été enregistré.",
    "not_planned_that_day": "Cet enlèvement n'était pas prévu ce jour-là. Rien n'a été enregistré. "
    "Rechargez la page de l'envoi : son jour a changé.",
    "at_another_point": "Cet envoi est à un autre point de réception ({known}). Rien n'a été enregistré. Choisissez ce point.",
    "not_received_at_point": "Cet envoi n'est pas encore reçu au point de réception. Rien n'a été enregistré. Notez d'abord sa réception.",
    "not_counted_at_point": "Cet envoi n'est pas encore compté au point de réception. Rien n'a été enregistré. Notez d'abord le compte.",
    "already_sent_on": "Cet envoi est déjà reparti, avec {counted} appareils comptés. Le nouveau compte n'est pas enregistré.",
    "refurbisher_refused": "L'atelier a refusé cet envoi. Rien n'a été enregistré. "
    "Il est confié à un autre atelier dès que possible, sous un autre numéro.",
    "reception_point_unknown": "Ce point de réception n'existe pas. Rien n'a été enregistré. Choisissez-en un dans la liste.",
}


def some(devices: Mapping[DeviceType, int]) -> str:
    """`12 ordinateurs portables, 3 écrans`."""
    return ", ".join(words.device(kind, count) for kind, count in devices.items() if count)


def state(consignment: Consignment) -> tuple[str, str]:
    """Colour and word of where it is."""
    if consignment.ended:
        return "wait", ENDED[consignment.ended]
    return STATES[consignment.status]


def why(consignment: Consignment, network: Network) -> str:
    """Why this refurbisher: its distance and load, and who came next."""
    if consignment.chosen is None:
        return ""
    others = [other for other in consignment.others if other.excluded is None]
    behind = f"devant {workshop(others[0].refurbisher, network)} ({figures(others[0])})" if others else "seul possible"
    return f"{figures(consignment.chosen)} ; {behind}"


def figures(candidate: Candidate) -> str:
    """`27 km, charge 10 %`."""
    return f"{number_fr(candidate.distance_km)} km, charge {percent(candidate.load)}"


def why_not(candidates: Sequence[Candidate], network: Network) -> list[str]:
    """Why nobody can take it now, refurbisher by refurbisher."""
    return [f"{workshop(c.refurbisher, network)} {EXCLUDED.get(c.excluded or '', c.excluded or '')}" for c in candidates]


def workshop(slug: str, network: Network) -> str:
    """The name of a refurbisher; one that is not in our data shows its slug."""
    found = network.workshops.get(slug)
    return found.name if found else slug


def heading(waiting: int, late: int, under_way: int) -> str:
    """The answer that the board gives, in one sentence."""
    if waiting:
        return f"{plural(waiting, 'don')} {'attend' if waiting < 2 else 'attendent'} un atelier"
    if late:
        return f"{plural(late, 'envoi')} {'est' if late < 2 else 'sont'} en retard"
    if under_way:
        return f"{plural(under_way, 'envoi')} en cours, rien n'attend"
    return "Rien n'attend"


def standing(consignment: Consignment, network: Network) -> str:
    """The heading of a consignment's page: where it is, and what comes next."""
    name = workshop(consignment.refurbisher, network)
    match consignment.status:
        case "scheduled" if consignment.collection_date:
            return f"Enlèvement prévu {date_fr(consignment.collection_date)}"
        case "delivered":
            return f"{name} a reçu {plural(consignment.delivered or 0, 'appareil')}"
        case "collected":
            return f"{plural(consignment.collected or 0, 'appareil')} en route vers {name}"
        case "at_point" | "counted_at_point":
            return "Au point de réception"
        case "sent_on":
            return f"En route vers {name}"
        case "refused":
            return f"{name} a refusé cet envoi"
        case "ended":
            return state(consignment)[1]
        case _:
            return "Le jour d'enlèvement est à fixer"

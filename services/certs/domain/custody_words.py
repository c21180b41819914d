"""The audit of custody in words for people: steps, parties, sums and what breaks them."""

from collections.abc import Mapping

from services.certs.domain import ledger
from services.certs.domain.passage import Breach, Code
from services.certs.domain.trail import Holder, Role, Stay, Step, What
from services.certs.domain.words import count, printable, refurbisher

STATES: Mapping[str, tuple[str, str]] = {
    "holds": ("ok", "Compte juste"),
    "open": ("now", "En cours"),
    "waiting": ("wait", "À confirmer"),
    "broken": ("bad", "Compte faux"),
}
WHATS: Mapping[What, str] = {
    "offered": "Don proposé",
    "declined": "Don refusé",
    "withdrawn": "Don retiré par le donateur",
    "assigned": "Confié à un atelier",
    "collected": "Enlevé chez le donateur",
    "received_at_point": "Arrivé au point de réception",
    "counted_at_point": "Compté au point de réception",
    "sent_on": "Reparti vers l’atelier",
    "ended": "Envoi clos",
    "counted": "Arrivé à l’atelier et compté",
    "turned_down": "Refusé par l’atelier",
    "received": "Identifié à l’atelier",
    "audited": "Matériel relevé",
    "medium_removed": "Support de stockage retiré",
    "audit_withdrawn": "Relevé annulé",
    "ready": "Prêt",
    "scrapped": "Mis au rebut",
    "taken_back": "Repris à l’atelier",
    "lost": "Déclaré introuvable",
    "found": "Retrouvé",
    "found_ready": "Retrouvé, vendu entre-temps",
    "handed_over": "Vente notée par l’atelier",
    "repair_begun": "Revenu pour réparation",
    "repair_ended": "Rendu après réparation",
    "stocked": "Entré en stock",
    "shipped": "Expédié",
    "delivered": "Arrivé en structure",
    "left": "Sorti du stock pour une vente",
    "stock_withdrawn": "Retiré du stock",
    "sold": "Vendu",
    "given": "Donné",
}
PUBLISHERS: Mapping[str, str] = {
    "intake": "Le formulaire de don",
    "routing": "La logistique",
    "refurb": "L’atelier",
    "distribution": "La distribution",
}
ROLES: Mapping[Role, str] = {
    "donor": "Le donateur",
    "carrier": "Le transporteur",
    "reception_point": "Point de réception",
    "refurbisher": "Atelier",
    "structure": "Structure",
    "beneficiary": "La personne bénéficiaire",
    "waste": "Filière de recyclage",
    "nobody": "Personne ne sait",
}
PARTS: Mapping[str, tuple[str, str]] = {
    "collected": ("enlevé", "enlevés"),
    "missing": ("jamais remis", "jamais remis"),
    "received": ("arrivé à l’atelier", "arrivés à l’atelier"),
    "on_its_way": ("en route", "en route"),
    "lost_in_transit": ("perdu en route", "perdus en route"),
    "open": ("à l’atelier", "à l’atelier"),
    "stock": ("en stock", "en stock"),
    "sold": ("vendu", "vendus"),
    "given": ("donné", "donnés"),
    "scrapped": ("au rebut", "au rebut"),
    "lost": ("introuvable", "introuvables"),
    "returned": ("revenu", "revenus"),
    "unexplained": ("inexpliqué", "inexpliqués"),
}
BUCKETS: Mapping[str, str] = {name: PARTS[name][0].capitalize() for name in ledger.BUCKETS}
"""Where one device is: the word of the account, at the beginning of a line."""
WHOLES: Mapping[str, str] = {"offered": "Proposés", "collected": "Enlevés", "received": "Arrivés à l’atelier"}
BREACHES: Mapping[Code, str] = {
    "not_received": "L’atelier en parle sans l’avoir jamais reçu.",
    "received_twice": "L’atelier dit l’avoir reçu deux fois.",
    "two_consignments": "L’atelier dit l’avoir reçu une seconde fois, dans un autre envoi.",
    "other_consignment": "On lui donne ici un autre envoi, ou un autre don, que celui de son arrivée.",
    "unassigned": "Son envoi n’a été confié à aucun atelier pour ce don.",
    "cannot_follow": "Cette étape ne peut pas suivre la précédente.",
    "after_scrapped": "Il est au rebut, et on dit encore quelque chose de lui.",
    "scrapped_and_sold": "Il est à la fois au rebut et vendu.",
    "serial_changed": "Son numéro de série n’est plus celui de son arrivée : ce n’est peut-être plus la même machine.",
    "serial_twice": "Un autre appareil porte en même temps son numéro de série.",
    "medium_twice": "Un autre appareil contient en même temps un de ses supports de stockage.",
    "ready_unstocked": "Il est prêt, et le stock ne l’a jamais vu arriver.",
    "stocked_unready": "Il est en stock sans que l’atelier l’ait dit prêt.",
    "stocked_twice": "Il entre en stock alors qu’il y est déjà.",
    "not_delivered": "Il est parti depuis plus de 30 jours, et la structure ne l’a pas.",
    "sold_unstocked": "Il est vendu sans avoir été en stock.",
    "sold_twice": "Il est vendu une seconde fois sans être revenu.",
    "sold_withdrawn": "Il est vendu alors que l’atelier l’a repris, ou ne le trouve plus.",
    "sold_elsewhere": "Il est vendu par une autre structure que celle qui l’avait.",
    "left_unsold": "Il est sorti pour une vente que personne n’a enregistrée.",
    "lost_in_transit": "Il en manque à l’arrivée.",
    "more_than_collected": "Il en arrive plus qu’il n’en est parti.",
    "more_than_counted": "L’atelier en identifie plus qu’il n’en a compté.",
    "not_arrived": "Parti depuis plus de 30 jours, l’envoi n’est pas arrivé à l’atelier.",
    "not_named": "Comptés il y a plus de 30 jours, tous ne sont pas identifiés.",
}


def holder(has: Holder) -> str:
    """`Trira, Pont-Évêque (Isère)`, `Point de réception RP-03`, `Le transporteur`."""
    if has.role == "refurbisher":
        return refurbisher(has.name)
    return f"{ROLES[has.role]} {printable(has.name)}".strip()


def step(said: Step) -> str:
    """What a step says, with its count or its serial number."""
    more = [str(said.count)] if said.count is not None else []
    more += [printable(said.serial)] if said.serial else []
    return WHATS[said.what] + (f" : {', '.join(more)}" if more else "")


def publisher(said: Step) -> str:
    return PUBLISHERS.get(said.publisher, said.publisher)


def breach(found: Breach) -> str:
    other = f" L’autre : {printable(found.other)}." if found.other else ""
    return BREACHES[found.code] + other


def sum_(each: ledger.Sum) -> tuple[str, str]:
    """The two sides of a sum: `Enlevés : 4`, and what they are. What a sum has too many is said as such."""
    parts = [count(number, *PARTS[name]) for name, number in each.spelled.items() if name != each.name and number > 0]
    if each.difference < 0:
        parts.append(f"{-each.difference} de trop")
    return f"{WHOLES[each.name]} : {each.whole}", ", ".join(parts) or "rien encore"


def stay(of: Stay) -> str:
    return printable(of.name.partition(":")[2])

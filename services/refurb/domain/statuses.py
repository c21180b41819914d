"""The eight statuses of the charity's own system (tec.tech), and what each means here: a table, since its arrows are not public.

Names and their order are known; what leads from one to the next is read from them (assumed). Two of them, delivery to a structure and
arrival there, are distribution's to know: refurb keeps its word (`whereabouts`).
"""

from collections.abc import Mapping
from typing import Literal

from services.refurb.domain.device import Device
from services.refurb.domain.whereabouts import Step

CharityStatus = Literal[
    "A_TRAITER",
    "EN_COURS_DE_TRAITEMENT",
    "PRET_A_COMMANDER",
    "EN_COURS_DE_LIVRAISON",
    "PRET_A_DISTRIBUER",
    "DISTRIBUE",
    "SAV",
    "NON_REEMPLOYABLE",
]
TELL: Mapping[CharityStatus, tuple[str, ...]] = {
    "A_TRAITER": ("partner.device_received.v1",),
    "EN_COURS_DE_TRAITEMENT": ("partner.device_received.v1", "partner.device_audited.v1"),
    "PRET_A_COMMANDER": (
        "partner.device_received.v1",
        "partner.device_audited.v1",
        "partner.medium_erased.v1",
        "partner.device_finished.v1",
    ),
    "EN_COURS_DE_LIVRAISON": (),
    "PRET_A_DISTRIBUER": (),
    "DISTRIBUE": (),
    "SAV": ("partner.device_returned.v1",),
    "NON_REEMPLOYABLE": ("partner.device_received.v1", "partner.device_scrapped.v1"),
}
"""Status there -> the messages that bring a device here to the same point. Nothing for what distribution and its till tell."""


READY: Mapping[Step, CharityStatus] = {
    "workshop": "PRET_A_COMMANDER",
    "shipped": "EN_COURS_DE_LIVRAISON",
    "delivered": "PRET_A_DISTRIBUER",
}
"""What a ready device is, by where it is."""


def charity_status(device: Device, step: Step = "workshop") -> CharityStatus | None:
    """What the charity's system would say of a device. None of one that is only announced, or lost: it has no word for that."""
    match device.status:
        case "received" if device.returns:
            return "SAV"
        case "received":
            return "EN_COURS_DE_TRAITEMENT" if device.audit or device.evidence else "A_TRAITER"
        case "ready":
            return READY[step]
        case "sold":
            return "DISTRIBUE"
        case "in_repair":
            return "SAV"
        case "scrapped":
            return "NON_REEMPLOYABLE"
        case _:
            return None

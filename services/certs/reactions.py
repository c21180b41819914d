"""What certs does about what routing and refurb tell: it notes it. Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from services.certs.domain import custody
from services.certs.domain.custody import NoteCustody, NoteHeld, custody_id, held_id
from shared.events.base import Event
from shared.events.refurb import (
    ConsignmentReceived,
    ConsignmentTurnedDown,
    DeviceAudited,
    DeviceFound,
    DeviceLost,
    DeviceReady,
    DeviceReceived,
    DeviceScrapped,
    DeviceTakenBack,
    MediumSanitised,
    SanitisationRejected,
)
from shared.events.routing import ConsignmentAssigned, ConsignmentEnded
from shared.message import Message

Commands = Sequence[NoteCustody | NoteHeld]


def assigned(_: Message, event: ConsignmentAssigned) -> Commands:
    kept = {name: getattr(event, name) for name in custody.CustodyOpened.model_fields}
    return [NoteCustody(id=custody_id(event.consignment_id), fact=custody.CustodyOpened(**kept))]


def ended(message: Message, event: ConsignmentEnded) -> Commands:
    fact = custody.CustodyEnded(consignment_id=message.stream, reason=event.reason)
    return [NoteCustody(id=custody_id(message.stream), fact=fact)]


def received(message: Message, event: ConsignmentReceived) -> Commands:
    fact = custody.CustodyCounted(consignment_id=event.consignment_id, counted=event.counted, received_at=message.time)
    return [NoteCustody(id=custody_id(event.consignment_id), fact=fact)]


def turned_down(_: Message, event: ConsignmentTurnedDown) -> Commands:
    fact = custody.CustodyEnded(consignment_id=event.consignment_id, reason="refused")
    return [NoteCustody(id=custody_id(event.consignment_id), fact=fact)]


def device_received(message: Message, event: DeviceReceived) -> Commands:
    kept = {name: getattr(event, name) for name in custody.HeldNoted.model_fields if name != "device_id"}
    return [held(message, custody.HeldNoted(device_id=message.stream, **kept))]


def audited(message: Message, event: DeviceAudited) -> Commands:
    return [held(message, custody.HeldAudited(media=event.media, maker=event.maker, model=event.model, serial=event.serial))]


def sanitised(message: Message, event: MediumSanitised) -> Commands:
    kept = {name: getattr(event, name) for name in custody.Erasure.model_fields}
    return [held(message, custody.HeldErased(erasure=custody.Erasure(**kept)))]


def rejected(message: Message, event: SanitisationRejected) -> Commands:
    return [held(message, custody.HeldDoubted(doubt=custody.Doubt(medium=event.medium, reason=event.reason)))]


def ready(message: Message, event: DeviceReady) -> Commands:
    return [held(message, custody.HeldSettled(outcome="ready", category=event.category))]


def scrapped(message: Message, event: DeviceScrapped) -> Commands:
    return [held(message, custody.HeldSettled(outcome="scrapped", reason=event.reason))]


def taken_back(message: Message, event: DeviceTakenBack) -> Commands:
    """Back after a sale, or its media changed before one: two different things for who gave it."""
    returned = custody.HeldReopened if event.sale_id is None else custody.HeldReturned
    return [held(message, returned(reason=event.reason))]


def lost(message: Message, event: DeviceLost) -> Commands:
    return [held(message, custody.HeldSettled(outcome="lost", reason=event.reason))]


def found(message: Message, event: DeviceFound) -> Commands:
    return [held(message, custody.HeldFound(outcome="ready" if event.sold_ready else "open"))]


def held(message: Message, fact: custody.HeldEvent) -> NoteHeld:
    return NoteHeld(id=held_id(message.stream), fact=fact)


REACTIONS: Mapping[type[Event], Callable[[Message, Any], Commands]] = {
    ConsignmentAssigned: assigned,
    ConsignmentEnded: ended,
    ConsignmentReceived: received,
    ConsignmentTurnedDown: turned_down,
    DeviceReceived: device_received,
    DeviceAudited: audited,
    MediumSanitised: sanitised,
    SanitisationRejected: rejected,
    DeviceReady: ready,
    DeviceScrapped: scrapped,
    DeviceTakenBack: taken_back,
    DeviceLost: lost,
    DeviceFound: found,
}

"""What certs does about what the others tell: it notes it, for certificates (`NOTED`) and for the audit of custody (`TRACED`). Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from services.certs.domain import custody
from services.certs.domain.custody import NoteCustody, NoteHeld, custody_id, held_id
from services.certs.domain.trail import Kind, NoteStep, Step, What, trail_id
from shared.events.base import Event
from shared.events.distribution import DeviceDelivered, DeviceShipped, DeviceSold, StockLeft, StockReceived, StockWithdrawn
from shared.events.intake import DonationDeclined, DonationOffered, DonationWithdrawn
from shared.events.refurb import (
    AuditWithdrawn,
    ConsignmentReceived,
    ConsignmentTurnedDown,
    DeviceAudited,
    DeviceFound,
    DeviceHandedOver,
    DeviceLost,
    DeviceReady,
    DeviceReceived,
    DeviceScrapped,
    DeviceTakenBack,
    MediumRemoved,
    MediumSanitised,
    SanitisationRejected,
    WarrantyRepairBegun,
    WarrantyRepairEnded,
)
from shared.events.routing import (
    ConsignmentAssigned,
    ConsignmentCollected,
    ConsignmentEnded,
    CountedAtPoint,
    ReceivedAtPoint,
    SentOn,
)
from shared.message import Message

Commands = Sequence[NoteCustody | NoteHeld | NoteStep]


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


NOTED: Mapping[type[Event], Callable[[Message, Any], Commands]] = {
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

TRACED: Mapping[type[Event], tuple[Kind, What]] = {
    DonationOffered: ("donation", "offered"),
    DonationDeclined: ("donation", "declined"),
    DonationWithdrawn: ("donation", "withdrawn"),
    ConsignmentAssigned: ("consignment", "assigned"),
    ConsignmentCollected: ("consignment", "collected"),
    ReceivedAtPoint: ("consignment", "received_at_point"),
    CountedAtPoint: ("consignment", "counted_at_point"),
    SentOn: ("consignment", "sent_on"),
    ConsignmentEnded: ("consignment", "ended"),
    ConsignmentReceived: ("consignment", "counted"),
    ConsignmentTurnedDown: ("consignment", "turned_down"),
    DeviceReceived: ("device", "received"),
    DeviceAudited: ("device", "audited"),
    MediumRemoved: ("device", "medium_removed"),
    AuditWithdrawn: ("device", "audit_withdrawn"),
    DeviceReady: ("device", "ready"),
    DeviceScrapped: ("device", "scrapped"),
    DeviceTakenBack: ("device", "taken_back"),
    DeviceLost: ("device", "lost"),
    DeviceFound: ("device", "found"),
    DeviceHandedOver: ("device", "handed_over"),
    WarrantyRepairBegun: ("device", "repair_begun"),
    WarrantyRepairEnded: ("device", "repair_ended"),
    StockReceived: ("device", "stocked"),
    DeviceShipped: ("device", "shipped"),
    DeviceDelivered: ("device", "delivered"),
    StockLeft: ("device", "left"),
    StockWithdrawn: ("device", "stock_withdrawn"),
    DeviceSold: ("device", "sold"),
}
"""What the audit keeps of each event: whose step it is, and what it says."""


def traced(message: Message, event: Any) -> Commands:
    """Keep an event as a step of the chain: ids, counts and serial numbers, nothing of a person."""
    kind, what = TRACED[type(event)]
    match event:
        case DeviceFound(sold_ready=True):
            what = "found_ready"
        case DeviceSold(price_cents=0):
            what = "given"
        case _:
            pass
    told: dict[str, Any] = {name: getattr(event, name, None) for name in ("sale_id", "times", "consignment_id", "donation_id")}
    step = Step(
        what=what,
        at=message.time,
        topic=message.topic,
        stream=message.stream,
        number=message.version,
        who=next(
            (v for name in ("structure", "refurbisher", "reception_point") if (v := getattr(event, name, None))), message.cell
        ),
        reference=getattr(event, "reference", None) or getattr(event, "device_ref", None) or "",
        count=sum(event.declared.values()) if what in {"offered", "assigned"} else getattr(event, "counted", None),
        serial=None if what == "audit_withdrawn" else getattr(event, "serial", None),
        media=tuple(serial for serial in media_of(event) if serial),
        **told,
    )
    subject = about(message, event, kind)
    return [NoteStep(id=trail_id(kind, subject), kind=kind, subject=subject, step=step)]


def media_of(event: Any) -> Sequence[str | None]:
    """Serial numbers of the media that an event is about."""
    match event:
        case DeviceAudited(media=media):
            return [medium.serial for medium in media]
        case MediumRemoved(medium=medium):
            return (medium.serial,)
        case AuditWithdrawn(serial=serial):
            return (serial,)
        case _:
            return ()


def about(message: Message, event: Any, kind: Kind) -> UUID:
    """The donation, consignment or device that an event is about: its stream, unless the stream is another thing's."""
    named: UUID | None = getattr(event, f"{kind}_id", None)
    return message.stream if named is None else named


def both(react: Callable[[Message, Any], Commands]) -> Callable[[Message, Any], Commands]:
    return lambda message, event: [*react(message, event), *traced(message, event)]


REACTIONS: Mapping[type[Event], Callable[[Message, Any], Commands]] = {
    **NOTED,
    **{event: both(NOTED[event]) if event in NOTED else traced for event in TRACED},
}

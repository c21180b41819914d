"""What routing does about the others' events: notes wishes and places, and takes the refurbisher's word on its consignments. Pure.

The planner (`jobs.py`) turns wishes into consignments: a decision over many refurbishers fits no single event.
"""

from services.routing.domain.consignments import ConsignmentCommand, DeliverConsignment, RefuseConsignment
from services.routing.domain.refurbishers import (
    CountPlaces,
    FreePlaces,
    NoteCapacity,
    RefurbisherCommand,
    SettleDevice,
    refurbisher_id,
)
from services.routing.domain.wishes import ConfirmWish, DropWish, NoteWish, ReopenWish, WishCommand
from shared.consumer import Reactions
from shared.events.intake import DonationAccepted, DonationDeclined, DonationOffered, DonationWithdrawn
from shared.events.refurb import (
    CapacityDeclared,
    ConsignmentReceived,
    ConsignmentTurnedDown,
    DeviceLost,
    DeviceReady,
    DeviceScrapped,
)
from shared.message import Message

Commands = list[WishCommand | RefurbisherCommand | ConsignmentCommand]


def offered(message: Message, event: DonationOffered) -> Commands:
    return [
        NoteWish(
            id=message.stream,
            reference=event.reference,
            donor=event.donor,
            region=event.region,
            postal_code=event.postal_code,
            devices=event.declared,
            required_class=event.required_class,
            available_from=event.available_from,
        )
    ]


def accepted(message: Message, event: DonationAccepted) -> Commands:
    return [ConfirmWish(id=message.stream, by_point=event.outcome == "reception_point", at=message.time)]


def declined(message: Message, _: DonationDeclined) -> Commands:
    return [DropWish(id=message.stream, why="declined")]


def withdrawn(message: Message, _: DonationWithdrawn) -> Commands:
    return [DropWish(id=message.stream, why="withdrawn")]


def capacity(message: Message, event: CapacityDeclared) -> Commands:
    return [
        NoteCapacity(
            id=refurbisher_id(event.refurbisher),
            slug=event.refurbisher,
            weekly_places=event.weekly_places,
            at=message.time,
        )
    ]


def received(_: Message, event: ConsignmentReceived) -> Commands:
    return [
        DeliverConsignment(id=event.consignment_id, counted=event.counted),
        CountPlaces(id=refurbisher_id(event.refurbisher), consignment_id=event.consignment_id, counted=event.counted),
    ]


def turned_down(_: Message, event: ConsignmentTurnedDown) -> Commands:
    """It stays where it is, under a consignment that is refused, until the planner has found the next refurbisher."""
    return [
        RefuseConsignment(id=event.consignment_id, reason=event.reason),
        ReopenWish(id=event.donation_id, consignment_id=event.consignment_id, refurbisher=event.refurbisher),
        FreePlaces(id=refurbisher_id(event.refurbisher), consignment_id=event.consignment_id),
    ]


def settled(message: Message, event: DeviceReady | DeviceScrapped | DeviceLost) -> Commands:
    """It may come before the consignment's own arrival: another stream. The refurbisher is that of the topic."""
    return [SettleDevice(id=refurbisher_id(message.cell), consignment_id=event.consignment_id, device_id=message.stream)]


REACTIONS: Reactions = {
    DonationOffered: offered,
    DonationAccepted: accepted,
    DonationDeclined: declined,
    DonationWithdrawn: withdrawn,
    CapacityDeclared: capacity,
    ConsignmentReceived: received,
    ConsignmentTurnedDown: turned_down,
    DeviceReady: settled,
    DeviceScrapped: settled,
    DeviceLost: settled,
}

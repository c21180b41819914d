"""What routing and distribution tell -> commands."""

from collections.abc import Mapping, Sequence
from typing import Protocol
from uuid import UUID

from services.refurb.domain import consignment, device, whereabouts
from services.refurb.domain.consignment import Consignment
from services.refurb.domain.whereabouts import Step, whereabouts_stream
from services.refurb.reactions.names import expected_stream
from shared.aggregate import Command
from shared.consumer import Reactions
from shared.events.distribution import (
    DeviceDelivered,
    DeviceShipped,
    DeviceSold,
    StockLeft,
    StockReceived,
    StockWithdrawn,
)
from shared.events.routing import ConsignmentAssigned, ConsignmentEnded, ConsignmentScheduled
from shared.message import Message


def expectation(message: Message, event: ConsignmentAssigned) -> consignment.ConsignmentExpected:
    """What refurb needs of a consignment. When it was assigned is routing's to say, not the moment when we hear of it."""
    return consignment.ConsignmentExpected(
        consignment_id=event.consignment_id,
        reference=event.reference,
        donation_id=event.donation_id,
        donation_reference=event.donation_reference,
        refurbisher=event.refurbisher,
        donor_public=event.donor.status == "public",
        required_class=event.required_class,
        declared=event.declared,
        assigned_at=message.time,
        donor=event.donor.siren or (str(event.donor.person) if event.donor.person else event.donor.name),
        donor_name=event.donor.name,
    )


def scheduled(message: Message, event: ConsignmentScheduled) -> Sequence[Command]:
    """Note the day."""
    return [consignment.PlanCollection(id=expected_stream(message.stream), collection_date=event.collection_date)]


def ended(message: Message, event: ConsignmentEnded) -> Sequence[Command]:
    """Close what routing ended."""
    return [consignment.CloseConsignment(id=expected_stream(message.stream), reason=event.reason)]


def sold(_: Message, event: DeviceSold) -> Sequence[Command]:
    """Close the device that a person now has."""
    return [device.HandOverDevice(id=event.device_id, sale_id=event.sale_id, sold_at=event.sold_at)]


STEPS: Mapping[type, Step] = {
    DeviceShipped: "shipped",
    DeviceDelivered: "delivered",
    StockReceived: "workshop",
    StockLeft: "workshop",
    StockWithdrawn: "workshop",
}
"""Where a device is after what distribution tells. What left the stock, or enters it again, is where its own state says."""


def moved(_: Message, event: DeviceShipped | DeviceDelivered | StockReceived | StockLeft | StockWithdrawn) -> Sequence[Command]:
    """Note on whose shelf a ready device is."""
    where = whereabouts_stream(event.device_id)
    return [whereabouts.MoveDevice(id=where, device_id=event.device_id, step=STEPS[type(event)])]


class Consignments(Protocol):
    """Where a reaction looks a consignment up. Noting one early is harmless: commands check it in the transaction."""

    def get(self, consignment_id: UUID) -> Consignment | None: ...

    def note(self, expected: consignment.ConsignmentExpected) -> None: ...


def reactions(book: Consignments) -> Reactions:
    """What follows from what our own services tell. A consignment is noted at once: its devices may come in the same batch."""

    def assigned(message: Message, event: ConsignmentAssigned) -> Sequence[Command]:
        expected = expectation(message, event)
        book.note(expected)
        return [consignment.ExpectConsignment(id=expected_stream(event.consignment_id), expected=expected)]

    return {
        ConsignmentAssigned: assigned,
        ConsignmentScheduled: scheduled,
        ConsignmentEnded: ended,
        DeviceSold: sold,
        **dict.fromkeys(STEPS, moved),
    }

"""What refurb says of a device, as commands to the stock. Pure: dates come from the message."""

from services.distribution.domain.stock import ReceiveStock, WithdrawStock, item_id
from shared.consumer import Reactions
from shared.events.refurb import DeviceLost, DeviceReady, DeviceScrapped, DeviceTakenBack
from shared.message import Message


def ready(message: Message, event: DeviceReady) -> list[ReceiveStock]:
    """Take it into the stock of its refurbisher's region."""
    return [
        ReceiveStock(
            id=item_id(message.stream),
            device_id=message.stream,
            consignment_id=event.consignment_id,
            donation_id=event.donation_id,
            region=event.region,
            refurbisher=event.refurbisher,
            device_ref=event.device_ref,
            device_type=event.device_type,
            category=event.category,
            donor_public=event.donor_public,
            maker=event.maker,
            model=event.model,
            ready_at=message.time,
        )
    ]


def scrapped(message: Message, _: DeviceScrapped) -> list[WithdrawStock]:
    """It will not be sold. Most devices that are scrapped never were in stock: then nothing happens."""
    return [WithdrawStock(id=item_id(message.stream), reason="scrapped")]


def taken_back(message: Message, _: DeviceTakenBack) -> list[WithdrawStock]:
    """It came back: it may enter the stock again when it is ready again."""
    return [WithdrawStock(id=item_id(message.stream), reason="taken_back")]


def lost(message: Message, _: DeviceLost) -> list[WithdrawStock]:
    """Nobody can sell what cannot be found. Found again, it is checked and gets ready again."""
    return [WithdrawStock(id=item_id(message.stream), reason="lost")]


REACTIONS: Reactions = {DeviceReady: ready, DeviceScrapped: scrapped, DeviceTakenBack: taken_back, DeviceLost: lost}

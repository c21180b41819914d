"""Where a device goes when it does not simply get ready: lost and found, back from a sale, in for a repair. No I/O, no clock."""

from typing import assert_never

from services.refurb.domain.device import (
    BeginWarrantyRepair,
    Device,
    EndWarrantyRepair,
    FindDevice,
    HandOverDevice,
    LoseDevice,
    TakeBackDevice,
    WithdrawAudit,
    names,
)
from shared.errors import NotYet, Refused
from shared.events.refurb import (
    AuditWithdrawn,
    DeviceEvent,
    DeviceFound,
    DeviceHandedOver,
    DeviceLost,
    DeviceTakenBack,
    WarrantyRepairBegun,
    WarrantyRepairEnded,
)

Move = WithdrawAudit | LoseDevice | FindDevice | TakeBackDevice | BeginWarrantyRepair | EndWarrantyRepair | HandOverDevice


def received(device: Device) -> None:
    """Refuse for now what builds on the device's arrival."""
    if device.status == "expected":
        raise NotYet("device_not_received", where="/device_ref")


def open_(device: Device) -> None:
    """Refuse what would change a device on which all is said, or that nobody can have before them."""
    if device.status == "lost":
        raise Refused("device_lost", where="/device_ref")
    if device.status in {"ready", "scrapped", "sold", "in_repair"}:
        raise Refused("device_settled", status=device.status)


def move(device: Device, command: Move) -> list[DeviceEvent]:
    """Say what happens, or refuse. A command already carried out yields no event."""
    if isinstance(command, WithdrawAudit):
        return withdraw(device, command.serial)
    received(device)
    match command:
        case HandOverDevice():
            return hand_over(device, command)
        case LoseDevice(reason=reason):
            return lose(device, reason)
        case FindDevice():
            return [found(device)] if device.status == "lost" else []
        case TakeBackDevice(reason=reason):
            return [DeviceTakenBack(reason=reason, sale_id=sold(device).sale_id)]
        case BeginWarrantyRepair(fault=fault):
            if device.status == "in_repair":
                return []
            sale = sold(device).sale_id
            return [WarrantyRepairBegun(sale_id=sale, fault=fault)] if sale else []
        case EndWarrantyRepair(outcome=outcome):
            if device.status != "in_repair" or device.sale_id is None:
                raise Refused("device_not_in_repair", where="/device_ref", status=device.status)
            return [WarrantyRepairEnded(sale_id=device.sale_id, outcome=outcome)]
        case _:
            assert_never(command)


def withdraw(device: Device, serial: str) -> list[DeviceEvent]:
    """One that is in the workshop or in the stock says itself that a medium left it: there it can be looked at."""
    if not (names(device.audit, serial) or any(names(held.audited, serial) for held in device.held)):
        return []
    if device.status in {"received", "ready"}:
        raise Refused("medium_not_out", device=device.device_ref)
    return [AuditWithdrawn(serial=serial)]


def sold(device: Device) -> Device:
    """Refuse what only a sold device can do; of one that is ready, the sale may still be on its way to us."""
    if device.status in {"sold", "in_repair"}:
        return device
    kind = NotYet if device.status == "ready" else Refused
    raise kind("device_not_sold", where="/device_ref", status=device.status)


def lose(device: Device, reason: str) -> list[DeviceEvent]:
    """Only what is in the workshop or in the stock can be lost there."""
    if device.status == "lost":
        return []
    if device.status not in {"received", "ready"} or device.consignment_id is None or device.donation_id is None:
        raise Refused("device_settled", status=device.status)
    return [DeviceLost(consignment_id=device.consignment_id, donation_id=device.donation_id, reason=reason)]


def found(device: Device, *, sold_ready: bool = False) -> DeviceFound:
    if device.consignment_id is None or device.donation_id is None:
        raise AssertionError("a device that was received has both")
    return DeviceFound(consignment_id=device.consignment_id, donation_id=device.donation_id, sold_ready=sold_ready)


def hand_over(device: Device, command: HandOverDevice) -> list[DeviceEvent]:
    """A sale is a fact. It finds a device that was said lost after it had been ready: the till was quicker than the shelf."""
    if device.sale_id == command.sale_id:
        return []
    handed = DeviceHandedOver(sale_id=command.sale_id, sold_at=command.sold_at)
    if device.status == "lost" and device.category is not None:
        return [found(device, sold_ready=True), handed]
    if device.status != "ready":
        raise Refused("device_not_ready", status=device.status)
    return [handed]

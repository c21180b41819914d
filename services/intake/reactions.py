"""What the other services tell, as commands that keep what a donor wants to know. Dates are the publishers'."""

from collections.abc import Sequence

from services.intake.domain.chain import (
    CertificateNoted,
    CertificateReplaced,
    CollectionPlanned,
    ConsignmentClosed,
    ConsignmentNoted,
    DeviceMoved,
    DeviceNamed,
    DeviceNoted,
    DeviceStatus,
    NoteCertificate,
    NoteConsignment,
    NoteDevice,
    NoteSale,
    SaleNoted,
    Step,
    StepCode,
    StepNoted,
)
from shared.aggregate import Command
from shared.consumer import Reactions
from shared.events.certs import CertificateIssued, CertificateSuperseded
from shared.events.distribution import DeviceSold
from shared.events.refurb import (
    DeviceAudited,
    DeviceFound,
    DeviceLost,
    DeviceReady,
    DeviceReceived,
    DeviceScrapped,
    DeviceTakenBack,
)
from shared.events.routing import (
    CollectionFailed,
    ConsignmentAssigned,
    ConsignmentCollected,
    ConsignmentDelivered,
    ConsignmentEnded,
    ConsignmentRefused,
    ConsignmentScheduled,
    CountedAtPoint,
    ReceivedAtPoint,
    SentOn,
)
from shared.message import Message


def assigned(message: Message, event: ConsignmentAssigned) -> Sequence[Command]:
    """A refurbisher was chosen."""
    fact = ConsignmentNoted(
        donation_id=event.donation_id,
        reference=event.reference,
        refurbisher=event.refurbisher,
        distance_km=event.chosen.distance_km,
        load=event.chosen.load,
        candidates=1 + sum(other.excluded is None for other in event.others),
        reception_point=event.reception_point,
        replaces=event.replaces,
        at=message.time,
    )
    return [NoteConsignment(id=message.stream, fact=fact)]


def scheduled(message: Message, event: ConsignmentScheduled) -> Sequence[Command]:
    """A day for the collection."""
    return [NoteConsignment(id=message.stream, fact=CollectionPlanned(collection_date=event.collection_date))]


def collected(message: Message, event: ConsignmentCollected) -> Sequence[Command]:
    return _step(message, "collected", counted=event.counted)


def failed(message: Message, event: CollectionFailed) -> Sequence[Command]:
    return _step(message, "failed", note=event.reason)


def at_point(message: Message, event: ReceivedAtPoint) -> Sequence[Command]:
    return _step(message, "at_point", note=event.reception_point)


def counted_at_point(message: Message, event: CountedAtPoint) -> Sequence[Command]:
    return _step(message, "counted_at_point", counted=event.counted, note=event.reception_point)


def sent_on(message: Message, event: SentOn) -> Sequence[Command]:
    return _step(message, "sent_on", note=event.reception_point)


def delivered(message: Message, event: ConsignmentDelivered) -> Sequence[Command]:
    return _step(message, "delivered", counted=event.counted)


def refused(message: Message, event: ConsignmentRefused) -> Sequence[Command]:
    return _step(message, "refused", note=event.reason)


def ended(message: Message, event: ConsignmentEnded) -> Sequence[Command]:
    """Closed: refused, withdrawn, or given to another."""
    fact = ConsignmentClosed(reason=event.reason, next_id=event.next_id, at=message.time)
    return [NoteConsignment(id=message.stream, fact=fact)]


def device_received(message: Message, event: DeviceReceived) -> Sequence[Command]:
    """A device was identified. Its serial is left where it is."""
    fact = DeviceNoted(
        donation_id=event.donation_id,
        consignment_id=event.consignment_id,
        device_type=event.device_type,
        maker=event.maker,
        model=event.model,
        at=message.time,
        device_ref=event.device_ref,
    )
    return [NoteDevice(id=message.stream, fact=fact)]


def device_audited(message: Message, event: DeviceAudited) -> Sequence[Command]:
    """The machine says its maker and model."""
    return [NoteDevice(id=message.stream, fact=DeviceNamed(maker=event.maker, model=event.model))]


def device_ready(message: Message, event: DeviceReady) -> Sequence[Command]:
    return _moved(message, "ready", event.category)


def device_scrapped(message: Message, event: DeviceScrapped) -> Sequence[Command]:
    return _moved(message, "scrapped", event.reason)


def device_taken_back(message: Message, event: DeviceTakenBack) -> Sequence[Command]:
    return _moved(message, "taken_back", event.reason)


def device_lost(message: Message, event: DeviceLost) -> Sequence[Command]:
    return _moved(message, "lost", event.reason)


def device_found(message: Message, event: DeviceFound) -> Sequence[Command]:
    return _moved(message, "ready" if event.sold_ready else "received", "")


def certificate_issued(message: Message, event: CertificateIssued) -> Sequence[Command]:
    """A certificate can be downloaded."""
    fact = CertificateNoted(
        donation_id=event.donation_id,
        consignment_id=event.consignment_id,
        number=event.number,
        devices=event.devices,
        erased=event.erased,
        not_erased=event.not_erased,
        issued_at=event.issued_at,
    )
    return [NoteCertificate(id=message.stream, fact=fact)]


def certificate_superseded(message: Message, event: CertificateSuperseded) -> Sequence[Command]:
    return [NoteCertificate(id=message.stream, fact=CertificateReplaced(by_number=event.by_number))]


def sold(message: Message, event: DeviceSold) -> Sequence[Command]:
    """A person is equipped. Structure and voucher are not the donor's to know."""
    fact = SaleNoted(
        donation_id=event.donation_id,
        device_id=event.device_id,
        device_type=event.device_type,
        category=event.category,
        price_cents=event.price_cents,
        sold_at=event.sold_at,
    )
    return [NoteSale(id=event.sale_id, fact=fact)]


def _step(message: Message, code: StepCode, *, counted: int | None = None, note: str | None = None) -> Sequence[Command]:
    return [NoteConsignment(id=message.stream, fact=StepNoted(step=Step(code=code, at=message.time, counted=counted, note=note)))]


def _moved(message: Message, status: DeviceStatus, detail: str) -> Sequence[Command]:
    return [NoteDevice(id=message.stream, fact=DeviceMoved(status=status, detail=detail, at=message.time))]


REACTIONS: Reactions = {
    ConsignmentAssigned: assigned,
    ConsignmentScheduled: scheduled,
    ConsignmentCollected: collected,
    CollectionFailed: failed,
    ReceivedAtPoint: at_point,
    CountedAtPoint: counted_at_point,
    SentOn: sent_on,
    ConsignmentDelivered: delivered,
    ConsignmentRefused: refused,
    ConsignmentEnded: ended,
    DeviceReceived: device_received,
    DeviceAudited: device_audited,
    DeviceReady: device_ready,
    DeviceScrapped: device_scrapped,
    DeviceTakenBack: device_taken_back,
    DeviceLost: device_lost,
    DeviceFound: device_found,
    CertificateIssued: certificate_issued,
    CertificateSuperseded: certificate_superseded,
    DeviceSold: sold,
}

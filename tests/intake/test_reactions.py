"""What the others tell, as intake keeps it: each fact once, in the publisher's time."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from uuid import UUID, uuid4

from services.intake.app import CERTIFICATE, CONSIGNMENT, DEVICE, SALE
from services.intake.domain.chain import (
    CertificateNoted,
    CertificateReplaced,
    CollectionPlanned,
    ConsignmentClosed,
    ConsignmentNoted,
    DeviceMoved,
    DeviceNamed,
    DeviceNoted,
    SaleNoted,
    Step,
    StepNoted,
)
from services.intake.reactions import REACTIONS
from shared.aggregate import Aggregate, Command
from shared.events.base import Donor, Event
from shared.events.certs import CertificateIssued, CertificateSuperseded
from shared.events.distribution import DeviceSold
from shared.events.refurb import DeviceAudited, DeviceReady, DeviceReceived, DeviceScrapped, DeviceTakenBack
from shared.events.routing import (
    Candidate,
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
from tests.support.given import Scene, given

AT = datetime(2026, 11, 24, 8, tzinfo=UTC)
STREAM, DONATION_ID, CONSIGNMENT_ID, NEXT = uuid4(), uuid4(), uuid4(), uuid4()

ASSIGNED = ConsignmentAssigned(
    consignment_id=STREAM,
    reference="DON-7K3M-24PQ/1",
    donation_id=DONATION_ID,
    donation_reference="DON-7K3M-24PQ",
    refurbisher="trira",
    region="ara",
    postal_code="69007",
    donor=Donor(status="company", name="Mercerie Brindille SAS"),
    required_class="Clear",
    declared={"laptop": 12},
    chosen=Candidate(refurbisher="trira", distance_km=31, load=0.4, cost=43.4),
    others=(Candidate(refurbisher="ares", distance_km=470, load=0.1, cost=517.0),),
    rules="planner-2026-01",
)
NOTED = ConsignmentNoted(
    donation_id=DONATION_ID,
    reference="DON-7K3M-24PQ/1",
    refurbisher="trira",
    distance_km=31,
    load=0.4,
    candidates=2,
    at=AT,
)
RECEIVED = DeviceReceived(
    consignment_id=CONSIGNMENT_ID,
    donation_id=DONATION_ID,
    refurbisher="trira",
    region="ara",
    device_ref="T-1",
    device_type="laptop",
    donor_public=False,
    maker="Lenovo",
    model="T480",
    serial="PF-SECRET",
)
DEVICE_NOTED = DeviceNoted(
    donation_id=DONATION_ID,
    consignment_id=CONSIGNMENT_ID,
    device_type="laptop",
    maker="Lenovo",
    model="T480",
    at=AT,
    device_ref="T-1",
)


def message(event: Event, stream: UUID = STREAM) -> Message:
    return Message("t.trira", 0, 0, stream, 1, event.type, AT, {}, event.model_dump_json().encode())


def follows(event: Event) -> Sequence[Command]:
    return REACTIONS[type(event)](message(event), event)


def after(scene: Scene, event: Event, *facts: Event) -> Scene:
    """The event is kept as these facts, and kept once however often it is told."""
    (command,) = follows(event)
    scene = scene.when(command).then(*facts)
    scene.when(command).then()
    return scene


def step(code: str, counted: int | None = None, note: str | None = None) -> StepNoted:
    return StepNoted(step=Step(code=code, at=AT, counted=counted, note=note))


def fresh(aggregate: Aggregate) -> Scene:
    return given(aggregate)


def test_a_consignment_from_choice_to_count() -> None:
    scene = after(fresh(CONSIGNMENT), ASSIGNED, NOTED)
    scene = after(
        scene, ConsignmentScheduled(collection_date=date(2026, 12, 1)), CollectionPlanned(collection_date=date(2026, 12, 1))
    )
    scene = after(scene, CollectionFailed(reason="closed"), step("failed", note="closed"))
    scene = after(scene, ConsignmentCollected(counted=12, pallets=2), step("collected", 12))
    scene = after(scene, ReceivedAtPoint(reception_point="lyon"), step("at_point", note="lyon"))
    scene = after(scene, CountedAtPoint(reception_point="lyon", counted=12), step("counted_at_point", 12, "lyon"))
    scene = after(scene, SentOn(reception_point="lyon"), step("sent_on", note="lyon"))
    scene = after(scene, ConsignmentDelivered(counted=11), step("delivered", 11))
    codes = [one.code for one in scene.state.steps]
    assert codes == ["failed", "collected", "at_point", "counted_at_point", "sent_on", "delivered"]
    assert scene.state.step("delivered").counted == 11


def test_a_refusal_ends_a_consignment_and_names_the_next() -> None:
    scene = after(given(CONSIGNMENT, NOTED), ConsignmentRefused(reason="full"), step("refused", note="full"))
    ended = ConsignmentEnded(reason="refused", next_id=NEXT, next_refurbisher="ares")
    after(scene, ended, ConsignmentClosed(reason="refused", next_id=NEXT, at=AT)).leaves(ended="refused", next_id=NEXT)


def test_a_device_is_kept_without_its_serial() -> None:
    scene = after(fresh(DEVICE), RECEIVED, DEVICE_NOTED)
    assert "SECRET" not in "".join(event.model_dump_json() for event in given(DEVICE).when(follows(RECEIVED)[0]).decided())
    audited = DeviceAudited(media=(), model="20L50000FR", serial="PF-SECRET")
    scene = after(scene, audited, DeviceNamed(model="20L50000FR"))
    assert (scene.state.device_ref, scene.state.maker, scene.state.model) == ("T-1", "Lenovo", "20L50000FR")
    kept = {"consignment_id", "donation_id", "refurbisher", "region", "device_ref", "device_type", "donor_public"}
    ready = DeviceReady(**RECEIVED.model_dump(include=kept), category="B")
    scene = after(scene, ready, DeviceMoved(status="ready", detail="B", at=AT))
    scene = after(scene, DeviceTakenBack(reason="returned"), DeviceMoved(status="taken_back", detail="returned", at=AT))
    scrapped = DeviceScrapped(consignment_id=CONSIGNMENT_ID, donation_id=DONATION_ID, reason="not_repairable")
    after(scene, scrapped, DeviceMoved(status="scrapped", detail="not_repairable", at=AT)).leaves(status="scrapped")


def test_a_certificate_and_its_correction() -> None:
    issued = CertificateIssued(
        number="MC-1",
        consignment_id=CONSIGNMENT_ID,
        donation_id=DONATION_ID,
        refurbisher="trira",
        devices=12,
        erased=11,
        not_erased=1,
        issued_at=AT,
        document_sha256="0" * 64,
        leaf_index=0,
        leaf_hash="0" * 64,
    )
    noted = CertificateNoted(
        donation_id=DONATION_ID, consignment_id=CONSIGNMENT_ID, number="MC-1", devices=12, erased=11, not_erased=1, issued_at=AT
    )
    scene = after(fresh(CERTIFICATE), issued, noted)
    superseded = CertificateSuperseded(number="MC-1", by_number="MC-2", reason="name")
    after(scene, superseded, CertificateReplaced(by_number="MC-2")).leaves(replaced_by="MC-2")


def test_a_sale_is_kept_without_who_and_where() -> None:
    sold = DeviceSold(
        sale_id=uuid4(),
        device_id=STREAM,
        consignment_id=CONSIGNMENT_ID,
        donation_id=DONATION_ID,
        refurbisher="trira",
        device_type="laptop",
        category="B",
        structure="STR-0001",
        voucher_id=uuid4(),
        price_cents=8000,
        price_rules="price-2026-01",
        sold_at=AT,
        warranty_until=date(2028, 11, 24),
    )
    noted = SaleNoted(donation_id=DONATION_ID, device_id=STREAM, device_type="laptop", category="B", price_cents=8000, sold_at=AT)
    after(fresh(SALE), sold, noted)
    assert follows(sold)[0].id == sold.sale_id


def test_what_comes_before_its_first_word_waits() -> None:
    given(CONSIGNMENT).when(follows(ConsignmentDelivered(counted=1))[0]).refuses("consignment_unknown")
    given(DEVICE).when(follows(DeviceTakenBack(reason="x"))[0]).refuses("device_unknown")
    superseded = CertificateSuperseded(number="MC-1", by_number="MC-2", reason="name")
    given(CERTIFICATE).when(follows(superseded)[0]).refuses("certificate_unknown")

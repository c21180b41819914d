"""The steps that are kept, who held what after each, and what is noted of a verdict."""

from datetime import timedelta
from uuid import uuid4

from services.certs import reactions
from services.certs.app import ACCOUNT, TRAIL
from services.certs.domain.account import MOST, AccountNoted, NoteAccount, Noted, account_id
from services.certs.domain.ledger import Sum, Verdict, followed
from services.certs.domain.passage import Breach
from services.certs.domain.trail import NOBODY, Holder, NoteStep, Stay, Step, StepNoted, stays, trail_id
from shared.events.distribution import DeviceSold
from shared.events.refurb import DeviceAudited, DeviceReceived, MediumRemoved
from tests.certs.chain import SHOP, Chain, Kept, messages
from tests.certs.samples import AT
from tests.support.given import given

C = Chain(mark="7K3M24PQ")
DEVICE = C.device("1")
HERE = trail_id("device", DEVICE)
RECEIVED, AUDITED = (m for m in messages(C.made_ready("1")) if m.type in {DeviceReceived.type, DeviceAudited.type})
ARRIVED = Step(
    what="received",
    at=AT,
    topic=C.refurb,
    stream=DEVICE,
    number=1,
    who="trira",
    reference="7K3M24PQ-1",
    serial="SN-7K3M24PQ-1",
    consignment_id=C.consignment,
    donation_id=C.donation,
)
READ = Step(
    what="audited",
    at=AT + timedelta(minutes=1),
    topic=C.refurb,
    stream=DEVICE,
    number=2,
    who="trira",
    serial="SN-7K3M24PQ-1",
    media=("DISK-7K3M24PQ-1",),
)


def note(step: Step) -> NoteStep:
    return NoteStep(id=HERE, kind="device", subject=DEVICE, step=step)


def noted(step: Step) -> StepNoted:
    return StepNoted(kind="device", subject=DEVICE, step=step)


def test_an_event_becomes_a_step_with_its_place_and_who_says_it() -> None:
    assert reactions.traced(RECEIVED, C.arrived("1")) == [note(ARRIVED)]
    assert reactions.traced(AUDITED, C.audited("1")) == [note(READ)]


def test_a_sale_is_kept_by_its_structure_without_voucher_or_price() -> None:
    [(topic, stream, event)] = C.sold("1", price=0)
    [message] = messages([(topic, stream, event)])
    assert isinstance(event, DeviceSold)
    given_away = Step(
        what="given",
        at=AT,
        topic=topic,
        stream=stream,
        number=1,
        who=SHOP,
        reference="7K3M24PQ-1",
        sale_id=event.sale_id,
        times=1,
        consignment_id=C.consignment,
        donation_id=C.donation,
    )
    assert reactions.traced(message, event) == [note(given_away)]


def test_a_step_is_noted_once_and_stands_at_its_place() -> None:
    late = given(TRAIL).when(note(READ)).then(noted(READ)).when(note(READ)).then().leaves(donation_id=NOBODY, reference="")
    whole = late.when(note(ARRIVED)).then(noted(ARRIVED)).state
    assert whole == given(TRAIL, noted(ARRIVED), noted(READ)).state
    assert (whole.steps, whole.donation_id, whole.consignment_id) == ((ARRIVED, READ), C.donation, C.consignment)
    assert (whole.reference, whole.named) == ("7K3M24PQ-1", ("medium:DISK-7K3M24PQ-1", "serial:SN-7K3M24PQ-1"))


def test_who_had_a_device_after_each_step() -> None:
    kept = Kept().hear(messages(C.whole()))
    first = next(t for t in followed(kept.trails.values()) if t.trail.subject == DEVICE)
    refurbisher, carrier = Holder(role="refurbisher", name="trira"), Holder(role="carrier")
    structure, person = Holder(role="structure", name=SHOP), Holder(role="beneficiary")
    assert [(step.what, has) for step, has in first.steps] == [
        ("received", refurbisher),
        ("audited", refurbisher),
        ("ready", refurbisher),
        ("stocked", refurbisher),
        ("shipped", carrier),
        ("delivered", structure),
        ("left", structure),
        ("sold", person),
        ("handed_over", person),
    ]
    assert [t.trail.kind for t in followed(kept.trails.values())] == ["donation", "consignment", *["device"] * 4]
    assert [t.bucket for t in followed(kept.trails.values())] == ["", "", "sold", "given", "scrapped", "stock"]


def test_a_medium_stays_until_it_is_removed_or_no_audit_names_it() -> None:
    disk, other = C.disk("1"), C.disk("2")
    told = C.at_work(
        "1",
        DeviceAudited(media=(disk,)),
        MediumRemoved(medium=disk, to="spare"),
        DeviceAudited(media=(other,)),
        DeviceAudited(media=(disk,)),
    )
    [trail] = Kept().hear(messages(told)).trails.values()
    named, removed, changed, again = trail.steps
    first, second = f"medium:{disk.serial}".upper().replace("MEDIUM", "medium"), f"medium:{other.serial}"
    assert stays(trail) == [
        Stay(name=first, since=named, until=removed),
        Stay(name=second, since=changed, until=again),
        Stay(name=first, since=again),
    ]


SUMS = (Sum(name="collected", whole=4, parts={"received": 3, "on_its_way": 0}, state="broken"),)
OPEN = (SUMS[0].model_copy(update={"state": "open"}),)
LOST = Breach(
    code="lost_in_transit",
    kind="consignment",
    subject=C.consignment,
    reference="X/1",
    step=ARRIVED,
    holder=Holder(role="carrier"),
)
MAYBE = LOST.model_copy(update={"code": "more_than_counted", "sure": False})
PATIENCE = timedelta(minutes=10)
ACCOUNT_ID = account_id(C.donation)


def found(*breaches: Breach, minutes: int = 0, sums: tuple[Sum, ...] = SUMS) -> NoteAccount:
    verdict = Verdict(reference="X", sums=sums, breaches=breaches)
    at = AT + timedelta(minutes=minutes)
    return NoteAccount(id=ACCOUNT_ID, donation_id=C.donation, verdict=verdict, patience=PATIENCE, noted_at=at)


def said(state: str, *of: Noted, minutes: int = 0, sums: tuple[Sum, ...] = SUMS) -> AccountNoted:
    at = AT + timedelta(minutes=minutes)
    told = {"donation_id": C.donation, "reference": "X", "state": state, "sums": sums, "noted": of, "noted_at": at}
    return AccountNoted.model_validate(told)


def test_what_is_sure_is_broken_at_once_and_noted_once() -> None:
    broken = said("broken", Noted(breach=LOST, since=AT, broken=True))
    given(ACCOUNT).when(found(LOST)).then(broken).when(found(LOST, minutes=5)).then().leaves(noted_at=AT)


def test_what_may_be_explained_is_waited_for_from_when_it_was_seen() -> None:
    waiting = said("waiting", Noted(breach=MAYBE, since=AT, broken=False), sums=OPEN)
    broken = said("broken", Noted(breach=MAYBE, since=AT, broken=True), minutes=10)
    scene = given(ACCOUNT).when(found(MAYBE)).then(waiting).when(found(MAYBE, minutes=9)).then()
    scene = scene.when(found(MAYBE, minutes=10)).then(broken)
    scene.when(found(minutes=11, sums=())).then(said("holds", minutes=11, sums=()))


def test_what_came_and_went_is_waited_for_anew() -> None:
    scene = given(ACCOUNT).when(found(MAYBE)).then(said("waiting", Noted(breach=MAYBE, since=AT, broken=False), sums=OPEN))
    scene = scene.when(found(minutes=1, sums=OPEN)).then(said("open", minutes=1, sums=OPEN))
    since = AT + timedelta(minutes=30)
    scene.when(found(MAYBE, minutes=30)).then(
        said("waiting", Noted(breach=MAYBE, since=since, broken=False), minutes=30, sums=OPEN)
    )


def test_a_flood_of_breaches_stays_an_event_that_can_be_kept() -> None:
    many = [LOST.model_copy(update={"subject": uuid4()}) for _ in range(MOST + 1)]
    [event] = given(ACCOUNT).when(found(*many)).decided()
    assert isinstance(event, AccountNoted)
    assert len(event.noted) == MOST
    assert len(event.model_dump_json()) < 500_000

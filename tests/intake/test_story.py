from dataclasses import replace
from datetime import date, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from services.intake.app import DATA, DONATION
from services.intake.domain import story
from services.intake.domain.chain import Certificate, Consignment, Device, Sale, Step, StepCode
from services.intake.domain.donation import Donation
from services.intake.domain.story import Count, Late, Story, Told, tell
from tests.intake.samples import NOW, TODAY, offered
from tests.support.given import folded, given

PROMISES = story.read((DATA / "promises-2026-01.yaml").read_text("utf-8"))
COMMAND = offered(laptop="2", desktop="10", smartphone="").command
ACCEPTED: Donation = folded(DONATION, DONATION.new, given(DONATION).when(COMMAND).decided())
ONE, TWO = uuid4(), uuid4()


def at(days: int) -> datetime:
    return NOW + timedelta(days=days)


def way(*steps: tuple[StepCode, int, int], **changes: object) -> Consignment:
    """A consignment assigned on day 0 that did these steps: (code, day, counted)."""
    return replace(
        Consignment(
            donation_id=COMMAND.id,
            reference=f"{COMMAND.reference}/1",
            refurbisher="trira",
            distance_km=31,
            load=0.4,
            candidates=3,
            assigned_at=NOW,
            collection_date=date(2026, 12, 14),
            steps=tuple(Step(code=code, at=at(day), counted=counted) for code, day, counted in steps),
        ),
        **changes,  # type: ignore[arg-type]
    )


def device(status: str, day: int, kind: str = "desktop", consignment: UUID = ONE) -> Device:
    return Device(
        donation_id=COMMAND.id,
        consignment_id=consignment,
        device_type=kind,  # type: ignore[arg-type]
        status=status,  # type: ignore[arg-type]
        received_at=at(21),
        settled_at=None if status == "received" else at(day),
    )


def made(
    *,
    donation: Donation = ACCEPTED,
    ways: dict[UUID, Consignment] | None = None,
    devices: list[Device] | None = None,
    certificates: list[Certificate] | None = None,
    sales: list[Sale] | None = None,
    today: date = TODAY,
) -> Story:
    return tell(
        donation,
        ways or {},
        {uuid4(): row for row in devices or []},
        {uuid4(): row for row in certificates or []},
        {uuid4(): row for row in sales or []},
        today=today,
        promises=PROMISES,
    )


def states(told: Story) -> list[tuple[str, str]]:
    return [(step.name, step.state) for step in told.steps]


def test_just_accepted() -> None:
    told = made()
    assert told.steps[:3] == (
        Told(name="offered", state="done", when=NOW),
        Told(name="decided", state="done", when=NOW),
        Told(name="assigned", state="now"),
    )
    assert {step.state for step in told.steps[3:]} == {""}
    assert told.counts == (
        Count(device_type="laptop", declared=2, received=0, ready=0, scrapped=0, sold=0),
        Count(device_type="desktop", declared=10, received=0, ready=0, scrapped=0, sold=0),
    )
    assert (told.declared, told.collected, told.received, told.headline) == (12, None, None, "decided")


def test_the_whole_way() -> None:
    devices = [device("ready", 30) for _ in range(10)] + [device("ready", 33, "laptop"), device("scrapped", 32, "laptop")]
    certificate = Certificate(consignment_id=ONE, number="MC-1", devices=12, erased=11, not_erased=1, issued_at=at(34))
    sales = [Sale(device_type="desktop", sold_at=at(40 + n)) for n in range(10)] + [Sale(device_type="laptop", sold_at=at(38))]
    told = made(
        ways={ONE: way(("collected", 21, 12), ("delivered", 22, 12))}, devices=devices, certificates=[certificate], sales=sales
    )
    assert told == Story(
        steps=(
            Told(name="offered", state="done", when=NOW),
            Told(name="decided", state="done", when=NOW),
            Told(name="assigned", state="done", when=NOW),
            Told(name="collected", state="done", when=at(21)),
            Told(name="counted", state="done", when=at(22)),
            Told(name="settled", state="done", when=at(33)),
            Told(name="certified", state="done", when=at(34)),
            Told(name="sold", state="done", when=at(49)),
        ),
        counts=(
            Count(device_type="laptop", declared=2, received=2, ready=1, scrapped=1, sold=1),
            Count(device_type="desktop", declared=10, received=10, ready=10, scrapped=0, sold=10),
        ),
        declared=12,
        collected=12,
        received=12,
        ready=11,
        scrapped=1,
        lost=0,
        sold=11,
        late=(),
        headline="sold",
    )


def test_one_of_two_consignments_holds_the_step_open() -> None:
    ways = {ONE: way(("collected", 21, 10), ("delivered", 22, 10)), TWO: way(("collected", 23, 2))}
    told = made(ways=ways, devices=[device("ready", 30) for _ in range(10)])
    assert states(told)[2:6] == [("assigned", "done"), ("collected", "done"), ("counted", "now"), ("settled", "")]
    assert (told.collected, told.received) == (12, 10)


def test_an_ended_consignment_no_longer_counts() -> None:
    ways = {ONE: way(("refused", 1, 0), ended="refused", ended_at=at(1), next_id=TWO), TWO: way(assigned_at=at(1))}
    told = made(ways=ways)
    assert told.steps[2] == Told(name="assigned", state="done", when=at(1))
    assert made(ways={ONE: ways[ONE]}).steps[2].state == "now"


def test_delivered_without_a_word_of_the_driver() -> None:
    told = made(ways={ONE: way(("delivered", 22, 11))})
    assert states(told)[3:5] == [("collected", "done"), ("counted", "done")]
    assert (told.collected, told.received) == (None, 11)


@pytest.mark.parametrize("not_erased, headline", [(0, "certified"), (1, "certified_in_part")])
def test_nothing_is_called_erased_that_is_not_proven(not_erased: int, headline: str) -> None:
    certificate = Certificate(consignment_id=ONE, number="MC-1", devices=2, not_erased=not_erased, issued_at=at(34))
    told = made(
        ways={ONE: way(("delivered", 22, 2))}, devices=[device("ready", 30), device("scrapped", 31)], certificates=[certificate]
    )
    assert told.headline == headline


def test_a_certificate_that_was_replaced_is_none() -> None:
    old = Certificate(consignment_id=ONE, number="MC-1", issued_at=at(34), replaced_by="MC-2")
    assert made(ways={ONE: way(("delivered", 22, 1))}, devices=[device("ready", 30)], certificates=[old]).steps[6].state == "now"


def test_a_no_and_a_withdrawal_cut_the_chain() -> None:
    declined = replace(ACCEPTED, status="declined", outcome="refused")
    assert states(made(donation=declined)) == [("offered", "done"), ("decided", "cut")]
    assert made(donation=declined).headline == "declined"
    withdrawn = replace(ACCEPTED, status="withdrawn", withdrawn_at=at(2))
    assert made(donation=withdrawn, ways={ONE: way()}).steps[-1] == Told(name="collected", state="cut", when=at(2))
    assert made(donation=withdrawn, today=at(300).date()).late == ()


@pytest.mark.parametrize(
    "ways, devices, days, name, due",
    [
        ({}, [], 2, None, None),
        ({}, [], 3, "assigned", 2),
        ({ONE: way()}, [], 21, None, None),
        ({ONE: way()}, [], 22, "collected", 21),
        ({ONE: way(collection_date=None)}, [], 300, None, None),
        ({ONE: way(("collected", 21, 12))}, [], 31, None, None),
        ({ONE: way(("collected", 21, 12))}, [], 32, "counted", 31),
        ({ONE: way(("delivered", 22, 1))}, [device("received", 0)], 67, None, None),
        ({ONE: way(("delivered", 22, 1))}, [device("received", 0)], 68, "settled", 67),
        ({ONE: way(("delivered", 22, 1))}, [device("scrapped", 30)], 33, None, None),
        ({ONE: way(("delivered", 22, 1))}, [device("scrapped", 30)], 34, "certified", 33),
    ],
)
def test_what_is_late(
    ways: dict[UUID, Consignment], devices: list[Device], days: int, name: story.StepName | None, due: int | None
) -> None:
    told = made(ways=ways, devices=devices, today=at(days).date())
    reference = f"{COMMAND.reference}/1" if ways else ""
    assert told.late == (() if name is None else (Late(name=name, due=at(due or 0).date(), consignment=reference),))

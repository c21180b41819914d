"""The view of load and lateness on the real broker: counted from the topics, rebuilt from them, stopped by nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from services.routing.domain.standing import FIGURES, View, adds
from services.routing.settings import RoutingSettings
from services.routing.streams import LoadView
from shared.events.base import Event, stream_id
from shared.events.refurb import DeviceReady, DeviceScrapped
from shared.events.routing import CollectionFailed, ConsignmentDelivered, ConsignmentEnded, ConsignmentScheduled
from tests.routing.conftest import remake
from tests.routing.samples import assigned
from tests.support.platform import until
from tests.support.service import Ground, Publisher

MONDAY = datetime.now(UTC).replace(hour=9, minute=0, second=0, microsecond=0) - timedelta(days=14 + datetime.now(UTC).weekday())
TOPICS = {"routing.consignments": "refurbishers", "refurb.devices": "refurbishers"}


@pytest.mark.parametrize(
    "event, at, expected",
    [
        (assigned(), MONDAY, {"assigned": 12}),
        (ConsignmentEnded(reason="refused", declared=12), MONDAY, {"given_back": 12}),
        (ConsignmentDelivered(counted=9), MONDAY, {"arrived": 9, "deliveries": 1, "late": 0, "late_days": 0}),
        (ConsignmentDelivered(counted=7, corrects=9), MONDAY, {"arrived": -2}),
        (
            ConsignmentDelivered(counted=9, planned=MONDAY.date() - timedelta(days=7)),
            MONDAY,
            {"arrived": 9, "deliveries": 1, "late": 0, "late_days": 0},
        ),
        (
            ConsignmentDelivered(counted=9, planned=MONDAY.date() - timedelta(days=10)),
            MONDAY,
            {"arrived": 9, "deliveries": 1, "late": 1, "late_days": 3},
        ),
        (CollectionFailed(reason="absent"), MONDAY, {"failed": 1}),
        (DeviceScrapped(consignment_id=uuid4(), donation_id=uuid4(), reason="broken"), MONDAY, {"scrapped": 1}),
        (ConsignmentScheduled(collection_date=MONDAY.date()), MONDAY, {}),
    ],
    ids=[
        "assigned",
        "given back",
        "no day",
        "counted again",
        "the last day in time",
        "three days late",
        "missed",
        "scrapped",
        "says nothing",
    ],
)
def test_what_an_event_adds(event: Event, at: datetime, expected: dict[str, int]) -> None:
    assert adds(event, at, delivered_within_days=7) == expected


def test_days_add_up_to_weeks_from_monday_to_sunday() -> None:
    days = {("trira", date(2026, 11, 23)): {"assigned": 3}, ("trira", date(2026, 11, 29)): {"assigned": 4, "late": 1}}
    view = View(days={**days, ("trira", date(2026, 11, 30)): {"assigned": 5}, ("ares", date(2026, 11, 30)): {"ready": 1}})
    found = [(monday, slug, figures["assigned"], figures["late"], figures["ready"]) for monday, slug, figures in view.by_week()]
    assert found == [
        (date(2026, 11, 30), "ares", 0, 0, 1),
        (date(2026, 11, 30), "trira", 5, 0, 0),
        (date(2026, 11, 23), "trira", 7, 1, 0),
    ]


@asynccontextmanager
async def counting(ground: Ground) -> AsyncIterator[View]:
    """The view at work until the block ends; then its memory is gone."""
    settings = ground.settings(RoutingSettings, "routing", "postgresql://unused")
    view = View()
    names = [f"{ground.prefix}{family}.{name}" for family in TOPICS for name in ("trira", "ares")]
    at_work = LoadView(
        settings=settings, view=view, topics=names, delivered_within_days=7, app_id=f"{ground.prefix}routing-views"
    )
    task = asyncio.create_task(at_work.run())
    try:
        yield view
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def shows(view: View, refurbisher: str, day: datetime, **expected: int) -> Callable[[], bool]:
    """Tell whether the view is right and these are its figures, all others zero."""
    whole = dict.fromkeys(FIGURES, 0) | expected
    return lambda: view.state == "ready" and view.days.get((refurbisher, day.date())) == whole


def ready(consignment: UUID) -> DeviceReady:
    return DeviceReady(
        consignment_id=consignment,
        donation_id=uuid4(),
        refurbisher="trira",
        region="ara",
        device_ref="A",
        device_type="laptop",
        category="B",
        donor_public=False,
    )


async def one_week(ground: Ground, publisher: Publisher) -> None:
    """A consignment of twelve to trira, three days late; four devices ready; one refused by ares."""
    given, refused = uuid4(), uuid4()
    late = ConsignmentDelivered(counted=11, declared=12, planned=MONDAY.date() - timedelta(days=10))
    await publisher.tell("routing.consignments.trira", given, assigned(given), late, at=MONDAY)
    back = ConsignmentEnded(reason="refused", declared=12)
    await publisher.tell("routing.consignments.ares", refused, assigned(refused, "ares"), back, at=MONDAY)
    for name in "ABCD":
        await publisher.tell("refurb.devices.trira", stream_id("device", ground.prefix, name), ready(given), at=MONDAY)


TRIRA = {"assigned": 12, "arrived": 11, "deliveries": 1, "late": 1, "late_days": 3, "ready": 4}
ARES = {"assigned": 12, "given_back": 12}


async def test_the_view_counts_survives_bad_messages_and_is_rebuilt(ground: Ground, changelog: str) -> None:
    await ground.make_topics(TOPICS)
    publisher = Publisher(ground)
    await one_week(ground, publisher)

    # counted from the beginning
    async with counting(ground) as view:
        assert (view.state, view.last_right) == ("rebuilding", None)
        await until(shows(view, "trira", MONDAY, **TRIRA), 40)
        await until(shows(view, "ares", MONDAY, **ARES))
        assert view.last_right is not None

        # what cannot be read is counted apart, and what follows it counts
        bad = {"ce_type": "routing.consignment_assigned.v1", "ce_subject": str(uuid4()), "ce_streamversion": "1"}
        for value, headers in [
            (b"{", bad | {"ce_time": MONDAY.isoformat()}),
            (b"{}", bad),
            (b"{}", {}),
            (b"\xff\x00", bad | {"ce_time": "yesterday"}),
        ]:
            await publisher.raw("routing.consignments.trira", b"k", value, headers)
        tuesday = MONDAY + timedelta(days=1)
        streams = [uuid4() for _ in range(6)]  # in every partition
        for stream in streams:
            await publisher.tell("routing.consignments.trira", stream, assigned(stream), at=tuesday)
        await until(shows(view, "trira", tuesday, assigned=72), 40)
        assert view.skipped == 4

        # a repeat on the topic counts once
        await publisher.send("routing.consignments.trira", [publisher.row(s, 1, assigned(s), tuesday) for s in streams])
        last = uuid4()
        await publisher.tell("routing.consignments.trira", last, assigned(last), at=tuesday)
        await until(shows(view, "trira", tuesday, assigned=84), 40)

    # its process ended: memory is gone, the changelog remains
    async with counting(ground) as view:
        await until(shows(view, "trira", tuesday, assigned=84), 40)
        assert shows(view, "trira", MONDAY, **TRIRA)()
        assert view.skipped == 0

    # its store is thrown away, changelog and all: read again from the topics
    await remake(ground, changelog, partitions=2)
    async with counting(ground) as view:
        await until(shows(view, "trira", tuesday, assigned=84), 40)
        assert shows(view, "trira", MONDAY, **TRIRA)()
        assert shows(view, "ares", MONDAY, **ARES)()
        assert view.skipped == 4


async def test_a_view_that_does_not_come_up_is_reported(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """No changelog topic, no rights to make one: the page says so, nothing else stops."""
    monkeypatch.setattr("services.routing.streams.REPORTED_AFTER_S", 1.0)
    async with counting(ground) as view:  # its topics do not exist either
        await until(lambda: view.state == "late", 20)
        assert view.last_right is None

"""The wish of a donation and the places of a refurbisher: what the planner's decisions meet at."""

from datetime import date, timedelta
from uuid import UUID

from services.routing.app import REFURBISHER, WISH
from services.routing.domain.refurbishers import (
    CapacityNoted,
    CountPlaces,
    DeviceSettled,
    FreePlaces,
    Held,
    NoteCapacity,
    PlacesCounted,
    PlacesFreed,
    PlacesTaken,
    SettleDevice,
    TakePlaces,
    refurbisher_id,
)
from services.routing.domain.wishes import (
    ConfirmWish,
    DropWish,
    LetWait,
    NoteWish,
    Part,
    PlaceWish,
    ReopenWish,
    WishConfirmed,
    WishDropped,
    WishNoted,
    WishPlaced,
    WishReopened,
    WishWaits,
    consignment_id,
)
from shared.events.base import stream_id
from shared.events.routing import Candidate
from tests.routing.samples import DONATION, DONOR, NOW
from tests.support.given import given

NOTED = WishNoted(
    reference="DON-7K3M-24PQ",
    donor=DONOR,
    region="ara",
    postal_code="69007",
    devices={"laptop": 12, "screen": 3},
    required_class="Clear",
    available_from=date(2026, 11, 24),
)
CONFIRMED = WishConfirmed(by_point=False, at=NOW)
FIRST, SECOND = consignment_id(DONATION, 1), consignment_id(DONATION, 2)
PLACED = WishPlaced(part=Part(consignment_id=FIRST, refurbisher="trira", devices={"laptop": 12}))
BUSY = (Candidate(refurbisher="trira", distance_km=27, load=1.0, cost=327.0, excluded="capacity"),)
TRIRA = refurbisher_id("trira")


def place(consignment: UUID = FIRST, refurbisher: str = "trira", laptops: int = 12) -> PlaceWish:
    return PlaceWish(id=DONATION, consignment_id=consignment, refurbisher=refurbisher, devices={"laptop": laptops})


def test_a_donation_is_noted_without_what_is_not_there() -> None:
    command = NoteWish(
        id=DONATION,
        reference=NOTED.reference,
        donor=DONOR,
        region="ara",
        postal_code="69007",
        devices={"laptop": 12, "screen": 3, "printer": 0},
        required_class="Clear",
        available_from=NOTED.available_from,
    )
    given(WISH).when(command).then(NOTED).leaves(open=False).when(command).then()


def test_triage_opens_it() -> None:
    scene = given(WISH, NOTED).when(ConfirmWish(id=DONATION, by_point=False, at=NOW)).then(CONFIRMED)
    scene.leaves(open=True, status="accepted").when(ConfirmWish(id=DONATION, by_point=False, at=NOW)).then()


def test_a_decision_about_an_unknown_donation_is_waited_for() -> None:
    given(WISH).when(ConfirmWish(id=DONATION, by_point=False, at=NOW)).refuses("donation_unknown")
    given(WISH).when(DropWish(id=DONATION, why="withdrawn")).refuses("donation_unknown")


def test_parts_are_placed_until_nothing_remains() -> None:
    scene = given(WISH, NOTED, CONFIRMED).when(place()).then(PLACED).leaves(open=True)
    assert scene.state.remaining == {"screen": 3}
    scene.when(place()).then()  # the planner, cut off and started again
    rest = PlaceWish(id=DONATION, consignment_id=SECOND, refurbisher="ares", devices={"screen": 3})
    placed = WishPlaced(part=Part(consignment_id=SECOND, refurbisher="ares", devices={"screen": 3}))
    scene.when(rest).then(placed).leaves(open=False)


def test_what_the_planner_relied_on_is_checked_again() -> None:
    given(WISH, NOTED).when(place()).refuses("donation_not_wanted", status="offered")
    dropped = WishDropped(why="withdrawn")
    given(WISH, NOTED, CONFIRMED, dropped).when(place()).refuses("donation_not_wanted", status="dropped")
    given(WISH, NOTED, CONFIRMED).when(place(SECOND)).refuses("not_the_next_consignment")
    given(WISH, NOTED, CONFIRMED).when(place(laptops=13)).refuses("already_placed")
    given(WISH, NOTED, CONFIRMED, PLACED).when(place(SECOND)).refuses("already_placed")


def test_a_refusal_opens_it_again_for_everyone_else() -> None:
    reopened = WishReopened(consignment_id=FIRST, refurbisher="trira")
    command = ReopenWish(id=DONATION, consignment_id=FIRST, refurbisher="trira")
    scene = given(WISH, NOTED, CONFIRMED, PLACED).when(command).then(reopened)
    scene.leaves(open=True, refused_by=("trira",))
    assert scene.state.remaining == {"laptop": 12, "screen": 3}
    scene.when(command).then()
    scene.when(place(SECOND)).refuses("refused_before", refurbisher="trira")
    given(WISH, NOTED, CONFIRMED).when(command).refuses("consignment_unknown")


def test_waiting_is_told_once_and_forgotten_when_something_changes() -> None:
    let = LetWait(id=DONATION, devices={"laptop": 12}, candidates=BUSY, code="no_refurbisher", at=NOW)
    waits = WishWaits(devices={"laptop": 12}, candidates=BUSY, code="no_refurbisher", at=NOW)
    scene = given(WISH, NOTED, CONFIRMED).when(let).then(waits).leaves(waits=BUSY, waits_since=NOW)
    fuller = (BUSY[0].model_copy(update={"load": 1.2, "cost": 400.0}),)
    again = LetWait(id=DONATION, devices={"laptop": 12}, candidates=fuller, code="no_refurbisher", at=NOW + timedelta(hours=1))
    scene.when(again).then()
    scene.when(place()).then(PLACED).leaves(waits=(), waits_since=None)
    given(WISH, NOTED).when(let).then()


def take(consignment: UUID = FIRST, laptops: int = 12, full_at: float | None = 1.0) -> TakePlaces:
    return TakePlaces(
        id=TRIRA, slug="trira", consignment_id=consignment, devices={"laptop": laptops}, assumed={"laptop": 20}, full_at=full_at
    )


def test_the_last_place_is_taken_once() -> None:
    taken = PlacesTaken(slug="trira", consignment_id=FIRST, devices={"laptop": 12})
    scene = given(REFURBISHER).when(take()).then(taken)
    scene.when(take()).then()
    scene.when(take(SECOND, 9)).refuses("capacity_gone", refurbisher="trira")
    scene.when(take(SECOND, 8)).then(PlacesTaken(slug="trira", consignment_id=SECOND, devices={"laptop": 8}))
    scene.when(take(SECOND, 9, None)).then(PlacesTaken(slug="trira", consignment_id=SECOND, devices={"laptop": 9}))


def test_its_own_word_replaces_what_we_assumed() -> None:
    note = NoteCapacity(id=TRIRA, slug="trira", weekly_places={"laptop": 5}, at=NOW)
    scene = given(REFURBISHER).when(note).then(CapacityNoted(slug="trira", weekly_places={"laptop": 5}, at=NOW))
    scene.when(note).then()
    scene.when(take()).refuses("capacity_gone")
    scene.when(NoteCapacity(id=TRIRA, slug="trira", weekly_places={"laptop": 99}, at=NOW - timedelta(days=1))).then()


def test_devices_free_their_places_in_either_order_of_arrival_and_work() -> None:
    """A device may be told ready before the consignment is told received: other streams."""
    taken = PlacesTaken(slug="trira", consignment_id=FIRST, devices={"laptop": 3})
    device = stream_id("device", "trira", "A")
    settle = SettleDevice(id=TRIRA, consignment_id=FIRST, device_id=device)
    settled = DeviceSettled(consignment_id=FIRST, device_id=device)
    counted = PlacesCounted(consignment_id=FIRST, counted=1)
    early = given(REFURBISHER, taken).when(settle).then(settled)
    assert early.state.held[FIRST].left == {"laptop": 2}
    early.when(settle).then()
    early.when(CountPlaces(id=TRIRA, consignment_id=FIRST, counted=1)).then(counted).leaves(held={})
    given(REFURBISHER, taken, counted).when(settle).then(settled).leaves(held={})


def test_the_places_of_what_will_not_come_are_free() -> None:
    taken = PlacesTaken(slug="trira", consignment_id=FIRST, devices={"laptop": 12})
    free = FreePlaces(id=TRIRA, consignment_id=FIRST)
    scene = given(REFURBISHER, taken).when(free).then(PlacesFreed(consignment_id=FIRST)).leaves(held={})
    scene.when(free).then()
    scene.when(SettleDevice(id=TRIRA, consignment_id=FIRST, device_id=DONATION)).then()


def test_what_is_left_is_counted_by_type() -> None:
    held = Held(devices={"laptop": 8, "screen": 2})
    assert held.left == {"laptop": 8, "screen": 2}
    assert held.model_copy(update={"counted": 5}).left == {"laptop": 4, "screen": 1}
    three = Held(devices={"laptop": 1, "screen": 1, "tablet": 1}, counted=2)
    assert three.left == {"laptop": 1, "screen": 1, "tablet": 0}, "two are left, not three: each type rounded up was one too many"
    assert held.model_copy(update={"counted": 0}).left == {"laptop": 0, "screen": 0}
    assert held.model_copy(update={"settled": (FIRST,) * 12}).left == {"laptop": 0, "screen": 0}

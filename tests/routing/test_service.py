"""routing at work, on the real broker and database, through its real wiring."""

import asyncio
from datetime import date
from uuid import UUID

import pytest

from services.routing import jobs, store
from services.routing.domain.consignments import AssignConsignment
from services.routing.domain.planning import Country
from services.routing.domain.wishes import consignment_id
from tests.routing.chain import Chain
from tests.routing.samples import assigned
from tests.support.service import Ground, Site


@pytest.fixture
def chain(ground: Ground, site: Site) -> Chain:
    """One donation."""
    return Chain(ground, site)


async def topic_of(chain: Chain, refurbisher: str) -> list[str]:
    """Types of the events that were recorded for that refurbisher's topic, in order."""
    rows = await chain.site.desk.pool.fetch(
        "SELECT type FROM events WHERE topic = $1 ORDER BY seq", f"routing.consignments.{refurbisher}"
    )
    return [row["type"].removeprefix("routing.").removesuffix(".v1") for row in rows]


async def test_an_accepted_donation_is_given_to_a_refurbisher_with_a_day(chain: Chain) -> None:
    await chain.offer({"laptop": 12})
    [one] = await chain.settles(("trira", "scheduled"))
    assert one["declared"] == {"laptop": 12}
    assert one["chosen"]["distance_km"] == 27
    assert [other["refurbisher"] for other in one["others"]] == ["ares", "bocage"]
    assert date.fromisoformat(one["collection_date"]).weekday() < 5
    assert await topic_of(chain, "trira") == ["consignment_assigned", "consignment_scheduled"]
    country: Country = chain.site.service.state["country"]
    await jobs.turn(chain.site.desk, country)
    await jobs.turn(chain.site.desk, country)
    assert await topic_of(chain, "trira") == ["consignment_assigned", "consignment_scheduled"]


async def test_a_refusal_goes_to_the_next_refurbisher(chain: Chain) -> None:
    await chain.offer({"laptop": 12})
    [first] = await chain.settles(("trira", "scheduled"))
    await chain.turn_down(UUID(first["id"]), "trira")
    old, new = await chain.settles(("trira", "ended"), ("ares", "scheduled"))
    assert (old["ended"], old["next_id"], old["next_refurbisher"]) == ("refused", new["id"], "ares")
    assert new["replaces"] == old["id"]
    assert {c["refurbisher"]: c["excluded"] for c in new["others"]} == {"trira": "refused_before", "bocage": None}
    assert await chain.held("trira") == 0
    assert await chain.held("ares") == 12
    assert (await topic_of(chain, "trira"))[-2:] == ["consignment_refused", "consignment_ended"]


async def test_when_all_refuse_it_waits_and_the_board_says_why(chain: Chain) -> None:
    await chain.offer({"laptop": 12})
    told = [("trira", "scheduled")]
    for refurbisher in ("trira", "ares", "bocage"):
        *_, last = await chain.settles(*told)
        assert last["refurbisher"] == refurbisher
        await chain.turn_down(UUID(last["id"]), refurbisher)
        told[-1] = (refurbisher, "ended")
        told.append(({"trira": "ares", "ares": "bocage"}.get(refurbisher, ""), "scheduled"))
    await chain.settles(("trira", "ended"), ("ares", "ended"), ("bocage", "refused"))

    async def waits() -> str | None:
        found: str | None = await chain.site.desk.pool.fetchval("SELECT waits_code FROM wishes WHERE id = $1", chain.donation)
        return found

    await chain.site.until(waits)
    async with chain.site.client(browser=True) as client:
        client.cookies.set("maillon_access", chain.site.service.doors.sign("staff"))  # type: ignore[union-attr]
        page = (await client.get("/routing/")).text
    assert "1\N{NO-BREAK SPACE}don attend un atelier" in page
    assert "Groupe ARES a déjà refusé ce don" in page


async def test_what_waits_goes_as_soon_as_there_is_room(chain: Chain, ground: Ground, site: Site) -> None:
    for refurbisher, places in {"trira": 12, "ares": 0, "bocage": 0}.items():
        await chain.declare(refurbisher, {"laptop": places})
    await site.until(lambda: known(chain, 3))
    first = Chain(ground, site)
    await first.offer({"laptop": 12})
    await first.settles(("trira", "scheduled"))
    await chain.offer({"laptop": 12})

    async def waits() -> bool:
        async with site.desk.read() as tx:
            found = await store.waiting(tx, 10)
        return [(c.refurbisher, c.excluded) for wish in found.values() for c in wish.waits] == [
            ("trira", "capacity"),
            ("ares", "closed"),
            ("bocage", "closed"),
        ]

    await site.until(waits)
    assert await chain.consignments() == []
    await chain.declare("bocage", {"laptop": 30})
    await chain.settles(("bocage", "scheduled"))


async def test_planners_at_the_same_moment_assign_once(chain: Chain) -> None:
    """The job has one runner; should there be two all the same, wish and refurbisher refuse the second."""
    country: Country = chain.site.service.state["country"]
    others = [Chain(chain.ground, chain.site) for _ in range(5)]
    for one in others:
        await one.offer({"laptop": 50})
    for _ in range(8):
        await asyncio.gather(*(jobs.turn(chain.site.desk, country) for _ in range(4)))

    async def placed() -> bool:
        return bool(await chain.site.desk.pool.fetchval("SELECT count(*) = 5 FROM consignments"))

    await chain.site.until(placed)
    taken = await chain.site.desk.pool.fetch("SELECT refurbisher, count(*) AS n FROM consignments GROUP BY 1")
    assert sum(row["n"] for row in taken) == 5
    assert {row["refurbisher"]: row["n"] for row in taken}["trira"] <= 2  # 120 places


async def test_what_a_restored_database_forgot_is_not_assigned_twice(chain: Chain) -> None:
    """The consignment was taken in again from its topic; the wish, which is ours alone, knows nothing of it."""
    there = consignment_id(chain.donation, 1)
    event = assigned(there, "ares").model_copy(update={"donation_id": chain.donation})
    await chain.site.desk.carry_out([AssignConsignment(id=there, event=event)])
    await chain.offer({"laptop": 12})
    [one] = await chain.settles(("ares", "scheduled"))
    assert one["id"] == str(there)
    await chain.site.until(lambda: takes_up(chain, "ares"))


async def takes_up(chain: Chain, refurbisher: str) -> bool:
    return await chain.held(refurbisher) == 12


async def known(chain: Chain, refurbishers: int) -> bool:
    count: int = await chain.site.desk.pool.fetchval("SELECT count(*) FROM refurbishers WHERE weekly_places <> 'null'")
    return count == refurbishers


async def test_without_one_for_all_each_type_goes_its_way(chain: Chain) -> None:
    await chain.declare("bocage", {"smartphone": 40, "tablet": 10})
    await chain.site.until(lambda: known(chain, 1))
    await chain.offer({"laptop": 12, "smartphone": 8})
    first, second = await chain.settles(("trira", "scheduled"), ("bocage", "scheduled"))
    assert (first["declared"], second["declared"]) == ({"laptop": 12}, {"smartphone": 8})
    assert (first["reference"][-2:], second["reference"][-2:]) == ("/1", "/2")


async def test_a_withdrawn_donation_frees_its_places(chain: Chain) -> None:
    await chain.offer({"laptop": 12})
    await chain.settles(("trira", "scheduled"))
    await chain.withdraw()
    [one] = await chain.settles(("trira", "ended"))
    assert (one["ended"], one["next_id"]) == ("withdrawn", None)
    assert await chain.held("trira") == 0


async def test_the_way_by_a_reception_point(chain: Chain) -> None:
    await chain.offer({"laptop": 4})
    [one] = await chain.settles(("trira", "scheduled"))
    assert one["reception_point"] == "REC-LYON"
    at = f"/routing/consignments/{one['id']}"
    steps = [
        ("collected", {"counted": 4, "pallets": 1}),
        ("received-at-point", {"reception_point": "REC-LYON"}),
        ("counted-at-point", {"reception_point": "REC-LYON", "counted": 3}),
        ("sent-on", {"reception_point": "REC-LYON"}),
    ]
    async with chain.site.client(staff=True) as client:
        for _ in range(2):  # each told twice
            for path, body in steps:
                answer = await client.post(f"{at}/{path}", json=body)
                assert answer.status_code == 200, answer.text
    await chain.receive(UUID(one["id"]), "trira", 3)
    [one] = await chain.settles(("trira", "delivered"))
    assert (one["collected"], one["counted_at_point"], one["delivered"]) == (4, 3, 3)
    expected = ["assigned", "scheduled", "collected"]
    way = [f"consignment_{name}" for name in expected] + [
        "received_at_point",
        "counted_at_point",
        "sent_on",
        "consignment_delivered",
    ]
    assert await topic_of(chain, "trira") == way


async def test_a_missed_collection_gets_another_day(chain: Chain) -> None:
    await chain.offer({"laptop": 12})
    [one] = await chain.settles(("trira", "scheduled"))
    body = {"reason": "absent", "planned": one["collection_date"]}
    async with chain.site.client(staff=True) as client:
        for _ in range(2):
            answer = await client.post(f"/routing/consignments/{one['id']}/collection-failed", json=body)
            assert answer.status_code == 200, answer.text
    [one] = await chain.settles(("trira", "scheduled"))
    kinds = await topic_of(chain, "trira")
    assert kinds == ["consignment_assigned", "consignment_scheduled", "collection_failed", "consignment_scheduled"]
    assert one["failed_reason"] == "absent"


async def test_facts_of_devices_and_arrival_come_in_either_order(chain: Chain) -> None:
    await chain.offer({"laptop": 12})
    [one] = await chain.settles(("trira", "scheduled"))
    wanted = UUID(one["id"])
    await chain.ready(wanted, "trira", f"{chain.donation}-A")
    await chain.scrap(wanted, "trira", f"{chain.donation}-B")
    await chain.site.until(lambda: holds(chain, 10))
    await chain.receive(wanted, "trira", 3)
    await chain.settles(("trira", "delivered"))
    await chain.site.until(lambda: holds(chain, 1))
    await chain.ready(wanted, "trira", f"{chain.donation}-C")
    await chain.site.until(lambda: holds(chain, 0))


async def holds(chain: Chain, devices: int) -> bool:
    return await chain.held("trira") == devices


async def test_a_refusal_that_comes_before_its_consignment_waits_for_it(chain: Chain) -> None:
    """Only after our database was put back in time; it releases itself."""
    await chain.turn_down(consignment_id(chain.donation, 1), "trira")

    async def parked() -> bool:
        return bool(await chain.site.desk.pool.fetchval("SELECT count(*) FROM parked"))

    await chain.site.until(parked)
    await chain.offer({"laptop": 12})
    await chain.settles(("trira", "ended"), ("ares", "scheduled"))


@pytest.mark.parametrize(
    "path, body, status, code",
    [
        ("collected", {"counted": -1}, 422, "contract"),
        ("collected", {"counted": 1, "surprise": True}, 422, "contract"),
        ("scheduled", {"collection_date": "2020-01-01"}, 422, "date_past"),
        ("received-at-point", {"reception_point": "REC-NOWHERE"}, 422, "reception_point_unknown"),
        ("counted-at-point", {"reception_point": "REC-LYON", "counted": 2}, 409, "not_received_at_point"),
        ("collection-failed", {"reason": "absent", "planned": "2020-01-01"}, 409, "not_planned_that_day"),
    ],
)
async def test_a_clear_no(chain: Chain, path: str, body: dict[str, object], status: int, code: str) -> None:
    await chain.offer({"laptop": 12})
    [one] = await chain.settles(("trira", "scheduled"))
    async with chain.site.client(staff=True) as client:
        answer = await client.post(f"/routing/consignments/{one['id']}/{path}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await chain.statuses() == [("trira", "scheduled")]


async def test_figures_are_for_the_staff(chain: Chain) -> None:
    await chain.offer({"laptop": 12})
    await chain.settles(("trira", "scheduled"))
    async with chain.site.client() as nobody, chain.site.client(staff=True) as staff:
        assert (await nobody.get("/routing/figures")).status_code == 401
        assert (await nobody.get("/routing/figures", headers={"Authorization": "Bearer wrong"})).status_code == 401
        unknown = await staff.get("/routing/consignments/00000000-0000-0000-0000-000000000000")
        assert (unknown.status_code, unknown.json()["code"]) == (404, "consignment_unknown")
        figures = (await staff.get("/routing/figures")).json()
    assert figures == {
        "donations": 1,
        "waiting": 0,
        "consignments": 1,
        "collected": 0,
        "delivered": 0,
        "by_status": {"scheduled": 1},
    }

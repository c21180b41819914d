"""Each message has its effect once, or is set aside for a reason that is told; none costs another anything."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import time_machine

from deploy.aside import LISTED, release, skip
from deploy.operate import attempted
from tests.shared.counter import DISK_FULL, HELD_UP, Added, Asked, Told, counter_id
from tests.support.platform import until
from tests.support.service import Publisher, Site

TOLD, ASKED = "test.told.ara", "test.asked.ara"


async def total(site: Site, name: str) -> int | None:
    found: int | None = await site.desk.pool.fetchval("SELECT total FROM counters WHERE id = $1", counter_id(name))
    return found


async def parked(site: Site) -> list[tuple[int, str, str]]:
    async with site.desk.read() as tx:
        return [(r["version"], r["why"], r["reason"]) for r in await tx.connection.fetch(LISTED, 100)]


async def replies(site: Site) -> list[str]:
    rows = await site.desk.pool.fetch("SELECT data->>'code' AS code FROM events WHERE type = 'test.answered.v1' ORDER BY seq")
    return [row["code"] for row in rows]


async def test_each_message_has_its_effect_once_though_it_comes_twice(counter: Site, publisher: Publisher) -> None:
    stream = uuid4()
    rows = [publisher.row(stream, n, Told(name="a", amount=n, careless=True)) for n in (1, 2, 3)]
    await publisher.send(TOLD, rows)
    await publisher.send(TOLD, rows[1:] + rows)
    await until(lambda: total_is(counter, "a", 6))
    last = publisher.row(stream, 4, Told(name="a", amount=4, careless=True))
    await publisher.send(TOLD, [last])
    await until(lambda: total_is(counter, "a", 10))
    await until(lambda: parked_is(counter, []))
    rows_ = await counter.desk.pool.fetch("SELECT data FROM events ORDER BY seq")
    assert [Added.model_validate_json(r["data"]) for r in rows_] == [
        Added(cell="ara", amount=1, total=1),
        Added(cell="ara", amount=2, total=3),
        Added(cell="ara", amount=3, total=6),
        Added(cell="ara", amount=4, total=10),
    ]


async def total_is(site: Site, name: str, value: int) -> bool:
    return await total(site, name) == value


async def test_what_comes_too_soon_in_its_stream_waits_and_goes_by_itself(counter: Site, publisher: Publisher) -> None:
    stream = uuid4()
    one, two, three, four = (publisher.row(stream, n, Told(name="g", amount=n)) for n in (1, 2, 3, 4))
    await publisher.send(TOLD, [one, three, four])
    await until(lambda: total_is(counter, "g", 1))
    await until(lambda: parked_is(counter, [(3, "gap", "waits for number 2"), (4, "blocked", "waits for number 2")]))
    await publisher.send(TOLD, [two])
    await until(lambda: total_is(counter, "g", 10))
    await until(lambda: parked_is(counter, []))


async def parked_is(site: Site, expected: list[tuple[int, str, str]]) -> bool:
    return await parked(site) == expected


async def test_what_needs_a_fact_of_another_stream_waits_for_it(counter: Site, publisher: Publisher) -> None:
    await publisher.tell(TOLD, uuid4(), Told(name="late", amount=5, needs="opened"), Told(name="late", amount=6))
    await until(lambda: parked_is(counter, [(1, "early", "counter_unknown"), (2, "blocked", "waits for number 1")]))
    await publisher.tell("test.told.idf", uuid4(), Told(name="opened", amount=1))
    await until(lambda: total_is(counter, "late", 11))
    await until(lambda: parked_is(counter, []))


async def test_one_bad_message_costs_the_others_nothing(counter: Site, publisher: Publisher) -> None:
    bad, worse, good = uuid4(), uuid4(), uuid4()
    await publisher.tell(TOLD, bad, Told(name="x", amount=13), Told(name="x", amount=1))
    await publisher.tell(TOLD, worse, Told(name="bug", amount=1))
    await publisher.tell(TOLD, uuid4(), Told(name="rule", amount=666))
    await publisher.raw(TOLD, b"k", b"{", {"ce_id": "1", "ce_source": "s", "ce_type": "test.told.v1"})
    await publisher.tell(TOLD, uuid4(), Told(name="limit", amount=4242))
    await publisher.tell(TOLD, good, Told(name="good", amount=1), Told(name="good", amount=1))
    await until(lambda: total_is(counter, "good", 2))
    expected = [
        ("blocked", "waits for number 1"),
        ("bug", "KeyError: 'a bug in a reaction'"),
        ("bug", "KeyError: 'a bug in a rule'"),
        ("malformed", "missing_position {}"),
        ("refused", "unlucky {}"),
        ("unstorable", "23514 counters_total_check"),
    ]

    async def as_expected() -> bool:
        return sorted((why, reason) for _, why, reason in await parked(counter)) == expected

    await until(as_expected)


async def test_the_same_number_with_other_bytes_is_an_alarm_and_stops_that_stream_alone(
    counter: Site, publisher: Publisher
) -> None:
    stream = uuid4()
    await publisher.send(
        TOLD, [publisher.row(stream, 1, Told(name="f", amount=1)), publisher.row(stream, 1, Told(name="f", amount=2))]
    )
    await publisher.send(TOLD, [publisher.row(stream, 2, Told(name="f", amount=4))])
    await until(lambda: parked_is(counter, [(1, "fork", "same number, other bytes"), (2, "blocked", "waits for number 1")]))
    assert await attempted(counter.desk.pool, lambda tx: skip(tx, stream, 1, "the publisher confirmed the first")) == 1
    await until(lambda: total_is(counter, "f", 5))
    await until(lambda: parked_is(counter, []))


async def test_an_operator_mends_and_releases_in_order_or_skips_with_a_reason(counter: Site, publisher: Publisher) -> None:
    stream = uuid4()
    await publisher.tell(TOLD, stream, Told(name="limit", amount=4242))
    await until(lambda: parked_has(counter, 1))
    await publisher.tell(TOLD, stream, Told(name="limit", amount=2), Told(name="limit", amount=3))
    await until(lambda: parked_has(counter, 3))
    await counter.desk.pool.execute("ALTER TABLE counters DROP CONSTRAINT counters_total_check")
    assert await attempted(counter.desk.pool, lambda tx: release(tx, stream)) == 3
    await until(lambda: total_is(counter, "limit", 4247))
    other = uuid4()
    await publisher.tell(TOLD, other, Told(name="s", amount=13), Told(name="s", amount=2))
    await until(lambda: parked_has(counter, 2))
    assert await attempted(counter.desk.pool, lambda tx: skip(tx, other, 2, "not its turn")) == 0
    assert await attempted(counter.desk.pool, lambda tx: skip(tx, other, 1, "agreed with the publisher")) == 1
    await until(lambda: total_is(counter, "s", 2))
    kept = await counter.desk.pool.fetchrow("SELECT version, reason, skipped_because FROM skipped")
    assert kept is not None
    assert tuple(kept) == (1, "refused: unlucky {}", "agreed with the publisher")


async def parked_has(site: Site, count: int) -> bool:
    return len(await parked(site)) == count


async def test_an_outsider_gets_exactly_one_answer_to_whatever_it_sends(counter: Site, publisher: Publisher) -> None:
    def headers(name: str) -> dict[str, str]:
        return {"ce_id": name, "ce_source": "partner", "ce_type": "test.asked.v1"}

    good = Asked(name="out", amount=1).model_dump_json().encode()
    await publisher.raw(ASKED, b"k", good, headers("1"))
    await publisher.raw(ASKED, b"k", good, headers("1"))
    await publisher.raw(ASKED, b"k", Asked(name="out", amount=2).model_dump_json().encode(), headers("1"))
    await publisher.raw(ASKED, None, b"\xff\x00 not json", headers("2"))
    await publisher.raw(ASKED, b"k", good, {})
    await publisher.raw(ASKED, b"k", good, headers("3") | {"ce_type": "nobody.knows.v9"})
    await publisher.raw(ASKED, b"k", Asked(name="out", amount=13).model_dump_json().encode(), headers("4"))
    await publisher.raw(ASKED, b"k", Asked(name="limit", amount=4242).model_dump_json().encode(), headers("5"))
    await publisher.raw(ASKED, b"k", Asked(name="bug", amount=1).model_dump_json().encode(), headers("6"))
    await until(lambda: answers_are(counter, 8))
    assert sorted(await replies(counter)) == [
        "CheckViolationError",
        "KeyError",
        "accepted",
        "contract",
        "id_reused",
        "missing_ce_id",
        "unknown_type",
        "unlucky",
    ]
    assert await parked(counter) == []
    assert await total(counter, "out") == 1


async def answers_are(site: Site, count: int) -> bool:
    return len(await replies(site)) == count


async def test_an_outsider_that_is_early_waits_and_is_answered(counter: Site, publisher: Publisher) -> None:
    body = Asked(name="wait", amount=3, needs="door").model_dump_json().encode()
    await publisher.raw(ASKED, b"k", body, {"ce_id": "w", "ce_source": "p", "ce_type": "test.asked.v1"})
    await until(lambda: parked_is(counter, [(1, "early", "counter_unknown")]))
    await publisher.tell(TOLD, uuid4(), Told(name="door", amount=1))
    await until(lambda: total_is(counter, "wait", 3))
    assert await replies(counter) == ["accepted"]


async def test_what_a_clock_an_hour_ahead_set_aside_goes_as_soon_as_it_may(counter: Site, publisher: Publisher) -> None:
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=1)):
        await publisher.tell(TOLD, uuid4(), Told(name="soon", amount=5, needs="hatch"))
        await until(lambda: parked_is(counter, [(1, "early", "counter_unknown")]))
    await publisher.tell(TOLD, uuid4(), Told(name="hatch", amount=1))
    await until(lambda: total_is(counter, "soon", 5))


async def test_an_outsider_that_a_clock_an_hour_behind_set_aside_has_its_patience_still(
    counter: Site, publisher: Publisher
) -> None:
    body = Asked(name="calm", amount=3, needs="gate").model_dump_json().encode()
    with time_machine.travel(datetime.now(UTC) - timedelta(hours=1)):
        await publisher.raw(ASKED, b"k", body, {"ce_id": "c", "ce_source": "p", "ce_type": "test.asked.v1"})
        await until(lambda: parked_is(counter, [(1, "early", "counter_unknown")]))
    await asyncio.sleep(1)
    assert await replies(counter) == []
    await publisher.tell(TOLD, uuid4(), Told(name="gate", amount=1))
    await until(lambda: total_is(counter, "calm", 3))
    assert await replies(counter) == ["accepted"]


async def test_the_bytes_of_an_outsider_go_when_its_message_is_settled_or_passed_over(
    counter: Site, publisher: Publisher
) -> None:
    """C4: they may name people. What stays of one that was passed over is its place, the reason and the mark of its bytes."""
    for name, needs in (("went", "door"), ("skipped", "nobody")):
        body = Asked(name=name, amount=3, needs=needs).model_dump_json()[:-1] + ', "operator": "Camille Martin"}'
        headers = {"ce_id": name, "ce_source": "p", "ce_type": "test.asked.v1", "x-operator": "Camille Martin"}
        await publisher.raw(ASKED, b"k", body.encode(), headers)
    await until(lambda: parked_is(counter, [(1, "early", "counter_unknown")] * 2))
    assert await named(counter) == {"parked"}
    await publisher.tell(TOLD, uuid4(), Told(name="door", amount=1))
    await until(lambda: parked_has(counter, 1))
    stream = await counter.desk.pool.fetchval("SELECT stream FROM parked")
    assert await attempted(counter.desk.pool, lambda tx: skip(tx, stream, 1, "agreed with the partner")) == 1
    assert await named(counter) == set()
    assert await replies(counter) == ["accepted"]


async def named(site: Site) -> set[str]:
    """The tables that hold the name, as text or within bytes."""
    found = set()
    for table in await site.desk.pool.fetch("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"):
        query = f"SELECT count(*) FROM {table[0]} t WHERE t::text LIKE '%Camille%' OR t::text LIKE '%' || encode('Camille', 'hex') || '%'"  # noqa: S608 names of our own
        if await site.desk.pool.fetchval(query):
            found.add(table[0])
    return found


async def test_nobody_speaks_for_a_stream_of_another_topic(counter: Site, publisher: Publisher) -> None:
    stream = UUID(int=7)
    await publisher.send("test.told.idf", [publisher.row(stream, 1, Told(name="mine", amount=1))])
    await publisher.send(TOLD, [publisher.row(stream, 1, Told(name="theirs", amount=1))])
    await until(lambda: total_is(counter, "mine", 1))
    await until(lambda: total_is(counter, "theirs", 1))


async def test_nothing_is_committed_before_what_it_speaks_of_is_durable(counter: Site, publisher: Publisher) -> None:
    """The disk and the database work side by side: the transaction is under way, and waits for the disk before its commit."""
    under_way = """SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'
        AND xact_start < clock_timestamp() - interval '0.5 s'"""  # a short one beside it is another's
    disk = asyncio.Event()
    HELD_UP.append(disk)
    try:
        body = Asked(name="slow", amount=2).model_dump_json().encode()
        await publisher.raw(ASKED, b"k", body, {"ce_id": "s", "ce_source": "p", "ce_type": "test.asked.v1"})
        await until(lambda: figure_is(counter, under_way, 1))
        await asyncio.sleep(0.3)
        assert (await figure(counter, under_way), await replies(counter)) == (1, [])
    finally:
        disk.set()
        HELD_UP.clear()
    await until(lambda: total_is(counter, "slow", 2))
    assert await replies(counter) == ["accepted"]


async def figure(site: Site, query: str) -> int:
    return int(await site.desk.pool.fetchval(query))


async def figure_is(site: Site, query: str, expected: int) -> bool:
    return await figure(site, query) == expected


async def test_a_full_disk_is_an_outage_that_is_waited_for_and_no_fault_of_the_message(
    counter: Site, publisher: Publisher
) -> None:
    DISK_FULL.extend([28, 28, 28])
    body = Asked(name="disk", amount=2).model_dump_json().encode()
    await publisher.raw(ASKED, b"k", body, {"ce_id": "d", "ce_source": "p", "ce_type": "test.asked.v1"})
    await until(lambda: total_is(counter, "disk", 2))
    assert DISK_FULL == []
    assert await replies(counter) == ["accepted"]


async def test_a_bug_in_an_answer_sets_that_message_aside_and_the_others_are_answered(
    counter: Site, publisher: Publisher
) -> None:
    headers = {"ce_source": "p", "ce_type": "test.asked.v1"}
    await publisher.raw(ASKED, b"k", b"{", headers | {"ce_id": "unanswerable"})
    await publisher.raw(ASKED, b"k", b"{", headers | {"ce_id": "other"})
    await until(lambda: answers_are(counter, 1))
    await until(lambda: parked_is(counter, [(1, "bug", "KeyError: 'a bug in an answer'")]))
    assert await replies(counter) == ["contract"]

"""What waits goes as it should have gone: alone in its fault, in its order, and without a second history slipping in."""

from uuid import uuid4

from deploy.aside import skip
from deploy.operate import attempted
from shared.kafka.wire import Sender
from tests.shared.counter import Asked, Told, counter_id
from tests.support.platform import until
from tests.support.service import Ground, Publisher, Site

TOLD, ASKED = "test.told.ara", "test.asked.ara"


async def total(site: Site, name: str) -> int | None:
    found: int | None = await site.desk.pool.fetchval("SELECT total FROM counters WHERE id = $1", counter_id(name))
    return found


async def total_is(site: Site, name: str, value: int) -> bool:
    return await total(site, name) == value


async def parked_is(site: Site, expected: list[tuple[int, str]]) -> bool:
    rows = await site.desk.pool.fetch("SELECT version, why FROM parked ORDER BY version, why")
    return [(row["version"], row["why"]) for row in rows] == expected


async def test_a_second_history_of_a_number_that_waits_is_found_when_the_first_has_gone(
    counter: Site, publisher: Publisher
) -> None:
    stream = uuid4()
    first, second = (publisher.row(stream, n, Told(name="w", amount=n, needs="door")) for n in (1, 2))
    other = publisher.row(stream, 2, Told(name="w", amount=50))
    await publisher.send(TOLD, [first, second, other])
    await until(lambda: parked_is(counter, [(1, "early"), (2, "blocked"), (2, "blocked")]))
    await publisher.tell(TOLD, uuid4(), Told(name="door", amount=1))
    await until(lambda: total_is(counter, "w", 3))
    await until(lambda: parked_is(counter, [(2, "fork")]))
    assert await attempted(counter.desk.pool, lambda tx: skip(tx, stream, 2, "the first one counts")) == 1


async def test_what_the_database_refuses_does_not_hold_up_what_stands_before_it(counter: Site, publisher: Publisher) -> None:
    """Both wait for the same fact, and go together: the fault of the second is not the first one's."""
    await publisher.tell(TOLD, uuid4(), Told(name="v", amount=1, needs="gate"), Told(name="limit", amount=4242))
    await until(lambda: parked_is(counter, [(1, "early"), (2, "blocked")]))
    await publisher.tell(TOLD, uuid4(), Told(name="gate", amount=1))
    await until(lambda: total_is(counter, "v", 1))
    await until(lambda: parked_is(counter, [(2, "unstorable")]))


async def test_an_id_used_twice_within_one_batch_gets_the_first_ones_answer_first(counter: Site, ground: Ground) -> None:
    headers = [("ce_id", b"twice"), ("ce_source", b"partner"), ("ce_type", b"test.asked.v1")]
    good = Asked(name="twice", amount=1).model_dump_json().encode()
    sender = Sender(ground.access, "/partner")
    try:
        await sender.put(ASKED, [(b"k", value, headers) for value in (b"{", b"{", good)])
    finally:
        await sender.stop()

    async def answers() -> list[str]:
        rows = await counter.desk.pool.fetch("SELECT data->>'code' AS code FROM events ORDER BY seq")
        return [row["code"] for row in rows]

    async def answered() -> bool:
        return len(await answers()) >= 2

    await until(answered)
    assert await answers() == ["contract", "id_reused"]
    assert await total(counter, "twice") is None

"""Floods, half messages and bytes meant to hurt: an answer, never a death, and never at another's cost."""

import asyncio
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from pydantic import SecretStr

from shared.consumer import CellStopped, Consumer
from shared.db import connect, transaction
from shared.kafka.reader import BATCH_BYTES, Reader
from shared.kafka.wire import LONGEST_HEADER, MOST_HEADERS, Access, Sender, decode
from shared.message import Message
from shared.migrate import migrate
from shared.settings import Settings
from tests.shared.counter import AGGREGATES, MIGRATIONS, OUTSIDE, REACTIONS, Asked, Told, counter_id
from tests.support.platform import until
from tests.support.process import process, with_values
from tests.support.service import Ground, Publisher, Site, free_port

TOLD, ASKED = "test.told.ara", "test.asked.ara"
HEADERS = {"ce_id": "1", "ce_source": "partner", "ce_type": "test.asked.v1"}


async def replies(site: Site) -> list[str]:
    rows = await site.desk.pool.fetch("SELECT data->>'code' AS code FROM events WHERE type = 'test.answered.v1' ORDER BY seq")
    return [row["code"] for row in rows]


async def test_hostile_bytes_are_answered_one_by_one(counter: Site, publisher: Publisher, ground: Ground) -> None:
    """NaN, deep JSON, NUL, a number of 5,000 digits, bombs of headers, header names that are no text (the first of three is accepted)."""
    hostile = {
        "nan": b'{"name": "x", "amount": NaN}',
        "deep": b'{"name": ' + b"[" * 100_000 + b"]" * 100_000 + b', "amount": 1}',
        "digits": b'{"name": "x", "amount": ' + b"9" * 5_000 + b"}",
        "range": b'{"name": "x", "amount": 99999999999999999999}',
        "utf16": '{"name": "x", "amount": 1}'.encode("utf-16"),
        "empty": b"",
    }
    for name, value in hostile.items():
        await publisher.raw(ASKED, b"k", value, HEADERS | {"ce_id": name})
    await publisher.raw(ASKED, b"k", Asked(name="x\x00y", amount=1).model_dump_json().encode(), HEADERS | {"ce_id": "nul"})
    await publisher.raw(ASKED, b"k", b"{}", HEADERS | {"ce_id": "bomb"} | {f"h{n}": "v" * 1_000 for n in range(500)})
    await publisher.raw(ASKED, b"k", b"{}", HEADERS | {"ce_id": "many"} | {f"h{n}": "" for n in range(50_000)})
    await publisher.raw(ASKED, b"k", b"{}", HEADERS | {"ce_id": "large"} | {"h": "v" * 1_000_000})
    await with_odd_header_names(ground.access, [Asked(name="odd", amount=n) for n in (1, 2, 3)])
    await publisher.raw(ASKED, b"k", Asked(name="after", amount=1).model_dump_json().encode(), HEADERS | {"ce_id": "last"})
    await until(lambda: accepted(counter))
    found = await replies(counter)
    assert found.count("contract") == 8
    assert found.count("accepted") == 3
    assert found.count("unreadable_headers") == 2
    assert sorted(set(found)) == ["DataError", "accepted", "contract", "unreadable_headers"]


async def with_odd_header_names(access: Access, asked: list[Asked]) -> None:
    """Send a batch whose second message has a header name that is no UTF-8, by a client that can write it (a process of its own)."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("odd_headers.py")),
        access.bootstrap,
        access.user,
        access.password,
        access.prefix + ASKED,
        *(a.model_dump_json() for a in asked),
        env={**os.environ, "AIOKAFKA_NO_EXTENSIONS": "1"},
    )
    assert await child.wait() == 0


async def accepted(site: Site) -> bool:
    return bool(await site.desk.pool.fetchval("SELECT total FROM counters WHERE id = $1", counter_id("after")) == 1)


def test_an_envelope_is_read_within_bounds() -> None:
    class Record:
        topic, partition, offset, timestamp, key, value = "t", 0, 1, None, None, None
        headers = tuple((f"h{n}", b"v" * 10_000) for n in range(1_000))

    message = decode(Record(), "t", outside=True)
    assert len(message.headers) == MOST_HEADERS
    assert max(map(len, message.headers.values())) == LONGEST_HEADER
    assert (message.fault, message.value, message.version) == ("missing_ce_id", b"", 1)


def test_when_a_message_came_is_for_the_broker_to_say() -> None:
    """The clock of who sends is a claim, in `ce_time` and wherever else it may be written."""

    class Record:
        topic, partition, offset, key, value = "t", 0, 1, None, None
        timestamp = 1_795_420_800_000
        headers = (("ce_time", b"2126-01-01T00:00:00Z"), ("arrived", b"2126-01-01T00:00:00Z"))

    message = decode(Record(), "t", outside=True)
    assert (message.time.year, message.arrived) == (2126, datetime(2026, 11, 23, 8, tzinfo=UTC))


async def test_a_batch_ends_at_eight_mebibytes(ground: Ground) -> None:
    """Of twelve partitions more than that is fetched ahead before the first batch is asked for."""
    await ground.make_topics({"test.large": "regions"}, partitions=12)
    sender = Sender(ground.access, "/maillon/test", timeout_s=60)
    await sender.put("test.large.ara", [(str(n).encode(), b"x" * 900_000, []) for n in range(30)])
    await sender.stop()

    async def nowhere(_: object) -> dict[tuple[str, int], int]:
        return {}

    reader = Reader(ground.access, ["test.large.ara"], "bounds", "bounds.0", nowhere, lambda _: True)
    await reader.start()
    try:
        await asyncio.sleep(2)
        total = 0
        async for batch in reader.batches():
            size = sum(len(m.value) for m in batch)
            assert size <= BATCH_BYTES
            total += len(batch)
            if total == 30:
                break
    finally:
        await reader.stop()


def message(n: int, *, amount: int) -> Message:
    stream = uuid4()
    row = Told(name=str(stream), amount=amount).model_dump_json().encode()
    record = type("R", (), {"partition": 0, "offset": n, "timestamp": 0, "key": str(stream).encode(), "value": row})()
    record.headers = [
        (k, v.encode())
        for k, v in {
            "ce_id": str(n),
            "ce_source": "s",
            "ce_type": Told.type,
            "ce_subject": str(stream),
            "ce_streamversion": "1",
        }.items()
    ]
    return decode(record, TOLD, outside=False)


async def test_a_bad_release_stops_its_cell_and_parks_nothing(database: str) -> None:
    """B8: more than half of a hundred or more would be set aside: commit nothing, alarm."""
    pool = await connect(database, name="test")
    await migrate(pool, MIGRATIONS)
    consumer = Consumer(pool, AGGREGATES, REACTIONS, OUTSIDE)
    try:
        mostly_bad = [message(n, amount=13 if n % 3 else 1) for n in range(120)]
        with pytest.raises(CellStopped, match="80 of 120"):
            await consumer.process(mostly_bad)
        assert (
            await pool.fetchval(
                "SELECT (SELECT count(*) FROM parked) + (SELECT count(*) FROM cursor) + (SELECT count(*) FROM events)"
            )
            == 0
        )
        await consumer.process([message(n, amount=13 if n % 3 == 0 else 1) for n in range(120)])
        assert await pool.fetchval("SELECT count(*) FROM parked") == 40
    finally:
        await pool.close()


async def test_a_frozen_owner_does_not_block_its_successor(settings: Settings, publisher: Publisher, tmp_path: Path) -> None:
    """B4: SIGSTOP while it holds the relay's lock, and a transaction left open: the server ends both."""
    url = settings.database_url.get_secret_value()
    second = with_values(settings, http_port=free_port())  # the same replica, as after a restart elsewhere
    async with (
        process("tests.shared", settings, tmp_path / "a") as a,
        process("tests.shared", second, tmp_path / "b", start=False) as b,
    ):
        await a.ready()
        await publisher.tell(TOLD, uuid4(), Told(name="x", amount=1))
        await until(lambda: outbox_is_empty(url))
        a.signal(signal.SIGSTOP)
        holder = await asyncpg.connect(url)
        await holder.execute("BEGIN; SELECT * FROM counters FOR UPDATE")
        await b.start()
        for n in range(5):
            await publisher.tell(TOLD, uuid4(), Told(name="x", amount=20 + n))
        await until(lambda: total_is(url, "x", 111), 50)
        await until(lambda: outbox_is_empty(url), 50)
        await holder.close()


async def outbox_is_empty(url: str) -> bool:
    connection = await asyncpg.connect(url)
    try:
        return bool(
            await connection.fetchval("SELECT count(*) > 0 FROM events")
            and not await connection.fetchval("SELECT count(*) FROM outbox")
        )
    finally:
        await connection.close()


async def total_is(url: str, name: str, value: int) -> bool:
    connection = await asyncpg.connect(url)
    try:
        return bool(await connection.fetchval("SELECT total FROM counters WHERE id = $1", counter_id(name)) == value)
    finally:
        await connection.close()


async def test_a_wrong_password_is_said_and_not_waited_for(database: str) -> None:
    before, _, after = database.partition("@")
    wrong = before.rpartition(":")[0] + ":wrong@" + after
    async with asyncio.timeout(5):
        with pytest.raises(asyncpg.InvalidPasswordError):
            (await connect(wrong, name="test")).terminate()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"kafka_password": SecretStr("wrong")}, "refuses user"),
        ({"database_url": "wrong"}, "password authentication failed"),
    ],
)
async def test_a_service_with_a_wrong_password_says_so_and_ends(
    settings: Settings, tmp_path: Path, values: dict[str, object], said: str
) -> None:
    if "database_url" in values:
        before, _, after = settings.database_url.get_secret_value().partition("@")
        values = {"database_url": SecretStr(before.rpartition(":")[0] + ":wrong@" + after)}
    log = tmp_path / "log"
    async with process("tests.shared", with_values(settings, **values), log) as service:
        assert await service.ended(40) == 1
    assert said in log.read_text()


async def test_every_transaction_is_one_moment(database: str) -> None:
    """A1: without REPEATABLE READ positions and state would come of two."""
    pool = await connect(database, name="test")
    try:
        async with transaction(pool) as tx:
            assert await tx.connection.fetchval("SHOW transaction_isolation") == "repeatable read"
        async with transaction(pool, readonly=True) as tx:
            assert await tx.connection.fetchval("SHOW transaction_isolation") == "repeatable read"
        assert await pool.fetchval("SHOW idle_in_transaction_session_timeout") == "10s"
        assert await pool.fetchval("SHOW lock_timeout") == "15s"
        assert await pool.fetchval("SHOW synchronous_commit") == "on"
    finally:
        await pool.close()

"""What waits is counted, and complained of in time."""

import asyncio
import contextlib
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from shared import metrics
from shared.parked import ALARM_AFTER
from shared.watch import look, watch
from tests.shared.counter import Told
from tests.support.platform import until
from tests.support.service import Publisher, Site

TOLD = "test.told.ara"


def gauge(name: str, **labels: str) -> float:
    return metrics.PARKED_NOW.labels(**labels)._value.get() if labels else getattr(metrics, name)._value.get()  # type: ignore[no-any-return]


async def parked(site: Site, count: int) -> bool:
    return bool(await site.desk.pool.fetchval("SELECT count(*) FROM parked") == count)


async def test_what_is_parked_and_unsent_is_counted_with_its_age(counter: Site, publisher: Publisher) -> None:
    await publisher.tell(TOLD, uuid4(), Told(name="w", amount=1, needs="nobody"), Told(name="w", amount=2))
    await publisher.tell(TOLD, uuid4(), Told(name="w", amount=13))
    await until(lambda: parked(counter, 3))
    pool = counter.desk.pool
    await pool.execute("UPDATE parked SET at = now() - interval '90 seconds' WHERE why = 'early'")
    await pool.execute(
        """
        WITH kept AS (
            INSERT INTO events (stream, version, type, topic, at, data)
            SELECT $1, n, 'test.x.v1', 'test.missing.ara', now() - interval '30 seconds', '{}' FROM generate_series(1, 3) n
            RETURNING topic, seq
        ) INSERT INTO outbox SELECT topic, seq FROM kept
        """,
        uuid4(),
    )
    try:
        assert 90 <= (await look(counter.desk)).total_seconds() < 100
        assert {why: gauge("", why=why) for why in ("early", "blocked", "refused", "bug")} == {
            "early": 1,
            "blocked": 1,
            "refused": 1,
            "bug": 0,
        }
        assert 90 <= gauge("PARKED_AGE") < 100
        assert gauge("UNSENT") == 3
        assert 30 <= gauge("UNSENT_AGE") < 40
    finally:
        await pool.execute("DELETE FROM events WHERE type = 'test.x.v1'")
        await pool.execute("DELETE FROM outbox")
        await pool.execute("DELETE FROM parked")
    assert not await look(counter.desk)
    assert (gauge("", why="early"), gauge("PARKED_AGE"), gauge("UNSENT"), gauge("UNSENT_AGE")) == (0, 0, 0, 0)


@pytest.mark.parametrize(("age_s", "errors"), [(ALARM_AFTER.total_seconds() - 30, 0), (ALARM_AFTER.total_seconds() + 1, 1)])
async def test_what_is_early_for_too_long_is_said_once_a_minute(
    counter: Site, publisher: Publisher, age_s: float, errors: int
) -> None:
    await publisher.tell(TOLD, uuid4(), Told(name="l", amount=1, needs="nobody"))
    await until(lambda: parked(counter, 1))
    await counter.desk.pool.execute("UPDATE parked SET at = now() - make_interval(secs => $1)", age_s)
    with capture_logs() as lines:
        task = asyncio.create_task(watch(counter.desk, every_s=0.02))
        await asyncio.sleep(0.5)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    said = [line for line in lines if line["event"] == "early_for_long"]
    assert len(said) == errors
    assert all(line["log_level"] == "error" and line["oldest_s"] >= age_s for line in said)

"""The stand-ins are held against the real ones: the same scenes and the same histories on both, with the same outcome."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from shared.db import connect as open_pool
from shared.kafka.reader import read_on
from shared.kafka.wire import Sender
from shared.migrate import migrate
from shared.settings import Settings
from tests.shared.counter import MIGRATIONS, build
from tests.simulation.judge import Expected
from tests.simulation.plan import Draft, Fault, Plan
from tests.simulation.scenes import SCENES, Connect
from tests.simulation.seams import installed
from tests.simulation.world import World
from tests.support.platform import until
from tests.support.process import process
from tests.support.service import Ground, running

SERVER = {"default_transaction_isolation": "repeatable read", "lock_timeout": "15s", "timezone": "UTC"}
Seen = dict[str, Any]


async def real_scenes(url: str) -> dict[str, list[str]]:
    pool = await open_pool(url, name="test")
    await migrate(pool, MIGRATIONS)
    await pool.close()

    async def connect() -> Any:
        return await asyncpg.connect(url, server_settings=SERVER)

    return {scene.__name__: await scene(connect) for scene in SCENES}


def simulated_scenes() -> dict[str, list[str]]:
    world = World(calm(0))

    async def connect() -> Any:
        return await asyncpg.connect("simulated", server_settings=SERVER)

    async def all_of_them(connect: Connect) -> dict[str, list[str]]:
        return {scene.__name__: await scene(connect) for scene in SCENES}

    with installed(world.stage):
        found: dict[str, list[str]] = world.loop.run_until_complete(all_of_them(connect))
    return found


async def test_the_database_answers_as_postgres_does(database: str) -> None:
    real = await real_scenes(database)
    simulated = await asyncio.to_thread(simulated_scenes)
    assert simulated == real


def calm(seed: int) -> Plan:
    """The history of a seed without its faults, for one process; nobody asks at the desk, no operator is needed."""
    plan = Draft(seed).drawn()
    told = [t for t in plan.told if t[2] not in [fork.bytes for fork in plan.forks]]
    return replace(plan, processes=1, partitions=2, restores=False, faults=[], requests=[], forks=[], told=told)


def normal(tables: Mapping[str, Iterable[Mapping[str, Any]]], wire: Iterable[tuple[str, bytes]]) -> Seen:
    """What is the same however the messages were cut into batches: sums, causes, positions, what is set aside and why, what went out."""
    return {
        "counters": {
            str(r["id"]): (r["version"], r["cell"], r["total"], sorted(json.loads(r["causes"]))) for r in tables["counters"]
        },
        "replies": {str(r["id"]): (r["version"], r["cell"], r["code"]) for r in tables["replies"]},
        "seen": {(str(r["stream"]), r["topic"]): (r["version"], bytes(r["mark"]), r["parked_from"]) for r in tables["seen"]},
        "parked": {
            (str(r["stream"]), r["topic"], r["version"]): ("waits",)
            if r["why"] in {"gap", "blocked"}
            else (r["why"], r["reason"])
            for r in tables["parked"]
        },
        "cursor": {(r["topic"], r["partition"]): r["next"] for r in tables["cursor"]},
        "wire": Counter((topic, said(value)) for topic, value in set(wire)),
    }


def said(value: bytes) -> str:
    """An event without its running total, which hangs on who came first."""
    return json.dumps({k: v for k, v in json.loads(value).items() if k != "total"}, sort_keys=True)


TABLES = ("counters", "replies", "seen", "parked", "cursor")


def simulated(plan: Plan) -> Seen:
    world = World(plan)
    with installed(world.stage):
        world.loop.run_until_complete(world.play())
    assert world.judge.violations == []
    assert world.stage.database.strange == []
    records = world.stage.broker.records(t for t in world.stage.broker.topics if t.startswith(("test.sums", "test.replies")))
    return normal({t: world.stage.database.rows(t) for t in TABLES}, [(r.topic, r.value) for r in records])


async def told_for_real(plan: Plan, ground: Ground) -> None:
    sender = Sender(ground.access, "/maillon/test")
    try:
        for _, topic, (key, value, headers) in plan.told:
            await sender.put(topic, [(key, value, list(headers))])
    finally:
        await sender.stop()


async def real_outcome(plan: Plan, ground: Ground, url: str, expected: Seen) -> Seen:
    """Wait until it is as expected, or for too long; then give what is."""
    connection = await asyncpg.connect(url)
    topics = [f"{family}.{cell}" for family in ("test.sums", "test.replies") for cell in plan.cells]

    async def now() -> Seen:
        rows: dict[str, list[Any]] = {table: await connection.fetch(f"SELECT * FROM {table}") for table in TABLES}  # noqa: S608 names above
        wire = [(m.topic, m.value) async for m in read_on(ground.access, {}, topics)]
        return normal(rows, wire)

    async def as_expected() -> bool:
        unsent = await connection.fetchval("SELECT count(*) FROM outbox")
        return not unsent and await now() == expected

    try:
        try:
            await until(as_expected, 40)
        except AssertionError:
            return await now()
        return expected
    finally:
        await connection.close()


@pytest.mark.parametrize("seed", [12, 116])
async def test_a_history_ends_alike_on_both(settings: Settings, ground: Ground, seed: int) -> None:
    plan = calm(seed)
    assert Expected.of(plan).done
    expected = await asyncio.to_thread(simulated, plan)
    async with running(build, settings):
        await told_for_real(plan, ground)
        assert await real_outcome(plan, ground, settings.database_url.get_secret_value(), expected) == expected


async def test_a_history_with_a_kill_in_it_ends_alike_on_both(settings: Settings, ground: Ground, tmp_path: Path) -> None:
    """Killed between commit and offsets, started again: what was dealt with is read again by none, what was not by both."""
    plan = calm(12)
    killed = replace(plan, faults=[Fault(at=0.0, kind="kill at point", number=1, word="after_commit")])
    expected = await asyncio.to_thread(simulated, killed)
    flag = tmp_path / "crashed"
    async with process("tests.shared", settings, tmp_path / "log", start=False) as service:
        await service.start(MAILLON_CRASH_AT=f"after_commit:1:{flag}")
        await told_for_real(plan, ground)
        await service.ended(60)
        assert flag.exists()
        await service.start()
        assert await real_outcome(plan, ground, settings.database_url.get_secret_value(), expected) == expected


Scene = Callable[[Connect], Awaitable[list[str]]]

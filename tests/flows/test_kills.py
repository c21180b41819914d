"""The walk ends the same, each thing once, whoever is killed on the way and whenever.

`MAILLON_KILLS=n` is how often each of the seven processes is killed at a seeded moment; the small default keeps `make test` short, the
full set is 20. Every walk kills each process once, at moments of its own, so two may be down together. The crash points (where a
crash would hurt, if it could) are turned through the services: one walk passes five of the six points, six walks every point in every
service (`MAILLON_KILLS` of 6 and more). What else is broken under a chain at work, and counted afterwards: `tests/faults`.
"""

import asyncio
import os
import random
from pathlib import Path
from typing import Any

import pytest

from deploy.demo.figures import counted
from deploy.demo.stage import Stage
from deploy.local.stack import tell
from deploy.topology import SERVICES
from shared import crash
from tests.flows.proof import settled
from tests.flows.test_walk import AS_IT_MUST_BE

KILLS = int(os.environ.get("MAILLON_KILLS", "1"))
PROCESSES = (*SERVICES, "kafka", "postgres")
TURNS = 6 if KILLS >= 6 else 1
pytestmark = [pytest.mark.timeout(420), pytest.mark.usefixtures("walked")]


async def kill(stage: Stage, name: str, after_s: float) -> None:
    """SIGKILL; where it is being brought back at that moment, as soon as it is there again."""
    await asyncio.sleep(after_s)
    while True:
        try:
            stage.stack.kill(name)
        except (ProcessLookupError, KeyError):
            await asyncio.sleep(0.05)
        else:
            return


async def walk_under_fire(stage: Stage, seed: int) -> dict[str, Any]:
    """A walk; in seeded steps, each process dies a seeded moment after the step began."""
    chance = random.Random(seed)  # noqa: S311 repeatable, no secret
    plan = {name: (chance.randrange(8), chance.random() * 2) for name in PROCESSES}
    async with stage.new_walk() as walk, asyncio.TaskGroup() as killers:
        for number, step in enumerate(walk.steps()):
            for name, (at, after_s) in plan.items():
                if at == number:
                    tell(f"step {number}: kills {name} after {after_s:.2f} s")
                    killers.create_task(kill(stage, name, after_s))
            await step()
        return await stage.told(walk)


async def ends_the_same(stage: Stage, answer: dict[str, Any]) -> None:
    await settled(stage, 90)
    assert answer["ok"]
    assert await counted(stage.stack, answer["donation"]) == AS_IT_MUST_BE


@pytest.mark.parametrize("seed", range(1, KILLS + 1))
async def test_killed_at_any_moment(stage: Stage, seed: int) -> None:
    await ends_the_same(stage, await walk_under_fire(stage, seed))


@pytest.mark.parametrize("turn", range(TURNS))
async def test_killed_where_it_would_hurt(stage: Stage, turn: int, tmp_path: Path) -> None:
    chance = random.Random(turn)  # noqa: S311 repeatable, no secret
    flags: dict[str, Path] = {}
    crashes: dict[str, dict[str, str]] = {}
    for number, service in enumerate(SERVICES):
        point = crash.POINTS[(number + turn * 5) % len(crash.POINTS)]
        passage = 1 if service == "certs" else chance.randint(1, 3)  # certs tells twice in a walk
        flags[service] = tmp_path / f"{service}-{point}"
        crashes[service] = {"MAILLON_CRASH_AT": f"{point}:{passage}:{flags[service]}"}
    await asyncio.gather(*(stage.stack.restart(service, crashes[service]) for service in SERVICES))
    try:
        await ends_the_same(stage, await stage.walk())
        assert [flag.name for flag in flags.values() if not flag.exists()] == [], "these never crashed"
    finally:
        await asyncio.gather(*(stage.stack.restart(service) for service in SERVICES))
        await stage.stack.ready()

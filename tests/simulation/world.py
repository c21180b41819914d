"""One history, played: processes of the toy service, those who tell them things, and what goes wrong, until all is healed and judged."""

import asyncio
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from aiokafka import TopicPartition
from fastapi import FastAPI

from deploy.aside import skip
from shared import migrate
from shared.audit import fold_check
from shared.db import transaction
from shared.errors import Outage, Refused
from shared.history import Forked
from shared.kafka.wire import partition_of
from shared.run import Running
from shared.settings import Settings
from tests.shared.counter import AGGREGATES, MIGRATIONS, Add, build, counter_id
from tests.simulation.broker import Broker
from tests.simulation.broker import Told as Bytes
from tests.simulation.clock import ACTOR, EPOCH, Actor, Endless, Loop
from tests.simulation.connection import Pool
from tests.simulation.database import Backup, Database
from tests.simulation.expressions import Unknown
from tests.simulation.judge import FOLD, FORKS, NO_SURPRISE, NUMBERS, QUIET, Expected, Judge, Violation
from tests.simulation.plan import Draft, Fault, Plan, Request
from tests.simulation.schema import Schema
from tests.simulation.seams import Stage, Trace, installed

FAMILIES = ("test.told", "test.asked", "test.sums", "test.replies")
SCHEMA = Schema.of([migrate.KERNEL, MIGRATIONS], migrate.TABLE)
SETTLE_S = 20.0
SETTINGS = {
    "service": "counter",
    "database_url": "postgres://simulated",
    "kafka_bootstrap": "simulated",
    "kafka_user": "counter",
    "kafka_password": "none",
    "cells_file": Path("none"),
    "http_port": 1,
    "public_url": "http://127.0.0.1",
    "contact": "bonjour@maillon.example",
    "session_secret": "none",
    "staff_code": "none",
    "data_dir": Path("none"),
}
REPLICAS = [Settings.model_validate(SETTINGS | {"replica": str(n)}) for n in range(3)]
SPLIT = [
    Settings.model_validate(SETTINGS | {"replica": str(n), "cells": cells}) for n, cells in enumerate(("*,!idf", "idf", "*,!idf"))
]
"""The second serves a busy cell alone."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a history came to."""

    seed: int
    violations: tuple[Violation, ...]
    steps: int
    virtual_s: float
    trace: Trace

    @property
    def fingerprint(self) -> str:
        return blake2b(repr(self.trace).encode(), digest_size=8).hexdigest()


@dataclass(slots=True)
class Process:
    """A process of the service: killed and started again under the same name."""

    number: int
    actor: Actor
    running: Running | None = None
    task: "asyncio.Task[None] | None" = None


@dataclass(slots=True)
class World:
    """All of it."""

    plan: Plan
    loop: Loop = field(init=False)
    stage: Stage = field(init=False)
    judge: Judge = field(init=False)
    processes: list[Process] = field(default_factory=list)
    healed: bool = False
    over: bool = False
    starts: int = 0
    untold: list[tuple[str, Bytes]] = field(default_factory=list)
    backup: Backup | None = None
    spawned: list["asyncio.Task[Any]"] = field(default_factory=list)

    def __post_init__(self) -> None:
        seed = self.plan.seed
        random.seed(seed)  # the kernel spreads its second tries by it
        self.loop = Loop()  # type: ignore[abstract]  # it does what is needed, and nothing else
        database = Database(self.loop, random.Random(f"database {seed}"), SCHEMA)  # noqa: S311 repeatable, no secret
        broker = Broker(self.loop, random.Random(f"broker {seed}"), EPOCH.timestamp())  # noqa: S311 the same
        for family in FAMILIES:
            for cell in self.plan.cells:
                broker.create(f"{family}.{cell}", self.plan.partitions)
        self.stage = Stage(self.loop, database, broker, {"regions": self.plan.cells})
        self.judge = Judge(self.plan, database, broker, Expected.of(self.plan))
        self.judge.watch()

    def start(self, number: int) -> Process:
        """Start a process of the service."""
        self.starts += 1
        actor = Actor(f"p{number}.{self.starts}", self.loop)
        process = Process(number, actor)
        actor.buried = lambda: self.buried(process)
        process.task = self.loop.spawn(actor, self.serve(process))
        self.stage.note("started", actor.name)
        return process

    async def serve(self, process: Process) -> None:
        running = Running(build((SPLIT if self.plan.split else REPLICAS)[process.number]))
        try:
            await running.start(cast("FastAPI", SimpleNamespace(state=SimpleNamespace())))
        except Forked as error:
            self.judge.say(NUMBERS, f"a start met two histories: {error}")
            return
        except Exception as error:  # noqa: BLE001 told by the judge
            self.stage.failures.append(("start_failed", repr(error)))
            return
        assert running.relay is not None
        assert running.desk is not None
        running.relay.idle_s, running.relay.rest_s = 0.25, 0.5
        running.desk.sender.timeout_s = self.plan.sender_timeout_s
        process.running = running

    def buried(self, process: Process) -> None:
        """Let the rest of the world notice a death, and a supervisor start it again."""
        stage = self.stage
        stage.note("dead", process.actor.name)
        stage.database.gone(process.actor)
        stage.broker.gone(process.actor)
        if not self.over:  # also of one that was being stopped when all was healed
            self.loop.after(0.05 + stage.broker.chance.random() * 0.6, self.again, process)

    def again(self, process: Process) -> None:
        if process in self.processes:
            self.processes[self.processes.index(process)] = self.start(process.number)

    def tell(self, topic: str, message: Bytes) -> None:
        """Let a message be on its topic, as if its publisher had waited for all."""
        self.untold.append((topic, message))
        if self.stage.broker.up:
            self.tell_all()

    def tell_all(self) -> None:
        """Tell what a broker that was away has kept us from telling, in order."""
        untold, self.untold = self.untold, []
        for topic, message in untold:
            self.put(topic, message)

    def put(self, topic: str, message: Bytes) -> None:
        place = TopicPartition(topic, partition_of(message[0] or b"", self.plan.partitions))
        broker = self.stage.broker
        broker.append(place, [message])
        partition = broker.topics[topic][place.partition]
        broker.replicate(partition, len(partition.log))

    def ask(self, request: Request) -> None:
        """Give a command to a process, as somebody at its web page would."""
        if not self.processes:
            return
        process = self.processes[request.process]
        if process.running is None or process.running.desk is None or process.actor.dead:
            return
        self.spawned.append(self.loop.spawn(process.actor, self.carry_out(process, request)))

    async def carry_out(self, process: Process, request: Request) -> None:
        assert process.running is not None
        assert process.running.desk is not None
        try:
            await process.running.desk.carry_out(
                [Add(id=counter_id(request.name), cell=request.cell, amount=request.amount, cause=request.cause)]
            )
        except (Outage, Refused) as error:
            self.stage.note("no", (request.cause, error.code))
            return
        self.stage.note("yes", request.cause)
        self.judge.answered(request.cause)

    async def play(self) -> None:
        """Live through the plan, heal, and judge."""
        plan, loop = self.plan, self.loop
        self.processes = [self.start(number) for number in range(plan.processes)]
        for at, topic, message in plan.told:
            loop.after(0.15 + at, self.tell, topic, message)
        for request in plan.requests:
            loop.after(0.15 + request.at, self.ask, request)
        for fault in plan.faults:
            loop.after(0.15 + fault.at, self.fail, fault)
        if plan.restores:
            restore = next(f for f in plan.faults if f.kind == "restore")
            loop.after(0.15 + restore.at * restore.seconds, self.back_up)
        await asyncio.sleep(0.2 + plan.lasts + 0.6)
        await self.heal()
        await self.settle()
        for fork in plan.forks:
            await self.skip(fork.stream, fork.version, fork.topic)
        if plan.forks:
            await self.settle()
        await self.end()

    def back_up(self) -> None:
        if self.stage.database.up:
            self.backup = self.stage.database.backup()

    def fail(self, fault: Fault) -> None:
        """Let something go wrong."""
        if not self.healed and self.processes:
            self.stage.note("fault", (fault.kind, fault.process, round(fault.seconds, 3), fault.number, fault.word))
            getattr(self, f"fail_{fault.kind.replace(' ', '_')}")(fault)

    def fail_kill(self, fault: Fault) -> None:
        actor = self.processes[fault.process].actor
        actor.doomed_at = actor.steps + fault.number

    def fail_kill_at_point(self, fault: Fault) -> None:
        self.stage.points[self.processes[fault.process].actor.name] = (fault.word, fault.number)

    def fail_freeze(self, fault: Fault) -> None:
        actor = self.processes[fault.process].actor
        if actor.dead or actor.frozen:
            return
        self.loop.freeze(actor)
        self.stage.database.left_idle(actor)
        self.loop.after(fault.seconds, self.thaw, actor)
        if fault.number > 1:
            self.fail_expel(fault)

    def thaw(self, actor: Actor) -> None:
        if actor.frozen:
            self.stage.note("thawed", actor.name)
            self.loop.thaw(actor)

    def fail_expel(self, fault: Fault) -> None:
        for name, group in sorted(self.stage.broker.groups.items()):
            if name.endswith(fault.word):
                group.expel(f"{name}.{fault.process}")

    def fail_stop(self, fault: Fault) -> None:
        """Stop one as an operator would, and start it again a little later."""
        process = self.processes[fault.process]
        if process.running is not None and not process.actor.dead:
            self.spawned.append(self.loop.spawn(process.actor, self.stop(process)))

    async def stop(self, process: Process) -> None:
        assert process.running is not None
        running, process.running = process.running, None
        await running.stop()
        self.stage.note("stopped", process.actor.name)
        process.actor.kill()

    def fail_broker_crash(self, fault: Fault) -> None:
        self.stage.broker.crash()
        self.loop.after(min(fault.seconds, 1.0), self.broker_up)

    def broker_up(self) -> None:
        self.stage.broker.restart()
        self.tell_all()

    def fail_database_crash(self, fault: Fault) -> None:
        self.stage.database.crash()
        self.loop.after(min(fault.seconds, 1.0), self.database_up)

    def database_up(self) -> None:
        self.stage.database.up = True

    def fail_lose_session(self, fault: Fault) -> None:
        sessions = list(self.stage.database.sessions)
        if sessions:
            sessions[(fault.number * 7 + fault.process) % len(sessions)].lose()

    def fail_lose_acks(self, fault: Fault) -> None:
        self.stage.broker.losing_acks = 0.5
        self.loop.after(fault.seconds, self.acks_come)

    def acks_come(self) -> None:
        self.stage.broker.losing_acks = 0.0

    def fail_slow(self, fault: Fault) -> None:
        self.stage.database.slow = 8.0
        self.loop.after(fault.seconds, self.fast)

    def fast(self) -> None:
        self.stage.database.slow = 1.0

    def fail_replay(self, fault: Fault) -> None:
        """Send a whole topic again."""
        topic = f"test.told.{fault.word}"
        for record in self.stage.broker.records([topic]):
            self.tell(topic, (record.key, record.value, record.headers))

    def fail_restore(self, _fault: Fault) -> None:
        """Put the database back in time: everybody off, back, everybody on."""
        if self.backup is None:
            return
        old, self.processes = self.processes, []
        for process in old:
            process.actor.kill()
        self.loop.after(1.0, self.put_back, [process.number for process in old])

    def put_back(self, numbers: Iterable[int]) -> None:
        database = self.stage.database
        if not database.up or not self.stage.broker.up or self.backup is None:
            self.loop.after(0.2, self.put_back, numbers)
            return
        self.stage.note("restored")
        self.judge.about_to_restore(self.backup.tables.get("events", {}))
        database.restore(self.backup)
        self.processes = [self.start(number) for number in numbers]

    async def heal(self) -> None:
        """End all that is wrong."""
        while len(self.processes) < self.plan.processes:  # noqa: ASYNC110 a restore is under way
            await asyncio.sleep(0.2)
        self.healed = True
        self.stage.note("healed")
        self.stage.points.clear()
        self.stage.database.up, self.stage.database.slow, self.stage.broker.losing_acks = True, 1.0, 0.0
        self.broker_up()
        for process in self.processes:
            process.actor.doomed_at = -1
            self.thaw(process.actor)
        for n, process in enumerate(self.processes):
            if process.actor.dead:
                self.processes[n] = self.start(process.number)

    async def settle(self) -> None:
        """Wait until nothing more is to come, or for too long."""
        ends = self.loop.time() + SETTLE_S
        while self.loop.time() < ends:
            await asyncio.sleep(0.1)
            if self.judge.violations or (self.judge.is_quiet() and next(self.judge.set_aside(), None) is None):
                return

    async def skip(self, stream: Any, version: int, topic: str) -> None:
        """Pass over a second history, as an operator would."""
        async with transaction(cast("Any", self.pool())) as tx:
            if await skip(tx, stream, version, "agreed", topic) != 1:
                self.judge.say(FORKS, f"number {version} of {stream} came with other bytes, and nobody noticed")

    def pool(self) -> Pool:
        return Pool(self.stage.database, {"default_transaction_isolation": "repeatable read"}, 1)

    async def end(self) -> None:
        judge, self.over = self.judge, True
        judge.violations += [Violation(NO_SURPRISE, f"{event}: {error}") for event, error in self.stage.failures]
        if not judge.is_quiet():
            judge.say(QUIET, f"after {SETTLE_S} s of quiet something is unread or unsent")
        judge.violations += judge.end()
        judge.violations += [Violation(FOLD, str(d)) async for d in fold_check(cast("Any", self.pool()), AGGREGATES)]


def play(seed: int) -> Outcome:
    """Play the history of a seed."""
    world = World(Draft(seed).drawn())
    with installed(world.stage):
        try:
            world.loop.run_until_complete(world.play())
        except Endless as error:
            world.judge.say(QUIET, str(error))
        finally:
            unwound(world)
    if world.stage.database.strange:
        raise Unknown(world.stage.database.strange[0])
    return Outcome(seed, tuple(world.judge.violations), world.loop.steps, world.loop.now, world.stage.trace)


def unwound(world: World) -> None:
    """Let every coroutine that is left come to its end, so that none is thrown away half-way."""
    world.healed = True
    for process in world.processes:
        process.actor.kill()
    loop = world.loop
    asyncio.events._set_running_loop(loop)
    try:
        for _ in range(10_000):
            if not loop.ready:
                break
            handle = loop.ready.popleft()
            if handle.callback is not None:
                handle.context.run(handle.callback, *handle.args)
    finally:
        asyncio.events._set_running_loop(None)


__all__ = ["ACTOR", "Outcome", "World", "play"]

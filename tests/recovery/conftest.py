"""Intake and routing at work on a broker and a database that a test may lose, one stack for all tests of this folder."""

import asyncio
import functools
import hashlib
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import pytest_asyncio

from deploy.local import jars, kafka, postgres
from deploy.local.platform import Platform
from deploy.local.stack import Stack, http_status
from deploy.local.state import Folder
from deploy.local.supervisor import Supervisor
from deploy.places import built
from shared.audit import Difference, consumed, fold_check, published
from shared.db import transaction
from shared.kafka.reader import read_on
from shared.kafka.wire import Access
from shared.message import Message
from tests.intake.samples import body
from tests.recovery.manual import Manual
from tests.support.platform import new_folder, sweep, until

KEY = "clef-de-test"
SERVICES = ("intake", "routing")
DONATIONS, CONSIGNMENTS = "intake.donations.ara", "routing.consignments.trira"
EXTRA = {
    "intake": {"MAILLON_INTAKE_API_KEYS": f"acme:{hashlib.sha256(KEY.encode()).hexdigest()}"},
    "routing": {"MAILLON_ROUTING_VIEWS": "false"},
}


@dataclass(slots=True)
class Machine:
    """Broker and database as programs of our own, which the stack only knows by their addresses."""

    folder: Folder
    supervisor: Supervisor
    node: kafka.Node
    platform: Platform

    async def lose_broker(self) -> None:
        """The broker's disk is gone; an empty one starts at the same address, with its admin and nobody else."""
        await self.supervisor.stop("kafka")
        shutil.rmtree(self.node.folder)
        await self.start_broker()
        await kafka.ready(self.platform.kafka_bootstrap, self.platform.kafka_admin_password)

    async def start_broker(self) -> None:
        class_path = jars.ensure()
        cache = await kafka.ensure_cache(class_path)
        password, cluster = self.platform.kafka_admin_password, kafka.new_cluster_id()
        kafka.format_node(self.node, [self.node], class_path, admin_password=password, cluster=cluster)
        await self.supervisor.start(kafka.program(self.node, [self.node], class_path, log=self.folder.log("kafka"), cache=cache))


@asynccontextmanager
async def machine(path: Path) -> AsyncIterator[Machine]:
    with Folder(path) as folder:
        supervisor = Supervisor(path / "pids")
        try:
            known = folder.secrets(words=("kafka", "postgres"))
            ports = folder.ports("platform", "kafka", "kafka-internal", "kafka-controller", "postgres")
            node = kafka.Node(
                number=1,
                folder=path / "kafka",
                client_port=ports["kafka"],
                internal_port=ports["kafka-internal"],
                controller_port=ports["kafka-controller"],
            )
            data = path / "postgres"
            postgres.init(data, password=known["postgres"], log=folder.log("initdb"))
            await supervisor.start(postgres.program(data, port=ports["postgres"], log=folder.log("postgres")))
            made = Machine(
                folder,
                supervisor,
                node,
                Platform(
                    source="local",
                    kafka_bootstrap=kafka.bootstrap([node]),
                    kafka_admin_user=kafka.ADMIN,
                    kafka_admin_password=known["kafka"],
                    postgres_url=postgres.url(ports["postgres"], postgres.SUPERUSER, known["postgres"], "postgres"),
                    mark=str(path),
                ),
            )
            await made.start_broker()
            await made.platform.ready()
            yield made
        finally:
            await supervisor.close()


@dataclass(slots=True)
class Chain:
    """Two services that hear each other, what was given, and what must hold of all of it."""

    machine: Machine
    stack: Stack
    pools: Mapping[str, "asyncpg.Pool[asyncpg.Record]"]
    client: httpx.AsyncClient
    given: list[str] = field(default_factory=list)

    @property
    def manual(self) -> Manual:
        acts = {f"{verb} {name}": self.act(verb, name) for verb in ("stop", "start") for name in SERVICES}
        acts |= {f"{verb} every service": self.act(verb, *SERVICES) for verb in ("stop", "start")}
        return Manual(self.stack.folder, acts)

    def act(self, verb: str, *names: str) -> Any:
        async def done() -> None:
            await asyncio.gather(*(self.stack.stop(name) if verb == "stop" else self.stack.start(name) for name in names))
            if verb == "start":
                await asyncio.gather(*(until(functools.partial(self.answers, name), 120) for name in names))

        return done

    async def answers(self, service: str) -> bool:
        return await http_status(self.stack.port(service), "/ready") == 200

    async def kill(self, *names: str) -> None:
        """SIGKILL, and they stay away: what cannot reach its broker takes its time to stop, and a kill loses nothing."""
        pids = self.stack.pids()
        stopped = asyncio.gather(*(self.stack.stop(name) for name in names))
        await asyncio.sleep(0)
        for name in names:
            os.killpg(pids[name], signal.SIGKILL)
        await stopped

    def superuser(self, database: str = postgres.DATABASE) -> str:
        return self.machine.platform.postgres_url.rpartition("/")[0] + f"/{database}"

    async def give(self, count: int) -> None:
        """Donations of two laptops each, by the way of programs."""
        for _ in range(count):
            name = f"D-{len(self.given) + 1}"
            answer = await self.client.put(f"/intake/donations/{name}", json=body(declared={"laptop": 2}))
            assert answer.status_code == 201, answer.text
            self.given.append(name)

    async def settled(self, timeout_s: float = 150) -> None:
        """Wait until each donation has its consignment, told, heard and noted, and nothing waits; then all must agree."""
        await until(self.agreed, timeout_s)
        assert await self.differences() == []

    async def agreed(self) -> bool:
        told: dict[str, tuple[int, int]] = {}
        heard: dict[str, dict[str, tuple[int, int]]] = {}
        for name, pool in self.pools.items():
            async with transaction(pool, readonly=True) as tx:
                told |= await published(tx)
                heard[name] = await consumed(tx)
                if await tx.connection.fetchval("SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM parked)"):
                    return False
        consignments = await self.pools["routing"].fetchval("SELECT count(*) FROM consignments WHERE status = 'scheduled'")
        return bool(
            consignments == len(self.given)
            and heard["routing"].get(DONATIONS) == told.get(DONATIONS)
            and heard["intake"].get(CONSIGNMENTS) == told.get(CONSIGNMENTS)
        )

    async def differences(self) -> list[Difference]:
        return [d for name, pool in self.pools.items() async for d in fold_check(pool, built(name).aggregates)]

    async def rows(self, service: str) -> dict[str, list[str]]:
        """Every row of every aggregate of a service, as text."""
        tables = sorted({aggregate.rows.table for aggregate in built(service).aggregates.values()})  # type: ignore[attr-defined]
        return {
            table: [r[0] for r in await self.pools[service].fetch(f"SELECT to_jsonb(t)::text FROM {table} t ORDER BY id")]  # noqa: S608
            for table in tables
        }

    async def wire(self) -> dict[str, list[Message]]:
        """All messages that stand on the two topics. No number may ever have had two contents."""
        found: dict[str, list[Message]] = {}
        for owner, topic in (("intake", DONATIONS), ("routing", CONSIGNMENTS)):
            access = Access(self.stack.kafka_bootstrap, owner, self.stack.secrets[f"kafka.{owner}"])
            found[topic] = [m async for m in read_on(access, {}, [topic])]
            contents: dict[tuple[str, int], bytes] = {}
            for m in found[topic]:
                assert contents.setdefault((str(m.stream), m.version), m.value) == m.value, "a number was given twice"
        return found

    async def events(self, service: str, *, published_only: bool = True) -> int:
        where = "topic IS NOT NULL" if published_only else "true"
        return int(await self.pools[service].fetchval(f"SELECT count(*) FROM events WHERE {where}"))  # noqa: S608

    def logged(self, service: str, event: str) -> list[dict[str, Any]]:
        """What a service has written to its log under this name."""
        lines = (self.stack.folder / "logs" / f"{service}.log").read_text("utf-8").splitlines()
        found = [json.loads(line) for line in lines if line.startswith("{")]
        return [entry for entry in found if entry.get("event") == event]


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def made() -> AsyncIterator[Chain]:
    """Started once, gone at the end."""
    sweep()
    folder = new_folder("recovery-")
    try:
        async with AsyncExitStack() as running:
            own = await running.enter_async_context(machine(folder))
            patch = running.enter_context(pytest.MonkeyPatch.context())
            for name, value in own.platform.as_environment().items():
                patch.setenv(name, value)
            stack = await running.enter_async_context(Stack(new_folder("recovery-"), SERVICES, keep=False, extra_env=EXTRA))
            for file in (stack.folder / "env").iterdir():
                if file.stem not in SERVICES:
                    file.unlink()  # commands look at those that are there
            await stack.ready(120)
            pools = {}
            for name in SERVICES:
                pools[name] = await asyncpg.create_pool(stack.database_url(name), min_size=0, max_size=2, statement_cache_size=0)
                running.push_async_callback(pools[name].close)
            url = f"http://127.0.0.1:{stack.port('intake')}"
            client = httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {KEY}"}, timeout=20)
            await running.enter_async_context(client)
            yield Chain(own, stack, pools, client)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest_asyncio.fixture(loop_scope="session")
async def chain(made: Chain) -> Chain:
    """In order, with something in it."""
    await made.give(2)
    await made.settled()
    return made

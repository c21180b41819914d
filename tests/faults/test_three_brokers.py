"""Three brokers, acks=all, two in-sync replicas at least: one after the other is killed, and nothing that was told is lost or repeated.

The counter service adds without looking at causes, so that a repeat that came through would count.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from deploy.local import jars, kafka
from deploy.local.platform import Platform
from deploy.local.state import Folder
from deploy.local.supervisor import Supervisor
from shared.kafka.admin import Admin
from shared.kafka.wire import AWAY
from shared.settings import Settings
from tests.shared.counter import build
from tests.shared.ledger import Ledger
from tests.support.platform import new_folder, unique
from tests.support.process import process
from tests.support.service import Ground, Publisher, with_topics

CELLS = {"regions": ["ara", "idf"]}
NAMES = ("kafka-1", "kafka-2", "kafka-3")


@pytest_asyncio.fixture(loop_scope="session")
async def cluster(platform: Platform) -> AsyncIterator[tuple[Platform, Supervisor]]:
    """Brokers of its own beside the database of all tests."""
    folder = new_folder("three-")
    with Folder(folder) as state:
        ports = state.ports("three", *(f"{name}{kind}" for name in NAMES for kind in ("", "-internal", "-controller")))
        nodes = [
            kafka.Node(
                number=number,
                folder=folder / name,
                client_port=ports[name],
                internal_port=ports[f"{name}-internal"],
                controller_port=ports[f"{name}-controller"],
            )
            for number, name in enumerate(NAMES, 1)
        ]
        supervisor = Supervisor(folder / "pids")
        try:
            class_path = await asyncio.to_thread(jars.ensure)
            cache = await kafka.ensure_cache(class_path)
            options = {"admin_password": "admin-of-three", "cluster": kafka.new_cluster_id()}
            await asyncio.gather(*(asyncio.to_thread(kafka.format_node, node, nodes, class_path, **options) for node in nodes))
            for node in nodes:
                await supervisor.start(kafka.program(node, nodes, class_path, log=state.log(f"kafka-{node.number}"), cache=cache))
            await kafka.ready(kafka.bootstrap(nodes), "admin-of-three")
            yield (
                Platform(
                    source="three brokers",
                    kafka_bootstrap=kafka.bootstrap(nodes),
                    kafka_admin_user=kafka.ADMIN,
                    kafka_admin_password="admin-of-three",
                    postgres_url=platform.postgres_url,
                    mark="three",
                ),
                supervisor,
            )
        finally:
            await supervisor.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.timeout(180)
async def test_one_broker_of_three_is_killed_after_the_other(
    cluster: tuple[Platform, Supervisor], tmp_path: Path, database: str
) -> None:
    platform, supervisor = cluster
    ground = Ground(platform, unique("t") + ".", tmp_path, CELLS)
    settings = ground.settings(Settings, "counter", database)
    await with_topics(ground, build(settings))
    async with Admin(platform.kafka_bootstrap, platform.kafka_admin_user, platform.kafka_admin_password) as admin:
        topic = f"{ground.prefix}test.sums.ara"
        held = await admin.topic_configs([topic], ["min.insync.replicas"])
    assert held[topic]["min.insync.replicas"] == "2"
    ledger = Ledger(ground, database, careless=True)
    ledger.publisher = Patient(ground)
    async with process("tests.shared", settings, tmp_path / "log") as service:
        await service.ready()
        for turn, name in enumerate(NAMES):
            await ledger.tell(200, seed=10 * turn)
            supervisor.kill(name)
            await ledger.tell(200, seed=10 * turn + 1)  # two of three are in sync: nothing is refused
            await kafka.ready(platform.kafka_bootstrap, platform.kafka_admin_password)
            await asyncio.sleep(1.5)  # one at a time: the killed one is in sync again
        await ledger.settled(60)
        await ledger.judge()


class Patient(Publisher):
    """Sends the same again after an unknown outcome, as a relay does: who reads knows repeats by their number."""

    async def send(self, topic: str, rows: Sequence[Mapping[str, object]]) -> None:
        while True:
            try:
                return await super().send(topic, rows)
            except AWAY:
                await asyncio.sleep(0.2)

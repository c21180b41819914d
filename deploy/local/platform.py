"""Where broker and database come from.

Addresses in the environment first, then containers where a Docker engine answers, then programs of our own on this machine. The
choice is printed.
"""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from deploy.local import jars, kafka, postgres
from deploy.local.containers import containers, engine_answers
from deploy.local.state import Folder
from deploy.local.supervisor import Supervisor

BOOTSTRAP, ADMIN_USER, ADMIN_PASSWORD = "MAILLON_KAFKA_BOOTSTRAP", "MAILLON_KAFKA_ADMIN_USER", "MAILLON_KAFKA_ADMIN_PASSWORD"
POSTGRES_URL = "MAILLON_POSTGRES_URL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """A broker and a database that answer (or are about to: `ready`), with the rights to make users in both."""

    source: str
    kafka_bootstrap: str
    kafka_admin_user: str
    kafka_admin_password: str
    postgres_url: str
    mark: str
    """Tells this very broker and database from those that stood at the same address before."""

    def as_environment(self) -> dict[str, str]:
        return {
            BOOTSTRAP: self.kafka_bootstrap,
            ADMIN_USER: self.kafka_admin_user,
            ADMIN_PASSWORD: self.kafka_admin_password,
            POSTGRES_URL: self.postgres_url,
        }

    async def ready(self) -> None:
        """Waits until both answer. A wrong password is raised at once."""
        await asyncio.gather(
            kafka.ready(self.kafka_bootstrap, self.kafka_admin_password, user=self.kafka_admin_user),
            postgres.ready(self.postgres_url),
        )


def from_environment() -> Platform | None:
    """Both addresses or none: half a platform is a mistake worth telling."""
    found = {name: os.environ.get(name, "") for name in (BOOTSTRAP, ADMIN_USER, ADMIN_PASSWORD, POSTGRES_URL)}
    missing = [name for name, value in found.items() if not value]
    if len(missing) == len(found):
        return None
    if missing:
        raise RuntimeError(f"set all of {', '.join(found)} or none; missing: {', '.join(missing)}")
    return Platform(
        source="environment",
        kafka_bootstrap=found[BOOTSTRAP],
        kafka_admin_user=found[ADMIN_USER],
        kafka_admin_password=found[ADMIN_PASSWORD],
        postgres_url=found[POSTGRES_URL],
        mark=f"{found[BOOTSTRAP]} {found[POSTGRES_URL]}",
    )


async def start_local(state: Folder, supervisor: Supervisor) -> Platform:
    """Begins our own broker and database; makes their folders at the first start. Answers before they are ready."""
    known = state.secrets(words=("kafka.admin", "kafka.cluster", "postgres.maillon"))
    ports = state.ports("platform", "kafka", "kafka-internal", "kafka-controller", "postgres")
    data = state.path / "postgres"
    node = kafka.Node(
        number=1,
        folder=state.path / "kafka",
        client_port=ports["kafka"],
        internal_port=ports["kafka-internal"],
        controller_port=ports["kafka-controller"],
    )

    async def broker() -> None:
        class_path = await asyncio.to_thread(jars.ensure)
        cache = await kafka.ensure_cache(class_path)
        if not kafka.is_formatted(node):
            options = {"admin_password": known["kafka.admin"], "cluster": kafka.new_cluster_id()}
            await asyncio.to_thread(kafka.format_node, node, [node], class_path, **options)
        await supervisor.start(kafka.program(node, [node], class_path, log=state.log("kafka"), cache=cache))

    async def database() -> None:
        await asyncio.to_thread(postgres.init, data, password=known["postgres.maillon"], log=state.log("initdb"))
        await supervisor.start(postgres.program(data, port=ports["postgres"], log=state.log("postgres")))

    await asyncio.gather(broker(), database())
    return Platform(
        source="local",
        kafka_bootstrap=kafka.bootstrap([node]),
        kafka_admin_user=kafka.ADMIN,
        kafka_admin_password=known["kafka.admin"],
        postgres_url=postgres.url(ports["postgres"], postgres.SUPERUSER, known["postgres.maillon"], "postgres"),
        mark=f"{kafka.mark(node)} {postgres.mark(data)}",
    )


@asynccontextmanager
async def choose(state: Folder, supervisor: Supervisor | None = None, *, wait: bool = True) -> AsyncIterator[Platform]:
    """The platform for as long as the block runs. With a supervisor given, our own programs are ended by its owner."""
    given = from_environment()
    if given is not None:
        print(f"platform: addresses from the environment ({given.kafka_bootstrap})", flush=True)
        if wait:
            await given.ready()
        yield given
        return
    if await asyncio.to_thread(engine_answers):
        print("platform: containers (a Docker engine answers)", flush=True)
        async with containers(state) as (bootstrap, admin, password, address):
            started = Platform(
                source="containers",
                kafka_bootstrap=bootstrap,
                kafka_admin_user=admin,
                kafka_admin_password=password,
                postgres_url=address,
                mark=secrets.token_hex(),
            )
            if wait:
                await started.ready()
            yield started
        return
    print("platform: broker and database of our own on this machine", flush=True)
    ours = supervisor or Supervisor(state.path / "pids")
    try:
        local = await start_local(state, ours)
        if wait:
            await local.ready()
        yield local
    finally:
        if supervisor is None:
            await ours.close()

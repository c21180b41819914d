"""What the faults are done to: brokers (one or three) and a database on small disks, behind a proxy where there is one, and the stack.

Broker and database belong to a supervisor of their own, and the stack is told their addresses as it would be in production: those of
the proxy. Who judges goes past the proxy.
"""

import asyncio
import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Self

from deploy.local import jars, kafka, platform, postgres
from deploy.local.stack import Stack
from deploy.local.state import Folder
from deploy.local.supervisor import Supervisor
from tests.faults import proxy, witness
from tests.support.platform import new_folder

SPACE_MB = 2_000
"""Of a small disk while it is not full."""
_CLONE_NEWNS = 0x20000


def own_mounts() -> bool:
    """Give this process mounts of its own, which go with it however it ends. False where that is not allowed."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return False
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNS) != 0:
        return False
    return _mount("--make-rprivate", "/")


def _mount(*words: str) -> bool:
    return subprocess.run(("mount", *words), check=False, capture_output=True).returncode == 0


class Disk:
    """A small file system that can be full. Where mounting is refused it is a plain folder."""

    def __init__(self, folder: Path, *, mounting: bool) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        self.is_small = mounting and _mount("-t", "tmpfs", "-o", f"size={SPACE_MB}m,mode=755", "tmpfs", str(folder))

    def fill(self) -> None:
        """Leave no room beyond what is used, but for a few pages."""
        room = os.statvfs(self.folder)
        used = (room.f_blocks - room.f_bfree) * room.f_frsize
        _mount("-o", f"remount,size={used + 65_536}", str(self.folder))

    def empty(self) -> None:
        if self.is_small:
            _mount("-o", f"remount,size={SPACE_MB}m", str(self.folder))

    def close(self) -> None:
        if self.is_small:
            subprocess.run(("umount", "-l", str(self.folder)), check=False, capture_output=True)


class Machinery:
    """`async with Machinery(brokers=1, through_proxy=True) as machinery`: all is up, and gone at the end."""

    def __init__(
        self,
        *,
        brokers: int,
        through_proxy: bool,
        mounting: bool,
        env: Mapping[str, Mapping[str, str]],
        say: Callable[[str], None],
    ) -> None:
        self.folder = new_folder("faults-")
        self.brokers, self._mounting, self._env, self.say = brokers, mounting, env, say
        self.proxy: proxy.Proxy | None = None
        self._through_proxy = through_proxy
        self._exit = AsyncExitStack()
        self.extra: dict[str, int] = {}

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as undo:
            undo.callback(shutil.rmtree, self.folder, ignore_errors=True)
            self._state = undo.enter_context(Folder(self.folder))
            self.disks = {name: Disk(self.folder / name, mounting=self._mounting) for name in (*self._broker_names(), "postgres")}
            for disk in self.disks.values():
                undo.callback(disk.close)
            self.supervisor = Supervisor(self.folder / "pids", self.say)
            undo.push_async_callback(self.supervisor.close)
            given = await self._start_platform()
            await given.ready()
            os.environ.update(given.as_environment())
            self.stack = Stack(self.folder / "stack", keep=False, extra_env=self._env, say=self.say)
            await undo.enter_async_context(self.stack)
            await self._start_witness()
            self._exit = undo.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._exit.aclose()

    def _broker_names(self) -> tuple[str, ...]:
        return ("kafka",) if self.brokers == 1 else tuple(f"kafka-{n}" for n in range(1, self.brokers + 1))

    @property
    def machines(self) -> tuple[str, ...]:
        """Brokers and database."""
        return (*self._broker_names(), "postgres")

    def is_broker(self, name: str) -> bool:
        return name in self._broker_names()

    def owner(self, name: str) -> Supervisor | Stack:
        """Who keeps a process running."""
        return self.supervisor if name in self.machines else self.stack

    def direct_url(self, service: str) -> str:
        """The service's database as the service's role, past the proxy."""
        return postgres.with_role(self.admin_url, service, self.stack.secrets[f"postgres.{service}"], postgres.DATABASE)

    # ── broker, database, proxy ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _start_platform(self) -> platform.Platform:
        known = self._state.secrets(words=("kafka.admin", "postgres.maillon"))
        names = [f"{name}{kind}" for name in self._broker_names() for kind in ("", "-front", "-internal", "-controller")]
        ports = self._state.ports("platform", *names, "postgres", "postgres-front", "proxy")
        through = self._through_proxy
        nodes = [
            kafka.Node(
                number=number,
                folder=self.folder / name,
                client_port=ports[name],
                internal_port=ports[f"{name}-internal"],
                controller_port=ports[f"{name}-controller"],
                told_port=ports[f"{name}-front"] if through else None,
            )
            for number, name in enumerate(self._broker_names(), 1)
        ]
        if through:
            routes = {name: (ports[f"{name}-front"], ports[name]) for name in self.machines}
            await self.supervisor.start(proxy.program(ports["proxy"], routes, self.folder, self._state.log("toxiproxy")))
            self.proxy = proxy.Proxy(ports["proxy"])
        await asyncio.gather(
            self._start_brokers(nodes, known["kafka.admin"]), self._start_database(ports["postgres"], known["postgres.maillon"])
        )
        self.admin = (kafka.bootstrap([replace(node, told_port=None) for node in nodes]), kafka.ADMIN, known["kafka.admin"])
        self.admin_url = postgres.url(ports["postgres"], postgres.SUPERUSER, known["postgres.maillon"], "postgres")
        front = ports["postgres-front"] if through else ports["postgres"]
        return platform.Platform(
            source="faults",
            kafka_bootstrap=kafka.bootstrap(nodes),
            kafka_admin_user=kafka.ADMIN,
            kafka_admin_password=known["kafka.admin"],
            postgres_url=postgres.url(front, postgres.SUPERUSER, known["postgres.maillon"], "postgres"),
            mark="faults",
        )

    async def _start_brokers(self, nodes: list[kafka.Node], password: str) -> None:
        class_path = await asyncio.to_thread(jars.ensure)
        cache = await kafka.ensure_cache(class_path)
        options = {"admin_password": password, "cluster": kafka.new_cluster_id()}
        await asyncio.gather(*(asyncio.to_thread(kafka.format_node, node, nodes, class_path, **options) for node in nodes))
        for node, name in zip(nodes, self._broker_names(), strict=True):
            await self.supervisor.start(kafka.program(node, nodes, class_path, log=self._state.log(name), cache=cache))

    async def _start_database(self, port: int, password: str) -> None:
        data = self.folder / "postgres" / "data"
        await asyncio.to_thread(postgres.init, data, password=password, log=self._state.log("initdb"))
        await self.supervisor.start(postgres.program(data, port=port, log=self._state.log("postgres")))

    # ── beside the services ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _start_witness(self) -> None:
        """A consumer whose effects nothing guards but the kernel, in a database of its own on the same server."""
        name, role, password = await postgres.fresh_database(self.admin_url, "witness")
        self.witness_url = postgres.with_role(self.admin_url, role, password, name)
        told = self.stack.env("routing")
        told |= {
            "MAILLON_SERVICE": witness.NAME,
            "MAILLON_DATABASE_URL": postgres.with_role(self.stack.platform.postgres_url, role, password, name),
            "MAILLON_KAFKA_USER": self.stack.platform.kafka_admin_user,
            "MAILLON_KAFKA_PASSWORD": self.stack.platform.kafka_admin_password,
            "MAILLON_HTTP_PORT": str(self._state.ports("witness", "http")["http"]),
            "MAILLON_DATA_DIR": str(self.folder / "witness"),
        }
        await self.stack.start_program(witness.NAME, (sys.executable, "-m", "tests.faults.witness"), told)

    def children(self, name: str) -> list[int]:
        """A process and all that came of it: Postgres gives each connection a process in a session of its own."""
        found = [self.owner(name).pids()[name]]
        for pid in found:
            with suppress(OSError):
                told = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii")
                found.extend(map(int, told.split()))
        return found

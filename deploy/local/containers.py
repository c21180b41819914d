"""Broker and database in containers, where a Docker engine answers. The client alone proves nothing: the engine is asked.

The same server.properties as for our own broker, so that users, rights and limits are those of every other stack. Nothing is
kept: a container's data go with it.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from deploy.local import kafka, postgres
from deploy.local.state import Folder

KAFKA_IMAGE = "apache/kafka:4.3.1"
POSTGRES_IMAGE = "postgres:18"


def engine_answers(seconds: float = 2) -> bool:
    """Whether a Docker engine is there: asked on its own socket, since a client without an engine is common."""
    address = urlsplit(os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock")
    if address.scheme not in {"unix", "tcp", "http"}:
        return False
    try:
        if address.scheme == "unix":
            asked = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        else:
            asked = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        with asked:
            asked.settimeout(seconds)
            asked.connect(address.path if address.scheme == "unix" else (address.hostname or "127.0.0.1", address.port or 2375))
            asked.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
            return b" 200 " in asked.recv(64)
    except OSError:
        return False


@asynccontextmanager
async def containers(state: Folder) -> AsyncIterator[tuple[str, str, str, str]]:
    """Bootstrap address, admin user, admin password, database URL of two containers."""
    from testcontainers.core.container import DockerContainer

    known = state.secrets(words=("kafka.admin", "postgres.maillon"))
    ports = state.ports("platform", "kafka", "kafka-internal", "kafka-controller", "postgres")
    inside = Path(PurePosixPath("/tmp/maillon"))  # noqa: S108 the container's own
    node = kafka.Node(
        number=1,
        folder=inside,
        client_port=ports["kafka"],
        internal_port=ports["kafka-internal"],
        controller_port=ports["kafka-controller"],
    )
    # Bound to every address in the container, told as loopback: the port is forwarded from this machine's.
    text = kafka.properties(node, [node]).replace("\nlisteners=CLIENT://127.0.0.1:", "\nlisteners=CLIENT://0.0.0.0:")
    script = (
        'mkdir -p /tmp/maillon/data && printf "%s" "$PROPERTIES" > /tmp/maillon/server.properties && '
        "/opt/kafka/bin/kafka-storage.sh format --standalone -t $CLUSTER -c /tmp/maillon/server.properties "
        '--add-scram "SCRAM-SHA-512=[name=admin,password=$ADMIN_PASSWORD]" > /dev/null && '
        "exec /opt/kafka/bin/kafka-server-start.sh /tmp/maillon/server.properties"
    )
    broker = (
        DockerContainer(KAFKA_IMAGE)
        .with_env("PROPERTIES", text)
        .with_env("CLUSTER", kafka.new_cluster_id())
        .with_env("ADMIN_PASSWORD", known["kafka.admin"])
        .with_bind_ports(node.client_port, node.client_port)
        .with_command(["bash", "-c", script])
    )
    words = " ".join(f"-c {key}={value}" for key, value in postgres.SETTINGS.items() if value and key != "listen_addresses")
    database = (
        DockerContainer(POSTGRES_IMAGE)
        .with_env("POSTGRES_USER", postgres.SUPERUSER)
        .with_env("POSTGRES_PASSWORD", known["postgres.maillon"])
        .with_bind_ports(5432, ports["postgres"])
        .with_command(f"postgres {words}")
    )
    try:
        await asyncio.gather(asyncio.to_thread(broker.start), asyncio.to_thread(database.start))
        address = postgres.url(ports["postgres"], postgres.SUPERUSER, known["postgres.maillon"], "postgres")
        yield kafka.bootstrap([node]), kafka.ADMIN, known["kafka.admin"], address
    finally:
        await asyncio.gather(asyncio.to_thread(broker.stop), asyncio.to_thread(database.stop), return_exceptions=True)

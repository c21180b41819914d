"""The same work as a Faust agent: a table for the sums, its changelog on Kafka, one event out for each in.

It does less: no check of repeats or gaps, no database, nothing is set aside, and an exception would lose the message.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import faust

from shared.kafka.admin import Admin, NewTopic
from shared.kafka.wire import Access
from tests.shared.counter import Added, Told

NAME = "bench-agent"
PARTITIONS = 3


async def run(access: Access, topic: str, out: str, count: int) -> float:
    """Deal with `count` messages of `topic` and send what follows. Returns seconds, from the first message on."""
    with TemporaryDirectory(prefix="maillon-agent-") as folder:
        app_id = f"{access.prefix}{NAME}"
        changelog = NewTopic(name=f"{app_id}-sums-changelog", partitions=PARTITIONS, config={"cleanup.policy": "compact"})
        async with Admin(access.bootstrap, access.user, access.password) as admin:
            await admin.create_topics([changelog])
        app = build(access, app_id, Path(folder))
        heard, told = (app.topic(access.prefix + name, key_serializer="raw", value_serializer="raw") for name in (topic, out))
        table = app.Table("sums", default=dict)
        began: list[float] = []
        ended = asyncio.Event()

        async def add_up(stream: Any) -> AsyncIterator[None]:
            done = 0
            async for event in stream.events():
                if not began:
                    began.append(time.perf_counter())
                await told.send(key=event.message.key, value=added(table, event.message))
                done += 1
                if done == count:
                    ended.set()
                yield

        app.agent(heard, name=f"{app_id}.add_up", concurrency=1)(add_up)
        starting = asyncio.create_task(app.start())
        try:
            await ended.wait()
            await app.producer.flush()
            return time.perf_counter() - began[0]
        finally:
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            await app.stop()


def added(table: Any, message: Any) -> bytes:
    """Add one message to its sum and give the event that tells it."""
    heard = Told.model_validate_json(message.value)
    headers = dict(message.headers)
    cause = f"{headers['ce_subject'].decode()}/{headers['ce_streamversion'].decode()}"
    before = table[heard.name]
    total = before.get("total", 0) + heard.amount
    table[heard.name] = {"total": total, "causes": [*before.get("causes", []), cause]}
    event = Added(cell="ara", amount=heard.amount, total=total, cause=cause)
    return json.dumps({"type": event.type, "data": event.model_dump()}).encode()


def build(access: Access, app_id: str, folder: Path) -> Any:
    """Make the app, set up as our views are."""
    return faust.App(
        app_id,
        broker=[f"kafka://{access.bootstrap}"],
        broker_credentials=faust.SASLCredentials(
            username=access.user, password=access.password, mechanism="SCRAM-SHA-512", ssl_context=None
        ),
        consumer_auto_offset_reset="earliest",
        producer_acks=-1,
        producer_linger=0.002,
        store="memory://",
        datadir=str(folder),
        key_serializer="raw",
        value_serializer="raw",
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        topic_partitions=PARTITIONS,
        table_standby_replicas=0,
        autodiscover=False,
        stream_recovery_delay=0.0,
        loop=asyncio.get_running_loop(),
    )

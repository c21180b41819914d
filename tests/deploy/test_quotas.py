"""A partner that sends more than it may is held back by the broker itself, and nobody else is."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaProducer

from deploy.local.stack import Stack
from deploy.topology import partner_user
from shared.kafka.admin import Admin
from shared.kafka.wire import Access

RATE = 50_000
"""Bytes a second: a fortieth of what the map gives, so that a second's worth of work shows it."""


@dataclass(slots=True)
class Throttled:
    """A producer, and how long the broker said, with each answer, that it holds back the next request."""

    producer: AIOKafkaProducer
    told_ms: list[int] = field(default_factory=list)

    async def publish(self, topic: str, count: int, size: int = 50_000) -> float:
        """Publish one after the other. Returns when the last was acknowledged."""
        for n in range(count):
            await self.producer.send_and_wait(topic, b"x" * size, key=b"%d" % n, partition=0)
        return time.monotonic()


@asynccontextmanager
async def partner(stack: Stack, refurbisher: str) -> AsyncIterator[Throttled]:
    user = partner_user(refurbisher)
    access = Access(stack.kafka_bootstrap, user, stack.secrets[f"kafka.{user}"])
    producer = AIOKafkaProducer(**access.options(), enable_idempotence=True, max_batch_size=60_000)
    await producer.start()
    found, send = Throttled(producer), producer.client.send

    async def listen(*args: Any, **more: Any) -> Any:
        answer = await send(*args, **more)
        if type(answer).__name__.startswith("ProduceResponse"):
            found.told_ms.append(answer.throttle_time_ms)
        return answer

    producer.client.send = listen
    try:
        yield found
    finally:
        await producer.stop()


async def test_a_partner_over_its_quota_is_held_back_and_no_other(stack: Stack) -> None:
    p = stack.platform
    loud, quiet = partner_user("trira"), partner_user("ares")
    async with Admin(p.kafka_bootstrap, p.kafka_admin_user, p.kafka_admin_password) as admin:
        assert (await admin.quotas())[quiet] == stack.topology.quotas()[quiet]
        await admin.set_quotas(loud, {"producer_byte_rate": RATE})
        try:
            async with partner(stack, "trira") as held_back, partner(stack, "ares") as free:
                began = time.monotonic()
                loud_ended, quiet_ended = await asyncio.gather(
                    held_back.publish("refurb.inbound.trira", 14), free.publish("refurb.inbound.ares", 14)
                )
        finally:
            await admin.set_quotas(loud, stack.topology.quotas()[loud])
    assert (len(held_back.told_ms), len(free.told_ms)) == (14, 14)
    assert max(held_back.told_ms) > 0
    assert free.told_ms == [0] * 14
    assert loud_ended - began >= sum(held_back.told_ms[:-1]) / 1000 * 0.9, "what the broker announces it also does"
    assert quiet_ended < loud_ended

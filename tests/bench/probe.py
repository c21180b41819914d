"""A partner who goes about its work while others are loud: how long it waits for each receipt."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from shared.kafka.wire import Access
from tests.bench.loud import device


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """From publish to receipt, in milliseconds."""

    p50: float
    p99: float
    longest: float
    count: int
    missing: int
    """Told and not answered by the end: as long as it was waited for."""

    @classmethod
    def of(cls, took_s: Sequence[float], missing: int = 0) -> Self:
        cuts = quantiles(took_s, n=100)
        return cls(p50=cuts[49] * 1000, p99=cuts[98] * 1000, longest=max(took_s) * 1000, count=len(took_s), missing=missing)

    def __str__(self) -> str:
        lost = f", {self.missing} without answer" if self.missing else ""
        return f"p50 {self.p50:.0f}, p99 {self.p99:.0f}, longest {self.longest:.0f} ms of {self.count}{lost}"


@dataclass(slots=True)
class Probe:
    """Tells of devices evenly, `rate` a second, whatever the answers take; reads the receipts as the partner does."""

    refurbisher: str
    consignment: str
    access: Access
    rate: int = 20
    began: dict[str, float] = field(default_factory=dict)
    answered: dict[str, float] = field(default_factory=dict)
    number: int = 0

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[Self]:
        """Publish and read until the block ends."""
        producer = AIOKafkaProducer(**self.access.options(), enable_idempotence=True)
        consumer = AIOKafkaConsumer(**self.access.options(), group_id=None, auto_offset_reset="latest")
        await asyncio.gather(producer.start(), consumer.start())
        topic = f"refurb.receipts.{self.refurbisher}"
        consumer.assign([TopicPartition(topic, p) for p in sorted(await producer.partitions_for(topic))])
        await consumer.seek_to_end()
        tasks = [asyncio.create_task(self.tell(producer)), asyncio.create_task(self.read(consumer))]
        try:
            yield self
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.gather(producer.stop(), consumer.stop())

    async def tell(self, producer: AIOKafkaProducer) -> None:
        started = time.monotonic()
        while True:
            self.number += 1
            await asyncio.sleep(max(0.0, started + self.number / self.rate - time.monotonic()))
            key, value, headers = device(self.refurbisher, self.consignment, f"Q-{time.time_ns():x}")
            self.began[dict(headers)["ce_id"].decode()] = time.monotonic()
            await producer.send(f"refurb.inbound.{self.refurbisher}", value, key=key, headers=headers)

    async def read(self, consumer: AIOKafkaConsumer) -> None:
        async for record in consumer:
            self.answered.setdefault(json.loads(record.value)["report_id"], time.monotonic())

    async def waits(self, since: float, until: float, patience_s: float = 30) -> Waits:
        """How long the receipts took of what was told in that time; waits for those still to come."""
        told = {ce_id: began for ce_id, began in self.began.items() if since <= began < until}
        ends = time.monotonic() + patience_s
        while time.monotonic() < ends and not told.keys() <= self.answered.keys():  # noqa: ASYNC110 receipts come as they come
            await asyncio.sleep(0.05)
        now = time.monotonic()
        return Waits.of(
            [self.answered.get(ce_id, now) - began for ce_id, began in told.items()], len(told.keys() - self.answered.keys())
        )

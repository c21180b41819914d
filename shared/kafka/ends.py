"""How far topics reach: asked by operations to say how far behind a reader is."""

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.errors import Outage
from shared.kafka.wire import Access

Reach = dict[tuple[str, int], tuple[int, int]]
"""First and next offset of each partition."""


async def reach(access: Access, topics: Sequence[str]) -> Reach:
    """Look how far `topics` reach. One that the broker lacks, or hides from this user, is left out."""
    consumer = AIOKafkaConsumer(**access.options(), group_id=None, enable_auto_commit=False)
    await consumer.start()
    try:
        there = await consumer.topics()
        names = [access.prefix + topic for topic in topics if access.prefix + topic in there]
        for name in names:
            consumer._client.add_topic(name)  # noqa: SLF001 aiokafka offers no public way
        for _ in range(50):
            if all(consumer.partitions_for_topic(name) for name in names):
                break
            await asyncio.sleep(0.1)
        else:
            raise Outage("no_metadata")
        places = [TopicPartition(name, p) for name in names for p in sorted(consumer.partitions_for_topic(name))]
        begins, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
        return {(tp.topic.removeprefix(access.prefix), tp.partition): (begins[tp], ends[tp]) for tp in places}
    finally:
        await consumer.stop()

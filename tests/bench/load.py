"""The same work for the kernel and for the bare pipeline: a backlog of messages in, one event out for each."""

import json
import random
import time
from uuid import UUID, uuid5

from shared.events.base import MAILLON
from shared.kafka.wire import Access, Sender
from tests.shared.counter import Told

STREAMS_SHARE = 10
"""Messages a stream, on average."""


Backlog = list[tuple[UUID, int, str]]
"""(stream, number, JSON) of messages of about 290 bytes with their envelope."""


def stream(number: int) -> UUID:
    """Name the publisher's stream of that number."""
    return uuid5(MAILLON, f"bench {number}")


def backlog(count: int, seed: int = 7, streams: int | None = None, before: int = 0, first: int = 0) -> Backlog:
    """Make `count` messages of `streams` streams (numbered from `first` on) that are already at number `before`.

    In a shuffled but per-stream order.
    """
    chance = random.Random(seed)  # noqa: S311 repeatable, no secret
    numbers: dict[int, int] = {}
    made = []
    for _ in range(count):
        n = first + chance.randrange(streams or max(1, count // STREAMS_SHARE))
        numbers[n] = numbers.get(n, before) + 1
        made.append((stream(n), numbers[n], Told(name=str(stream(n)), amount=1).model_dump_json()))
    return made


async def fill(access: Access, topic: str, messages: Backlog) -> float:
    """Put the backlog on its topic. Returns seconds."""
    sender = Sender(access, "/maillon/bench", timeout_s=120)
    started = time.perf_counter()
    try:
        for n in range(0, len(messages), 5_000):
            await sender.put(topic, [(str(s).encode(), data.encode(), head(s, v)) for s, v, data in messages[n : n + 5_000]])
    finally:
        await sender.stop()
    return time.perf_counter() - started


def head(of: UUID, version: int) -> list[tuple[str, bytes]]:
    return [
        ("ce_id", str(uuid5(of, str(version))).encode()),
        ("ce_source", b"/maillon/bench"),
        ("ce_type", Told.type.encode()),
        ("ce_subject", str(of).encode()),
        ("ce_time", b"2026-01-01T00:00:00+00:00"),
        ("ce_streamversion", str(version).encode()),
    ]


def line(name: str, value: float, unit: str, goal: str, met: bool | None, note: str) -> str:
    """One line of the report, as JSON."""
    return json.dumps(
        {"name": name, "value": round(value, 3), "unit": unit, "goal": goal, "met": met, "note": note}, ensure_ascii=False
    )

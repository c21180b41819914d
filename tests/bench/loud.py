"""A loud neighbour, in a process of its own: `python -m tests.bench.loud` floods a partner's inbound topic, or only burns CPU.

What it shall do stands as JSON in MAILLON_LOUD. It publishes as the partner itself, so that the broker's quota holds it back.
"""

import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import uuid4

import uvloop
from aiokafka import AIOKafkaProducer

from shared.kafka.wire import Access, Outgoing

SLICE_S = 0.02
"""A share of a core is burnt in slices this long."""


def envelope(refurbisher: str, kind: str) -> list[tuple[str, bytes]]:
    """The headers of a new message of a partner."""
    told = {
        "ce_specversion": "1.0",
        "ce_id": str(uuid4()),
        "ce_source": f"/{refurbisher}/workshop",
        "ce_type": f"partner.{kind}.v1",
    }
    return [(name, value.encode()) for name, value in told.items()]


def device(refurbisher: str, consignment: str, ref: str) -> Outgoing:
    """A device unpacked: the message of which a refurbisher sends most."""
    value = {"consignment_id": consignment, "device_ref": ref, "device_type": "laptop", "maker": "Dell", "serial": ref}
    return ref.encode(), json.dumps(value).encode(), envelope(refurbisher, "device_received")


def poison(refurbisher: str, n: int) -> Outgoing:
    """What no contract allows, each in another way: no JSON, no such type, fields that are not what they say, no envelope at all."""
    key = f"P-{n}".encode()
    match n % 4:
        case 0:
            return key, b'{"consignment_id": "\\u0000', envelope(refurbisher, "device_received")
        case 1:
            return key, b"{}", envelope(refurbisher, "device_melted")
        case 2:
            return key, b'{"consignment_id": 7, "device_ref": [], "device_type": NaN}', envelope(refurbisher, "device_received")
        case _:
            return None, b"\xff\xfe", []


def large(refurbisher: str, consignment: str, n: int) -> Outgoing:
    """An evidence text as long as a message may hold, or as much of nothing at all."""
    key = f"L-{n}".encode()
    if n % 2:
        return key, b"[" * 990_000, envelope(refurbisher, "medium_erased")
    line = f"[2026/10/01 10:00:{n % 60:02}]  notice: {random.random()} of a medium was written\n"  # noqa: S311 no secret
    value = {"consignment_id": consignment, "device_ref": f"L-{n}", "log": (line * 20_000)[:880_000]}
    return key, json.dumps(value).encode(), envelope(refurbisher, "medium_erased")


def messages(kind: str, refurbisher: str, consignment: str) -> Iterator[Outgoing]:
    """Without end."""
    mark, n = uuid4().hex[:6], 0
    while True:
        match kind:
            case "poison":
                yield poison(refurbisher, n)
            case "large":
                yield large(refurbisher, consignment, n)
            case _:
                yield device(refurbisher, consignment, f"D-{mark}-{n}")
        n += 1


async def flood(told: dict[str, Any]) -> int:
    """Publish `count` messages, or as many as the broker lets through in `seconds`. Returns how many it took."""
    producer = AIOKafkaProducer(
        **Access(told["bootstrap"], told["user"], told["password"]).options(),
        enable_idempotence=True,
        linger_ms=5,
        max_batch_size=128 * 1024,
        max_request_size=1_048_576,
        request_timeout_ms=120_000,
    )
    ends = time.monotonic() + told.get("seconds", 10_000)
    acks: list[Any] = []
    await producer.start()
    try:
        for number, (key, value, headers) in enumerate(messages(told["kind"], told["refurbisher"], told["consignment"])):
            if number >= told.get("count", sys.maxsize) or time.monotonic() > ends:
                break
            acks.append(await producer.send(f"refurb.inbound.{told['refurbisher']}", value, key=key, headers=headers))
        await asyncio.gather(*acks)
    finally:
        await producer.stop()
    return len(acks)


def burn(shares: Sequence[float]) -> None:
    """Take the last of `shares` of a core for ever; the others are taken by children of this process."""
    for share in shares[:-1]:
        if os.fork() == 0:
            burn([share])
    parent = os.getppid()
    while os.getppid() == parent:
        began = time.monotonic()
        while time.monotonic() - began < SLICE_S * shares[-1]:
            pass
        time.sleep(max(0.0, SLICE_S * (1 - shares[-1])))
    os._exit(0)


if __name__ == "__main__":
    asked = json.loads(os.environ["MAILLON_LOUD"])
    if asked["kind"] == "burn":
        burn(asked["shares"])
    sys.stdout.write(f"{uvloop.run(flood(asked))}\n")

"""Sends messages in one batch, the second of which has a header name that is no UTF-8.

A program of its own: only aiokafka's pure Python writer (AIOKAFKA_NO_EXTENSIONS) can be brought to write that.
"""

import asyncio
import sys
from typing import Any

from aiokafka import AIOKafkaProducer


class Odd(str):
    """Text whose bytes are none."""

    __slots__ = ()

    def encode(self, *_: object, **__: object) -> bytes:
        return b"\xff\xfe"


async def main(bootstrap: str, user: str, password: str, topic: str, *values: str) -> None:
    options: dict[str, Any] = {"sasl_mechanism": "SCRAM-SHA-512", "security_protocol": "SASL_PLAINTEXT"}
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, sasl_plain_username=user, sasl_plain_password=password, linger_ms=200, **options
    )
    await producer.start()
    sent = []
    for n, value in enumerate(values):
        headers = [("ce_id", f"odd{n}".encode()), ("ce_source", b"partner"), ("ce_type", b"test.asked.v1")]
        odd = [(Odd("x"), b"v")] if n == 1 else []
        sent.append(await producer.send(topic, value.encode(), key=b"k", headers=[*headers, *odd]))
    await asyncio.gather(*sent)
    await producer.stop()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

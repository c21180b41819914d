# ruff: noqa: INP001, T201 - a program for others to copy, not a part of ours
"""A refurbisher's client, whole: tells maillon what happens to each device, reads its answers and the consignments assigned to it.

Needs `pip install aiokafka`. Run it to send a first message: `python client.py` (README.md says which variables it reads).
"""

import asyncio
import json
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any, Self
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

Told = tuple[str, dict[str, Any]]
"""Type of a message, and its value."""


class Client:
    """`async with Client("trira", "kafka.example:9093", password) as client: …`."""

    def __init__(
        self, refurbisher: str, bootstrap: str, password: str, *, user: str = "", ca_file: str = "", prefix: str = ""
    ) -> None:
        self.refurbisher, self.prefix, self.user = refurbisher, prefix, user or f"partner-{refurbisher}"
        self.options: dict[str, Any] = {
            "bootstrap_servers": bootstrap,
            "security_protocol": "SASL_SSL" if ca_file else "SASL_PLAINTEXT",
            "ssl_context": ssl.create_default_context(cafile=ca_file) if ca_file else None,
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": self.user,
            "sasl_plain_password": password,
        }

    async def __aenter__(self) -> Self:
        self.producer = AIOKafkaProducer(**self.options, acks="all", enable_idempotence=True, max_request_size=1_000_000)
        try:
            await self.producer.start()
        except BaseException:
            await self.producer.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.producer.stop()

    async def tell(self, kind: str, value: Mapping[str, Any] | bytes, *, key: str | None = None, id: str = "") -> str:  # noqa: A002
        """Send one message; returns its id when the broker has it. After an error send the same again under the same id."""
        ce_id = id or str(uuid4())
        if key is None and not isinstance(value, bytes):  # a device's messages stay in order because they share a key
            key = str(value.get("device_ref") or value.get("consignment_id") or self.refurbisher)
        headers = {
            "ce_specversion": "1.0",
            "ce_id": ce_id,
            "ce_source": f"/{self.refurbisher}/workshop",
            "ce_type": f"partner.{kind}.v1",
        }
        headers |= {"ce_time": datetime.now(UTC).isoformat(), "content-type": "application/json"}
        raw = value if isinstance(value, bytes) else json.dumps(value).encode()
        topic = f"{self.prefix}refurb.inbound.{self.refurbisher}"
        await self.producer.send_and_wait(topic, raw, key and key.encode(), headers=[(k, v.encode()) for k, v in headers.items()])
        return ce_id

    async def read(self, family: str, *, group: bool = False) -> AsyncIterator[Told]:
        """What `refurb.receipts` or `routing.consignments` says to you, from the beginning and then as it comes.

        With `group` the broker remembers where you were; commit only what you have dealt with.
        """
        options = {**self.options, "group_id": self.prefix + self.user if group else None, "auto_offset_reset": "earliest"}
        consumer = AIOKafkaConsumer(f"{self.prefix}{family}.{self.refurbisher}", **options)
        try:
            await consumer.start()
            async for record in consumer:
                yield dict(record.headers).get("ce_type", b"").decode(), json.loads(record.value)
        finally:
            await consumer.stop()


async def main() -> None:
    """Declare a capacity and wait for the receipt: a first accepted message."""
    env = os.environ
    where = env["MAILLON_BOOTSTRAP"], env["MAILLON_PASSWORD"]
    async with Client(env["MAILLON_REFURBISHER"], *where, ca_file=env.get("MAILLON_CA_FILE", "")) as client:
        sent = await client.tell("capacity_declared", {"weekly_places": {"laptop": 40, "desktop": 20}})
        print(f"sent {sent}, waiting for its receipt …")
        async for kind, receipt in client.read("refurb.receipts"):
            if receipt["report_id"] == sent:
                print(kind, json.dumps(receipt, ensure_ascii=False, indent=2))
                return


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyError as missing:
        raise SystemExit(f"set {missing.args[0]} (README.md says which variables are read)") from None
    except (KafkaError, OSError) as error:
        raise SystemExit(
            f"not sent: {type(error).__name__} {error}. Check address, user and password; then run it again."
        ) from None

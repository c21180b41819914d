"""A message on a topic: an event in a CloudEvents binary envelope (attributes as `ce_` headers, JSON as value)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it came, not yet decoded: decoding may fail, and then the original is what we keep."""

    topic: str
    partition: int
    offset: int
    stream: UUID
    """The publisher's stream. An outsider numbers nothing: there it is `stream_id("message", topic, source, ce_id)`, version 1; where
    even that is missing, `stream_id("message", topic, partition, offset)`, so that it can be parked or answered like any other."""
    version: int
    type: str
    time: datetime
    """When it happened, as its publisher says. Reactions take dates from here, never from a clock."""
    headers: Mapping[str, str]
    value: bytes
    key: bytes | None = None
    fault: str | None = None
    """Code of what is wrong with the envelope itself; such a message is never decoded."""

    @property
    def arrived(self) -> datetime:
        """When an outsider's message came, by the broker's clock where its topic has LogAppendTime. It outlives being parked."""
        return datetime.fromisoformat(self.headers["arrived"]) if "arrived" in self.headers else self.time

    @property
    def cell(self) -> str:
        """The cell that a message belongs to is that of its topic: the last part of the name."""
        return self.topic.rpartition(".")[2]

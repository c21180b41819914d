"""Every event of every stream once, in order, or a loud reason why not.

A publisher numbers the events of a stream 1, 2, 3 … without a gap. `seen` keeps, for each stream of each topic, the last
number dealt with and the mark of its bytes: a number at or below it is a repeat and is dropped; the same number with other
bytes is a fork, for which somebody must answer; one that skips waits with all that follow it until the missing one comes.
The table grows with streams, not with events. What it cannot see is a loss at the very end of a stream: the tally can.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Literal
from uuid import UUID

from shared.db import Tx
from shared.message import Message

Key = tuple[int, str]
"""A stream (its number: UUIDs are hashed in Python, numbers are not), and the topic it lives in: keys are chosen by others, and one
publisher must not be able to speak for another."""

Verdict = Literal["next", "repeat", "fork", "blocked", "gap"]


@dataclass(frozen=True, slots=True)
class Position:
    """How far a stream is dealt with, the mark of that message, and from which version on it is parked."""

    version: int = 0
    mark: bytes = b""
    parked_from: int | None = None


NOWHERE = Position()


def key(message: Message) -> Key:
    """Tell the stream and the topic of a message."""
    return message.stream.int, message.topic


def mark(message: Message) -> bytes:
    """Fingerprint the bytes and the type of a message."""
    digest = blake2b(message.type.encode(errors="surrogateescape"), digest_size=16)
    digest.update(message.value)
    return digest.digest()


@dataclass(slots=True)
class Inbox:
    """The positions of the streams of a batch."""

    known: dict[Key, Position]
    moved: set[Key] = field(default_factory=set)

    @classmethod
    async def load(cls, tx: Tx, messages: Iterable[Message]) -> "Inbox":
        """Fetch the positions of the streams of `messages`."""
        keys = list({key(m) for m in messages})
        rows = await tx.connection.fetch(
            """
            SELECT stream, topic, version, mark, parked_from FROM seen
            WHERE (stream, topic) IN (SELECT * FROM unnest($1::uuid[], $2::text[]))
            """,
            [UUID(int=s) for s, _ in keys],
            [t for _, t in keys],
        )
        return cls({(r["stream"].int, r["topic"]): Position(r["version"], r["mark"], r["parked_from"]) for r in rows})

    def first_missing(self, message: Message) -> int:
        """Tell which number of its stream a message waits for."""
        at = self.known.get(key(message), Position())
        return min(at.version + 1, at.parked_from or at.version + 1)

    def verdict(self, message: Message, *, released: bool = False) -> Verdict:
        """Say what a message is to its stream. A `released` one comes from the parked ones itself, so they do not block it."""
        at = self.known.get(key(message), NOWHERE)
        if message.version == at.version and at.mark != mark(message):
            return "fork"
        if message.version <= at.version:
            return "repeat"
        if at.parked_from is not None and message.version >= at.parked_from and not released:
            return "blocked"
        return "next" if message.version == at.version + 1 else "gap"

    def advance(self, message: Message) -> None:
        """Note that a message has had its effect."""
        place = key(message)
        self.known[place] = Position(message.version, mark(message), self.known.get(place, NOWHERE).parked_from)
        self.moved.add(place)

    def block(self, message: Message) -> None:
        """Let everything from this message on wait, in its stream."""
        at = self.known.get(key(message), Position())
        first = message.version if at.parked_from is None else min(at.parked_from, message.version)
        self.known[key(message)] = Position(at.version, at.mark, first)
        self.moved.add(key(message))

    async def save(self, tx: Tx) -> None:
        """Note what was dealt with, in the transaction that holds its effects. Only what moved is written."""
        keys = sorted(self.moved)
        if not keys:
            return
        await tx.connection.execute(
            """
            INSERT INTO seen (stream, topic, version, mark, parked_from)
            SELECT * FROM unnest($1::uuid[], $2::text[], $3::int[], $4::bytea[], $5::int[])
            ON CONFLICT (stream, topic) DO UPDATE
            SET version = excluded.version, mark = excluded.mark, parked_from = excluded.parked_from
            """,
            [UUID(int=s) for s, _ in keys],
            [t for _, t in keys],
            [self.known[k].version for k in keys],
            [self.known[k].mark for k in keys],
            [self.known[k].parked_from for k in keys],
        )


async def save_cursor(tx: Tx, messages: Sequence[Message]) -> None:
    """How far each partition is read, beside what the reading did: a database put back in time reads again from there."""
    ends: dict[tuple[str, int], int] = {}
    for message in messages:
        at = (message.topic, message.partition)
        ends[at] = max(ends.get(at, 0), message.offset + 1)
    places = sorted(ends)
    await tx.connection.execute(
        """
        INSERT INTO cursor (topic, partition, next) SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[])
        ON CONFLICT (topic, partition) DO UPDATE SET next = greatest(cursor.next, excluded.next)
        """,
        [t for t, _ in places],
        [p for _, p in places],
        [ends[place] for place in places],
    )

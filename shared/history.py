"""What happened, taken in again: what our own topics know more than our database, before a service serves.

`events` is the archive: state is what its fold says. What operations ask of it is in `shared.audit`.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from uuid import UUID

import asyncpg

from shared.aggregate import Aggregate, Aggregates, Recorded, Versioned, insert
from shared.db import transaction
from shared.events.base import Event
from shared.log import log
from shared.message import Message

SLICE = 500
"""Events taken in, or streams checked, in one short transaction: a long snapshot would slow the outbox of a busy service."""

Contracts = Mapping[str, tuple[Aggregate, type[Event]]]


class Forked(Exception):
    """Our topic has another event under a number that our database has too: two databases spoke as one. People must choose."""


def contracts(aggregates: Aggregates) -> Contracts:
    """Say for each type of event whose it is. Raises AssertionError when two aggregates claim one."""
    found: dict[str, tuple[Aggregate, type[Event]]] = {}
    for aggregate in set(aggregates.values()):
        for event in aggregate.events:
            if found.setdefault(event.type, (aggregate, event))[0] is not aggregate:
                raise AssertionError(f"{event.type} belongs to two aggregates: a fold could not tell which")
    return found


async def take_in(pool: "asyncpg.Pool[asyncpg.Record]", aggregates: Aggregates, messages: AsyncIterator[Message]) -> int:
    """Take in what our own topics know more than our database (restored from an older back-up). Returns how many events were missing.

    Raises Forked when both have the same number of a stream with other bytes.
    """
    known, missing, batch = contracts(aggregates), 0, list[Message]()
    async for message in messages:
        batch.append(message)
        if len(batch) >= SLICE:
            missing += await take_in_batch(pool, known, batch)
            batch = []
    return missing + (await take_in_batch(pool, known, batch) if batch else 0)


async def take_in_batch(pool: "asyncpg.Pool[asyncpg.Record]", known: Contracts, batch: Sequence[Message]) -> int:
    async with transaction(pool) as tx:
        rows = await tx.connection.fetch(
            "SELECT stream, version, type, data FROM events WHERE (stream, version) IN (SELECT * FROM unnest($1::uuid[], $2::int[]))",
            [m.stream for m in batch],
            [m.version for m in batch],
        )
        kept = {(r["stream"], r["version"]): (r["type"], r["data"]) for r in rows}
        have = dict(kept)
        new: dict[tuple[UUID, int], Message] = {}
        for message in sorted(batch, key=lambda m: (m.stream, m.version)):
            at, told = (message.stream, message.version), (message.type, message.value.decode())
            if message.fault or have.setdefault(at, told) != told:
                log.critical(
                    "forked", topic=message.topic, stream=str(message.stream), version=message.version, fault=message.fault
                )
                raise Forked(f"{message.topic}: {message.stream} number {message.version} is not the one in the database")
            if at not in kept:
                new[at] = message
        by_kind: dict[Aggregate, list[tuple[Message, Event]]] = {}
        for message in new.values():
            aggregate, contract = known[message.type]
            by_kind.setdefault(aggregate, []).append((message, contract.model_validate_json(message.value)))
        for aggregate, pairs in by_kind.items():
            states = dict(await aggregate.rows.load(tx, sorted({m.stream for m, _ in pairs})))
            recorded = []
            for message, event in pairs:
                before = states.get(message.stream, Versioned(aggregate.new))
                if message.version != before.version + 1:
                    raise Forked(
                        f"{message.topic}: {message.stream} goes on at {message.version}, the database knows {before.version}"
                    )
                states[message.stream] = Versioned(aggregate.evolve(before.state, event), message.version)
                trace = message.headers.get("traceparent")
                recorded.append(Recorded(message.stream, message.version, message.topic, event, message.value.decode(), trace))
            await insert(tx, recorded, outbox=False)
            await aggregate.rows.save(tx, states)
        return len(new)

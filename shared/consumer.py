"""Messages in: a batch becomes commands, and one transaction carries them out, the cursor of the partition included.

A message that cannot be read, or whose commands a rule refuses, is parked within the same transaction; what follows it
in its stream waits behind it. All others of the batch go through: one bad message costs nobody else anything. Outsiders'
messages are answered with a receipt instead.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import asyncpg
from pydantic import ValidationError

from shared import crash, metrics
from shared.aggregate import Aggregates, Command, Work
from shared.db import CLASH, REFUSED, Tx, is_clash, transaction
from shared.errors import Malformed, NotYet, Refused
from shared.events.base import Event
from shared.inbox import Inbox, Key, key, mark, save_cursor
from shared.log import log
from shared.message import Message
from shared.parked import FOR_PEOPLE, PATIENCE, Parked, Waiting, due, explain, hopeful, park, settle
from shared.turns import in_turn

LARGE = 64 * 1024
"""Bytes from which on a message is understood beside the loop."""
LARGE_BATCH = 100
"""Messages beyond which a batch takes its turn after those of other cells."""

Reaction = Callable[[Message, Any], Sequence[Command]]
Reactions = Mapping[type[Event], Reaction]
"""What a service does about an event: the commands that follow from it. Pure, so that a whole batch is known before it starts."""

Pair = tuple[Message, Sequence[Command] | Exception]
"""A message and what follows from it, or why that cannot be said."""

Released = Mapping[int, Waiting]
"""What comes from the parked ones, by the identity of the message."""


def never(_: Message) -> bool:
    """No message is slow."""
    return False


async def nothing() -> None:
    """Nothing was set aside."""


@dataclass(frozen=True, slots=True)
class Outside:
    """How to deal with those who are not of the house: what follows from their messages, and the answer when nothing can."""

    family: str
    """Topics `<family>.<cell>` are theirs."""
    reactions: Reactions
    reject: Callable[[Message, Exception], Sequence[Command]]
    """What answers a message that had no effect. Must not be refused itself, and repeating it must change nothing."""
    slow: Callable[[Message], bool] = never
    """Tells which messages are understood beside the loop though they are small: their reaction reads what lies elsewhere."""
    settled: Callable[[], Awaitable[None]] = nothing
    """Makes durable what the reactions to a batch set aside, before the batch is committed. Raises OSError for an outage."""


class CellStopped(Exception):
    """More than half of a large batch would be parked: that is a bad release or a bad publisher, not bad messages."""


@dataclass(frozen=True)
class Consumer:
    """Carries out what others publish."""

    pool: "asyncpg.Pool[asyncpg.Record]"
    aggregates: Aggregates
    reactions: Reactions
    outside: Outside | None = None
    committed: Callable[[], None] = lambda: None
    """Told after each commit that there may be something to send."""
    hopeful: set[str] = field(default_factory=set)
    """Topics with something parked that releases itself: looked at several times a second, the others now and then."""
    large_batches: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))

    async def process(self, messages: Sequence[Message]) -> None:
        """Deal with `messages`, in order: when this returns, each has had its effect, once, or is parked.

        Cells with large batches stand in line: otherwise they would share out all connections, and small batches wait for them all.
        """
        async with self.large_batches if len(messages) > LARGE_BATCH else nullcontext():
            batch = await self.understood(messages)
            kept = asyncio.create_task(self.kept())
            try:
                await self.settle(batch, kept)
            finally:
                await kept

    async def kept(self) -> None:
        """What was set aside is durable: before anything that speaks of it is committed."""
        if self.outside is not None:
            await self.outside.settled()

    async def understood(self, messages: Iterable[Message]) -> list[Pair]:
        """What follows from each message. A large one is read in a thread: its parsing could hold up all cells of this process."""
        return [
            (m, await asyncio.to_thread(self.commands, m) if self.is_slow(m) else self.commands(m))
            async for m in in_turn(messages)
        ]

    async def settle(self, batch: Sequence[Pair], kept: Awaitable[None]) -> None:
        """One transaction for all; halves of it where the database refuses one of them; the one that is left is parked or answered.

        `kept` goes on beside it: the disk writes originals while the database writes what follows from them. Raises what that raises, what
        `shared.db.AWAY` names when the database is away, and CellStopped.
        """
        turn = 0
        while True:
            try:
                async with transaction(self.pool) as tx:
                    await self.carry_out(tx, batch)
                    await kept
                    crash.point("before_commit")
                crash.point("after_commit")
                return self.committed()
            except CLASH:
                pass  # somebody else was there first: decide again on what it left
            except REFUSED as error:
                if not is_clash(error):
                    if len(batch) > 1:
                        return await self.halves(batch, kept)
                    if isinstance(batch[0][1], REFUSED):
                        raise  # it cannot even be set aside: better to stop than to lose it
                    batch = [(batch[0][0], error)]
            metrics.CLASHES.inc()
            if turn and len(batch) > 1:
                return await self.halves(batch, kept)  # a hot stream: smaller bites clash less
            turn += 1
            await asyncio.sleep(random.random() * 0.01 * min(turn, 10))  # noqa: S311 spreads writers apart, no secret

    async def halves(self, batch: Sequence[Pair], kept: Awaitable[None]) -> None:
        await self.settle(batch[: len(batch) // 2], kept)
        await self.settle(batch[len(batch) // 2 :], kept)

    def commands(self, message: Message) -> Sequence[Command] | Exception:
        """What follows from a message, or why that cannot be said."""
        if message.fault is not None:
            return Malformed(message.fault)
        outsider = self.is_outside(message.topic)
        found = (self.outside_contracts if outsider else self.contracts).get(message.type)
        if found is None:
            return Malformed("unknown_type", type=message.type[:200]) if outsider else ()
        contract, react = found
        try:
            return react(message, contract.model_validate_json(message.value))
        except ValidationError as error:
            return malformed(error)
        except OSError:
            raise  # a reaction that keeps originals met a full or lost disk: an outage, not this message's fault
        except Exception as error:  # noqa: BLE001 pure: a second try ends the same, so it is that message's trouble alone
            return error

    @cached_property
    def contracts(self) -> dict[str, tuple[type[Event], Reaction]]:
        return {contract.type: (contract, react) for contract, react in self.reactions.items()}

    @cached_property
    def outside_contracts(self) -> dict[str, tuple[type[Event], Reaction]]:
        return {contract.type: (contract, react) for contract, react in self.outside.reactions.items()} if self.outside else {}

    def is_outside(self, topic: str) -> bool:
        return self.outside is not None and topic.rpartition(".")[0] == self.outside.family

    def is_slow(self, message: Message) -> bool:
        return len(message.value) >= LARGE or (
            self.outside is not None and self.is_outside(message.topic) and self.outside.slow(message)
        )

    async def carry_out(self, tx: Tx, batch: Sequence[Pair], released: Released | None = None) -> None:
        """Carry out a batch within `tx`; `released` holds those that come from the parked ones."""
        inbox = await Inbox.load(tx, (message for message, _ in batch))
        work = Work(self.aggregates)
        await work.load(tx, (c for _, cs in batch if not isinstance(cs, Exception) for c in cs))
        parked: list[Parked] = []
        left: set[int] = set()
        answers: list[tuple[Message, Exception]] = []
        answered: dict[Key, bytes] = {}
        async for message, commands in in_turn(batch):
            first = answered.get(key(message))
            if first is not None:  # its receipt is written below: this is a repeat, or another under the same id
                if first != mark(message):
                    answers.append((message, Refused("id_reused")))
                continue
            failed = self.one(inbox, work, message, commands, released=released is not None)
            if failed is None:
                continue
            if isinstance(failed, Exception):
                if self.is_outside(message.topic) and not self.still_early(message, failed, released):
                    answers.append((message, failed))
                    if inbox.verdict(message, released=True) == "next":
                        answered[key(message)] = mark(message)
                    continue
                failed = explain(message, failed)
            elif released is not None and failed.why != "fork":
                left.add(id(message))  # its head did not go: it stays as it is
                continue
            parked.append(failed)
            inbox.block(message)
        parked += await self.answer(tx, inbox, work, answers)
        await self.write(tx, batch, inbox, work, parked)
        if released is None:
            await save_cursor(tx, [message for message, _ in batch])
        else:
            left |= {id(p.message) for p in parked}
            await settle(tx, [message for message, _ in batch if id(message) not in left])

    def one(
        self, inbox: Inbox, work: Work, message: Message, commands: Sequence[Command] | Exception, *, released: bool
    ) -> Parked | Exception | None:
        """Carry out one message in memory. Returns nothing when it is done, why it must wait, or the error it met."""
        verdict = inbox.verdict(message, released=released)
        match verdict:
            case "repeat":
                metrics.REPEATS.labels(message.cell).inc()
                return None
            case "fork" if self.is_outside(message.topic):
                return Refused("id_reused")
            case "fork":
                log.error("fork", topic=message.topic, stream=str(message.stream), version=message.version)
                return Parked(message, "fork", "same number, other bytes")
            case "gap" | "blocked":
                return Parked(message, verdict, f"waits for number {inbox.first_missing(message)}")
            case "next":
                if isinstance(commands, Exception):
                    return commands
                try:
                    work.carry_out(commands, message.headers.get("traceparent"))
                except Exception as error:  # noqa: BLE001 rules are pure: nothing was written, and a second try ends the same
                    return error
                inbox.advance(message)
                return None

    def still_early(self, message: Message, error: Exception, released: Released | None) -> bool:
        """Tell whether an outsider's message may still wait for the fact that it builds on."""
        return isinstance(error, NotYet) and (not released or released[id(message)].waited < PATIENCE)

    async def answer(self, tx: Tx, inbox: Inbox, work: Work, answers: Sequence[tuple[Message, Exception]]) -> list[Parked]:
        """Write the receipts of outsiders' messages that had no effect. What cannot even be answered is a bug of ours and is parked."""
        if not answers or self.outside is None:
            return []
        parked: list[Parked] = []
        written: list[tuple[Message, Exception, Sequence[Command]]] = []
        async for message, error in in_turn(answers):
            try:
                written.append((message, error, self.outside.reject(message, error)))
            except Exception as bug:  # noqa: BLE001 kept for people, and the others go on
                parked.append(unanswered(inbox, message, error, bug))
        await work.load(tx, (command for _, _, commands in written for command in commands))
        async for message, error, commands in in_turn(written):
            try:
                work.carry_out(commands, message.headers.get("traceparent"))
            except Exception as bug:  # noqa: BLE001 kept for people, and the others go on
                parked.append(unanswered(inbox, message, error, bug))
                continue
            if inbox.verdict(message, released=True) == "next":
                inbox.advance(message)
        return parked

    async def write(self, tx: Tx, batch: Sequence[Pair], inbox: Inbox, work: Work, parked: Sequence[Parked]) -> None:
        """Write what a batch made, unless it looks as if the fault were ours or the publisher's."""
        for_people = [p for p in parked if p.why in FOR_PEOPLE]
        if len(batch) >= 100 and len(for_people) * 2 > len(batch):
            raise CellStopped(
                f"{len(for_people)} of {len(batch)} messages would be parked, the first because: {for_people[0].reason}"
            )
        await work.save(tx)
        await inbox.save(tx)
        if parked:
            await park(tx, parked)
            for p in parked:
                metrics.PARKED.labels(p.message.cell, p.why).inc()
                self.hopeful.add(p.message.topic)

    async def release(self, topics: Sequence[str]) -> int:
        """Try again what is parked and may go now. Returns how many messages went. Call until it returns 0."""
        async with transaction(self.pool, readonly=True) as tx:
            waiting = await due(tx, topics)
            if not waiting:
                self.hopeful.difference_update(topics)
                self.hopeful.update(await hopeful(tx, topics))
                return 0
        return sum([await self.release_group(group) for group in grouped(waiting)])

    async def release_group(self, waiting: Sequence[Waiting]) -> int:
        """Release some streams in one transaction; one by one, and bit by bit, where the database refuses that."""
        batch = await self.understood(w.message for w in waiting)
        await self.kept()
        released = {id(w.message): w for w in waiting}
        try:
            async with transaction(self.pool) as tx:
                before = await count(tx, waiting)
                await self.carry_out(tx, batch, released)
                after = await count(tx, waiting)
            self.committed()
            return before - after
        except (*REFUSED, *CLASH) as error:
            streams = sorted({w.message.stream for w in waiting})
            if len(streams) > 1:
                some = set(streams[: len(streams) // 2])
                return await self.release_group([w for w in waiting if w.message.stream in some]) + await self.release_group(
                    [w for w in waiting if w.message.stream not in some]
                )
            if isinstance(error, REFUSED) and not is_clash(error):
                if len(waiting) > 1:  # the fault is one message's: what stands before it goes, what follows it waits
                    half = len(waiting) // 2
                    return await self.release_group(waiting[:half]) + await self.release_group(waiting[half:])
                with suppress(*CLASH):  # another was there first: what it left is looked at again
                    async with transaction(self.pool) as tx:
                        await park(tx, [explain(waiting[0].message, error)])
            return 0


def unanswered(inbox: Inbox, message: Message, error: Exception, bug: Exception) -> Parked:
    """Set aside a message that cannot even be answered: a bug of ours."""
    log.error("receipt_failed", topic=message.topic, offset=message.offset, answered=repr(error), exc_info=bug)
    inbox.block(message)
    return explain(message, bug)


def grouped(waiting: Sequence[Waiting], size: int = 500) -> list[list[Waiting]]:
    """Cut into groups of about `size` messages, never through a stream."""
    groups: list[list[Waiting]] = [[]]
    for w in waiting:
        if len(groups[-1]) >= size and groups[-1][-1].message.stream != w.message.stream:
            groups.append([])
        groups[-1].append(w)
    return groups


async def count(tx: Tx, waiting: Sequence[Waiting]) -> int:
    return int(
        await tx.connection.fetchval(
            "SELECT count(*) FROM parked WHERE (stream, topic) IN (SELECT * FROM unnest($1::uuid[], $2::text[]))",
            [w.message.stream for w in waiting],
            [w.message.topic for w in waiting],
        )
    )


def malformed(error: ValidationError) -> Malformed:
    """Say where a message breaks its contract (JSON pointers), without repeating what stood there."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return Malformed(
        "contract", faults=[{"where": "/" + "/".join(map(str, e["loc"])), "why": e["type"], "text": e["msg"]} for e in found[:20]]
    )

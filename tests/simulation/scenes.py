"""Scenes between two sessions of a database, written once for asyncpg and played on the real one and on the stand-in.

Each begins with rows of its own, and gives what was seen, in words that do not hang on time.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from shared import outbox
from shared.aggregate import Recorded, Versioned, insert
from shared.db import Tx
from shared.events.base import Event
from shared.inbox import Inbox, save_cursor
from shared.message import Message
from shared.parked import Parked, park
from tests.shared.counter import COUNTERS, Added, Counter

Connect = Callable[[], Awaitable[Any]]
AT = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = UUID(int=0x5CE7E)
RR, RC = "repeatable_read", "read_committed"


def name(word: str) -> UUID:
    return uuid5(NAMES, word)


def tx(connection: Any) -> Tx:
    return Tx(connection, AT)


def heard(word: str, version: int, offset: int = 0) -> Message:
    return Message(f"scene.{word}", 0, offset, name(word), version, "t", AT, {}, b"{}")


def made(word: str, version: int) -> Recorded:
    event: Event = Added(cell="ara", amount=1, total=version)
    return Recorded(name(word), version, "scene.sums", event, event.model_dump_json())


async def outcome(work: Awaitable[object]) -> str:
    """Say how something ended: with what error, by which constraint."""
    try:
        await work
    except Exception as error:  # noqa: BLE001 the outcome is what is compared
        return f"{type(error).__name__} {getattr(error, 'constraint_name', None) or ''}".strip()
    return "done"


async def position(connection: Any, word: str) -> str:
    inbox = await Inbox.load(tx(connection), [heard(word, 1)])
    return str(sorted(p.version for p in inbox.known.values()))


async def see(connection: Any, word: str, version: int) -> None:
    inbox = await Inbox.load(tx(connection), [heard(word, version)])
    inbox.advance(heard(word, version))
    await inbox.save(tx(connection))


async def one_moment(connect: Connect) -> list[str]:
    """What another commits meanwhile is not seen under REPEATABLE READ, and is under READ COMMITTED."""
    one, other = await connect(), await connect()
    seen = []
    for level in (RR, RC):
        word = f"moment {level}"
        async with one.transaction(isolation=level):
            seen.append(await position(one, word))
            await see(other, word, 1)
            seen.append(await position(one, word))
        seen.append(await position(one, word))
    await one.close()
    await other.close()
    return seen


async def the_first_one_wins(connect: Connect) -> list[str]:
    """Two change a row that was there: the second is told to decide again; under READ COMMITTED it writes over it."""
    one, other = await connect(), await connect()
    seen = []
    for level in (RR, RC):
        word = f"first {level}"
        await see(one, word, 1)

        async def late(level: str = level, word: str = word) -> None:
            async with one.transaction(isolation=level):
                await position(one, word)
                await see(other, word, 2)
                await see(one, word, 3)

        seen += [await outcome(late()), await position(one, word)]
    await one.close()
    await other.close()
    return seen


Work = Callable[[Any], Awaitable[object]]


async def rival(connect: Connect, first: Work, second: Work, *, commits: bool) -> str:
    """Let `second` run into what `first` has written and not yet committed; then let the first one end."""
    one, other = await connect(), await connect()
    ended = asyncio.get_running_loop().create_future()

    async def late() -> None:
        async with other.transaction(isolation=RR):
            await position(other, "its moment")
            await second(other)

    try:
        async with AsyncExitStack() as open_one:
            await open_one.enter_async_context(one.transaction(isolation=RR))
            await first(one)
            waiting = asyncio.create_task(outcome(late()))
            waiting.add_done_callback(lambda task: ended.set_result(task.result()))
            await asyncio.sleep(0.3)
            assert not waiting.done()
            if not commits:
                raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    seen: str = await ended
    await one.close()
    await other.close()
    return seen


async def two_write_one_number(connect: Connect) -> list[str]:
    """The second waits for the first: if that commits, the number is taken; if not, it is free."""
    return [
        await rival(
            connect,
            lambda c, w=word: insert(tx(c), [made(w, 1)], outbox=True),  # type: ignore[misc]
            lambda c, w=word: insert(tx(c), [made(w, 1)], outbox=True),  # type: ignore[misc]
            commits=commits,
        )
        for word, commits in (("number kept", True), ("number free", False))
    ]


async def two_bring_one_row_in(connect: Connect) -> list[str]:
    """A row that neither saw, brought in by both with ON CONFLICT: not of the second's moment."""
    return [
        await rival(connect, lambda c, w=w: see(c, w, 1), lambda c, w=w: see(c, w, 1), commits=commits)  # type: ignore[misc]
        for w, commits in (("row kept", True), ("row free", False))
    ]


async def a_number_that_was_taken(connect: Connect) -> list[str]:
    """Taken before our moment, and since it."""
    one, other = await connect(), await connect()
    await insert(tx(one), [made("taken", 1)], outbox=False)
    seen = [await outcome(insert(tx(one), [made("taken", 1)], outbox=True))]

    async def since() -> None:
        async with one.transaction(isolation=RR):
            await position(one, "its moment")
            await insert(tx(other), [made("taken", 2)], outbox=False)
            await insert(tx(one), [made("taken", 2)], outbox=True)

    seen.append(await outcome(since()))
    await one.close()
    await other.close()
    return seen


async def what_the_tables_refuse(connect: Connect) -> list[str]:
    """A check, a number too large, a write where only reading was asked for, a transaction that failed before."""
    one = await connect()

    async def save(total: int) -> None:
        await COUNTERS.save(tx(one), {name("refused"): Versioned(Counter(cell="ara", total=total), 1)})

    async def readonly() -> None:
        async with one.transaction(readonly=True):
            await save(1)

    async def after_a_failure() -> None:
        async with one.transaction():
            await outcome(save(4242))
            await save(1)

    seen = [await outcome(save(4242)), await outcome(save(2**70)), await outcome(readonly()), await outcome(after_a_failure())]
    seen.append(str(await COUNTERS.load(tx(one), [name("refused")])))
    await one.close()
    return seen


async def a_lock_goes_with_its_session(connect: Connect) -> list[str]:
    lock = "SELECT pg_try_advisory_lock(hashtext(current_schema()), hashtext('relay'))"
    one, other = await connect(), await connect()
    seen = [str(await one.fetchval(lock)), str(await one.fetchval(lock)), str(await other.fetchval(lock))]
    await one.close()
    for _ in range(100):
        if await other.fetchval(lock):
            seen.append("free")
            break
        await asyncio.sleep(0.02)
    await other.close()
    return seen


async def a_relay_takes_and_gives_the_locks_of_cells(connect: Connect) -> list[str]:
    one, other = await connect(), await connect()

    async def taken(by: Any, *cells: str) -> str:
        return str([row["cell"] for row in await by.fetch(outbox.TAKE, cells)])

    seen = [str(await by.fetchval(outbox.AMONG)) for by in (one, other)]
    seen += [await taken(one, "scene-a", "scene-b"), await taken(other, "scene-a", "scene-c")]
    seen += [str(await one.fetchval(outbox.GIVE, "scene-a")), await taken(other, "scene-a", "scene-b")]
    await one.close()
    await other.close()
    return seen


async def a_relay_sees_what_waits_and_takes_what_is_its_own(connect: Connect) -> list[str]:
    one, topic = await connect(), "scene.unsent.ara"
    await insert(tx(one), [replace(made("unsent", n), topic=topic) for n in (1, 2)], outbox=True)
    waiting = [row for row in await one.fetch(outbox.WAITING) if row["topic"] == topic]
    seen = [str([row["waited"] > timedelta(0) for row in waiting])]
    for cells in (["sent"], ["ara"]):
        rows = await one.fetch(outbox.NEXT, 1, [], 1_000_000, cells)
        seen.append(str([row["version"] for row in rows if row["topic"] == topic]))
    await one.close()
    return seen


async def a_cursor_never_goes_back(connect: Connect) -> list[str]:
    one = await connect()
    seen = []
    for offset in (5, 3, 9):
        await save_cursor(tx(one), [heard("cursor", 1, offset)])
        rows = await one.fetch("SELECT topic, partition, next FROM cursor WHERE topic = ANY ($1::text[])", ["scene.cursor"])
        seen.append(str([r["next"] for r in rows]))
    await one.close()
    return seen


async def one_that_waits_comes_twice_at_once(connect: Connect) -> list[str]:
    """And a row written twice by one statement, which no database takes."""
    one = await connect()
    message = heard("twice", 2)
    await park(tx(one), [Parked(message, "gap", "first"), Parked(message, "blocked", "second")])
    rows = await one.fetch("SELECT * FROM parked WHERE stream = ANY ($1::uuid[])", [name("twice")])
    twice = "INSERT INTO cursor (topic, partition, next) SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[])"
    twice += " ON CONFLICT (topic, partition) DO UPDATE SET next = greatest(cursor.next, excluded.next)"
    seen = [str([(r["why"], r["reason"], r["tries"]) for r in rows])]
    seen.append(await outcome(one.execute(twice, ["scene.twice"] * 2, [0, 0], [1, 2])))
    await one.close()
    return seen


SCENES = (
    one_moment,
    the_first_one_wins,
    two_write_one_number,
    two_bring_one_row_in,
    a_number_that_was_taken,
    what_the_tables_refuse,
    a_lock_goes_with_its_session,
    a_relay_takes_and_gives_the_locks_of_cells,
    a_relay_sees_what_waits_and_takes_what_is_its_own,
    a_cursor_never_goes_back,
    one_that_waits_comes_twice_at_once,
)

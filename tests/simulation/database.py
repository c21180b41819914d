"""A database in memory: snapshots, locks, sessions, a crash, a back-up. What it promises is what Postgres promises, no more.

Rows are never changed once they stand in a table, and what is committed is never changed in place: a snapshot, and a back-up, is
just a reference to the tables of that moment.
"""

import asyncio
import random
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncpg

from tests.simulation.clock import Actor, Loop, alive
from tests.simulation.schema import Key, Row, Schema, Table

Content = dict[Key, Row]
Tables = Mapping[str, Content]
NOTHING: Content = {}


@dataclass(frozen=True, slots=True)
class Backup:
    """All that was committed at one moment."""

    tables: Tables
    numbers: int


def violation(kind: type[asyncpg.PostgresError], constraint: str) -> asyncpg.PostgresError:
    """Make an error that names its constraint, as the server does."""
    error = kind(f"violates constraint {constraint}")
    error.constraint_name = constraint
    return error


@dataclass(slots=True, eq=False)
class Database:
    """The server."""

    loop: Loop
    chance: random.Random
    schema: Schema
    tables: Tables = field(default_factory=dict)
    numbers: int = 0
    up: bool = True
    sessions: dict["Session", None] = field(default_factory=dict)
    locks: dict[tuple[str, Key], "Transaction"] = field(default_factory=dict)
    advisory: dict[Any, "Session"] = field(default_factory=dict)
    slow: float = 1.0
    """How much slower than usual it answers."""
    strange: list[str] = field(default_factory=list)
    """Statements that nobody taught it: a history with one is no history."""
    committing: Callable[["Transaction", Tables], None] = lambda _tx, _after: None
    """Sees each commit, with the tables as they will be."""
    clashing: Callable[["Transaction", str, Key], None] = lambda _tx, _table, _key: None
    """Sees each row that cannot be inserted because another stands there."""
    relaying: Callable[["Session", Collection[str]], None] = lambda _session, _cells: None
    """Sees which sessions ask for what is to be sent."""

    def delay(self) -> float:
        """How long one way takes: mostly little, at times much, so that what overlaps rarely does here too."""
        draw = self.chance.random()
        return (0.0004 + 0.002 * draw if draw < 0.93 else 0.05 * (draw - 0.9) * 10) * self.slow

    def crash(self) -> None:
        """Die: what is committed stays, all else goes."""
        self.up = False
        for session in list(self.sessions):
            session.lose()

    def restore(self, backup: Backup) -> None:
        """Go back to a moment."""
        self.tables, self.numbers = backup.tables, backup.numbers

    def backup(self) -> Backup:
        return Backup(self.tables, self.numbers)

    def rows(self, table: str) -> list[Row]:
        """What is committed now."""
        return list(self.tables.get(table, NOTHING).values())

    def gone(self, actor: Actor) -> None:
        """Notice, a moment later, that a process is no more."""
        for session in list(self.sessions):
            if session.actor is actor:
                self.loop.after(self.chance.random() * 0.02, session.lose)

    def left_idle(self, actor: Actor) -> None:
        """End the sessions of a process that stands still for longer than they may."""
        for session in list(self.sessions):
            if session.actor is actor:
                for setting, needed in (("idle_in_transaction_session_timeout", True), ("idle_session_timeout", False)):
                    if limit := float(session.settings.get(setting, "0").removesuffix("s")):
                        self.loop.after(limit, session.still_idle, needed)


@dataclass(slots=True, eq=False)
class Session:
    """One connection, as the server sees it."""

    database: Database
    actor: Actor | None
    settings: Mapping[str, str]
    lost: bool = False
    transaction: "Transaction | None" = None
    waiting: "asyncio.Future[None] | None" = None

    async def trip(self) -> None:
        """Take the time of one message to the server. Raises what asyncpg raises when the way is broken."""
        alive()
        if self.lost:
            raise asyncpg.InterfaceError("connection is closed")
        database = self.database
        self.waiting = arrived = database.loop.create_future()
        database.loop.call_later(database.delay(), arrive, arrived)
        try:
            await arrived
        finally:
            self.waiting = None
        self.check()

    def check(self) -> None:
        """Raise when the process is dead, or the session was lost at the very moment in which an answer came."""
        alive()
        if self.lost:
            raise cut_off()

    def lose(self) -> None:
        """End it: its transaction never was, its locks are free."""
        if self.lost:
            return
        self.lost = True
        self.database.sessions.pop(self, None)
        if self.transaction is not None:
            self.transaction.rollback()
        for name in [name for name, holder in self.database.advisory.items() if holder is self]:
            del self.database.advisory[name]
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_exception(cut_off())

    def still_idle(self, in_transaction: bool) -> None:
        if self.actor is not None and self.actor.frozen and in_transaction == (self.transaction is not None):
            self.lose()


def cut_off() -> Exception:
    return asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")


def arrive(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


@dataclass(slots=True, eq=False)
class Transaction:
    """What one transaction sees and would change."""

    database: Database
    session: Session
    isolation: str
    readonly: bool
    began: datetime
    snapshot: Tables | None = None
    changes: dict[str, dict[Key, Row | None]] = field(default_factory=dict)
    held: list[tuple[str, Key]] = field(default_factory=list)
    behind: "Transaction | None" = None
    ended: bool = False
    failed: bool = False
    queue: list["asyncio.Future[None]"] = field(default_factory=list)

    @property
    def base(self) -> Tables:
        """The moment that this statement sees: its transaction's one and only, or its own under READ COMMITTED."""
        if self.isolation == "read_committed":
            return self.database.tables
        if self.snapshot is None:
            self.snapshot = self.database.tables
        return self.snapshot

    def view(self, table: str) -> Mapping[Key, Row]:
        """The rows that this transaction sees now."""
        base, changes = self.base.get(table, NOTHING), self.changes.get(table)
        if not changes:
            return base
        seen = dict(base)
        for key, row in changes.items():
            if row is None:
                seen.pop(key, None)
            else:
                seen[key] = row
        return seen

    def latest(self, table: str, key: Key) -> Row | None:
        """The row as it is, seen or not."""
        changes = self.changes.get(table)
        if changes is not None and key in changes:
            return changes[key]
        return self.database.tables.get(table, NOTHING).get(key)

    async def claim(self, table: str, key: Key) -> None:
        """Lock a row, behind those who have it. Raises what Postgres raises on a ring and after `lock_timeout`."""
        place = (table, key)
        while (holder := self.database.locks.get(place)) is not None and holder is not self:
            await self.wait_for(holder)
        if holder is None:
            self.database.locks[place] = self
            self.held.append(place)

    async def wait_for(self, holder: "Transaction") -> None:
        link: Transaction | None = holder
        while link is not None:
            if link is self:
                raise asyncpg.DeadlockDetectedError("deadlock detected")
            link = link.behind
        loop, limit = self.database.loop, float(self.session.settings.get("lock_timeout", "0").removesuffix("s"))
        self.behind, self.session.waiting = holder, (free := loop.create_future())
        holder.queue.append(free)
        timer = loop.call_later(limit, refuse, free) if limit else None
        try:
            await free
        finally:
            self.behind = self.session.waiting = None
            if timer is not None:
                timer.cancel()
        self.session.check()

    def check_first(self, table: str, key: Key) -> None:
        """Refuse to change what another has changed since our moment: the first one wins."""
        if self.isolation == "read_committed" or (self.changes.get(table) and key in self.changes[table]):
            return
        if self.database.tables.get(table, NOTHING).get(key) is not self.base.get(table, NOTHING).get(key):
            raise asyncpg.SerializationError("could not serialize access due to concurrent update")

    def put(self, table: Table, key: Key, row: Row | None) -> None:
        """Note a change. Raises as the table's constraints say."""
        if self.readonly:
            raise asyncpg.ReadOnlySQLTransactionError("cannot execute in a read-only transaction")
        if row is not None:
            for name, bits in table.bits.items():
                value = row[name]
                if value is not None and not -(1 << bits) <= value < 1 << bits:
                    raise asyncpg.DataError(f"value out of range: {value}")
            for name in table.required:
                if row[name] is None:
                    raise asyncpg.NotNullViolationError(f"null value in column {name}")
            for constraint, holds in table.checks.items():
                if not holds(row, row, (), ()):
                    raise violation(asyncpg.CheckViolationError, constraint)
        self.changes.setdefault(table.name, {})[key] = row

    def commit(self) -> None:
        """Make it so, at once and whole."""
        if self.changes and not self.failed:
            after = dict(self.database.tables)
            for name, changes in self.changes.items():
                content = dict(after.get(name, NOTHING))
                for key, row in changes.items():
                    if row is None:
                        content.pop(key, None)
                    else:
                        content[key] = row
                after[name] = content
            self.database.committing(self, after)
            self.database.tables = after
        self.end()

    def rollback(self) -> None:
        self.end()

    def end(self) -> None:
        if self.ended:
            return
        self.ended = True
        if self.session.transaction is self:
            self.session.transaction = None
        for place in self.held:
            if self.database.locks.get(place) is self:
                del self.database.locks[place]
        for free in self.queue:
            arrive(free)


def refuse(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_exception(asyncpg.LockNotAvailableError("canceling statement due to lock timeout"))

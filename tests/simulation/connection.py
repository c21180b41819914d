"""Stand-ins for what the kernel takes from asyncpg: `create_pool`, `connect`, and what those give."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from typing import Any

import asyncpg

from tests.simulation.clock import ACTOR, alive
from tests.simulation.database import Database, Session, Transaction, arrive
from tests.simulation.expressions import MOMENT, Unknown
from tests.simulation.schema import Row
from tests.simulation.statements import Result, understood

DEFAULT = "default_transaction_isolation"


class Record(dict[str, Any]):
    """A row as asyncpg gives it: values by name, and in their order when gone through."""

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values())


class Cursor:
    """Rows some at a time; those of a snapshot, so they may be taken at once."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = iter(rows)

    async def fetch(self, some: int) -> list[Row]:
        return list(islice(self.rows, some))


class Connection:
    """A connection of asyncpg, as far as the kernel uses one."""

    def __init__(self, session: Session) -> None:
        self.session = session

    async def _run(self, sql: str, args: Sequence[Any]) -> Result:
        session = self.session
        await session.trip()
        try:
            handler = understood(session.database.schema, sql)
        except Unknown as error:
            session.database.strange.append(str(error))
            raise
        within = session.transaction
        if within is not None and within.failed:
            raise asyncpg.InFailedSQLTransactionError("current transaction is aborted")
        tx = within or begin(session, None, readonly=False)
        MOMENT[0] = tx.began
        try:
            result = await handler(tx, args)
        except BaseException:
            if within is not None:
                within.failed = True
            else:
                tx.rollback()
            raise
        if within is None:
            tx.commit()
        return result

    async def fetch(self, sql: str, *args: Any) -> list[Row]:
        return [Record(row) for row in (await self._run(sql, args)).rows]

    async def cursor(self, sql: str, *args: Any) -> "Cursor":
        return Cursor(await self.fetch(sql, *args))

    async def fetchrow(self, sql: str, *args: Any) -> Row | None:
        rows = (await self._run(sql, args)).rows
        return Record(rows[0]) if rows else None

    async def fetchval(self, sql: str, *args: Any) -> Any:
        rows = (await self._run(sql, args)).rows
        return next(iter(rows[0].values())) if rows else None

    async def execute(self, sql: str, *args: Any) -> str:
        return f"DONE {(await self._run(sql, args)).count}"

    async def executemany(self, sql: str, many: Sequence[Sequence[Any]]) -> None:
        for args in many:
            await self._run(sql, args)

    @asynccontextmanager
    async def transaction(self, *, isolation: str | None = None, readonly: bool = False) -> AsyncIterator[None]:
        session = self.session
        await session.trip()
        if session.transaction is not None:
            raise NotImplementedError("the database stand-in has no savepoints")
        tx = session.transaction = begin(session, isolation, readonly=readonly)
        try:
            yield
        except BaseException:
            if not session.lost:
                await session.trip()
                tx.rollback()
            raise
        await session.trip()
        tx.commit()
        await session.trip()  # killed on this way, who committed does not know it

    def is_closed(self) -> bool:
        return self.session.lost

    async def close(self, *, timeout: float | None = None) -> None:  # noqa: ARG002, ASYNC109 asyncpg's signature
        alive()
        self.session.lose()


def begin(session: Session, isolation: str | None, *, readonly: bool) -> Transaction:
    """Open a transaction; without a word about its isolation it is what the session's settings say."""
    level = isolation or session.settings.get(DEFAULT, "read committed").replace(" ", "_")
    return Transaction(session.database, session, level, readonly, session.database.loop.moment())


class Acquired:
    """What `pool.acquire` gives: a connection for the time of a block."""

    __slots__ = ("connection", "pool", "timeout")

    def __init__(self, pool: "Pool", timeout: float | None) -> None:
        self.pool, self.timeout = pool, timeout

    async def __aenter__(self) -> Connection:
        async with asyncio.timeout(self.timeout):
            self.connection = await self.pool.take()
        return self.connection

    async def __aexit__(self, *_: object) -> None:
        self.pool.give_back(self.connection)


class Pool:
    """A pool of asyncpg, as far as the kernel uses one."""

    def __init__(self, database: Database, settings: Mapping[str, str], largest: int) -> None:
        self.database, self.settings, self.left = database, settings, largest
        self.largest = largest
        self.idle: list[Connection] = []
        self.queue: deque[asyncio.Future[None]] = deque()
        self.closed = False

    def acquire(self, *, timeout: float | None = None) -> Acquired:
        return Acquired(self, timeout)

    def get_size(self) -> int:
        return self.largest - self.left + len(self.idle)

    def get_idle_size(self) -> int:
        return len(self.idle)

    async def take(self) -> Connection:
        alive()
        if self.closed:
            raise asyncpg.InterfaceError("pool is closed")
        while self.left == 0:
            turn = self.database.loop.create_future()
            self.queue.append(turn)
            await turn
        self.left -= 1
        while self.idle:
            connection = self.idle.pop()
            if not connection.is_closed():
                return connection
        try:
            return await connected(self.database, self.settings)
        except BaseException:
            self.left += 1
            raise

    def give_back(self, connection: Connection) -> None:
        self.left += 1
        if not connection.is_closed():
            if self.closed:
                connection.session.lose()
            else:
                self.idle.append(connection)
        while self.queue:
            turn = self.queue.popleft()
            if not turn.done():
                arrive(turn)
                break

    async def fetch(self, sql: str, *args: Any) -> list[Row]:
        async with self.acquire() as connection:
            return await connection.fetch(sql, *args)

    async def fetchrow(self, sql: str, *args: Any) -> Row | None:
        async with self.acquire() as connection:
            return await connection.fetchrow(sql, *args)

    async def fetchval(self, sql: str, *args: Any) -> Any:
        async with self.acquire() as connection:
            return await connection.fetchval(sql, *args)

    async def execute(self, sql: str, *args: Any) -> str:
        async with self.acquire() as connection:
            return await connection.execute(sql, *args)

    async def close(self) -> None:
        alive()
        self.closed = True
        for connection in self.idle:
            connection.session.lose()


async def connected(database: Database, settings: Mapping[str, str]) -> Connection:
    """Connect. Raises ConnectionRefusedError while the server is away."""
    session = Session(database, ACTOR.get(), settings)
    await session.trip()
    if not database.up:
        raise ConnectionRefusedError(111, "the database is away")
    database.sessions[session] = None
    return Connection(session)

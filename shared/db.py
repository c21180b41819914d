"""Postgres: the pool, a transaction and the moment it happens, and which errors mean what."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Protocol, TypeVar

import asyncpg
import asyncpg.pool

from shared import metrics
from shared.errors import Outage
from shared.log import log

T = TypeVar("T")

CLASH = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)
"""Somebody else was there first: decide again on what it left."""

AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # shutdown, crash, "starting up", cancelled
    asyncpg.InsufficientResourcesError,  # too many connections, disk full
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.LockNotAvailableError,
    asyncpg.ReadOnlySQLTransactionError,  # a fail-over left us on a standby
    asyncpg.PostgresSystemError,
    asyncpg.InternalServerError,
    asyncpg.InternalClientError,
    asyncpg.UnsupportedClientFeatureError,
    asyncpg.InterfaceError,
    OSError,
    TimeoutError,
)
"""An outage: waited for, never parked. `asyncpg.DataError` from the client is an InterfaceError too, so test REFUSED first."""

REFUSED = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.ProgramLimitExceededError)
"""The database will not have this row, today or tomorrow."""


class Row(Protocol):
    """A row of a result: values by name."""

    def __getitem__(self, key: str, /) -> Any: ...


@dataclass(frozen=True, slots=True)
class Tx:
    """Everything that touches the database takes one of these first. Opened and committed at the edge only."""

    connection: "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
    now: datetime
    trace: str | None = None


async def connect(url: str, *, name: str, largest: int = 8) -> "asyncpg.Pool[asyncpg.Record]":
    """Open a pool; wait while the server is away. A wrong password or database name is said at once and not waited for."""
    wait_s = 0.1
    while True:
        try:
            return await asyncpg.create_pool(
                url,
                min_size=1,
                max_size=largest,
                timeout=5,
                command_timeout=60,
                server_settings={
                    "application_name": name,
                    "default_transaction_isolation": "repeatable read",
                    "idle_in_transaction_session_timeout": "10s",
                    "lock_timeout": "15s",
                    "timezone": "UTC",
                },
            )
        except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError, ValueError):
            raise
        except AWAY as error:
            log.warning("database_away", error=repr(error), again_in_s=round(wait_s, 1))
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, 2.0)


class SharedSession(Exception):
    """Two connections are one session of the server: a pooler in transaction mode, behind which an advisory lock is nobody's."""


async def sessions_are_ours(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    """Raise SharedSession where connections share a session: two relays would hold one lock."""
    async with pool.acquire(timeout=15) as one, pool.acquire(timeout=15) as other:
        try:
            ids = [await connection.fetchval("SELECT pg_backend_pid()") for connection in (one, other)]
        except asyncpg.DuplicatePreparedStatementError:
            ids = []
    if len(set(ids)) < 2:
        raise SharedSession("connect to Postgres itself, or to a pooler in session mode: this one is in transaction mode")


@asynccontextmanager
async def transaction(
    pool: "asyncpg.Pool[asyncpg.Record]", *, readonly: bool = False, trace: str | None = None
) -> AsyncIterator[Tx]:
    """One moment: REPEATABLE READ, so that positions and state are never of two."""
    isolation: Literal["repeatable_read"] = "repeatable_read"
    async with pool.acquire(timeout=15) as connection, connection.transaction(isolation=isolation, readonly=readonly):
        yield Tx(connection, datetime.now(UTC), trace)


def is_clash(error: BaseException) -> bool:
    """Tell whether another writer of the same stream or row was first."""
    return isinstance(error, CLASH) or (
        isinstance(error, asyncpg.UniqueViolationError) and error.constraint_name in {"events_pkey", "seen_pkey", "cursor_pkey"}
    )


async def decided_again(attempt: Callable[[], Awaitable[T]], *, tries: int = 8) -> T:
    """Run `attempt` until it does not clash with another writer. Raises Outage: "busy" after `tries`, "database" when it is away."""
    for turn in range(tries):
        try:
            return await attempt()
        except REFUSED as error:  # a constraint of the state: what the other writer left may let `decide` say why
            log.warning("clash", error=repr(error), turn=turn)
        except CLASH:
            pass
        except AWAY as error:
            raise Outage("database") from error
        metrics.CLASHES.inc()
        await asyncio.sleep(random.random() * 0.01 * 2**turn)  # noqa: S311 spreads writers apart, no secret
    raise Outage("busy")

"""What a request or a job works with: commands carried out at once, reads of one moment, the vault, the way to Kafka for outsiders."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import asyncpg

from shared import crash
from shared.aggregate import Aggregates, Command, Recorded, Work
from shared.db import AWAY as DATABASE_AWAY
from shared.db import REFUSED, Tx, decided_again, transaction
from shared.errors import Malformed, Outage
from shared.kafka.wire import AWAY, Sender
from shared.settings import Settings
from shared.trace import CURRENT
from shared.vault import Vault

Also = Callable[[Tx], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """One for a process."""

    settings: Settings
    pool: "asyncpg.Pool[asyncpg.Record]"
    aggregates: Aggregates
    sender: Sender
    committed: Callable[[], None]
    state: Mapping[str, Any]
    keys: Vault | None = None

    async def carry_out(self, commands: Sequence[Command], also: Also | None = None) -> list[Recorded]:
        """Carry out all of `commands` or none, in one transaction; `also` writes what is no event (links, sealed data) with it.

        Decides again when another writer was first. Raises Refused or NotYet as the rules say, Outage when it cannot be done now.
        """

        async def attempt() -> list[Recorded]:
            async with transaction(self.pool, trace=CURRENT.get()) as tx:
                work = Work(self.aggregates)
                await work.load(tx, commands)
                recorded = work.carry_out(commands, tx.trace)
                await work.save(tx)
                if also is not None:
                    await also(tx)
                crash.point("before_commit")
                return recorded

        recorded = await decided_again(attempt)
        crash.point("after_commit")
        if recorded:
            self.committed()
        return recorded

    def read(self) -> AbstractAsyncContextManager[Tx]:
        """One moment, to look at. Raises Outage while the database is away, Malformed for what it cannot even look for."""
        return self._moment(readonly=True)

    def write(self) -> AbstractAsyncContextManager[Tx]:
        """A transaction for tables that are no aggregate's: drafts, links. Raises Outage while the database is away."""
        return self._moment(readonly=False)

    @asynccontextmanager
    async def _moment(self, *, readonly: bool) -> AsyncIterator[Tx]:
        try:
            async with transaction(self.pool, readonly=readonly) as tx:
                yield tx
        except REFUSED as error:
            if not readonly:
                raise
            raise Malformed("malformed") from error  # a look-up by what no text of ours can hold, such as a NUL
        except DATABASE_AWAY as error:
            raise Outage("database") from error

    async def publish(self, topic: str, messages: Sequence[tuple[bytes | None, bytes, Mapping[str, str]]]) -> None:
        """Put outsiders' messages (key, value, headers) on their topic and wait for all acks. Raises Outage: the same again is right."""
        try:
            async with asyncio.timeout(self.sender.timeout_s):
                await self.sender.put(
                    topic, [(key, value, [(k, v.encode()) for k, v in headers.items()]) for key, value, headers in messages]
                )
        except AWAY as error:
            raise Outage("broker") from error

    @property
    def vault(self) -> Vault:
        """People's data. Only in services whose settings name the keys' database."""
        if self.keys is None:
            raise RuntimeError("MAILLON_KEYS_DATABASE_URL and MAILLON_VAULT_KEY are not set for this service")
        return self.keys

    def now(self) -> datetime:
        """The moment, UTC."""
        return datetime.now(UTC)

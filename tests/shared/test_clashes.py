"""Writers that meet: smaller bites, no livelock, an answer in the end; and what would let two of them hold one lock."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from struct import pack, unpack
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio
from pydantic import SecretStr

from shared.aggregate import Work
from shared.consumer import Consumer, Pair, Released
from shared.db import SharedSession, Tx, connect, sessions_are_ours, transaction
from shared.errors import Outage
from shared.migrate import migrate
from shared.settings import Settings
from tests.shared.counter import AGGREGATES, MIGRATIONS, REACTIONS, Add, Told, counter_id
from tests.shared.test_hostile import message
from tests.support.process import process, with_values
from tests.support.service import Site

HOT = counter_id("hot")


@pytest_asyncio.fixture(loop_scope="session")
async def pool(database: str) -> AsyncIterator["asyncpg.Pool[asyncpg.Record]"]:
    pool = await connect(database, name="test")
    await migrate(pool, MIGRATIONS)
    yield pool
    await pool.close()


async def add(pool: "asyncpg.Pool[asyncpg.Record]", stream: UUID) -> None:
    """Write to a counter at once, as a request would."""
    async with transaction(pool) as tx:
        work = Work(AGGREGATES)
        commands = [Add(id=stream, cell="ara", amount=1, cause="")]
        await work.load(tx, commands)
        work.carry_out(commands)
        await work.save(tx)


@dataclass(frozen=True)
class Raced(Consumer):
    """Each time that more than one message is carried out with the hot one among them, somebody else writes to it in between."""

    sizes: list[int] = field(default_factory=list)
    rivals: list[int] = field(default_factory=list)

    async def carry_out(self, tx: Tx, batch: Sequence[Pair], released: Released | None = None) -> None:
        self.sizes.append(len(batch))
        await tx.connection.fetchval("SELECT 1")  # from here on the transaction sees what is now
        if len(batch) > 1 and any(
            HOT in {c.id for c in commands} for _, commands in batch if not isinstance(commands, Exception)
        ):
            self.rivals.append(1)
            await add(self.pool, HOT)
        await Consumer.carry_out(self, tx, batch, released)


async def test_from_the_second_clash_on_a_hot_stream_costs_only_its_own_message(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    """C10: a rival is quicker each time. The batch is halved until what clashes is alone; the others are through long before."""
    batch = [message(n, amount=1) for n in range(64)]
    batch[40] = replace(batch[40], value=Told(name="hot", amount=1).model_dump_json().encode())
    raced = Raced(pool, AGGREGATES, REACTIONS)
    async with asyncio.timeout(30):
        await raced.process(batch)
    assert raced.sizes == [64, 64, 32, 32, 32, 16, 16, 8, 8, 8, 4, 4, 2, 2, 1, 1, 2, 4, 16]
    assert await pool.fetchval("SELECT total FROM counters WHERE id = $1", HOT) == len(raced.rivals) + 1
    assert await pool.fetchval("SELECT count(*) FROM counters") == 64


async def test_a_request_that_never_comes_through_is_told_to_come_again(counter: Site) -> None:
    """B1: a row that the table refuses: so many tries and no more, and nothing is written."""
    before = await counter.desk.pool.fetchval("SELECT count(*) FROM events")
    async with asyncio.timeout(20):
        with pytest.raises(Outage, match="busy"):
            await counter.desk.carry_out([Add(id=uuid4(), cell="ara", amount=4242, cause="")])
    assert await counter.desk.pool.fetchval("SELECT count(*) FROM events") == before


# ── a pooler that shares sessions ───────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class Pooler:
    """The least of a pooler in transaction mode: all who come share one session of the server, a transaction at a time."""

    server: "asyncpg.Connection[asyncpg.Record]"
    replies: asyncio.StreamReader = field(default_factory=asyncio.StreamReader)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def settings(self) -> bytes:
        found = self.server.get_settings()
        told = {"server_version": "18.0", "client_encoding": "UTF8", "integer_datetimes": "on", "TimeZone": found.TimeZone}
        return b"".join(typed(b"S", f"{name}\0{value}\0".encode()) for name, value in told.items())

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            size, code = unpack("!ii", await reader.readexactly(8))
            if code == 80_877_103:  # asks for TLS
                writer.write(b"N")
                size, code = unpack("!ii", await reader.readexactly(8))
            await reader.readexactly(size - 8)
            writer.write(typed(b"R", pack("!i", 0)) + self.settings() + typed(b"K", pack("!ii", 1, 1)) + typed(b"Z", b"I"))
            while True:
                first = await framed(reader)
                async with self.turn:
                    await self.one_transaction(first, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def one_transaction(
        self, first: tuple[bytes, bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        kind, message = first
        while kind != b"X":
            self.server._transport.write(message)  # type: ignore[attr-defined]
            answer, last = b"-", LAST_ANSWERS.get(kind, b"")
            while last and answer not in last:
                answer, message = await framed(self.replies)
                writer.write(message)
            if answer == b"Z" and message[-1:] == b"I":
                return
            kind, message = await framed(reader)
        raise ConnectionError


LAST_ANSWERS = {b"S": b"Z", b"Q": b"Z", b"H": b"TnE"}
"""What ends the answer to a synchronisation, a simple query, a flush (which here follows the description of a statement)."""


def typed(kind: bytes, body: bytes) -> bytes:
    return kind + pack("!i", len(body) + 4) + body


async def framed(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readexactly(5)
    return head[:1], head + await reader.readexactly(unpack("!i", head[1:])[0] - 4)


@asynccontextmanager
async def pooled(url: str) -> AsyncIterator[str]:
    """The address of a pooler in transaction mode before the database of `url`."""
    server = await asyncpg.connect(url)
    pooler = Pooler(server)
    transport = server._transport  # type: ignore[attr-defined]
    transport.set_protocol(asyncio.StreamReaderProtocol(pooler.replies))
    listening = await asyncio.start_server(pooler.serve, "127.0.0.1", 0)
    host, port = listening.sockets[0].getsockname()
    parts = urlsplit(url)
    try:
        yield urlunsplit(parts._replace(netloc=f"{parts.username}:{parts.password}@{host}:{port}"))
    finally:
        listening.close()
        server.terminate()


async def test_a_pooler_that_shares_sessions_is_found_before_anything_is_locked(database: str) -> None:
    """C14: behind it an advisory lock belongs to whoever comes next, and two relays would both hold one."""
    straight = await connect(database, name="test")
    await sessions_are_ours(straight)
    await straight.close()
    async with pooled(database) as url:
        pool = await connect(url, name="test")
        with pytest.raises(SharedSession, match="transaction mode"):
            await sessions_are_ours(pool)
        pool.terminate()


async def test_a_service_behind_such_a_pooler_says_so_and_ends(settings: Settings, tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with (
        pooled(settings.database_url.get_secret_value()) as url,
        process("tests.shared", with_values(settings, database_url=SecretStr(url)), log) as service,
    ):
        assert await service.ended(40) == 1
    assert "SharedSession" in log.read_text()

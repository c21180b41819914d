"""The least that can be written by hand: getmany(2,000), one transaction, the same tables, indexes and isolation, a relay.

No kernel, no rules, no checks: positions are written but not looked at, nothing is parked, nothing is decided again. What the
kernel costs is measured against this.
"""

import asyncio
import json
import time
from collections import defaultdict
from datetime import UTC, datetime
from hashlib import blake2b
from uuid import UUID, uuid5

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from shared.kafka.wire import Access
from tests.shared.counter import Added, counter_id

Row = tuple[UUID, int, dict[str, str], bytes]


async def run(url: str, access: Access, topic: str, out: str, count: int) -> float:
    """Consume `count` messages of `topic`, write all, send one event for each to `out`. Returns seconds."""
    pool = await asyncpg.create_pool(url, min_size=2, max_size=4)
    options = access.options()
    consumer = AIOKafkaConsumer(
        access.prefix + topic,
        **options,
        group_id=f"{access.prefix}bare",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_bytes=8 * 1024 * 1024,
        max_partition_fetch_bytes=2 * 1024 * 1024,
    )
    producer = AIOKafkaProducer(**options, acks="all", enable_idempotence=True, linger_ms=2, max_batch_size=128 * 1024)
    await asyncio.gather(consumer.start(), producer.start())
    started = time.perf_counter()
    relay = asyncio.create_task(forward(pool, producer, access.prefix + out, count))
    taken = 0
    while taken < count:
        batch = await consumer.getmany(timeout_ms=200, max_records=2_000)
        rows: list[Row] = []
        cursor = {}
        for tp, records in batch.items():
            for r in records:
                headers = {k: v.decode() for k, v in r.headers}
                rows.append((UUID(headers["ce_subject"]), int(headers["ce_streamversion"]), headers, r.value))
            cursor[tp.partition] = records[-1].offset + 1
        if rows:
            await write(pool, topic, out, rows, cursor)
            await consumer.commit()
            taken += len(rows)
    await relay
    seconds = time.perf_counter() - started
    await asyncio.gather(consumer.stop(), producer.stop())
    await pool.close()
    return seconds


async def write(
    pool: "asyncpg.Pool[asyncpg.Record]",
    topic: str,
    out: str,
    rows: list[Row],
    cursor: dict[int, int],
) -> None:
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
        told = [(stream, number, value, json.loads(value)) for stream, number, _, value in rows]
        names = [counter_id(body["name"]) for _, _, _, body in told]
        ids = sorted(set(names), key=lambda i: i.int)
        found = await connection.fetch("SELECT id, version, total, causes FROM counters WHERE id = ANY ($1::uuid[])", ids)
        state = {r["id"]: (r["version"], r["total"], json.loads(r["causes"])) for r in found}
        events = []
        seen: dict[UUID, tuple[int, bytes]] = {}
        for name, (stream, number, value, body) in zip(names, told, strict=True):
            version, total, causes = state.get(name, (0, 0, []))
            cause, amount = f"{stream}/{number}", body["amount"]
            state[name] = (version + 1, total + amount, [*causes, cause])
            event = Added.model_construct(cell="ara", amount=amount, total=total + amount, cause=cause)
            events.append((name, version + 1, event.model_dump_json()))
            seen[stream] = (number, blake2b(value, digest_size=16).digest())
        events.sort(key=lambda e: (e[0].int, e[1]))
        await connection.execute(
            """
            WITH kept AS (INSERT INTO events (stream, version, type, topic, at, data)
                          SELECT s, v, 'test.added.v1', $4, $5, d FROM unnest($1::uuid[], $2::int[], $3::json[]) AS _(s, v, d)
                          RETURNING topic, seq)
            INSERT INTO outbox SELECT topic, seq FROM kept
            """,
            [e[0] for e in events],
            [e[1] for e in events],
            [e[2] for e in events],
            out,
            datetime.now(UTC),
        )
        await connection.execute(
            """
            INSERT INTO counters (id, version, cell, total, causes)
            SELECT i, v, 'ara', t, c::jsonb FROM unnest($1::uuid[], $2::int[], $3::bigint[], $4::text[]) AS _(i, v, t, c)
            ON CONFLICT (id) DO UPDATE SET version = excluded.version, total = excluded.total, causes = excluded.causes
            """,
            ids,
            [state[i][0] for i in ids],
            [state[i][1] for i in ids],
            [json.dumps(state[i][2]) for i in ids],
        )
        await positions(connection, topic, seen, cursor)


async def positions(
    connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]",
    topic: str,
    seen: dict[UUID, tuple[int, bytes]],
    cursor: dict[int, int],
) -> None:
    streams = sorted(seen, key=lambda s: s.int)
    await connection.execute(
        """
        INSERT INTO seen (stream, topic, version, mark) SELECT s, $4, v, m FROM unnest($1::uuid[], $2::int[], $3::bytea[]) AS _(s, v, m)
        ON CONFLICT (stream, topic) DO UPDATE SET version = excluded.version, mark = excluded.mark
        """,
        streams,
        [seen[s][0] for s in streams],
        [seen[s][1] for s in streams],
        topic,
    )
    await connection.execute(
        """
        INSERT INTO cursor (topic, partition, next) SELECT $3, p, n FROM unnest($1::int[], $2::bigint[]) AS _(p, n)
        ON CONFLICT (topic, partition) DO UPDATE SET next = excluded.next
        """,
        list(cursor),
        list(cursor.values()),
        topic,
    )


async def forward(pool: "asyncpg.Pool[asyncpg.Record]", producer: AIOKafkaProducer, out: str, count: int) -> None:
    """The relay: read in order, send, await all acks, delete."""
    sent = 0
    while sent < count:
        rows = await pool.fetch(
            "SELECT e.seq, e.stream, e.version, e.type, e.at, e.data FROM outbox o JOIN events e USING (seq) ORDER BY o.seq LIMIT 1000"
        )
        if not rows:
            await asyncio.sleep(0.01)
            continue
        acks = []
        for r in rows:
            headers = [
                ("ce_specversion", b"1.0"),
                ("ce_source", b"/maillon/bench"),
                ("content-type", b"application/json"),
                ("ce_id", str(uuid5(r["stream"], str(r["version"]))).encode()),
                ("ce_type", r["type"].encode()),
                ("ce_subject", str(r["stream"]).encode()),
                ("ce_time", r["at"].isoformat().encode()),
                ("ce_streamversion", str(r["version"]).encode()),
            ]
            acks.append(await producer.send(out, r["data"].encode(), key=str(r["stream"]).encode(), headers=headers))
        ends: defaultdict[int, int] = defaultdict(int)
        for meta in await asyncio.gather(*acks):
            ends[meta.partition] = meta.offset + 1
        await pool.execute("DELETE FROM outbox WHERE seq = ANY ($1::bigint[])", [r["seq"] for r in rows])
        sent += len(rows)

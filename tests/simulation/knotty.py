"""The statements that are more than a shape, each known word by word: change one in the kernel and it is unknown here until taught."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from shared.outbox import SWEEP
from tests.simulation.database import Transaction
from tests.simulation.schema import Row, Schema

Args = Sequence[Any]
Answer = tuple[Sequence[Row], int]
SELF_RELEASING = {"early", "gap", "blocked"}


async def next_unsent(tx: Transaction, _schema: Schema, args: Args) -> Answer:
    """Up to $1 unsent events of each topic of the cells $4, $2 apart, and about $3 bytes of all topics together."""
    share, apart, most_bytes, cells = args
    tx.database.relaying(tx.session, cells)
    waiting = sorted(tx.view("outbox"))
    many = len({topic for topic, _ in waiting})
    events = {row["seq"]: row for row in tx.view("events").values()} if waiting else {}
    taken: dict[str, list[int]] = {}
    rows = []
    for topic, seq in waiting:
        sizes = taken.setdefault(topic, [])
        ours = topic not in apart and topic.rpartition(".")[2] in cells
        if ours and len(sizes) < min(share, 1 + 20 * share // many) and sum(sizes) < most_bytes // many:
            rows.append(events[seq])
        sizes.append(len(events[seq]["data"]))
    return rows, len(rows)


async def among_relays(_tx: Transaction, _schema: Schema, _args: Args) -> Answer:
    """Nobody is alone with the database here."""
    return [{"locked": True}], 1


async def take_cells(tx: Transaction, _schema: Schema, args: Args) -> Answer:
    """The cells whose lock could be had."""
    held = tx.database.advisory
    rows = [{"cell": cell} for cell in args[0] if held.setdefault(("relay", cell), tx.session) is tx.session]
    return rows, len(rows)


async def give_cell(tx: Transaction, _schema: Schema, args: Args) -> Answer:
    """Let a cell's lock go."""
    ours = tx.database.advisory.get(("relay", args[0])) is tx.session
    if ours:
        del tx.database.advisory["relay", args[0]]
    return [{"pg_advisory_unlock": ours}], 1


async def topics_unsent(tx: Transaction, _schema: Schema, _args: Args) -> Answer:
    """The topics that have anything unsent, and for how long."""
    first: dict[str, int] = {}
    for topic, seq in sorted(tx.view("outbox")):
        first.setdefault(topic, seq)
    events = {row["seq"]: row for row in tx.view("events").values()} if first else {}
    rows = [{"topic": topic, "waited": tx.began - events[seq]["at"]} for topic, seq in first.items()]
    return rows, len(rows)


async def streams_of(tx: Transaction, _schema: Schema, args: Args) -> Answer:
    """The next streams, how many events each has, and whether any of them is of the types that are asked for."""
    after, types, limit = args
    found: dict[Any, list[str]] = {}
    for row in tx.view("events").values():
        if row["stream"] > after:
            found.setdefault(row["stream"], []).append(row["type"])
    rows = [
        {"stream": stream, "events": len(kinds), "ours": any(kind in types for kind in kinds)}
        for stream, kinds in sorted(found.items())[:limit]
    ]
    return rows, len(rows)


async def due(tx: Transaction, _schema: Schema, args: Args) -> Answer:
    """Heads of streams that release themselves, with all that waits behind them."""
    (topics, limit), now = args, tx.began
    parked = [row for row in tx.view("parked").values() if row["topic"] in topics]
    if not parked:
        return (), 0
    seen = tx.view("seen")
    stuck: dict[tuple[Any, str], int] = {}
    for row in parked:
        if row["why"] not in SELF_RELEASING:
            place = (row["stream"], row["topic"])
            stuck[place] = min(stuck.get(place, row["version"]), row["version"])
    heads = []
    for row in parked:
        place = (row["stream"], row["topic"])
        at = seen[place]["version"] if place in seen else 0
        if (
            row["why"] in SELF_RELEASING
            and row["version"] <= at + 1
            and (row["why"] != "early" or row["again_at"] <= now)
            and stuck.get(place, row["version"] + 1) > row["version"]
        ):
            heads.append(row)
    heads.sort(key=lambda row: row["again_at"])
    places = {(row["stream"], row["topic"]) for row in heads[:limit]}
    found = [row for row in parked if (row["stream"], row["topic"]) in places]
    found.sort(key=lambda row: (row["stream"], row["topic"], row["version"], row["offset"]))
    return [{**row, "waited": now - row["at"]} for row in found[:2000]], len(found)


async def unblock(tx: Transaction, schema: Schema, args: Args) -> Answer:
    """Let `parked_from` say what is parked now."""
    table, seen, parked = schema.tables["seen"], tx.view("seen"), tx.view("parked")
    places = [place for place in dict.fromkeys(zip(*args, strict=True)) if place in seen]
    for place in places:
        await tx.claim("seen", place)
        tx.check_first("seen", place)
        first = min((row["version"] for row in parked.values() if (row["stream"], row["topic"]) == place), default=None)
        there = tx.latest("seen", place)
        if there is not None:
            tx.put(table, place, {**there, "parked_from": first})
    return (), len(places)


async def skip_head(tx: Transaction, schema: Schema, args: Args) -> Answer:
    """Delete a message that is set aside, if it is the head of its stream."""
    table, seen = schema.tables["parked"], tx.view("seen")
    gone = []
    for key, row in tx.view("parked").items():
        at = seen.get((row["stream"], row["topic"]))
        if (row["stream"], row["version"], row["topic"]) == (args[0], args[1], args[2] or row["topic"]) and row[
            "version"
        ] <= 1 + (at["version"] if at else 0):
            gone.append(row)
            await tx.claim("parked", key)
            tx.check_first("parked", key)
            tx.put(table, key, None)
    return [{c: row[c] for c in ("stream", "topic", "version", "mark", "type", "why", "reason")} for row in gone], len(gone)


async def published(tx: Transaction, _schema: Schema, _args: Args) -> Answer:
    """Streams and the sum of their last numbers, of each topic of ours."""
    last: dict[tuple[str, Any], int] = {}
    for row in tx.view("events").values():
        if row["topic"] is not None:
            place = (row["topic"], row["stream"])
            last[place] = max(last.get(place, 0), row["version"])
    return tally(last)


async def consumed(tx: Transaction, _schema: Schema, _args: Args) -> Answer:
    """The same of what was heard."""
    return tally({(row["topic"], row["stream"]): row["version"] for row in tx.view("seen").values()})


def tally(last: Mapping[tuple[str, Any], int]) -> Answer:
    topics = sorted({topic for topic, _ in last})
    rows = [
        {
            "topic": topic,
            "streams": sum(1 for (t, _), version in last.items() if t == topic and version > 0),
            "numbers": sum(version for (t, _), version in last.items() if t == topic),
        }
        for topic in topics
    ]
    return rows, len(rows)


async def parked_by_reason(tx: Transaction, _schema: Schema, _args: Args) -> Answer:
    found: dict[str, list[Any]] = {}
    for row in tx.view("parked").values():
        found.setdefault(row["why"], []).append(row["at"])
    return [{"why": why, "n": len(at), "oldest": min(at)} for why, at in found.items()], len(found)


async def unsent(tx: Transaction, _schema: Schema, _args: Args) -> Answer:
    waiting = [seq for _, seq in tx.view("outbox")]
    first = min(waiting, default=None)
    at = next((row["at"] for row in tx.view("events").values() if row["seq"] == first), None)
    return [{"n": len(waiting), "at": at}], 1


async def nothing(_tx: Transaction, _schema: Schema, _args: Args) -> Answer:
    """What is gone is gone at once here: there is nothing to sweep."""
    return [], 0


KNOTTY: Mapping[str, Callable[[Transaction, Schema, Args], Awaitable[Answer]]] = {
    "WITH RECURSIVE topics AS ( (SELECT topic FROM outbox ORDER BY topic LIMIT 1) UNION ALL SELECT (SELECT o.topic FROM "
    "outbox o WHERE o.topic > t.topic ORDER BY o.topic LIMIT 1) FROM topics t WHERE t.topic IS NOT NULL ) SELECT e.seq, "
    "e.stream, e.version, e.topic, e.type, e.at, e.trace, e.data FROM topics t CROSS JOIN (SELECT count(topic) AS n FROM "
    "topics) many CROSS JOIN LATERAL ( SELECT e.*, sum(pg_column_size(e.data)) OVER (ORDER BY e.seq) - "
    "pg_column_size(e.data) AS before FROM (SELECT seq FROM outbox o WHERE o.topic = t.topic ORDER BY seq LIMIT "
    "least($1::bigint, 1 + 20 * $1::bigint / many.n)) o JOIN events e USING (seq) ) e WHERE t.topic <> ALL ($2::text[]) AND "
    "substring(t.topic FROM '[^.]*$') = ANY ($4::text[]) AND e.before < $3::bigint / many.n ORDER BY e.topic, e.seq": next_unsent,
    SWEEP: nothing,
    "SELECT pg_try_advisory_lock_shared(hashtext(current_schema()), hashtext('relay'))": among_relays,
    "SELECT cell FROM unnest($1::text[]) cell WHERE pg_try_advisory_lock(hashtext(current_schema()), hashtext('relay ' || "
    "cell))": take_cells,
    "SELECT pg_advisory_unlock(hashtext(current_schema()), hashtext('relay ' || $1))": give_cell,
    "WITH RECURSIVE topics AS ( (SELECT topic FROM outbox ORDER BY topic LIMIT 1) UNION ALL SELECT (SELECT o.topic FROM "
    "outbox o WHERE o.topic > t.topic ORDER BY o.topic LIMIT 1) FROM topics t WHERE t.topic IS NOT NULL ) SELECT t.topic, "
    "now() - e.at AS waited FROM topics t CROSS JOIN LATERAL (SELECT seq FROM outbox o WHERE o.topic = t.topic ORDER BY seq "
    "LIMIT 1) o JOIN events e USING (seq)": topics_unsent,
    "SELECT stream, count(*) AS events, bool_or(type = ANY ($2::text[])) AS ours FROM events WHERE stream > $1 GROUP BY "
    "stream ORDER BY stream LIMIT $3": streams_of,
    "WITH heads AS ( SELECT p.stream, p.topic FROM parked p LEFT JOIN seen s USING (stream, topic) WHERE p.topic = ANY "
    "($1::text[]) AND p.version <= coalesce(s.version, 0) + 1 AND p.why IN ('early', 'gap', 'blocked') AND (p.again_at <= now() OR "
    "p.why <> 'early') AND NOT EXISTS (SELECT FROM parked q WHERE q.stream = p.stream AND q.topic = p.topic AND q.version <= "
    "p.version AND q.why NOT IN ('early', 'gap', 'blocked')) ORDER BY p.again_at LIMIT $2 ) SELECT p.*, now() - p.at AS waited "
    "FROM parked p WHERE (p.stream, p.topic) IN (SELECT * FROM heads) "
    'ORDER BY p.stream, p.topic, p.version, p."offset" LIMIT 2000': due,
    "UPDATE seen s SET parked_from = (SELECT min(p.version) FROM parked p WHERE p.stream = s.stream AND p.topic = s.topic) WHERE "
    "(s.stream, s.topic) IN (SELECT DISTINCT * FROM unnest($1::uuid[], $2::text[]))": unblock,
    "DELETE FROM parked p WHERE p.stream = $1 AND p.version = $2 AND ($3::text IS NULL OR p.topic = $3) AND p.version <= 1 + "
    "coalesce((SELECT s.version FROM seen s WHERE s.stream = p.stream AND s.topic = p.topic), 0) RETURNING p.stream, "
    "p.topic, p.version, p.mark, p.type, p.why, "
    "p.reason": skip_head,
    "SELECT topic, count(*) AS streams, sum(last) AS numbers FROM (SELECT topic, stream, max(version) AS last FROM events WHERE "
    "topic IS NOT NULL GROUP BY topic, stream) _ GROUP BY topic ORDER BY topic": published,
    "SELECT topic, count(*) FILTER (WHERE version > 0) AS streams, sum(version) AS numbers FROM seen GROUP BY topic ORDER BY "
    "topic": consumed,
    "SELECT why, count(*) AS n, min(at) AS oldest FROM parked GROUP BY why": parked_by_reason,
    "SELECT n, at FROM (SELECT count(*) AS n, min(seq) AS first FROM outbox) _ LEFT JOIN events ON seq = first": unsent,
}

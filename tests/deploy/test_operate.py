"""The commands of operations, as a person calls them, on a real database and broker, about real services' tables."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio

from deploy.local.jars import ROOT
from deploy.local.stack import Stack
from deploy.operate import Missing, attempted, compare, count_lag
from deploy.places import DEMO, Unreachable, built, find
from shared.consumer import Consumer
from shared.db import Tx, transaction
from shared.history import contracts, take_in_batch
from shared.kafka.wire import Access, Sender, envelope
from shared.message import Message
from shared.migrate import migrate
from shared.parked import Parked, park
from tests.support.command import Said, maillon

TOPIC = "intake.donations.ara"
GOLDEN = Path(__file__).parents[1] / "contracts" / "golden"
OFFERED = ("intake.donation_offered.v1", (GOLDEN / "intake.donation_offered.v1" / "1.json").read_bytes())
ACCEPTED = ("intake.donation_accepted.v1", (GOLDEN / "intake.donation_accepted.v1" / "1.json").read_bytes())


@dataclass(frozen=True, slots=True)
class Ops:
    """Two services' databases, and what is said about them."""

    stack: Stack
    pools: Mapping[str, "asyncpg.Pool[asyncpg.Record]"]

    async def __call__(self, *words: object) -> Said:
        return await maillon(*words, "--stack", self.stack.folder, "--service", "intake", "--service", "routing")

    async def told(self, stream: UUID, *, versions: Sequence[int] = (1, 2)) -> list[Message]:
        """A donation that intake has published: in its archive and in its rows."""
        found = [message(stream, version) for version in versions]
        await take_in_batch(self.pools["intake"], contracts(built("intake").aggregates), found)
        return found

    async def heard(self, messages: Sequence[Message]) -> None:
        """The same, dealt with by routing."""
        routing = built("routing")
        await Consumer(self.pools["routing"], routing.aggregates, routing.reactions).process(messages)


def message(stream: UUID, version: int, value: bytes | None = None) -> Message:
    kind, golden = OFFERED if version == 1 else ACCEPTED
    headers = {"ce_type": kind, "ce_subject": str(stream), "ce_source": "/maillon/intake"}
    return Message(TOPIC, 0, version, stream, version, kind, datetime.now(UTC), headers, golden if value is None else value)


@pytest_asyncio.fixture(loop_scope="session")
async def ops(stack: Stack) -> AsyncIterator[Ops]:
    """Empty tables of intake and routing, gone again afterwards."""
    await stack.platform.ready()
    async with AsyncExitStack() as opened:
        pools = {}
        for service in ("intake", "routing"):
            pool = await asyncpg.create_pool(stack.database_url(service), min_size=1, max_size=4)
            opened.push_async_callback(pool.close)
            await migrate(pool, ROOT / "services" / service / "migrations")
            opened.push_async_callback(drop_tables, pool)
            pools[service] = pool
        yield Ops(stack, pools)


async def drop_tables(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    for row in await pool.fetch("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"):
        await pool.execute(f'DROP TABLE "{row["tablename"]}" CASCADE')


# ── parked ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def spoil(ops: Ops, stream: UUID) -> None:
    """Number 1 cannot be read, number 2 waits behind it."""
    await ops.heard([message(stream, 1, b'{"reference": "DON-7K3M-24PQ"}'), message(stream, 2)])


async def test_what_is_parked_is_listed_heads_first(ops: Ops) -> None:
    stream = uuid4()
    await spoil(ops, stream)
    said = await ops("parked", "list")
    assert said.code == 0
    assert said.lines[0] == "intake: 0 set aside"
    head = said.lines[1]
    assert head.startswith(f"> routing  {TOPIC} {stream} 1  intake.donation_offered.v1  malformed: contract ")
    assert head.endswith(" s, tried 1x, 2 waiting in its stream)")
    assert said.lines[2].startswith(f"  routing  {TOPIC} {stream} 2  intake.donation_accepted.v1  blocked: waits for number 1")
    assert said.last == "routing: 2 set aside"
    assert (await ops("parked", "list", "--limit", 1)).last == "routing: 2 set aside, 1 shown (--limit)"


async def test_one_is_shown_whole(ops: Ops) -> None:
    stream = uuid4()
    await spoil(ops, stream)
    said = await ops("parked", "show", stream, 1)
    assert said.code == 0
    assert {"service   routing", f"topic     {TOPIC}", f"stream    {stream}", "why       malformed"} <= set(said.lines)
    assert "header    ce_source: /maillon/intake" in said.lines
    assert said.last == '{"reference": "DON-7K3M-24PQ"}'
    other = uuid4()
    said = await ops("parked", "show", other, 1)
    assert said == Said(1, [f"number 1 of stream {other} is not parked in intake, routing: `maillon parked list` names what is"])


async def test_a_stream_is_released_to_be_tried_again(ops: Ops) -> None:
    stream = uuid4()
    await spoil(ops, stream)
    assert await ops("parked", "release", stream) == Said(0, ["routing: 2 will be tried again, in order"])
    whys = await ops.pools["routing"].fetch("SELECT why FROM parked ORDER BY version")
    assert [row["why"] for row in whys] == ["early", "early"]
    unknown = uuid4()
    said = await ops("parked", "release", unknown)
    assert said == Said(1, [f"stream {unknown} is not parked in intake, routing: `maillon parked list` names what is"])


async def test_the_head_is_passed_over_with_a_reason_that_is_kept(ops: Ops) -> None:
    stream = uuid4()
    await spoil(ops, stream)
    assert (await ops("parked", "skip", stream, 1)).code == 2, "a reason must be given"
    assert await ops("parked", "skip", stream, 1, "--reason", " x ") == Said(
        2, ["say why in --reason: whoever asks later has only that"]
    )
    said = await ops("parked", "skip", stream, 2, "--reason", "not wanted")
    assert said == Said(1, ["routing: number 2 is not the head of that stream: `maillon parked list` marks heads with >"])
    said = await ops("parked", "skip", stream, 1, "--reason", "sent by a broken release, told again under another id")
    assert said == Said(0, ["routing: passed over for good (1), the reason is kept"])
    kept = await ops.pools["routing"].fetchrow("SELECT version, reason, skipped_because FROM skipped WHERE stream = $1", stream)
    assert kept is not None
    assert (kept["version"], kept["skipped_because"]) == (1, "sent by a broken release, told again under another id")
    assert kept["reason"].startswith("malformed: contract")


async def test_who_speaks_for_anothers_stream_is_passed_over_alone(ops: Ops) -> None:
    """Two topics, one stream, one number: passing over the wrong one would lose the other's message for good."""
    stream = uuid4()
    true, false = message(stream, 1), replace(message(stream, 1), topic="intake.donations.idf")
    async with transaction(ops.pools["routing"]) as tx:
        await park(tx, [Parked(true, "refused", "not yet mended"), Parked(false, "refused", "not its publisher")])
    because = ("--reason", "not its publisher")
    assert await ops("parked", "skip", stream, 1, *because) == Said(
        2, [f"number 1 waits from {true.topic} and from {false.topic}: say with --topic which is passed over"]
    )
    said = await ops("parked", "skip", stream, 1, *because, "--topic", false.topic)
    assert said == Said(0, ["routing: passed over for good (1), the reason is kept"])
    left = await ops.pools["routing"].fetch("SELECT topic FROM parked WHERE stream = $1", stream)
    assert [row["topic"] for row in left] == [true.topic]


async def test_a_fork_is_not_released(ops: Ops) -> None:
    stream = uuid4()
    async with transaction(ops.pools["routing"]) as tx:
        await park(tx, [Parked(message(stream, 1), "fork", "same number, other bytes")])
    said = await ops("parked", "release", stream)
    assert said == Said(1, ["routing: only a fork is parked there: `maillon parked skip` passes over it"])


async def test_all_that_is_parked_of_a_topic_is_released_but_a_fork(ops: Ops) -> None:
    streams, forked = [uuid4(), uuid4()], uuid4()
    for stream in streams:
        await spoil(ops, stream)
    async with transaction(ops.pools["routing"]) as tx:
        await park(tx, [Parked(message(forked, 1), "fork", "same number, other bytes")])
    for words in ((), (streams[0], "--all"), ("--all", "--topic", TOPIC)):
        assert await ops("parked", "release", *words) == Said(2, ["say what: one of STREAM, --topic and --all"])
    other = await ops("parked", "release", "--topic", "intake.donations.idf")
    assert other == Said(1, ["nothing of intake.donations.idf is parked in intake, routing that could be released"])
    fork = "routing: 1 forks stay: `maillon parked list` names them"
    would = "routing: 4 messages of 2 streams would be tried again, in order"
    assert await ops("parked", "release", "--topic", TOPIC, "--dry-run") == Said(0, [would, fork])
    assert await ops.pools["routing"].fetchval("SELECT count(*) FROM parked WHERE why = 'early'") == 0
    assert await ops("parked", "release", "--all") == Said(0, [would.replace("would", "will"), fork])
    whys = await ops.pools["routing"].fetch("SELECT why, count(*) AS n FROM parked GROUP BY why ORDER BY why")
    assert {row["why"]: row["n"] for row in whys} == {"early": 4, "fork": 1}


async def test_a_stream_that_two_services_hold_is_touched_in_neither(ops: Ops) -> None:
    stream = uuid4()
    await spoil(ops, stream)
    async with transaction(ops.pools["intake"]) as tx:
        await park(tx, [Parked(message(stream, 1), "bug", "KeyError")])
    said = await ops("parked", "release", stream)
    assert said == Said(1, [f"stream {stream} is parked in intake and routing: say which with --service"])
    for pool in ops.pools.values():
        assert await pool.fetchval("SELECT count(*) FROM parked WHERE why = 'early'") == 0
    only = await maillon("parked", "release", stream, "--stack", ops.stack.folder, "--service", "intake")
    assert only == Said(0, ["intake: 1 will be tried again, in order"])


# ── sending again, lag ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_what_was_published_is_sent_again(ops: Ops) -> None:
    stream, other = uuid4(), uuid4()
    await ops.told(stream)
    await ops.told(other)
    assert await ops("resend", "--stream", stream) == Said(0, ["intake: 2 events will be sent again"])
    rows = await ops.pools["intake"].fetch("SELECT stream, version FROM outbox JOIN events USING (seq) ORDER BY seq")
    assert [(r["stream"], r["version"]) for r in rows] == [(stream, 1), (stream, 2)]
    assert await ops("resend", "--topic", TOPIC) == Said(0, ["intake: 2 events will be sent again"]), "two wait already"
    assert await ops.pools["intake"].fetchval("SELECT count(*) FROM outbox") == 4
    unknown = uuid4()
    said = await ops("resend", "--stream", unknown)
    assert (said.code, said.last.startswith(f"stream {unknown}: none of intake, routing has published it")) == (1, True)
    for words in ((), ("--stream", stream, "--topic", TOPIC), ("--all", "--topic", TOPIC)):
        assert await ops("resend", *words) == Said(2, ["say what: one of --stream, --topic and --all"])
    await ops.pools["intake"].execute("DELETE FROM outbox")
    assert await ops("resend", "--all", "--dry-run") == Said(0, ["intake: 4 events would be sent again"])
    assert await ops.pools["intake"].fetchval("SELECT count(*) FROM outbox") == 0
    assert await ops("resend", "--all") == Said(0, ["intake: 4 events will be sent again"])


async def test_lag_is_what_stands_in_the_topics_and_was_not_read(ops: Ops) -> None:
    stream = uuid4()
    told = await ops.told(stream)
    rows = [{"stream": stream, "version": m.version, "type": m.type, "at": m.time, "trace": None} for m in told]
    sender = Sender(Access(ops.stack.kafka_bootstrap, "intake", ops.stack.secrets["kafka.intake"]), "/maillon/intake")
    try:
        ends = await sender.put(
            TOPIC, [(str(stream).encode(), m.value, envelope(r, "/maillon/intake")) for m, r in zip(told, rows, strict=True)]
        )
    finally:
        await sender.stop()
    ((partition, end),) = ends.items()
    await ops.pools["routing"].execute("INSERT INTO cursor VALUES ($1, $2, $3)", TOPIC, partition, end - 1)
    said = await ops("lag")
    assert said.code == 0
    assert said.lines[0] == "intake: 0 messages not yet read, 0 events not yet sent"
    assert said.lines[1:-1] == [f"routing  {TOPIC}  1 of {end} not yet read"]
    assert said.last == "routing: 1 messages not yet read, 0 events not yet sent"
    await ops.pools["routing"].execute("UPDATE cursor SET next = $1", end)
    await ops.told(uuid4())
    assert (await ops("resend", "--topic", TOPIC)).code == 0
    await ops.pools["intake"].execute("UPDATE events SET at = now() - interval '10 minutes' WHERE version = 1")
    said = await ops("lag", "--all")
    assert f"routing  {TOPIC}  0 of {end} not yet read" in said.lines
    assert "intake: 0 messages not yet read, 4 events not yet sent, the oldest for 10 min" in said.lines


def test_lag_does_not_count_what_retention_took_away() -> None:
    ends = {("a", 0): (100, 150), ("a", 1): (0, 10), ("b", 0): (0, 0)}
    assert count_lag(ends, {("a", 0): 40}) == ({"a": 60, "b": 0}, {"a": 60, "b": 0})
    assert count_lag(ends, {("a", 0): 150, ("a", 1): 11}) == ({"a": 0, "b": 0}, {"a": 60, "b": 0})


# ── tally, fold ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_tally_finds_what_nobody_misses(ops: Ops) -> None:
    for _ in range(2):
        await ops.heard(await ops.told(uuid4()))
    assert await ops("tally", "--wait", 0) == Said(0, ["4 events in 1 topics, 1 readings compared, 0 differ"])
    lost = uuid4()
    (first, second) = await ops.told(lost)
    await ops.heard([first])
    said = await ops("tally", "--wait", 0)
    assert said.code == 1
    assert said.lines[0] == (
        f"{TOPIC}: routing lacks 0 streams and 1 numbers of intake (nothing waits: `maillon lag`, then `maillon resend --topic {TOPIC}`)"
    )
    await ops.heard([second])
    assert (await ops("tally", "--wait", 0)).code == 0
    await ops.heard([message(lost, 4)])
    await ops.told(lost, versions=(3,))
    said = await ops("tally", "--wait", 0)
    assert said.lines[0] == f"{TOPIC}: routing lacks 0 streams and 1 numbers of intake (1 parked there, 0 not yet sent)"


async def test_the_tally_waits_for_what_is_under_way(ops: Ops) -> None:
    told = await ops.told(uuid4())
    asked = asyncio.create_task(ops("tally", "--wait", 20))
    await asyncio.sleep(1)
    await ops.heard(told)
    assert (await asked).code == 0


def test_each_difference_says_who_lacks_what() -> None:
    told = {"p": {"f.x": (2, 5), "f.y": (1, 1), "g.x": (1, 9)}}
    seen = {"p": {}, "c": {"f.x": (2, 5)}, "d": {"f.x": (3, 7), "f.y": (1, 1), "other.x": (1, 1)}}
    assert compare(told, seen, {"p": [], "c": ["f"], "d": ["f", "other"]}) == [
        Missing("f.x", "p", "d", -1, -2),
        Missing("f.y", "p", "c", 1, 1),
    ]
    assert str(Missing("f.x", "p", "d", -1, -2)).startswith("f.x: d has seen 1 streams and 2 numbers more than p has")


async def test_rows_are_compared_with_their_events(ops: Ops) -> None:
    stream, other = uuid4(), uuid4()
    await ops.heard([*await ops.told(stream), *await ops.told(other)])
    lines = ["intake: rows are what their events say", "routing: rows are what their events say"]
    assert await ops("fold", "--check") == Said(0, lines)
    await ops.pools["intake"].execute("UPDATE donations SET reference = 'DON-XXXX-XXXX' WHERE id = $1", stream)
    await ops.pools["routing"].execute("DELETE FROM wishes WHERE id = $1", other)
    said = await ops("fold", "--check")
    assert said.code == 1
    assert f"intake  donation {stream}  differs in reference" in said.lines
    assert f"routing  wish {other}  has no row" in said.lines
    assert {"intake: 1 differ", "routing: 1 differ"} <= set(said.lines)
    await ops.pools["intake"].execute("DELETE FROM events WHERE stream = $1 AND version = 1", stream)
    said = await ops("fold", "--check")
    assert said.code == 1
    assert f"intake  the archive cannot be folded: {stream} has no event 1" in said.lines
    assert (await ops("fold")).code == 2


# ── where, and what keeps a command from its work ───────────────────────────────────────────────────────────────────────────────


async def test_what_only_looks_writes_nothing(ops: Ops, tmp_path: Path) -> None:
    stream = uuid4()
    await ops.heard(await ops.told(uuid4()))
    await spoil(ops, stream)
    for service in ops.pools:
        change(
            ops.stack,
            tmp_path,
            service,
            MAILLON_DATABASE_URL=ops.stack.database_url(service) + "?default_transaction_read_only=on",
        )
    for words in (("parked", "list"), ("parked", "show", stream, 1), ("lag",), ("fold", "--check"), ("tally", "--wait", 0)):
        said = await maillon(*words, "--stack", tmp_path)
        assert said.code in {0, 1}, said
    said = await maillon("parked", "release", stream, "--stack", tmp_path)
    assert said == Said(2, ["routing: this database only reads: it is a standby, name the primary"])


def change(stack: Stack, folder: Path, service: str, **values: str) -> str:
    """What the stack tells a service, with other values, in a folder of its own."""
    told = {name: value for name, value in stack.env(service).items() if name.startswith("MAILLON_")} | values
    (folder / "env").mkdir(exist_ok=True)
    text = "".join(f"{name}={value}\n" for name, value in told.items())
    (folder / "env" / f"{service}.env").write_text(text, "utf-8")
    return text


async def test_what_is_wrong_is_one_line_that_says_what_to_do(ops: Ops, tmp_path: Path) -> None:
    stack, url = ops.stack, ops.stack.database_url("routing")
    secret = stack.secrets["postgres.routing"]
    file = tmp_path / "env" / "routing.env"
    where = url.rpartition("@")[2].partition("/")[0]
    refused = "the broker refuses user 'routing' with this password"
    cases: list[tuple[tuple[str, ...], dict[str, str], str]] = [
        (
            ("parked", "list"),
            {"MAILLON_DATABASE_URL": url.replace(secret, "wrong-secret")},
            f"routing: Postgres at {where} refuses 'routing' with this password: see MAILLON_DATABASE_URL in {file}",
        ),
        (
            ("tally",),
            {"MAILLON_DATABASE_URL": url.rpartition("/")[0] + "/nowhere"},
            f"routing: Postgres at {where} has no database 'nowhere': see MAILLON_DATABASE_URL in {file}",
        ),
        (
            ("fold", "--check"),
            {"MAILLON_DATABASE_URL": f"postgresql://routing:{secret}@127.0.0.1:1/maillon"},
            f"routing: no database answers at 127.0.0.1:1: start it (`make demo` on this machine), or mend the address in {file}",
        ),
        (
            ("parked", "list"),
            {"MAILLON_DATABASE_URL": ""},
            f"routing: {file} does not set MAILLON_DATABASE_URL; give what the service itself is given",
        ),
        (
            ("lag",),
            {"MAILLON_KAFKA_PASSWORD": "wrong-secret"},
            f"routing: the broker cannot be asked ({stack.kafka_bootstrap}: {refused}): see MAILLON_KAFKA_… in {file}",
        ),
    ]
    for words, values, line in cases:
        change(stack, tmp_path, "routing", **values)
        said = await maillon(*words, "--stack", tmp_path)
        assert said == Said(2, [line])
        assert "wrong-secret" not in said.last
        assert secret not in said.last


async def test_a_service_that_never_started_has_no_tables(ops: Ops) -> None:
    said = await maillon("parked", "list", "--stack", ops.stack.folder, "--service", "refurb")
    assert said == Said(2, ['refurb: relation "parked" does not exist: start the service once, it makes its tables'])


async def test_without_a_folder_the_environment_names_one_service(ops: Ops, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ops.stack.env("intake").items():
        if name.startswith("MAILLON_"):
            monkeypatch.setenv(name, value)
    assert await maillon("parked", "list") == Said(0, ["intake: 0 set aside"])
    assert await maillon("parked", "list", "--service", "routing") == Said(2, ["no service routing here; there is: intake"])


def test_where_services_are_found(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match=r"env holds no <service>.env: start that stack"):
        find(tmp_path, (), {})
    with pytest.raises(Unreachable, match="but not MAILLON_SERVICE"):
        find(None, (), {"MAILLON_DATABASE_URL": "postgresql://x"})
    (tmp_path / "env").mkdir()
    for name in ("zone", "certs", "intake"):
        (tmp_path / "env" / f"{name}.env").write_text(f"# of {name}\nMAILLON_SERVICE={name}\nMAILLON_X=a=b c\n\n", "utf-8")
    assert [place.service for place in find(tmp_path, (), {})] == ["intake", "certs", "zone"]
    (place,) = find(tmp_path, ("certs", "certs"), {"MAILLON_DATABASE_URL": "ignored: a folder was named"})
    assert (place.service, place.told) == ("certs", {"MAILLON_SERVICE": "certs", "MAILLON_X": "a=b c"})
    with pytest.raises(Unreachable, match="no service routing here; there is: certs, intake, zone"):
        find(tmp_path, ("routing",), {})
    assert DEMO.name == "demo"


async def test_an_operator_who_meets_the_service_at_work_decides_again(ops: Ops) -> None:
    """What both wrote to is looked at anew; where the service is quicker each time, nothing was changed, and that is said."""
    stream, pool, turns = uuid4(), ops.pools["routing"], list[int]()
    await ops.heard(await ops.told(stream))

    def overtaken(times: int) -> Callable[[Tx], Awaitable[str]]:
        async def act(tx: Tx) -> str:
            await tx.connection.fetchval("SELECT count(*) FROM seen")
            turns.append(len(turns))
            if len(turns) <= times:
                await pool.execute("UPDATE seen SET mark = mark WHERE stream = $1", stream)
            return await tx.connection.execute("UPDATE seen SET mark = '\\x00' WHERE stream = $1", stream)

        return act

    assert (await attempted(pool, overtaken(2)), turns) == ("UPDATE 1", [0, 1, 2])
    with pytest.raises(Unreachable, match="nothing was changed, try again"):
        await attempted(pool, overtaken(99), tries=3)


async def test_who_reads_no_further_is_not_taken_for_a_lost_database(ops: Ops) -> None:
    """`maillon audit --json | head`."""
    (place,) = find(ops.stack.folder, ["intake"], {})
    with pytest.raises(BrokenPipeError):
        async with place.database():
            raise BrokenPipeError
    with pytest.raises(Unreachable, match="lost the database"):
        async with place.database():
            raise ConnectionResetError


async def test_a_stack_tells_operators_what_it_tells_its_services(stack: Stack) -> None:
    for place in find(stack.folder, (), {}):
        assert place.told == {n: v for n, v in stack.env(place.service).items() if n.startswith("MAILLON_")}
        assert (stack.folder / "env" / f"{place.service}.env").stat().st_mode & 0o777 == 0o600
    assert [place.service for place in find(stack.folder, (), {})] == ["intake", "routing", "refurb", "certs", "distribution"]

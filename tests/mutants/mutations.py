"""The mutations: what is broken, where, the invariant that breaks with it, and the tests that must see it."""

from dataclasses import dataclass

BATCHES = "tests/shared/test_batches.py"
BOUNDS = "tests/shared/test_bounds.py"
CLASHES = "tests/shared/test_clashes.py"
CONSUMER = "tests/shared/test_consumer.py"
CRASHES = "tests/shared/test_crashes.py"
HISTORY = "tests/shared/test_history.py"
HOSTILE = "tests/shared/test_hostile.py"
ISOLATION = "tests/shared/test_isolation.py"
MADE_AGAIN = "tests/shared/test_made_again.py"
RELAY = "tests/shared/test_relay.py"
VAULT = "tests/shared/test_vault.py"


@dataclass(frozen=True, slots=True)
class Mutation:
    """Replace `old` by `new` in `file`; `tests` (files or node ids) must then fail."""

    name: str
    invariant: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


MUTATIONS = (
    Mutation(
        "no position check",
        "a repeat has no second effect",
        "shared/inbox.py",
        'if message.version <= at.version:\n            return "repeat"',
        'if message.version <= at.version:\n            return "next"',
        (f"{CONSUMER}::test_each_message_has_its_effect_once_though_it_comes_twice",),
    ),
    Mutation(
        "no gap check",
        "events of a stream have their effect in order",
        "shared/inbox.py",
        'return "next" if message.version == at.version + 1 else "gap"',
        'return "next"',
        (f"{CONSUMER}::test_what_comes_too_soon_in_its_stream_waits_and_goes_by_itself",),
    ),
    Mutation(
        "no mark of the bytes",
        "two histories of one stream are found",
        "shared/inbox.py",
        "if message.version == at.version and at.mark != mark(message):",
        "if False and at.mark != mark(message):",
        (f"{CONSUMER}::test_the_same_number_with_other_bytes_is_an_alarm_and_stops_that_stream_alone",),
    ),
    Mutation(
        "seen by stream only",
        "nobody speaks for another's stream",
        "shared/inbox.py",
        "    return message.stream.int, message.topic\n",
        '    return message.stream.int, "any"\n',
        (f"{CONSUMER}::test_nobody_speaks_for_a_stream_of_another_topic",),
    ),
    Mutation(
        "park without blocking the stream",
        "what follows a parked message waits behind it",
        "shared/inbox.py",
        "self.known[key(message)] = Position(at.version, at.mark, first)",
        "self.known[key(message)] = Position(max(at.version, message.version), at.mark, None)",
        (f"{CONSUMER}::test_one_bad_message_costs_the_others_nothing",),
    ),
    Mutation(
        "a swallowed exception",
        "what a rule refuses is set aside, not lost",
        "shared/consumer.py",
        "                    return error\n                inbox.advance(message)",
        "                    pass\n                inbox.advance(message)",
        (f"{CONSUMER}::test_one_bad_message_costs_the_others_nothing",),
    ),
    Mutation(
        "cursor before its effects",
        "what was not dealt with is read again after a crash",
        "shared/consumer.py",
        "                async with transaction(self.pool) as tx:\n                    await self.carry_out(tx, batch)\n",
        "                async with transaction(self.pool) as early:\n"
        "                    await save_cursor(early, [message for message, _ in batch])\n"
        "                async with transaction(self.pool) as tx:\n                    await self.carry_out(tx, batch)\n",
        (f"{CRASHES}::test_killed_at_a_named_moment_it_goes_on_as_if_nothing_had_been[before_commit]",),
    ),
    Mutation(
        "commit before originals are durable",
        "nothing is said of an original that is not on the disk",
        "shared/consumer.py",
        "                    await kept\n",
        "",
        (f"{CONSUMER}::test_nothing_is_committed_before_what_it_speaks_of_is_durable",),
    ),
    Mutation(
        "the outbox after the commit",
        "what is recorded is sent, whatever crashes",
        "shared/consumer.py",
        '                    crash.point("before_commit")\n                crash.point("after_commit")\n',
        '                    held = await tx.connection.fetch("DELETE FROM outbox RETURNING topic, seq")\n'
        '                    crash.point("before_commit")\n                crash.point("after_commit")\n'
        "                async with transaction(self.pool) as late:\n"
        '                    await late.connection.executemany("INSERT INTO outbox VALUES ($1, $2)", [tuple(r) for r in held])\n',
        (f"{CRASHES}::test_killed_at_a_named_moment_it_goes_on_as_if_nothing_had_been[after_commit]",),
    ),
    Mutation(
        "relay deletes before acks",
        "what is sent is kept until the broker has it",
        "shared/outbox.py",
        "            self.sending[topic] = (asyncio.create_task(self.send(topic, due)), due)",
        "            self.sending[topic] = (asyncio.create_task(self.send(topic, due)), due)\n"
        '            await connection.execute("DELETE FROM outbox WHERE topic = $1", topic)',
        (f"{RELAY}::test_what_is_sent_is_deleted_only_after_its_acknowledgement",),
    ),
    Mutation(
        "two relays without the lock",
        "one relay a cell",
        "shared/outbox.py",
        '{row["cell"] for row in await connection.fetch(TAKE, wanted)}',
        "set(wanted)",
        (f"{RELAY}::test_one_relay_sends_and_its_successor_takes_over_when_its_session_dies",),
    ),
    Mutation(
        "acks=1",
        "an acknowledged event is on every in-sync replica",
        "shared/kafka/wire.py",
        'acks="all",\n                    enable_idempotence=True,',
        "acks=1,\n                    enable_idempotence=False,",
        (f"{RELAY}::test_the_producer_waits_for_every_replica_and_numbers_its_batches",),
    ),
    Mutation(
        "READ COMMITTED",
        "positions and state are of one moment",
        "shared/db.py",
        '= "repeatable_read"',
        '= "read_committed"  # type: ignore[assignment]',
        (f"{HOSTILE}::test_every_transaction_is_one_moment",),
    ),
    Mutation(
        "no look at where a topic ends",
        "a topic made again is not taken for the one that was read",
        "shared/kafka/reader.py",
        "if self.at[tp] > ends[tp]:",
        "if False:",
        (f"{MADE_AGAIN}::test_a_cell_stands_still_before_a_topic_that_ends_before_its_cursor",),
    ),
    Mutation(
        "the list of the forgotten beside the keys only",
        "who was forgotten stays forgotten",
        "shared/vault.py",
        "((own, self.keys), (self.keys, own))",
        "((self.keys, own),)",
        (f"{VAULT}::test_the_forgotten_do_not_return_with_a_back_up_of_the_keys",),
    ),
    Mutation(
        "state taken outside the transaction",
        "a second writer decides again on what the first left",
        "shared/desk.py",
        "        async def attempt() -> list[Recorded]:\n"
        "            async with transaction(self.pool, trace=CURRENT.get()) as tx:\n"
        "                work = Work(self.aggregates)\n                await work.load(tx, commands)\n",
        "        work = Work(self.aggregates)\n"
        "        async with transaction(self.pool) as early:\n            await work.load(early, commands)\n\n"
        "        async def attempt() -> list[Recorded]:\n"
        "            async with transaction(self.pool, trace=CURRENT.get()) as tx:\n",
        (f"{HISTORY}::test_who_comes_second_decides_again_by_itself",),
    ),
    Mutation(
        "an answer before the commit",
        "what was answered with yes is there",
        "shared/desk.py",
        "        recorded = await decided_again(attempt)\n",
        '        loop = __import__("asyncio")\n'
        "        loop.get_running_loop().call_later(0.3, lambda: loop.ensure_future(decided_again(attempt)))\n"
        "        recorded: list[Recorded] = []\n",
        (f"{HISTORY}::test_a_row_that_is_not_what_its_events_say_is_found",),
    ),
    Mutation(
        "a save that forgets a column",
        "rows are what events say",
        "shared/rows.py",
        """f"{', '.join(f'excluded.{name}' for name in names)})\"""",
        """f"{', '.join(f'excluded.{name}' for name in names[:-1])}, {self.table}.{names[-1]})\"""",
        (f"{CONSUMER}::test_each_message_has_its_effect_once_though_it_comes_twice",),
    ),
    Mutation(
        "no catch-up from our own topics",
        "a number is never given twice",
        "shared/run.py",
        "        await patiently(lambda: self.catch_up(pool, access, names))\n",
        "",
        (f"{HISTORY}::test_a_database_put_back_in_time_reads_again_and_takes_in_what_it_had_published",),
    ),
    Mutation(
        "a batch keeps the loop to itself",
        "one cell's flood leaves the others their turns",
        "shared/turns.py",
        "await asyncio.sleep(0)",
        "pass",
        (f"{ISOLATION}::test_a_batch_of_thousands_lets_the_others_go_on_within_it",),
    ),
    Mutation(
        "large batches take all connections",
        "one cell's flood leaves the others their turns",
        "shared/consumer.py",
        "if len(messages) > LARGE_BATCH else",
        "if False else",
        (f"{ISOLATION}::test_a_small_batch_waits_for_no_more_than_two_large_ones",),
    ),
    Mutation(
        "cursor outside the transaction",
        "how far is read and what it did are of one moment",
        "shared/consumer.py",
        "            await save_cursor(tx, [message for message, _ in batch])\n",
        "            async def afterwards() -> None:\n"
        "                async with transaction(self.pool) as late:\n"
        "                    await save_cursor(late, [message for message, _ in batch])\n\n"
        "            asyncio.get_running_loop().call_later(0.2, lambda: asyncio.ensure_future(afterwards()))\n",
        (f"{CRASHES}::test_killed_at_a_named_moment_it_goes_on_as_if_nothing_had_been[after_commit]",),
    ),
    Mutation(
        "publish before commit",
        "what is published has its cause dealt with",
        "shared/consumer.py",
        "        await work.save(tx)\n        await inbox.save(tx)\n",
        "        async with transaction(self.pool) as early:\n            await work.save(early)\n        await inbox.save(tx)\n",
        (f"{CRASHES}::test_killed_at_a_named_moment_it_goes_on_as_if_nothing_had_been[before_commit]",),
    ),
    Mutation(
        "a stuck topic replaces the producer",
        "what waits for one topic is not sent again for it",
        "shared/kafka/wire.py",
        "if monotonic() - max(began, self.acked) > self.timeout_s:",
        "if monotonic() - began > self.timeout_s:",
        (f"{RELAY}::test_a_topic_that_the_broker_holds_up_delays_no_other_and_comes_once",),
    ),
    Mutation(
        "the relay takes all bytes at once",
        "memory does not grow with what waits to be sent",
        "shared/outbox.py",
        " AND e.before < $3::bigint / many.n",
        " AND $3::bigint > 0",
        (f"{BOUNDS}::test_what_the_relay_holds_at_once_is_bounded_in_events_and_in_bytes",),
    ),
    Mutation(
        "what was parked goes before all others",
        "parked streams do not starve others",
        "shared/cell.py",
        " and monotonic() - now < RELEASE_S:",
        ":",
        (f"{BOUNDS}::test_ten_thousand_parked_streams_let_the_others_pass",),
    ),
    Mutation(
        "batches without an end in messages",
        "memory does not grow with what waits to be read",
        "shared/kafka/reader.py",
        "BATCH_MESSAGES = 2_000",
        "BATCH_MESSAGES = 200_000",
        (f"{BOUNDS}::test_memory_is_flat_under_a_backlog",),
    ),
    Mutation(
        "batches without an end in bytes",
        "memory does not grow with the size of messages",
        "shared/kafka/reader.py",
        "if batch and weight + size > BATCH_BYTES:",
        "if batch and weight < 0:",
        (f"{HOSTILE}::test_a_batch_ends_at_eight_mebibytes",),
    ),
    Mutation(
        "a fold check in slices of streams only",
        "no snapshot grows with the length of streams",
        "shared/audit.py",
        "if sums and sums[-1] > SLICE_EVENTS:",
        "if sums and sums[-1] < 0:",
        (f"{BOUNDS}::test_a_fold_check_holds_no_snapshot_from_one_slice_to_the_next",),
    ),
    Mutation(
        "a stream taken in reads all of it",
        "a long stream is read piece by piece",
        "shared/history.py",
        "(stream, version) IN (SELECT * FROM unnest($1::uuid[], $2::int[]))",
        "stream = ANY ($1::uuid[]) AND $2::int[] IS NOT NULL",
        (f"{BOUNDS}::test_a_stream_of_100000_events_is_never_read_whole",),
    ),
    Mutation(
        "a batch that clashes stays whole",
        "two writers of a hot stream both come through",
        "shared/consumer.py",
        "if turn and len(batch) > 1:",
        "if turn < 0:",
        (f"{CLASHES}::test_from_the_second_clash_on_a_hot_stream_costs_only_its_own_message",),
    ),
    Mutation(
        "sessions may be shared",
        "a lock belongs to one session",
        "shared/db.py",
        "if len(set(ids)) < 2:",
        "if len(set(ids)) > 2:",
        (f"{CLASHES}::test_a_pooler_that_shares_sessions_is_found_before_anything_is_locked",),
    ),
    Mutation(
        "a bad release parks a whole topic",
        "a fault of ours stops its cell and changes nothing",
        "shared/consumer.py",
        "if len(batch) >= 100 and",
        "if len(batch) < 0 and",
        (f"{HOSTILE}::test_a_bad_release_stops_its_cell_and_parks_nothing",),
    ),
    Mutation(
        "the outbox is never swept",
        "what was sent long ago delays nothing",
        "shared/outbox.py",
        "if self.unswept >= SWEEP_EVERY:",
        "if self.unswept < 0:",
        (f"{RELAY}::test_what_is_sent_is_swept_out_of_the_index",),
    ),
    Mutation(
        "what waits is set aside as often as it came",
        "a repeat within a batch stops nothing",
        "shared/parked.py",
        "    parked = list(first.values())\n",
        "",
        (f"{BATCHES}::test_what_waits_may_come_twice_in_one_batch",),
    ),
)

"""What the broker and the database refuse, asked with the real users of a real stack."""

import gzip
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import GroupAuthorizationFailedError, MessageSizeTooLargeError, TopicAuthorizationFailedError

from deploy.local.stack import Stack
from shared.kafka.admin import Admin, BrokerAway, NewTopic, WrongCredentials, check_login


def _login(stack: Stack, user: str) -> dict[str, str]:
    return {
        "bootstrap_servers": stack.kafka_bootstrap,
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": user,
        "sasl_plain_password": stack.secrets[f"kafka.{user}"],
    }


@asynccontextmanager
async def producer(stack: Stack, user: str, **options: object) -> AsyncIterator[AIOKafkaProducer]:
    made = AIOKafkaProducer(**_login(stack, user), enable_idempotence=True, **options)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


async def _read(stack: Stack, user: str, topic: str, group: str | None = None) -> list[bytes]:
    """Read what is on a topic, until nothing comes for a moment. Other tests of this stack may have left something there too."""
    consumer = AIOKafkaConsumer(topic, **_login(stack, user), group_id=group, auto_offset_reset="earliest")
    read: list[bytes] = []
    try:
        await consumer.start()
        while found := await consumer.getmany(timeout_ms=3000):
            read += [message.value for messages in found.values() for message in messages]
        return read
    finally:
        await consumer.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def neighbour(two_stacks: tuple[Stack, Stack]) -> str:
    """A refurbisher whose name begins like another's."""
    platform = two_stacks[0].platform
    async with Admin(platform.kafka_bootstrap, platform.kafka_admin_user, platform.kafka_admin_password) as admin:
        await admin.create_topics(
            NewTopic(name=f"{family}.ares-sud", partitions=3)
            for family in ("refurb.inbound", "refurb.receipts", "routing.consignments")
        )
    return "ares-sud"


async def test_a_partner_publishes_to_its_own_topic(stack: Stack) -> None:
    async with producer(stack, "partner-ares") as partner:
        await partner.send_and_wait("refurb.inbound.ares", b"hello", key=b"k")
    assert b"hello" in await _read(stack, "refurb", "refurb.inbound.ares", "refurb.ares")


async def test_a_partner_cannot_publish_to_anothers_topic(stack: Stack) -> None:
    async with producer(stack, "partner-ares") as partner:
        with pytest.raises(TopicAuthorizationFailedError):
            await partner.send_and_wait("refurb.inbound.trira", b"forged", key=b"k")
        await partner.send_and_wait("refurb.inbound.ares", b"still welcome at home", key=b"k")
    assert b"forged" not in await _read(stack, "refurb", "refurb.inbound.trira", "refurb.trira")


async def test_a_name_that_begins_alike_opens_nothing(stack: Stack, neighbour: str) -> None:
    async with producer(stack, "partner-ares") as partner:
        with pytest.raises(TopicAuthorizationFailedError):
            await partner.send_and_wait(f"refurb.inbound.{neighbour}", b"forged", key=b"k")
    for family in ("refurb.receipts", "routing.consignments"):
        with pytest.raises(TopicAuthorizationFailedError):
            await _read(stack, "partner-ares", f"{family}.{neighbour}")


@pytest.mark.parametrize(
    "topic", ["refurb.devices.ares", "refurb.inbound.ares", "certs.certificates.ares", "intake.donations.idf"]
)
async def test_a_partner_cannot_read_what_is_ours(stack: Stack, topic: str) -> None:
    with pytest.raises(TopicAuthorizationFailedError):
        await _read(stack, "partner-ares", topic)


async def test_a_partner_cannot_join_anothers_group(stack: Stack) -> None:
    with pytest.raises(GroupAuthorizationFailedError):
        await _read(stack, "partner-ares", "refurb.receipts.ares", "refurb.ares")


@pytest.mark.parametrize(
    ("service", "topic"),
    [("intake", "routing.consignments.ares"), ("routing", "refurb.inbound.ares"), ("certs", "refurb.devices.ares")],
)
async def test_a_service_cannot_speak_for_another(stack: Stack, service: str, topic: str) -> None:
    async with producer(stack, service) as speaker:
        with pytest.raises(TopicAuthorizationFailedError):
            await speaker.send_and_wait(topic, b"forged", key=b"k")


async def test_a_message_is_measured_unpacked(stack: Stack) -> None:
    """A small compressed message must not swell in the memory of those who read it."""
    async with producer(stack, "partner-bocage", compression_type="gzip", max_request_size=20_000_000) as partner:
        with pytest.raises(MessageSizeTooLargeError):
            await partner.send_and_wait("refurb.inbound.bocage", b"0" * 1_500_000, key=b"k", partition=0)
        packed = len(gzip.compress(b"0" * 1_500_000))
        assert packed < 10_000
        await partner.send_and_wait("refurb.inbound.bocage", b"0" * 900_000, key=b"k", partition=0)
    consumer = AIOKafkaConsumer(**_login(stack, "refurb"))
    await consumer.start()
    try:
        partition = TopicPartition("refurb.inbound.bocage", 0)
        assert await consumer.end_offsets([partition]) == {partition: 1}
    finally:
        await consumer.stop()


async def test_a_wrong_password_is_named_and_not_waited_for(stack: Stack) -> None:
    began = time.monotonic()
    with pytest.raises(WrongCredentials, match="refuses user 'intake' with this password"):
        await check_login(stack.kafka_bootstrap, "intake", "not the password")
    assert time.monotonic() - began < 3
    with pytest.raises(WrongCredentials):
        await check_login(stack.kafka_bootstrap, "nobody-we-know", stack.secrets["kafka.intake"])


async def test_a_broker_that_is_away_is_not_called_a_wrong_password() -> None:
    with pytest.raises(BrokerAway):
        await check_login("127.0.0.1:1", "intake", "any")


async def test_each_service_has_a_user_of_its_own(two_stacks: tuple[Stack, Stack]) -> None:
    one, other = two_stacks
    await check_login(one.kafka_bootstrap, "certs", one.secrets["kafka.certs"])
    with pytest.raises(WrongCredentials):
        await check_login(one.kafka_bootstrap, "certs", one.secrets["kafka.refurb"])
    with pytest.raises(WrongCredentials):
        await check_login(other.kafka_bootstrap, "certs", one.secrets["kafka.certs"])


# ── Postgres ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_role_sees_its_own_schema_only(stack: Stack) -> None:
    intake = await asyncpg.connect(stack.database_url("intake"))
    routing = await asyncpg.connect(stack.database_url("routing"))
    try:
        await intake.execute("CREATE TABLE probe (x int)")
        assert await intake.fetchval("SELECT table_schema FROM information_schema.tables WHERE table_name = 'probe'") == "intake"
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await routing.fetch("SELECT * FROM intake.probe")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await routing.execute("CREATE TABLE public.probe (x int)")
        await intake.execute("DROP TABLE probe")
    finally:
        await intake.close()
        await routing.close()


async def test_a_role_cannot_forget_its_time_outs(stack: Stack) -> None:
    connection = await asyncpg.connect(stack.database_url("refurb"))
    try:
        names = ("transaction_isolation", "idle_in_transaction_session_timeout", "lock_timeout", "timezone")
        assert [await connection.fetchval(f"SHOW {name}") for name in names] == ["repeatable read", "10s", "15s", "UTC"]
    finally:
        await connection.close()


async def test_keys_are_apart_and_for_those_who_keep_people(stack: Stack) -> None:
    keys = await asyncpg.connect(stack.database_url("intake", keys=True))
    assert await keys.fetchval("SELECT current_database() || '.' || current_schema()") == "maillon_keys.intake"
    await keys.close()
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await asyncpg.connect(stack.database_url("certs", keys=True))


async def test_a_wrong_password_of_the_database_is_named(stack: Stack) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(stack.database_url("intake").replace(stack.secrets["postgres.intake"], "wrong"))

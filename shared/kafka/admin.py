"""Topics, users, rights and quotas, asked of the broker over its own wire.

Each row of an answer carries its own error code: all are read, and the first bad one is raised as `AdminError`. A wrong password
is `WrongCredentials`, raised at once; only an unreachable broker (`BrokerAway`) is worth waiting for.
"""

import asyncio
import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.conn import create_conn
from aiokafka.errors import KafkaError, SaslAuthenticationFailed, for_code
from aiokafka.protocol import admin as known
from aiokafka.protocol.api import RequestStruct, Response
from aiokafka.protocol.types import (
    Array,
    Boolean,
    CompactArray,
    CompactBytes,
    CompactString,
    Float64,
    Int8,
    Int16,
    Int32,
    Schema,
    String,
    TaggedFields,
)
from typing_extensions import override

MECHANISM = "SCRAM-SHA-512"
ROUNDS = 4096
TOPIC_EXISTS = 36
ResourceKind = Literal["topic", "group"]
Operation = Literal["READ", "WRITE", "DESCRIBE", "CREATE", "DELETE"]
_RESOURCES: dict[ResourceKind, int] = {"topic": 2, "group": 3}
_OPERATIONS: dict[Operation, int] = {"READ": 3, "WRITE": 4, "CREATE": 5, "DELETE": 6, "DESCRIBE": 8}
_LITERAL, _PREFIXED, _ANY, _ALLOW = 3, 4, 1, 3


class AdminError(Exception):
    """The broker refused one row of what was asked; the text names the row and the error."""


class WrongCredentials(AdminError):
    """The broker is there and does not know this user with this password. Waiting does not help."""


class BrokerAway(AdminError):
    """Nobody answers at that address (yet)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTopic:
    """A topic as it shall be; `replication` -1 takes the broker's default."""

    name: str
    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)
    replication: int = -1


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Acl:
    """A user may do this with the resource of that name, or with all whose name begins so (`prefixed`)."""

    user: str
    operation: Operation
    kind: ResourceKind
    name: str
    prefixed: bool = False

    @override
    def __str__(self) -> str:
        return f"{self.user} {self.operation} {self.kind} {self.name}{'*' if self.prefixed else ''}"


async def check_login(bootstrap: str, user: str, password: str) -> None:
    """Logs in once. Raises WrongCredentials or BrokerAway, so that a wrong password is not taken for an outage."""
    reason: Exception = BrokerAway(f"no address in {bootstrap!r}")
    for address in bootstrap.split(","):
        host, _, port = address.strip().rpartition(":")
        if not (host and port.isascii() and port.isdecimal()):
            raise BrokerAway(f"{address!r} is not `host:port` (MAILLON_KAFKA_BOOTSTRAP)")
        options = {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": MECHANISM}
        login = {"sasl_plain_username": user, "sasl_plain_password": password}
        try:
            connection = await create_conn(host, int(port), request_timeout_ms=5000, **options, **login)
        except SaslAuthenticationFailed:
            raise WrongCredentials(f"{address}: the broker refuses user {user!r} with this password") from None
        except (OSError, KafkaError, TimeoutError) as error:
            reason = BrokerAway(f"{address}: {type(error).__name__} {error}")
            continue
        connection.close()
        return
    raise reason


class Admin:
    """`async with Admin(bootstrap, user, password) as admin`."""

    def __init__(self, bootstrap: str, user: str, password: str) -> None:
        self._login = (bootstrap, user, password)
        self._client: Any = None

    async def __aenter__(self) -> Self:
        bootstrap, user, password = self._login
        await check_login(bootstrap, user, password)
        self._client = AIOKafkaAdminClient(
            bootstrap_servers=bootstrap,
            security_protocol="SASL_PLAINTEXT",
            sasl_mechanism=MECHANISM,
            sasl_plain_username=user,
            sasl_plain_password=password,
            request_timeout_ms=15_000,
        )
        try:
            await self._client.start()
        except KafkaError as error:
            await self._client.close()
            raise BrokerAway(str(error)) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def _ask(self, request: RequestStruct) -> Any:
        try:
            return await self._client._send_to_controller(_Prepared(request))  # noqa: SLF001
        except (KafkaError, TimeoutError, OSError) as error:
            raise BrokerAway(f"{type(request).__name__}: {type(error).__name__} {error}") from error

    # ── topics ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def topics(self) -> dict[str, int]:
        """Name -> number of partitions."""
        rows = await self._client.describe_topics()
        return {row["topic"]: len(row["partitions"]) for row in rows if not row["is_internal"]}

    async def create_topics(self, topics: Iterable[NewTopic]) -> list[str]:
        """Creates those that do not exist, answers their names; one that exists is left as it is."""
        rows: list[tuple[Any, ...]] = [
            (topic.name, topic.partitions, topic.replication, [], list(topic.config.items())) for topic in topics
        ]
        if not rows:
            return []
        answer = await self._ask(known.CreateTopicsRequest_v3(create_topic_requests=rows, timeout=15_000, validate_only=False))
        created = []
        for name, code, message in answer.topic_errors:
            if code != TOPIC_EXISTS:
                _check(f"topic {name}", code, message)
                created.append(name)
        return created

    async def delete_topics(self, names: Sequence[str]) -> None:
        answer = await self._ask(known.DeleteTopicsRequest_v3(list(names), 15_000))
        for name, code in answer.topic_error_codes:
            _check(f"topic {name}", code)

    async def topic_configs(self, names: Iterable[str], keys: Sequence[str]) -> dict[str, dict[str, str]]:
        """What holds for each topic now, the broker's defaults included."""
        rows = [(_RESOURCES["topic"], name, list(keys)) for name in names]
        if not rows:
            return {}
        answer = await self._ask(known.DescribeConfigsRequest_v1(resources=rows, include_synonyms=False))
        found = {}
        for code, message, _, name, entries in answer.resources:
            _check(f"topic {name}", code, message)
            found[name] = {entry[0]: entry[1] or "" for entry in entries}
        return found

    async def set_topic_config(self, name: str, config: Mapping[str, str]) -> None:
        """Changes these keys, leaves the others."""
        changes = [(key, 0, value) for key, value in config.items()]
        resources = [(_RESOURCES["topic"], name, changes)]
        answer = await self._ask(_AlterConfigs(resources=resources, validate_only=False))
        for code, message, _, resource in answer.responses:
            _check(f"topic {resource}", code, message)

    # ── users ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def users(self) -> set[str]:
        answer = await self._ask(_DescribeUsers(None, {}))
        _check("users", answer.error_code, answer.error_message)
        return {row[0] for row in answer.results if any(info[0] == _SHA512 for info in row[3])}

    async def upsert_users(self, passwords: Mapping[str, str]) -> None:
        rows: list[tuple[Any, ...]] = []
        for name, password in passwords.items():
            salt = os.urandom(24)
            salted = await asyncio.to_thread(hashlib.pbkdf2_hmac, "sha512", password.encode(), salt, ROUNDS)
            rows.append((name, _SHA512, ROUNDS, salt, salted, {}))
        await self._alter_users([], rows)

    async def delete_users(self, names: Iterable[str]) -> None:
        await self._alter_users([(name, _SHA512, {}) for name in names], [])

    async def _alter_users(self, deletions: list[tuple[Any, ...]], upsertions: list[tuple[Any, ...]]) -> None:
        if deletions or upsertions:
            answer = await self._ask(_AlterUsers(deletions, upsertions, {}))
            for name, code, message, _ in answer.results:
                _check(f"user {name}", code, message)

    # ── rights ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def acls(self) -> set[Acl]:
        """All rights of topics and groups. One just made may be missing for a moment: making it again does no harm."""
        answer = await self._ask(known.DescribeAclsRequest_v1(_ANY, None, _ANY, None, None, _ANY, _ANY))
        _check("rights", answer.error_code, answer.error_message)
        kinds = {number: kind for kind, number in _RESOURCES.items()}
        operations = {number: operation for operation, number in _OPERATIONS.items()}
        found = set()
        for kind, name, pattern, rows in answer.resources:
            for principal, _, operation, permission in rows:
                if kind in kinds and operation in operations and permission == _ALLOW:
                    user, prefixed = principal.removeprefix("User:"), pattern == _PREFIXED
                    found.add(Acl(user=user, operation=operations[operation], kind=kinds[kind], name=name, prefixed=prefixed))
        return found

    async def create_acls(self, acls: Iterable[Acl]) -> None:
        rows = list(acls)
        if rows:
            answer = await self._ask(known.CreateAclsRequest_v1([_acl_row(acl) for acl in rows]))
            for acl, (code, message) in zip(rows, answer.creation_responses, strict=True):
                _check(f"right {acl}", code, message)

    async def delete_acls(self, acls: Iterable[Acl]) -> None:
        rows = list(acls)
        if rows:
            answer = await self._ask(known.DeleteAclsRequest_v1([_acl_row(acl) for acl in rows]))
            for acl, (code, message, _) in zip(rows, answer.filter_responses, strict=True):
                _check(f"right {acl}", code, message)

    # ── quotas ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def quotas(self) -> dict[str, dict[str, float]]:
        """User -> what it is held to, per broker."""
        answer = await self._ask(known.DescribeClientQuotasRequest_v0(components=[("user", 2, None)], strict=True))
        _check("quotas", answer.error_code, answer.error_message)
        return {entity[0][1]: dict(values) for entity, values in answer.entries if entity[0][1] is not None}

    async def set_quotas(self, user: str, quotas: Mapping[str, float | None]) -> None:
        """`producer_byte_rate` and `consumer_byte_rate` in bytes a second, `request_percentage`; None lifts one."""
        changes = [(key, value or 0.0, value is None) for key, value in quotas.items()]
        answer = await self._ask(_AlterQuotas(entries=[([("user", user)], changes)], validate_only=False))
        for code, message, _ in answer.entries:
            _check(f"quota of {user}", code, message)


def _acl_row(acl: Acl) -> tuple[Any, ...]:
    pattern = _PREFIXED if acl.prefixed else _LITERAL
    return _RESOURCES[acl.kind], acl.name, pattern, f"User:{acl.user}", "*", _OPERATIONS[acl.operation], _ALLOW


def _check(what: str, code: int, message: str | None = None) -> None:
    if code:
        raise AdminError(f"{what}: {for_code(code).__name__}{f' ({message})' if message else ''}")


class _Prepared:
    """A request in one fixed version, past the choice of versions: some flexible ones are declared and do not encode as such."""

    def __init__(self, request: RequestStruct) -> None:
        self._request = request

    def prepare(self, versions: Mapping[int, tuple[int, int]]) -> RequestStruct:
        low, high = versions[self._request.API_KEY]
        if not low <= self._request.API_VERSION <= high:
            raise AdminError(f"the broker no longer speaks {type(self._request).__name__}")
        return self._request


# ── what aiokafka does not declare; shapes from the broker's own message definitions ────────────────────────────────────────────

_SHA512 = 2
_TEXT, _COMPACT = String("utf-8"), CompactString("utf-8")
_TAGS = ("tags", TaggedFields)


class _AlterUsersAnswer(Response):  # type: ignore[misc]
    API_KEY, API_VERSION = 51, 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("results", CompactArray(("user", _COMPACT), ("error_code", Int16), ("error_message", _COMPACT), _TAGS)),
        _TAGS,
    )


class _AlterUsers(RequestStruct):  # type: ignore[misc]
    API_KEY, API_VERSION, FLEXIBLE_VERSION, RESPONSE_TYPE = 51, 0, True, _AlterUsersAnswer
    SCHEMA = Schema(
        ("deletions", CompactArray(("name", _COMPACT), ("mechanism", Int8), _TAGS)),
        (
            "upsertions",
            CompactArray(
                ("name", _COMPACT),
                ("mechanism", Int8),
                ("iterations", Int32),
                ("salt", CompactBytes),
                ("salted_password", CompactBytes),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class _DescribeUsersAnswer(Response):  # type: ignore[misc]
    API_KEY, API_VERSION = 50, 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        ("error_message", _COMPACT),
        (
            "results",
            CompactArray(
                ("user", _COMPACT),
                ("error_code", Int16),
                ("error_message", _COMPACT),
                ("infos", CompactArray(("mechanism", Int8), ("iterations", Int32), _TAGS)),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class _DescribeUsers(RequestStruct):  # type: ignore[misc]
    API_KEY, API_VERSION, FLEXIBLE_VERSION, RESPONSE_TYPE = 50, 0, True, _DescribeUsersAnswer
    SCHEMA = Schema(("users", CompactArray(("name", _COMPACT), _TAGS)), _TAGS)


class _AlterQuotasAnswer(Response):  # type: ignore[misc]
    API_KEY, API_VERSION = 49, 0
    _ENTITY = Array(("entity_type", _TEXT), ("entity_name", _TEXT))
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("entries", Array(("error_code", Int16), ("error_message", _TEXT), ("entity", _ENTITY))),
    )


class _AlterQuotas(RequestStruct):  # type: ignore[misc]
    API_KEY, API_VERSION, RESPONSE_TYPE = 49, 0, _AlterQuotasAnswer
    _OPS = Array(("key", _TEXT), ("value", Float64), ("remove", Boolean))
    SCHEMA = Schema(("entries", Array(("entity", _AlterQuotasAnswer._ENTITY), ("ops", _OPS))), ("validate_only", Boolean))  # noqa: SLF001


class _AlterConfigsAnswer(Response):  # type: ignore[misc]
    API_KEY, API_VERSION = 44, 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("responses", Array(("error_code", Int16), ("error_message", _TEXT), ("resource_type", Int8), ("name", _TEXT))),
    )


class _AlterConfigs(RequestStruct):  # type: ignore[misc]
    API_KEY, API_VERSION, RESPONSE_TYPE = 44, 0, _AlterConfigsAnswer
    _CHANGES = Array(("key", _TEXT), ("operation", Int8), ("value", _TEXT))
    SCHEMA = Schema(
        ("resources", Array(("resource_type", Int8), ("name", _TEXT), ("changes", _CHANGES))), ("validate_only", Boolean)
    )

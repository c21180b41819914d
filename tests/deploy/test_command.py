"""`maillon topics apply` and `maillon users apply`, as a person calls them, on a real broker."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest_asyncio

from deploy.local.jars import ROOT
from deploy.local.stack import Stack
from shared.kafka.admin import Acl, Admin, check_login

EXTRA = Acl(user="partner-trira", operation="READ", kind="topic", name="refurb.devices.ares")


async def _maillon(stack: Stack, *words: str, env: Mapping[str, str] | None = None) -> tuple[int, list[str]]:
    told = {**os.environ, **stack.platform.as_environment(), **(env or {})}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "deploy.maillon",
        *words,
        cwd=ROOT,
        env=told,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode().splitlines()


@pytest_asyncio.fixture(loop_scope="session")
async def admin(stack: Stack) -> AsyncIterator[Admin]:
    platform = stack.platform
    async with Admin(platform.kafka_bootstrap, platform.kafka_admin_user, platform.kafka_admin_password) as found:
        yield found


def _secrets(stack: Stack) -> str:
    return str(stack.folder / "secrets.json")


async def test_a_stack_needs_no_change(stack: Stack) -> None:
    assert await _maillon(stack, "topics", "apply", "--local") == (0, ["nothing to change"])
    assert await _maillon(stack, "users", "apply", "--secrets", _secrets(stack)) == (0, ["nothing to change"])


async def test_topics_told_then_made(stack: Stack, admin: Admin) -> None:
    await admin.delete_topics(["distribution.orders.cor"])
    await admin.set_topic_config("refurb.inbound.ares", {"retention.ms": "1000"})
    lines = [
        "create topic distribution.orders.cor (3 partitions)",
        "change topic refurb.inbound.ares: retention.ms 1000 -> 2592000000",
    ]
    assert await _maillon(stack, "topics", "apply", "--local", "--dry-run") == (0, [f"would {line}" for line in lines])
    assert "distribution.orders.cor" not in await admin.topics()
    assert await _maillon(stack, "topics", "apply", "--local") == (0, lines)
    assert (await admin.topics())["distribution.orders.cor"] == 3
    assert await _maillon(stack, "topics", "apply", "--local") == (0, ["nothing to change"])


async def test_partitions_are_told_and_left(stack: Stack, admin: Admin) -> None:
    before = await admin.topics()
    code, lines = await _maillon(stack, "topics", "apply")
    assert code == 0
    assert "note: topic refurb.devices.ares has 3 partitions, not 12: left, keys would move" in lines
    assert lines[-1] == "nothing to change"
    assert await admin.topics() == before


async def test_users_told_then_made(stack: Stack, admin: Admin) -> None:
    await admin.delete_users(["partner-bocage"])
    await admin.upsert_users({"certs": "another"})
    await admin.create_acls([EXTRA])
    await admin.set_quotas("partner-ares", {"producer_byte_rate": 1.0})
    words = ("users", "apply", "--secrets", _secrets(stack))
    code, told = await _maillon(stack, *words, "--dry-run")
    assert code == 0
    assert told == [
        "would change password of certs",
        "would create user partner-bocage",
        "would withdraw partner-trira READ topic refurb.devices.ares",
        "would set quota of partner-ares: {'producer_byte_rate': 2000000.0}",
    ]
    assert EXTRA in await admin.acls()
    await check_login(stack.kafka_bootstrap, "certs", "another")
    code, done = await _maillon(stack, *words)
    assert code == 0
    assert [f"would {line}" for line in done] == told
    assert not any(secret in line for line in done for secret in stack.secrets.values())
    assert await _maillon(stack, *words) == (0, ["nothing to change"])
    await check_login(stack.kafka_bootstrap, "certs", stack.secrets["kafka.certs"])
    assert EXTRA not in await admin.acls()


async def test_passwords_from_the_environment_come_first(stack: Stack) -> None:
    words = ("users", "apply", "--secrets", _secrets(stack), "--dry-run")
    told = await _maillon(stack, *words, env={"MAILLON_PASSWORD_PARTNER_ARES": "another"})
    assert told == (0, ["would change password of partner-ares"])


async def test_what_is_missing_or_wrong_is_one_line(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "none.json").write_text("{}", encoding="utf-8")
    code, lines = await _maillon(stack, "users", "apply", "--secrets", str(tmp_path / "none.json"))
    assert code == 2
    users = "intake, routing, refurb, certs, distribution, partner-trira, partner-bocage, partner-ares"
    assert lines == [f"ValueError: no password for: {users} (MAILLON_PASSWORD_<USER>, or --secrets FILE)"]
    code, lines = await _maillon(stack, "topics", "apply", env={"MAILLON_KAFKA_ADMIN_PASSWORD": "wrong"})
    assert (code, len(lines)) == (2, 1)
    assert lines[0].startswith("WrongCredentials: ")
    for where, said in (("127.0.0.1:1", "ConnectionRefusedError"), ("nothost", "is not `host:port` (MAILLON_KAFKA_BOOTSTRAP)")):
        code, lines = await _maillon(stack, "topics", "apply", env={"MAILLON_KAFKA_BOOTSTRAP": where})
        assert (code, len(lines)) == (2, 1)
        assert said in lines[0]
    code, lines = await _maillon(stack, "topics", "apply", env={"MAILLON_KAFKA_BOOTSTRAP": ""})
    assert (code, lines) == (2, ["set MAILLON_KAFKA_BOOTSTRAP"])

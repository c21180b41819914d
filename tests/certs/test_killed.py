"""The service as a process of its own, killed at seeded moments: what was told is certified once, and nothing is left behind."""

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from deploy.local import postgres
from deploy.local.platform import Platform
from services.certs.app import build
from services.certs.domain import merkle, note, verification
from services.certs.settings import CertsSettings
from services.certs.store import tables
from services.certs.store.files import Documents, trust
from tests.certs import scene
from tests.certs.samples import Story
from tests.support.platform import until
from tests.support.service import Publisher, running

LONGEST_S = 3.5


def environment(settings: CertsSettings) -> Mapping[str, str]:
    values = {
        f"MAILLON_{name.upper()}": value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        for name in CertsSettings.model_fields
        if (value := getattr(settings, name)) is not None
    }
    return {**{k: v for k, v in os.environ.items() if not k.startswith("MAILLON_")}, **values}


@asynccontextmanager
async def process(settings: CertsSettings) -> AsyncIterator[asyncio.subprocess.Process]:
    quiet = asyncio.subprocess.DEVNULL
    command = [sys.executable, "-m", "services.certs"]
    started = await asyncio.create_subprocess_exec(*command, env=environment(settings), stdout=quiet, stderr=quiet)
    try:
        yield started
    finally:
        started.kill()
        await started.wait()


def children(pid: int) -> list[int]:
    """Processes that `pid` started."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == pid and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def alive(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at /proc")
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_killed_at_any_moment_it_certifies_each_consignment_once(
    certs_settings: CertsSettings, publisher: Publisher, seed: int
) -> None:
    chance, stories, workers = random.Random(seed), [Story() for _ in range(3)], set[int]()  # noqa: S311 the same moments each time
    for story in stories:
        async with process(certs_settings) as started:
            await scene.tell(publisher, story, erased=["1"], failed=["2"])
            await asyncio.sleep(0.8 + chance.random() * LONGEST_S)
            workers |= set(children(started.pid))
    await until(lambda: not any(alive(pid) for pid in workers), 10)

    async with running(build, certs_settings) as site:
        await until(lambda: scene.certified(site, len(stories)), 60)
        await asyncio.sleep(1)
        figures = await scene.counts(site)
        assert {k: figures[k] for k in ("certificates", "drafts", "log_size", "devices", "erased", "not_erased")} == {
            "certificates": 3,
            "drafts": 3,
            "log_size": 3,
            "devices": 6,
            "erased": 3,
            "not_erased": 3,
        }
        keys = verification.Trust.read(trust(certs_settings.keys_folder))
        documents = Documents(certs_settings.documents_folder)
        for story in stories:
            async with site.desk.read() as tx:
                known = await tables.certificate(tx, story.number)
            assert known is not None
            data = documents.read(known.document_sha256 or "")
            assert data is not None
            assert verification.verify(data, keys).ok


async def test_a_lost_database_comes_back_without_a_second_certificate_and_without_a_fork(
    certs_settings: CertsSettings, publisher: Publisher, platform: Platform
) -> None:
    before, after = [Story(), Story()], Story()
    async with running(build, certs_settings) as site:
        for story in before:
            await scene.tell(publisher, story, erased=["1"])
        await until(lambda: scene.certified(site, 2), 60)
        async with site.desk.read() as tx:
            signed = (await tables.latest_checkpoints(tx, 1))[0]["note"]
            leaves = await tables.leaves(tx, 0, 10)
        await until(lambda: site.desk.pool.fetchval("SELECT NOT EXISTS (SELECT FROM outbox)"))
    name, role, password = await postgres.fresh_database(platform.postgres_url)
    url = postgres.with_role(platform.postgres_url, role, password, name)
    again = certs_settings.model_copy(update={"database_url": SecretStr(url)})
    by = verification.Trust.read(trust(certs_settings.keys_folder)).log
    async with running(build, again) as site:
        await scene.tell(publisher, after, erased=["1"], failed=["2"])
        await until(lambda: scene.certified(site, 3), 60)
        figures = await scene.counts(site)
        assert (figures["certificates"], figures["log_size"], figures["drafts"], figures["erased"]) == (3, 3, 1, 3)
        async with site.desk.read() as tx:
            old, new = note.opened(signed, by), note.opened((await tables.latest_checkpoints(tx, 1))[0]["note"], by)
            assert (await tables.leaves(tx, 0, 10))[:2] == leaves
            found = await tables.nodes(tx, merkle.needed(lambda read: merkle.consistency(2, 3, read)))
        path = merkle.consistency(2, 3, merkle.reader(found))
        merkle.check_consistency(old.size, new.size, old.root, new.root, path)
        async with site.client(staff=True) as client:
            for story in before:
                assert (await client.get(f"/certs/documents/{story.number}")).status_code == 200
    await postgres.drop_database(platform.postgres_url, name, role)

"""Originals: on the disk before anything is said of them, whole when they are read, in the archive a moment later."""

import asyncio
import os
import stat
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from services.refurb.jobs import archivist
from services.refurb.store import Evidence, ObjectStore
from services.refurb.store.archive import StoreAway
from shared.errors import Outage
from tests.support.bucket import bucket
from tests.support.platform import until

DATA = b"a report with a name in it"


@dataclass
class Shelf:
    """An archive that may be away."""

    away: bool = False
    held: dict[str, bytes] = field(default_factory=dict)
    puts: int = 0

    def put(self, sha256: str, data: bytes) -> None:
        if self.away:
            raise StoreAway("evidence_archive_away")
        self.puts += 1
        self.held[sha256] = data

    def get(self, sha256: str) -> bytes | None:
        if self.away:
            raise StoreAway("evidence_archive_away")
        return self.held.get(sha256)


async def kept(store: Evidence, data: bytes = DATA) -> str:
    sha256 = store.keep(data)
    await store.settle()
    return sha256


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def full(*_: object) -> None:
    raise OSError(28, "No space left on device")


async def test_an_original_is_read_as_it_came_or_not_at_all(tmp_path: Path) -> None:
    store = Evidence(tmp_path)
    sha256 = store.keep(DATA)
    assert store.fetch(sha256) == DATA, "set aside"
    assert not store.path(sha256).exists()
    await store.settle()
    assert (store.fetch(sha256), store.fetch("0" * 64), store.keep(DATA), store.aside) == (DATA, None, sha256, {})
    found = {path.relative_to(tmp_path).parts[0]: path.stat().st_mode & 0o777 for path in files(tmp_path)}
    assert found == {sha256[:2]: 0o600, "journal": 0o600}
    store.path(sha256).write_bytes(b"another")
    with pytest.raises(Outage, match="evidence_damaged"):
        store.fetch(sha256)


async def test_what_the_disk_did_not_get_comes_back_from_the_journal(tmp_path: Path) -> None:
    """After a crash of the machine: names without content, a journal with half an entry at its end."""
    store = Evidence(tmp_path)
    first, second = await kept(store, b"one"), await kept(store, b"two" * 1_000)
    assert store.journal is not None
    journal, handle = store.journal.path, store.journal.handle
    assert journal is not None
    living = Evidence(tmp_path)
    store.path(first).write_bytes(b"")
    with pytest.raises(Outage, match="evidence_damaged"):
        living.fetch(first)
    assert journal in files(tmp_path), "its process lives: another takes nothing from it"
    os.write(handle, b"half an entry" * 10)
    store.close()
    store.path(second).unlink()
    after = Evidence(tmp_path)
    assert (after.fetch(first), after.fetch(second)) == (b"one", b"two" * 1_000)
    assert journal not in files(tmp_path)


async def test_a_full_journal_ends_when_its_files_are_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, order = Evidence(tmp_path), list[str]()
    sync, unlink = os.sync, Path.unlink

    def synced() -> None:
        order.append("sync")
        sync()

    def unlinked(path: Path, *, missing_ok: bool = False) -> None:
        order.append(path.parent.name)
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(os, "sync", synced)
    monkeypatch.setattr(Path, "unlink", unlinked)
    store.opened()
    assert store.journal is not None
    store.journal.full = 1_000
    for n in range(4):
        await kept(store, b"%d" % n * 400)
    await until(lambda: order == ["sync", "journal"], 5)
    assert len(files(tmp_path / "journal")) == 1


async def test_a_large_original_is_synced_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file, then its name; the journal is left for small ones."""
    store, synced = Evidence(tmp_path), list[str]()
    store.opened()
    fsync = os.fsync

    def noted(handle: int) -> None:
        synced.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", noted)
    sha256 = await kept(store, b"x" * 300_000)
    assert store.path(sha256).stat().st_size == 300_000
    assert synced == ["file", "folder"]
    assert store.journal is not None
    assert store.journal.path is None


async def test_a_full_disk_keeps_nothing_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Evidence(tmp_path)
    sha256 = store.keep(DATA)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        for _ in range(2):
            with pytest.raises(StoreAway, match="evidence_disk"):
                await store.settle()
    assert not store.path(sha256).exists()
    await store.settle()
    assert (store.path(sha256).read_bytes(), store.aside) == (DATA, {})


async def test_what_waits_for_the_archive_is_marked_before_it_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Evidence(tmp_path, Shelf())
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(StoreAway):
            await kept(store)
    store.aside.clear()
    (marked,) = store.to_archive()
    assert store.fetch(marked) is None
    assert store.archived(marked) is False, "nothing is there to be brought, yet"
    assert list(store.to_archive()) == [marked]
    old = time.time() - 4_000
    os.utime(store.marks / marked, (old, old))
    assert store.archived(marked) is False
    assert list(store.to_archive()) == []


async def test_the_archive_may_be_away_and_gets_everything_afterwards(tmp_path: Path) -> None:
    shelf = Shelf(away=True)
    store = Evidence(tmp_path, shelf)
    first = await kept(store)
    task = asyncio.create_task(cast("Any", archivist(store, every_s=0.01)(cast("Any", None))))
    try:
        await asyncio.sleep(0.1)
        second = await kept(store, b"another")
        assert shelf.held == {}
        shelf.away = False
        await until(lambda: not list(store.to_archive()), 5)
    finally:
        task.cancel()
    assert shelf.held == {first: DATA, second: b"another"}
    assert shelf.puts == 2, "what is there is not brought again"


async def test_what_another_machine_took_in_comes_from_the_archive(tmp_path: Path) -> None:
    shelf = Shelf()
    here, there = Evidence(tmp_path / "here", shelf), Evidence(tmp_path / "there", shelf)
    sha256 = await kept(there)
    assert here.fetch(sha256) is None, "not there yet: whoever needs it waits"
    there.archived(sha256)
    assert here.fetch(sha256) == DATA
    shelf.away = True
    assert here.fetch(sha256) == DATA, "kept here too, once it was fetched"
    with pytest.raises(OSError, match="evidence_archive_away"):
        here.fetch("0" * 64)
    shelf.away, shelf.held["1" * 64] = False, b"forged"
    with pytest.raises(Outage, match="evidence_damaged"):
        here.fetch("1" * 64)
    assert not here.path("1" * 64).exists()


def test_an_archive_that_is_a_folder(tmp_path: Path) -> None:
    archive = ObjectStore(f"file://{tmp_path}")
    assert archive.get("ab" * 32) is None
    archive.put("ab" * 32, DATA)
    archive.put("ab" * 32, DATA)
    assert archive.get("ab" * 32) == DATA
    assert (tmp_path / "ab" / ("ab" * 32)).read_bytes() == DATA


async def test_an_archive_that_speaks_s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request signed, as a server that checks it sees; in trouble, with a wrong key and gone, it is an outage and nothing else."""
    monkeypatch.setattr("services.refurb.store.archive.RETRY", {"max_retries": 0})
    with bucket() as there:
        for name, value in there.environment.items():
            monkeypatch.setenv(name, value)
        archive = ObjectStore("s3://originals/refurb")
        store = Evidence(tmp_path, archive)
        sha256 = await kept(store)
        assert await asyncio.to_thread(store.archived, sha256)
        assert there.held == {f"/originals/refurb/{sha256[:2]}/{sha256}": DATA}
        assert await asyncio.to_thread(archive.get, sha256) == DATA
        assert await asyncio.to_thread(archive.get, "ab" * 32) is None
        there.refusing = 503
        with pytest.raises(StoreAway):
            await asyncio.to_thread(archive.get, sha256)
        there.refusing = 0
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
        with pytest.raises(StoreAway):
            await asyncio.to_thread(ObjectStore("s3://originals/refurb").put, sha256, DATA)
    with pytest.raises(StoreAway):
        await asyncio.to_thread(archive.put, sha256, DATA)

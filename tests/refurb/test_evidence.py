"""Originals: on the disk before anything is said of them, whole when they are read, in the archive a moment later."""

import asyncio
import hashlib
import json
import os
import sqlite3
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from services.refurb.__main__ import tool
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


def spoilt(store: Evidence) -> None:
    """Change the last byte of each pack."""
    for pack in (store.folder / "packs").iterdir():
        data = pack.read_bytes()
        pack.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


async def test_an_original_is_read_as_it_came_or_not_at_all(tmp_path: Path) -> None:
    store = Evidence(tmp_path)
    sha256 = store.keep(DATA)
    assert store.fetch(sha256) == DATA, "set aside"
    await store.settle()
    assert (store.aside, store.fetch(sha256), store.fetch("0" * 64)) == ({}, DATA, None)
    assert {path.stat().st_mode & 0o777 for path in files(tmp_path)} == {0o600}
    assert await kept(store) == sha256
    assert [path.stat().st_size for path in files(tmp_path / "packs")] == [40 + len(DATA)], "a repeat is not kept twice"
    spoilt(store)
    with pytest.raises(Outage, match="evidence_damaged"):
        store.fetch(sha256)
    for pack in files(tmp_path / "packs"):
        pack.unlink()
    with pytest.raises(Outage, match="evidence_damaged"):
        store.fetch(sha256)


async def test_an_index_that_is_lost_is_made_again_from_the_files(tmp_path: Path) -> None:
    """Packs, one of them with half an entry at its end, and files of their own; what was only begun is none."""
    store = Evidence(tmp_path)
    originals = {await kept(store, data): data for data in (b"one", b"", b"two" * 1_000, b"x" * 300_000)}
    os.write(store.pack.handle, bytes(32) + (1_000).to_bytes(8, "big") + b"half an entry")
    store.close()
    (store.path("ab" * 32).parent).mkdir(exist_ok=True)
    (store.path("ab" * 32).parent / ".1.part").write_bytes(b"begun")
    for name in ("index.sqlite", "index.sqlite-wal", "index.sqlite-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    after = Evidence(tmp_path, Shelf())
    assert {sha256: after.fetch(sha256) for sha256 in after.to_archive()} == originals
    assert await kept(after, b"three") not in originals
    assert len(files(tmp_path / "packs")) == 2, "never appended to what another began"


async def test_what_died_before_it_was_noted_is_kept_when_it_is_repeated(tmp_path: Path) -> None:
    store = Evidence(tmp_path)
    await kept(store, b"one")
    store.pack.append({hashlib.sha256(b"two").hexdigest(): b"two"})
    after = Evidence(tmp_path)
    assert after.fetch(hashlib.sha256(b"two").hexdigest()) is None
    assert after.fetch(await kept(after, b"two")) == b"two"


async def test_processes_of_one_machine_share_a_folder(tmp_path: Path) -> None:
    first, second = Evidence(tmp_path), Evidence(tmp_path)
    await asyncio.gather(*(asyncio.to_thread(store.ready) for store in (first, second)))
    ours, theirs = await asyncio.gather(kept(first, b"ours"), kept(second, b"theirs"))
    assert (second.fetch(ours), first.fetch(theirs)) == (b"ours", b"theirs")
    await kept(second, b"ours")
    assert sorted(path.stat().st_size for path in files(tmp_path / "packs")) == [44, 46]


async def test_a_pack_has_an_end(tmp_path: Path) -> None:
    store = Evidence(tmp_path)
    store.pack.full = 1_000
    originals = {await kept(store, b"%d" % n * 400): b"%d" % n * 400 for n in range(5)}
    assert sorted(path.stat().st_size for path in files(tmp_path / "packs")) == [880, 1_320]
    assert {sha256: store.fetch(sha256) for sha256 in originals} == originals


async def test_a_large_original_has_a_synced_file_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file, then its name; then it is noted."""
    store, synced = Evidence(tmp_path), list[str]()
    store.ready()
    fsync = os.fsync

    def noted(handle: int) -> None:
        synced.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", noted)
    sha256 = await kept(store, b"x" * 300_000)
    assert store.path(sha256).stat().st_size == 300_000
    assert synced == ["file", "folder"]
    assert files(tmp_path / "packs") == []
    assert store.fetch(sha256) == b"x" * 300_000


async def test_a_full_disk_keeps_nothing_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Evidence(tmp_path)
    first = await kept(store, b"first")
    sha256 = store.keep(DATA)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        for _ in range(2):
            with pytest.raises(StoreAway, match="evidence_disk"):
                await store.settle()
    assert [path.stat().st_size for path in files(tmp_path / "packs") if path.stat().st_size] == [45], (
        "what was begun is taken back"
    )
    await store.settle()
    assert (store.fetch(first), store.fetch(sha256), store.aside) == (b"first", DATA, {})


async def test_an_index_that_takes_nothing_leaves_nothing_in_the_packs(tmp_path: Path) -> None:
    """Another process holds it: this one waits, and a hundred tries fill no disk."""
    store = Evidence(tmp_path)
    store.ready().connection.execute("PRAGMA busy_timeout = 10")
    other = sqlite3.connect(tmp_path / "index.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    store.keep(DATA)
    for _ in range(3):
        with pytest.raises(StoreAway, match="evidence_disk"):
            await store.settle()
    assert sum(path.stat().st_size for path in files(tmp_path / "packs")) == 0
    other.execute("ROLLBACK")
    assert store.fetch(await kept(store)) == DATA
    other.close()


async def test_an_index_that_is_damaged_is_an_outage_and_can_be_removed(tmp_path: Path) -> None:
    store = Evidence(tmp_path)
    sha256 = await kept(store)
    store.close()
    (tmp_path / "index.sqlite").write_bytes(b"no database" * 1_000)
    with pytest.raises(StoreAway, match="evidence_disk"):
        Evidence(tmp_path).fetch(sha256)
    (tmp_path / "index.sqlite").unlink()
    assert Evidence(tmp_path).fetch(sha256) == DATA


async def test_what_is_damaged_here_comes_from_the_archive(tmp_path: Path) -> None:
    shelf = Shelf()
    store = Evidence(tmp_path, shelf)
    small, large = await kept(store), await kept(store, b"x" * 300_000)
    assert [store.archived(sha256) for sha256 in store.to_archive()] == [True, True]
    spoilt(store)
    store.path(large).unlink()
    assert dict(store.damaged()) == {small: True, large: True}
    assert (store.fetch(small), store.fetch(large)) == (DATA, b"x" * 300_000)
    assert dict(store.damaged()) == {small: False, large: False}
    assert list(store.to_archive()) == []


async def test_what_is_damaged_here_is_not_brought_to_the_archive(tmp_path: Path) -> None:
    shelf = Shelf()
    store = Evidence(tmp_path, shelf)
    sha256 = await kept(store)
    spoilt(store)
    assert store.archived(sha256) is False
    assert (shelf.held, list(store.to_archive())) == ({}, [sha256])


async def test_a_store_is_read_and_checked_without_its_service(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    folder = tmp_path / "evidence"
    store = Evidence(folder)
    sha256 = await kept(store)
    assert tool(["original", str(folder), sha256]) == 0
    assert capsysbinary.readouterr().out == DATA
    assert tool(["originals", str(folder)]) == 0
    assert json.loads(capsysbinary.readouterr().out) == {"well": 1, "damaged": [], "unread": []}
    spoilt(store)
    assert tool(["originals", str(folder)]) == 1
    found = json.loads(capsysbinary.readouterr().out)
    assert (found["well"], found["damaged"], [each["sha256"] for each in found["unread"]]) == (0, [sha256], [sha256])
    for words, status in (
        (["original", str(folder), sha256], 1),
        (["original", str(folder), "ab" * 32], 2),
        (["original", str(folder), "x"], 2),
    ):
        assert tool(words) == status
        out, err = capsysbinary.readouterr()
        assert (out, err.count(b"\n")) == (b"", 1)
    assert tool(["originals", str(tmp_path / "none")]) == 2
    assert not (tmp_path / "none").exists()


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
    assert dict(here.damaged()) == {sha256: False}


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

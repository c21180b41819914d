"""Originals: on the disk before anything is said of them, whole when they are read, in the archive a moment later."""

import asyncio
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from services.refurb.jobs import archivist
from services.refurb.store import Evidence, ObjectStore
from services.refurb.store.evidence import ArchiveAway
from shared.errors import Outage
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
            raise ArchiveAway("evidence_archive_away")
        self.puts += 1
        self.held[sha256] = data

    def get(self, sha256: str) -> bytes | None:
        if self.away:
            raise ArchiveAway("evidence_archive_away")
        return self.held.get(sha256)


def test_an_original_is_read_as_it_came_or_not_at_all(tmp_path: Path) -> None:
    store = Evidence(tmp_path)
    sha256 = store.keep(DATA)
    assert (store.fetch(sha256), store.fetch("0" * 64), store.keep(DATA)) == (DATA, None, sha256)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [sha256]
    assert store.path(sha256).stat().st_mode & 0o777 == 0o600
    store.path(sha256).write_bytes(b"another")
    with pytest.raises(Outage, match="evidence_damaged"):
        store.fetch(sha256)


def test_what_waits_for_the_archive_is_marked_before_it_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Evidence(tmp_path, Shelf())

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            store.keep(DATA)
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
    first = store.keep(DATA)
    task = asyncio.create_task(cast("Any", archivist(store, every_s=0.01)(cast("Any", None))))
    try:
        await asyncio.sleep(0.1)
        second = store.keep(b"another")
        assert shelf.held == {}
        shelf.away = False
        await until(lambda: not list(store.to_archive()), 5)
    finally:
        task.cancel()
    assert shelf.held == {first: DATA, second: b"another"}
    assert shelf.puts == 2, "what is there is not brought again"


def test_what_another_machine_took_in_comes_from_the_archive(tmp_path: Path) -> None:
    shelf = Shelf()
    here, there = Evidence(tmp_path / "here", shelf), Evidence(tmp_path / "there", shelf)
    sha256 = there.keep(DATA)
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


def test_the_library_behind_the_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a folder, which its library treats as a bucket; and against an address where nobody is."""
    archive = ObjectStore(f"file://{tmp_path}")
    assert archive.get("ab" * 32) is None
    archive.put("ab" * 32, DATA)
    archive.put("ab" * 32, DATA)
    assert archive.get("ab" * 32) == DATA
    assert (tmp_path / "ab" / ("ab" * 32)).read_bytes() == DATA
    for name, value in (
        ("ENDPOINT", "http://127.0.0.1:9"),
        ("ACCESS_KEY_ID", "a"),
        ("SECRET_ACCESS_KEY", "b"),
        ("ALLOW_HTTP", "true"),
    ):
        monkeypatch.setenv(f"AWS_{name}", value)
    nobody = ObjectStore("s3://originals/refurb")
    with pytest.raises(ArchiveAway):
        nobody.put("ab" * 32, DATA)
    with pytest.raises(ArchiveAway):
        nobody.get("ab" * 32)

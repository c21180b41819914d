"""Packs that were damaged: what is whole in them is found, what is not is told, and nothing that is well is called damaged."""

import errno
import hashlib
import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from services.refurb.store import Evidence
from services.refurb.store.packs import HEAD, Unread, entries

ORIGINALS = [b"first " * 20, b"second " * 300, b"", bytes(5_000), b"fifth " * 20, b"last " * 50]
STARTS = [sum(HEAD + len(data) for data in ORIGINALS[:n]) for n in range(len(ORIGINALS) + 1)]


def names(*numbers: int) -> list[str]:
    return [hashlib.sha256(ORIGINALS[n]).hexdigest() for n in numbers]


async def packed(folder: Path) -> Path:
    """The one pack of a store that holds ORIGINALS, in their order, and has no index any more."""
    store = Evidence(folder)
    for data in ORIGINALS:
        await store.kept(data)
    store.close()
    unindexed(folder)
    (pack,) = (folder / "packs").iterdir()
    assert pack.stat().st_size == STARTS[-1]
    return pack


def unindexed(folder: Path) -> None:
    for name in ("index.sqlite", "index.sqlite-wal", "index.sqlite-shm"):
        (folder / name).unlink(missing_ok=True)


def flip(pack: Path, *places: int) -> None:
    data = bytearray(pack.read_bytes())
    for place in places:
        data[place] ^= 0xA5
    pack.write_bytes(data)


def read(pack: Path) -> tuple[list[str], list[Unread]]:
    unread = list[Unread]()
    return [sha256 for sha256, _ in entries(pack, unread.append)], unread


@pytest.mark.parametrize(
    ("places", "lost"),
    [
        ((STARTS[1] + 3,), (1,)),  # its hash
        ((STARTS[1] + 32,), (1,)),  # its length: beyond the end
        ((STARTS[1] + 38,), (1,)),  # its length: into another
        ((STARTS[1] + HEAD + 7,), (1,)),  # itself
        ((STARTS[3] + 39,), (3,)),  # a length, among zeros
        ((STARTS[0], STARTS[1] + 100, STARTS[2] + 5), (0, 1, 2)),
        ((STARTS[1] + 39, STARTS[2] - 1), (1,)),
    ],
)
async def test_what_follows_a_damaged_entry_is_found(tmp_path: Path, places: tuple[int, ...], lost: tuple[int, ...]) -> None:
    pack = await packed(tmp_path)
    flip(pack, *places)
    found, unread = read(pack)
    assert found == names(*(n for n in range(len(ORIGINALS)) if n not in lost))
    assert sum(each.length for each in unread) == STARTS[lost[-1] + 1] - STARTS[lost[0]]
    assert (unread[0].pack, unread[0].start) == (pack.name, STARTS[lost[0]])
    assert not any(each.unfinished for each in unread)


async def test_a_damaged_entry_says_what_it_should_be(tmp_path: Path) -> None:
    pack = await packed(tmp_path)
    flip(pack, STARTS[1] + HEAD)
    assert read(pack)[1] == [Unread(pack.name, STARTS[1], HEAD + len(ORIGINALS[1]), names(1)[0], unfinished=False)]


@pytest.mark.parametrize("left", [1, 31, HEAD - 1, HEAD, HEAD + 10])
async def test_what_a_process_was_writing_when_it_died_is_unfinished(tmp_path: Path, left: int) -> None:
    pack = await packed(tmp_path)
    os.truncate(pack, STARTS[5] + left)
    found, unread = read(pack)
    assert found == names(0, 1, 2, 3, 4)
    assert unread == [Unread(pack.name, STARTS[5], left, names(5)[0] if left >= 32 else "", unfinished=True)]


async def test_an_end_that_was_never_written_is_unfinished_and_noise_is_not(tmp_path: Path) -> None:
    pack = await packed(tmp_path)
    whole = pack.read_bytes()
    pack.write_bytes(whole + bytes(9_000))
    assert read(pack)[1] == [Unread(pack.name, STARTS[-1], 9_000, "0" * 64, unfinished=True)]
    pack.write_bytes(whole + b"\xff" * 9_000)
    assert read(pack)[1] == [Unread(pack.name, STARTS[-1], 9_000, "f" * 64, unfinished=False)]


async def test_a_sector_that_cannot_be_read_costs_what_is_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack, pread = await packed(tmp_path), os.pread

    def broken(handle: int, length: int, start: int) -> bytes:
        if start < STARTS[1] + 100 < start + length:
            raise OSError(errno.EIO, "Input/output error")
        return pread(handle, length, start)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", broken)
        found, unread = read(pack)
    assert found == names(0, 2, 3, 4, 5)
    assert [each.start for each in unread] == [STARTS[1]]


async def test_an_index_made_again_says_what_it_could_not_read(tmp_path: Path) -> None:
    pack = await packed(tmp_path)
    flip(pack, STARTS[1] + 38)
    os.truncate(pack, STARTS[-1] - 3)
    after = Evidence(tmp_path)
    with capture_logs() as said:
        after.ready()
    assert sorted(after.index.every()) == sorted(names(0, 2, 3, 4))
    assert [(each["log_level"], each["event"], each["start"], each["bytes"]) for each in said] == [
        ("error", "evidence_unread", STARTS[1], STARTS[2] - STARTS[1]),
        ("info", "evidence_unfinished", STARTS[5], STARTS[6] - STARTS[5] - 3),
    ]

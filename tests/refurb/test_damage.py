"""Packs that were damaged: what is whole in them is found, what is not is told, and nothing that is well is called damaged."""

import errno
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from services.refurb.__main__ import tool
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


def told(capsys: pytest.CaptureFixture[str], folder: Path) -> tuple[int, dict[str, Any]]:
    status = tool(["originals", str(folder)])
    out, err = capsys.readouterr()
    assert err == ""
    return status, json.loads(out)


def seen(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*")}


async def test_a_damaged_copy_without_an_index_is_not_called_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pack = await packed(tmp_path)
    before = seen(tmp_path)
    assert told(capsys, tmp_path) == (0, {"well": 6, "damaged": [], "unread": []})
    assert seen(tmp_path) == before, "checking writes nothing"
    flip(pack, STARTS[1] + HEAD, STARTS[3] + 38)
    os.truncate(pack, STARTS[6] - 1)
    status, found = told(capsys, tmp_path)
    assert (status, found["well"], found["damaged"]) == (1, 3, [])
    assert [(each["pack"], each["start"], each["bytes"], each["unfinished"]) for each in found["unread"]] == [
        (pack.name, STARTS[1], STARTS[2] - STARTS[1], False),
        (pack.name, STARTS[3], STARTS[4] - STARTS[3], False),
        (pack.name, STARTS[5], STARTS[6] - STARTS[5] - 1, True),
    ]
    assert found["unread"][0]["sha256"] == names(1)[0]


async def test_where_a_process_died_nothing_is_damaged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Half an entry at the end of its pack: it was never spoken of. Its sender repeats it, so a copy without the index is well too."""
    store = Evidence(tmp_path)
    await store.kept(ORIGINALS[0])
    os.write(store.pack.handle, bytes.fromhex(names(1)[0]) + len(ORIGINALS[1]).to_bytes(8, "big") + b"half")
    after = Evidence(tmp_path)
    assert told(capsys, tmp_path) == (0, {"well": 1, "damaged": [], "unread": []})
    unindexed(tmp_path)
    status, found = told(capsys, tmp_path)
    assert (status, [each["unfinished"] for each in found["unread"]]) == (1, [True]), "or the copy was cut"
    await after.kept(ORIGINALS[1])
    capsys.readouterr()
    unindexed(tmp_path)
    assert told(capsys, tmp_path) == (0, {"well": 2, "damaged": [], "unread": []})


async def test_a_pack_that_is_damaged_between_what_the_index_knows_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The index was made again after the damage: what could not be read then is not in it."""
    pack = await packed(tmp_path)
    flip(pack, STARTS[1] + HEAD)
    store = Evidence(tmp_path)
    store.ready()
    store.close()
    capsys.readouterr()
    status, found = told(capsys, tmp_path)
    assert (status, found["well"], [each["sha256"] for each in found["unread"]]) == (1, 5, names(1))


@pytest.mark.parametrize("live", [True, False])
async def test_an_index_is_read_and_left_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str], live: bool) -> None:
    store = Evidence(tmp_path)
    sha256 = await store.kept(ORIGINALS[0])
    (tmp_path / "packs" / (store.pack.path or tmp_path).name).unlink()
    if not live:
        store.close()
    before = {name: was for name, was in seen(tmp_path).items() if not name.endswith("-shm")}
    assert told(capsys, tmp_path) == (1, {"well": 0, "damaged": [sha256], "unread": []})
    assert {name: was for name, was in seen(tmp_path).items() if not name.endswith("-shm")} == before


async def test_what_cannot_be_checked_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A damaged index, a folder that is none of ours, one that does not let itself be read: what to do, and nothing is made there."""
    damaged, strange, closed = tmp_path / "damaged", tmp_path / "strange", tmp_path / "closed"
    for folder in (damaged, closed):
        await packed(folder)
    (damaged / "index.sqlite").write_bytes(b"no database" * 1_000)
    strange.mkdir()
    (closed / "packs" / "0.pack").mkdir()
    for folder, says in ((damaged, "index.sqlite"), (strange, "MAILLON_DATA_DIR"), (closed, "0.pack")):
        before = seen(folder)
        for words in (["originals", str(folder)], ["original", str(folder), names(0)[0]]):
            assert tool(words) == 2, words
            out, err = capsys.readouterr()
            assert (out, err.count("\n"), says in err) == ("", 1, True), err
        assert seen(folder) == before


async def test_a_copy_that_cannot_be_written_is_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pack = await packed(tmp_path)
    folders = (tmp_path, pack.parent)
    try:
        for folder in folders:
            folder.chmod(0o500)
        assert told(capsys, tmp_path)[0] == 0
    finally:
        for folder in folders:
            folder.chmod(0o700)

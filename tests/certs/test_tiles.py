"""The log as files, and its witnesses: every published state can be built again, and nobody signs two histories."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from services.certs.app import build
from services.certs.domain import cosignature, merkle, note, verification
from services.certs.domain.tiles import Tile, new_tiles, parsed
from services.certs.settings import CertsSettings
from services.certs.store import files
from services.certs.store.shelf import Shelf
from tests.certs.samples import Story, keys, trust_text
from tests.certs.scene import certified
from tests.certs.scene import note as told
from tests.support.alone import loaded
from tests.support.service import running

PROGRAM = Path(__file__).parents[2] / "services" / "certs" / "data" / "witness.py"
ORIGIN = verification.Trust.read(trust_text()).log.name


def tree(leaves: Sequence[bytes]) -> dict[merkle.Node, bytes]:
    nodes: dict[merkle.Node, bytes] = {}
    for index, leaf in enumerate(leaves):
        nodes |= merkle.append(index, merkle.leaf_hash(leaf), nodes.__getitem__)
    return nodes


LEAVES = [sha256(b"%d" % n).digest() for n in range(70_000)]
NODES = tree(LEAVES)


# ── tiles ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0), "tile/0/000"),
        (Tile(0, 0, 1), "tile/0/000.p/1"),
        (Tile(1, 999, 255), "tile/1/999.p/255"),
        (Tile(0, 1_234_067), "tile/0/x001/x234/067"),
        (Tile(2, 1_000), "tile/2/x001/000"),
    ],
)
def test_a_tile_has_one_path(tile: Tile, path: str) -> None:
    assert tile.path == path
    assert parsed(*path.removeprefix("tile/").split("/", 1)) == tile


@pytest.mark.parametrize(
    "path",
    ["0/0", "0/0000", "0/x000/001", "0/000.p/0", "0/000.p/256", "0/000.p/01", "64/000", "00/000", "0/../x", "0/000/", "a/000"],
)
def test_no_other_path_is_one(path: str) -> None:
    assert parsed(*path.split("/", 1)) is None


def root_of(shelf: Shelf, size: int) -> bytes:
    """The root from level 0 alone, as a stranger builds it."""
    nodes: dict[merkle.Node, bytes] = {}
    for place in range(-(-size // 256)):
        content = shelf.read(Tile(0, place, min(256, size - 256 * place)))
        assert content is not None
        for n in range(0, len(content), 32):
            nodes |= merkle.append(256 * place + n // 32, content[n : n + 32], nodes.__getitem__)
    return merkle.root(size, nodes.__getitem__)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 700), min_size=1, max_size=6))
def test_however_it_grew_what_is_published_gives_the_root(tmp_path_factory: pytest.TempPathFactory, steps: list[int]) -> None:
    shelf, size = Shelf(tmp_path_factory.mktemp("log")), 0
    for step in steps:
        for tile in new_tiles(size, size + step):
            shelf.put({tile: NODES})
        size += step
        assert root_of(shelf, size) == merkle.root(size, NODES.__getitem__)
    for tile in new_tiles(0, size):
        assert shelf.read(tile) == b"".join(NODES[node] for node in tile.nodes)


def test_a_large_log_has_tiles_of_higher_levels() -> None:
    tiles = list(new_tiles(0, 70_000))
    assert [sum(1 for tile in tiles if tile.level == level) for level in (0, 1, 2)] == [274, 2, 1]
    assert sorted(new_tiles(69_999, 70_000)) == [Tile(0, 273, 112)]
    assert max(tile.level for tile in tiles) == 2


# ── witnesses ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def program() -> ModuleType:
    return loaded(PROGRAM)


def a_witness(folder: Path) -> Any:
    made = program()
    log = made.Log.of(trust_text())
    return made.Witness("witness.test/one", Ed25519PrivateKey.from_private_bytes(b"7" * 32), {log.name: log}, folder)


def signed(size: int, nodes: Mapping[merkle.Node, bytes] = NODES, key: Ed25519PrivateKey | None = None) -> str:
    root = merkle.root(size, nodes.__getitem__)
    return note.sign(note.Checkpoint(origin=ORIGIN, size=size, root=root), key or keys().log)


def request(old: int, size: int, nodes: Mapping[merkle.Node, bytes] = NODES, checkpoint: str = "") -> str:
    from base64 import b64encode

    path = merkle.consistency(old, size, nodes.__getitem__) if 0 < old < size else []
    return "\n".join([f"old {old}", *(b64encode(step).decode() for step in path), "", checkpoint or signed(size, nodes)])


def status(witness: Any, body: str) -> tuple[int, str]:
    refusal: Any = sys.modules["witness"].Answer
    try:
        return 200, witness.add(body)
    except refusal as refused:
        return refused.status, refused.text


def test_a_witness_follows_a_log_that_grows(tmp_path: Path) -> None:
    witness = a_witness(tmp_path)
    known, line = cosignature.witness(witness.line), ""
    for old, size in ((0, 3), (3, 3), (3, 300), (300, 1_000)):
        code, line = status(witness, request(old, size))
        assert code == 200, line
        assert cosignature.check(signed(size), line, known) > 1_700_000_000
    assert status(a_witness(tmp_path), request(3, 1_001)) == (409, "1000\n"), "another life of the same witness remembers"
    with pytest.raises(note.BadNoteError):
        cosignature.check(signed(999), line, known)


def test_a_witness_signs_no_second_history(tmp_path: Path) -> None:
    witness = a_witness(tmp_path)
    other = tree([b"another", *LEAVES[1:20]])
    assert status(witness, request(0, 10))[0] == 200
    assert status(witness, request(10, 10, other)) == (409, "10\n")
    assert status(witness, request(10, 15, other))[0] == 422
    assert status(witness, request(10, 15, NODES).replace("\n\n", "\nAAAA\n\n", 1))[0] == 422
    assert status(witness, request(0, 15))[0] == 409
    assert status(witness, request(10, 9))[0] == 400
    assert status(witness, request(10, 15))[0] == 200


def test_what_a_witness_does_not_take(tmp_path: Path) -> None:
    witness = a_witness(tmp_path)
    stranger = Ed25519PrivateKey.from_private_bytes(b"8" * 32)
    forged = signed(3)[:-10] + "AAAAAAAA=\n"
    for body, code in (
        ("", 400),
        ("old 0", 400),
        ("old x\n\n" + signed(3), 400),
        ("old 0\n\nanother log\n3\n", 404),
        ("old 0\n\n" + signed(3, key=stranger), 403),
        ("old 0\n\n" + forged, 403),
        ("old 0\nnot base64\n\n" + signed(3), 400),
    ):
        assert status(witness, body)[0] == code, body
    assert witness.last(next(iter(witness.logs.values())))[0] == 0


def test_a_state_is_kept_before_it_is_signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    witness = a_witness(tmp_path)
    monkeypatch.setattr(type(witness), "keep", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        witness.add(request(0, 3))
    monkeypatch.undo()
    assert status(witness, request(0, 3))[0] == 200


@asynccontextmanager
async def served(folder: Path, name: str, trust: Path) -> AsyncIterator[str]:
    """A witness as a process of its own; gives the line for the log's operator."""
    key = folder / f"{name}.key"
    made = await asyncio.create_subprocess_exec(sys.executable, str(PROGRAM), "key", f"witness.test/{name}", str(key))
    assert await made.wait() == 0
    child = await asyncio.create_subprocess_exec(
        sys.executable, str(PROGRAM), "serve", str(key), "--trust", str(trust), "--state", str(folder / name), "--port", "0",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert child.stdout
    try:
        yield (await child.stdout.readline()).decode().strip()
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.terminate()
        await child.wait()


async def test_two_witnesses_sign_what_the_service_publishes(certs_settings: CertsSettings, tmp_path: Path) -> None:
    build(certs_settings)  # makes the keys
    trust = certs_settings.keys_folder / files.TRUST
    async with served(tmp_path, "one", trust) as one, served(tmp_path, "two", trust) as two:
        away = str(cosignature.Witness(name="witness.test/away", key=b"9" * 32)) + " http://127.0.0.1:9"
        witnessed = certs_settings.model_copy(update={"certs_witnesses": f"{one},{two}, {away}"})
        async with running(build, witnessed) as site, site.client() as client:
            for number in (1, 2):
                await told(site.desk, Story(), erased=["1"])
                await site.until(lambda number=number: certified(site, number), 40)  # type: ignore[misc]

            async def seen_by_both() -> bool:
                answer = await client.get("/certs/log/checkpoint")
                return answer.status_code == 200 and note.unchecked(answer.text).size == 2 and answer.text.count("\u2014") == 3

            await site.until(seen_by_both, 20)
            text = (await client.get("/certs/log/checkpoint")).text
            state = note.opened(text, verification.Trust.read(trust.read_text("utf-8")).log)
            for line, who in ((one, "one"), (two, "two")):
                said = next(each for each in text.splitlines() if f"witness.test/{who} " in each)
                assert cosignature.check(text, said, cosignature.witness(line))
            follower = await asyncio.create_subprocess_exec(
                sys.executable, str(PROGRAM), "follow", f"{site.url}/certs/log", "--trust", str(trust), "--state", str(tmp_path / "seen"),
                stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            followed, _ = await follower.communicate()
            hashes = await client.get("/certs/log/tile/0/000.p/2")
            first = await client.get("/certs/log/tile/0/000.p/1")
            missing = [
                (await client.get(f"/certs/log/tile/{path}")).status_code for path in ("0/001", "0/000.p/3", "1/000", "0/0")
            ]
    assert hashes.content[:32] == first.content
    assert "immutable" in hashes.headers["cache-control"]
    assert merkle.node_hash(hashes.content[:32], hashes.content[32:]) == state.root
    assert missing == [404] * 4
    assert (follower.returncode, followed.decode()) == (0, "2 entries, one history\n")


async def test_a_log_that_shrank_is_not_published(certs_settings: CertsSettings) -> None:
    """A database put back in time: what the world has seen is not unsaid."""
    shelf = Shelf(certs_settings.log_folder)
    shelf.sign(signed(1_000))
    async with running(build, certs_settings) as site:
        await told(site.desk, Story(), erased=["1"])
        await site.until(lambda: certified(site, 1), 40)
        await asyncio.sleep(1.5)
        assert shelf.size == 1_000

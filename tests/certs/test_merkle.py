"""The tree against the published vectors of Certificate Transparency, against a naive oracle, and against forged proofs."""

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.certs.domain import merkle
from services.certs.domain.merkle import BadProofError

ENTRIES = [
    bytes.fromhex(h) for h in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
LEFT = "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"
A = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
B = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
C = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
D = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
E = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
F = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
LARGE = 200


def tree(entries: list[bytes]) -> merkle.Read:
    nodes: dict[merkle.Node, bytes] = {}
    for index, entry in enumerate(entries):
        nodes |= merkle.append(index, merkle.leaf_hash(entry), nodes.__getitem__)
    return nodes.__getitem__


def naive_root(entries: list[bytes]) -> bytes:
    """RFC 6962, 2.1, word for word."""
    if not entries:
        return sha256(b"").digest()
    if len(entries) == 1:
        return sha256(b"\x00" + entries[0]).digest()
    half = max(2**n for n in range(20) if 2**n < len(entries))
    return sha256(b"\x01" + naive_root(entries[:half]) + naive_root(entries[half:])).digest()


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_the_published_ones(size: int) -> None:
    assert merkle.root(size, tree(ENTRIES)).hex() == ROOTS[size - 1]


def test_the_empty_tree_has_the_hash_of_nothing() -> None:
    assert merkle.root(0, tree([])).hex() == sha256(b"").hexdigest()


@pytest.mark.parametrize(
    "index,size,path", [(0, 8, (A, B, C)), (5, 8, (D, E, LEFT)), (2, 3, (ROOTS[1],)), (1, 5, (ROOTS[0], B, D))]
)
def test_proofs_of_inclusion_are_the_published_ones(index: int, size: int, path: tuple[str, ...]) -> None:
    assert tuple(h.hex() for h in merkle.inclusion(index, size, tree(ENTRIES))) == path


@pytest.mark.parametrize("old,size,path", [(1, 8, (A, B, C)), (6, 8, (F, E, LEFT)), (2, 5, (B, D)), (4, 4, ())])
def test_proofs_of_consistency_are_the_published_ones(old: int, size: int, path: tuple[str, ...]) -> None:
    assert tuple(h.hex() for h in merkle.consistency(old, size, tree(ENTRIES))) == path


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_proof_leads_to_the_naive_root_and_no_changed_one_does(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, LARGE))
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    entries = [n.to_bytes(2, "big") for n in range(size)]
    read, root = tree(entries), naive_root(entries)
    path, leaf = merkle.inclusion(index, size, read), merkle.leaf_hash(entries[index])
    assert merkle.root(size, read) == root
    merkle.check_inclusion(index, size, leaf, path, root)
    steps, old_root = merkle.consistency(old, size, read), naive_root(entries[:old])
    merkle.check_consistency(old, size, old_root, root, steps)

    wrong = [
        (index, size, merkle.leaf_hash(b"other"), path),
        (index, size, leaf, [*path, root]),
        *((index, size, leaf, path[:-1]) for _ in path[:1]),
        *((index + 1, size, leaf, path) for _ in path[:1]),
        *((index, size, leaf, [merkle.leaf_hash(path[0]), *path[1:]]) for _ in path[:1]),
    ]
    for given_index, given_size, given_leaf, given_path in wrong:
        with pytest.raises(BadProofError):
            merkle.check_inclusion(given_index, given_size, given_leaf, given_path, root)
    for changed in ([*steps, root], *([steps[:-1]] if steps else [])):
        with pytest.raises(BadProofError):
            merkle.check_consistency(old, size, old_root, root, changed)
    if old < size:
        with pytest.raises(BadProofError):
            merkle.check_consistency(old, size, naive_root([*entries[: old - 1], b"x"]), root, steps)


def test_a_rewritten_log_has_no_proof() -> None:
    entries = [b"a", b"b", b"c", b"d", b"e"]
    before = merkle.root(3, tree(entries))
    rewritten = tree([b"a", b"B", b"c", b"d", b"e"])
    with pytest.raises(BadProofError):
        merkle.check_consistency(3, 5, before, merkle.root(5, rewritten), merkle.consistency(3, 5, rewritten))


@pytest.mark.parametrize("size", [1, 2, 7, 8, 1000])
def test_what_is_needed_is_little_and_enough(size: int) -> None:
    read = tree([n.to_bytes(2, "big") for n in range(size)])
    wanted = merkle.needed(lambda r: (merkle.root(size, r), merkle.inclusion(size // 2, size, r)))
    assert len(wanted) <= 2 * size.bit_length() + 2
    few = {node: read(node) for node in wanted}
    assert merkle.root(size, merkle.reader(few)) == merkle.root(size, read)
    assert merkle.inclusion(size // 2, size, merkle.reader(few)) == merkle.inclusion(size // 2, size, read)

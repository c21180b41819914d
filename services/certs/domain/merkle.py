"""The tree of the public log: RFC 6962 section 2.1, SHA-256. Append, root, proofs of inclusion and of consistency, and their checks.

Only hashes of complete subtrees are kept, named `(level, index)`: level 0 are the leaves, and `(level, index)` covers the leaves
`index * 2**level` up to the next. They never change, so a proof for a tree of any earlier size can be made at any time. A caller
finds out which nodes a computation needs by `needed`, fetches them at once, and runs it.
"""

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256

Node = tuple[int, int]
Read = Callable[[Node], bytes]

EMPTY_ROOT = sha256(b"").digest()


class BadProofError(ValueError):
    """The proof does not lead to the root."""


def leaf_hash(entry: bytes) -> bytes:
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def append(size: int, leaf: bytes, read: Read) -> dict[Node, bytes]:
    """The nodes that become complete when `leaf` (a leaf hash) is added to a tree of `size` leaves."""
    made = {(0, size): leaf}
    level, index = 0, size
    while index % 2:
        made[level + 1, index // 2] = node_hash(read((level, index - 1)), made[level, index])
        level, index = level + 1, index // 2
    return made


def root(size: int, read: Read) -> bytes:
    """The root of the tree of the first `size` leaves."""
    return _range(0, size, read) if size else EMPTY_ROOT


def inclusion(index: int, size: int, read: Read) -> list[bytes]:
    """Proof that leaf `index` is in the tree of `size` leaves, from its sibling up (RFC 6962, 2.1.1)."""
    if not 0 <= index < size:
        raise ValueError(f"no leaf {index} in a tree of {size}")
    path: list[bytes] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(_range(middle, high, read))
            high = middle
        else:
            path.append(_range(low, middle, read))
            low = middle
    return path[::-1]


def consistency(old: int, size: int, read: Read) -> list[bytes]:
    """Proof that the tree of `old` leaves is the beginning of the tree of `size` leaves (RFC 6962, 2.1.2)."""
    if not 0 < old <= size:
        raise ValueError(f"no proof from {old} to {size}")
    path: list[bytes] = []
    low, high, whole = 0, size, True
    while old < high:
        middle = low + _split(high - low)
        if old <= middle:
            path.append(_range(middle, high, read))
            high = middle
        else:
            path.append(_range(low, middle, read))
            low, whole = middle, False
    if not whole:
        path.append(_range(low, high, read))
    return path[::-1]


def root_from_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes:
    """The root that a proof of inclusion leads to (RFC 9162, 2.1.3.2). Raises BadProofError when the path has another shape."""
    if not 0 <= index < size:
        raise BadProofError("index outside the tree")
    at, last, result = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise BadProofError("path too long")
        if at % 2 or at == last:
            result = node_hash(sibling, result)
            while not at % 2 and at:
                at, last = at // 2, last // 2
        else:
            result = node_hash(result, sibling)
        at, last = at // 2, last // 2
    if last:
        raise BadProofError("path too short")
    return result


def check_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes], expected: bytes) -> None:
    """Raise BadProofError unless `path` shows that `leaf` is at `index` in the tree of `size` leaves with root `expected`."""
    if root_from_inclusion(index, size, leaf, path) != expected:
        raise BadProofError("the path leads to another root")


def check_consistency(old: int, size: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> None:
    """Raise BadProofError unless `path` shows that the tree of `size` leaves begins with the one of `old` (RFC 9162, 2.1.4.2)."""
    if not 0 < old <= size:
        raise BadProofError("sizes out of order")
    if old == size:
        if path or old_root != new_root:
            raise BadProofError("same size, another tree")
        return
    rest = list(path)
    at, last = old - 1, size - 1
    while at % 2:
        at, last = at // 2, last // 2
    if at:
        if not rest:
            raise BadProofError("path too short")
        before = after = rest.pop(0)
    else:
        before = after = old_root
    for sibling in rest:
        if last == 0:
            raise BadProofError("path too long")
        if at % 2 or at == last:
            before, after = node_hash(sibling, before), node_hash(sibling, after)
            while not at % 2 and at:
                at, last = at // 2, last // 2
        else:
            after = node_hash(after, sibling)
        at, last = at // 2, last // 2
    if last:
        raise BadProofError("path too short")
    if before != old_root or after != new_root:
        raise BadProofError("the path leads to other roots")


def needed(computation: Callable[[Read], object]) -> list[Node]:
    """The nodes that `computation` reads, so that they can be fetched in one query."""
    asked: set[Node] = set()

    def note(node: Node) -> bytes:
        asked.add(node)
        return b""

    computation(note)
    return sorted(asked)


def reader(nodes: Mapping[Node, bytes]) -> Read:
    return nodes.__getitem__


def _range(low: int, high: int, read: Read) -> bytes:
    """The hash over the leaves low … high-1: a kept node where they make a complete subtree."""
    width = high - low
    if width & (width - 1) == 0:  # a power of two; RFC 6962 splits so that such a range is always aligned
        return read((width.bit_length() - 1, low // width))
    middle = low + _split(width)
    return node_hash(_range(low, middle, read), _range(middle, high, read))


def _split(width: int) -> int:
    """The largest power of two below `width`."""
    return 1 << ((width - 1).bit_length() - 1)

"""Reads `lshw -json`: the tree of a machine's parts, as an object or as a list with one.

Checked against the layout that lshw B.02.18 and later print (older ones print the object alone): `class` of each node, `id`, `product`,
`vendor`, `serial`, `size` with `units`, `children`. An NVMe controller (`logicalname` /dev/nvme0) has the names, its namespace the size.
What is not said of a disk (what kind it is, when it does not turn) stays unknown.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from services.refurb.domain.readers.facts import Facts, Hardware, Unusable, count, words
from services.refurb.domain.readers.hardware import first, serial, whole_gib
from shared.events.base import Medium

Node = Mapping[str, Any]
MOST_DISKS = 64
MOST_NODES = 20_000
NVME = re.compile(r"/dev/nvme\d+")
NAMESPACE = re.compile(r"/dev/nvme\d+n\d+")


def looks_like(content: Any) -> bool:
    """Tell whether JSON is a tree of lshw."""
    root = content[0] if isinstance(content, list) and content else content
    return isinstance(root, Mapping) and root.get("class") == "system" and isinstance(root.get("children"), list)


def facts(content: Any) -> Facts:
    """The machine. Raises Unusable when there are two in one file."""
    roots = content if isinstance(content, list) else [content]
    if len(roots) > 1:
        raise Unusable("several_devices")
    return Facts(tool="lshw", hardware=(machine(roots[0]),))


def machine(root: Node) -> Hardware:
    nodes = list(tree(root))
    processors = [words(node.get("product")) or words(node.get("version")) for node in nodes if node.get("class") == "processor"]
    memory = [node for node in nodes if node.get("class") == "memory" and str(node.get("id", "")).partition(":")[0] == "memory"]
    media = [medium for node in nodes if (medium := disk(node))]
    return Hardware(
        media=tuple(media[:MOST_DISKS]),
        maker=first(words(root.get("vendor"))),
        model=first(words(root.get("product"))),
        serial=first(words(root.get("serial"))),
        cpu=next((name for name in processors if name), None),
        ram_gb=whole_gib(sum(count(node.get("size")) or 0 for node in memory if node.get("units", "bytes") == "bytes")),
    )


def tree(root: Node) -> Iterator[Node]:
    """Every node, from above. Raises Unusable when there are too many."""
    left = [root]
    for _ in range(MOST_NODES):
        if not left:
            return
        node = left.pop()
        yield node
        children = node.get("children")
        left += [child for child in reversed(children) if isinstance(child, Mapping)] if isinstance(children, list) else []
    raise Unusable("too_large")


def disk(node: Node) -> Medium | None:
    """A medium that stays in the machine; None for any other node, and for what can be pulled out."""
    names = node.get("logicalname")
    named = [name for name in (names if isinstance(names, list) else [names]) if isinstance(name, str)]
    if node.get("class") == "storage" and any(NVME.fullmatch(name) for name in named):
        inside = [child for child in tree(node) if NAMESPACE.fullmatch(str(child.get("logicalname")))]
        sizes = [count(child.get("size")) for child in inside]
        return medium(node, "nvme", sizes[0] if len(sizes) == 1 else None)
    kind = str(node.get("id", "")).partition(":")[0]
    able = node.get("capabilities") if isinstance(node.get("capabilities"), Mapping) else {}
    if node.get("class") != "disk" or kind != "disk" or "removable" in (able or {}):
        return None
    turns = any(re.fullmatch(r"\d+rpm", str(name)) for name in able or {})
    return medium(node, "hdd" if turns else "unknown", count(node.get("size")) if node.get("units") == "bytes" else None)


def medium(node: Node, kind: Literal["hdd", "nvme", "unknown"], size: int | None) -> Medium:
    return Medium(serial=serial(words(node.get("serial"))), model=words(node.get("product")), kind=kind, bytes=size or None)

"""Reads what dmidecode printed: the machine, its processor and its memory.

The serial number is the machine's or its chassis', never the main board's, which outlives repairs elsewhere.
Checked against captures of 21 machines (dmidecode 3.2; base board, chassis) and the layout of dmidecode 3.x for the other blocks.
"""

import re
from collections.abc import Iterator, Mapping

from services.refurb.domain.readers.facts import Facts, Hardware, Unusable
from services.refurb.domain.readers.hardware import first, whole_gib

FIELD = re.compile(r"^\t([^:\t\n]+): ?(.*)$", re.MULTILINE)
SIZE = re.compile(r"(\d{1,6}) (MB|GB)")
UNITS = {"MB": 2**20, "GB": 2**30}


def looks_like(text: str) -> bool:
    """Tell whether a text may be of dmidecode."""
    head = text[:4000]
    return (
        head.lstrip().startswith("# dmidecode")
        or re.search(r"^Handle 0x[0-9A-F]{4}, DMI type \d+", head, re.MULTILINE) is not None
    )


def facts(text: str) -> Facts:
    """The machine. Raises Unusable when there are two in one text."""
    found = machine(text)
    return Facts(tool="dmidecode", hardware=() if found == Hardware() else (found,))


def machine(text: str) -> Hardware:
    """The machine that the blocks are of. Raises Unusable when they are of two."""
    every: dict[str, list[Mapping[str, str]]] = {}
    for title, fields in blocks(text):
        every.setdefault(title, []).append(fields)
    if len(every.get("System Information", [])) > 1:
        raise Unusable("several_devices")
    system, chassis, board, processor = (
        every.get(f"{name} Information", [{}])[0] for name in ("System", "Chassis", "Base Board", "Processor")
    )
    sizes = [SIZE.fullmatch(stick.get("Size", "").strip()) for stick in every.get("Memory Device", [])]
    memory = sum(int(size[1]) * UNITS[size[2]] for size in sizes if size)
    return Hardware(
        maker=first(system.get("Manufacturer"), board.get("Manufacturer"), chassis.get("Manufacturer")),
        model=first(system.get("Product Name"), board.get("Product Name")),
        serial=first(system.get("Serial Number"), chassis.get("Serial Number")),
        cpu=first(" ".join(processor.get("Version", "").split())),
        ram_gb=whole_gib(memory),
    )


def blocks(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Title and fields of each block. Blocks are set apart by empty lines."""
    for block in re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n")):
        lines = block.split("\n")
        title = next(
            (line.strip() for line in lines if line and not line[0].isspace() and not line.startswith(("Handle", "#"))), ""
        )
        fields = dict(FIELD.findall(block))
        if fields:
            yield title, fields

"""What a refurbisher's bench reads of each machine, from genuine captures and logs (`data/README.md` says what is put into them)."""

import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import yaml

DATA = Path(__file__).with_name("data")
PARIS = ZoneInfo("Europe/Paris")
"""nwipe writes local times without an offset."""
STAMP = re.compile(r"^\[(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d)\]", re.MULTILINE)
SHAPE = "%Y/%m/%d %H:%M:%S"
FOUND = re.compile(r"notice: Found (/dev/loop\d+), VIRT, Loopback device,  67 MB, S/N=\n")
BORNE = re.compile(r"^(\s*Serial Number: )(\S*\d\S*)$", re.MULTILINE)
"""A serial number that a machine bears; what firmware prints where it has none holds no digit."""
MODEL_COLUMN = 17
"""Characters of the model that nwipe's table has room for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One device of a consignment, with what the tools printed about it."""

    device_ref: str
    device_type: str
    maker: str
    model: str
    cpu_mark: int
    ram_gb: int
    snapshot: dict[str, Any]
    log: str


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk of a capture, under the serial number that it has in this walk."""

    name: str
    bus: str
    model: str
    serial: str
    size: int


def machines(consignment_id: UUID, ended: datetime, count: int, data: Path = DATA) -> Iterator[Machine]:
    """The first `count` machines of the bench. Same consignment and moment, same bytes: what is sent again is a repeat."""
    rows: list[dict[str, Any]] = yaml.safe_load((data / "machines.yaml").read_text(encoding="utf-8"))
    for number, row in enumerate(rows[:count], 1):
        folder = data / "captures" / row["capture"]
        chance = random.Random(f"{consignment_id} {row['capture']}")  # noqa: S311 serial numbers, no secret
        smartctl: list[dict[str, Any]] = json.loads((folder / "smartctl.json").read_text(encoding="utf-8"))
        for disk in smartctl:
            disk["serial_number"] = another(disk["serial_number"], chance)
        dmidecode = [
            BORNE.sub(lambda m: m[1] + another(m[2], chance), (folder / f"dmidecode-{part}.txt").read_text(encoding="utf-8"))  # noqa: B023 called at once
            for part in ("baseboard", "chassis")
        ]
        genuine = (data / "nwipe" / f"{row['log']}.log").read_text(encoding="utf-8")
        yield Machine(
            device_ref=f"TR{consignment_id.hex[:6].upper()}-{number:02}",
            device_type=row["type"],
            maker=row["maker"],
            model=row["model"],
            cpu_mark=row["cpu_mark"],
            ram_gb=row["ram_gb"],
            snapshot={
                "smartctl": smartctl,
                "dmidecode": "\n\n".join(dmidecode),
                "lscpu": (folder / "lscpu.txt").read_text(encoding="utf-8"),
            },
            log=derived(genuine, list(disks(smartctl)), ended),
        )


def another(serial: str, chance: random.Random) -> str:
    """A serial number of the same shape: the last six letters and digits are others."""
    letters = list(serial)
    for place in [at for at, c in enumerate(letters) if c.isalnum()][-6:]:
        letters[place] = chance.choice("0123456789" if letters[place].isdigit() else "ABCDEFGHJKLMNPQRSTUVWXYZ")
    return "".join(letters)


def disks(smartctl: Sequence[dict[str, Any]]) -> Iterator[Disk]:
    """The disks of a capture, under the names that Linux gives them."""
    for number, disk in enumerate(smartctl):
        nvme = disk["device"]["protocol"] == "NVMe"
        yield Disk(
            name=f"nvme{number}n1" if nvme else f"sd{'abcdef'[number]}",
            bus="NVME" if nvme else "ATA",
            model=disk["model_name"],
            serial=disk["serial_number"],
            size=disk["user_capacity"]["bytes"],
        )


def derived(log: str, found: Sequence[Disk], ended: datetime) -> str:
    """A genuine log with these disks in the place of its loop devices, in order, and its last line at `ended`."""
    loops = FOUND.findall(log)
    if len(loops) != len(found):
        raise ValueError(f"a log of {len(loops)} disks for a machine with {len(found)}")
    for loop, disk in zip(loops, found, strict=True):
        short = loop.removeprefix("/dev/")
        label = f"Found {loop}, {disk.bus}, {disk.model},  {disk.size // 10**9} GB, S/N={disk.serial}\n"
        log = log.replace(f"Found {loop}, VIRT, Loopback device,  67 MB, S/N=\n", label)
        log = re.sub(
            rf"^(.* )67108864( bytes (?:written to|read from) {loop})$", rf"\g<1>{disk.size}\g<2>", log, flags=re.MULTILINE
        )
        log = log.replace(f"{loop}, sect/blk/dev 512/4096/67108864", f"{loop}, sect/blk/dev 512/4096/{disk.size}")
        log = re.sub(rf"^! *{short} \|", f"! {disk.name:>8} |", log, flags=re.MULTILINE)
        log = re.sub(rf"^ +{short} \|", f"{disk.name:>10} |", log, flags=re.MULTILINE)
        seen = f"{disk.model[:MODEL_COLUMN]}/{disk.serial}"
        log = log.replace("| Loopback device/\n", f"| {seen}\n", 1)
        log = re.sub(rf"{loop}(?!\d)", f"/dev/{disk.name}", log)
    return shifted(log, ended)


def shifted(log: str, ended: datetime) -> str:
    """All times of a log moved together."""
    last = max(datetime.strptime(stamp, SHAPE) for stamp in STAMP.findall(log))  # noqa: DTZ007 the tool has no offset
    by = ended.astimezone(PARIS).replace(tzinfo=None, microsecond=0) - last - timedelta(seconds=1)
    return STAMP.sub(lambda m: f"[{(datetime.strptime(m[1], SHAPE) + by).strftime(SHAPE)}]", log)  # noqa: DTZ007 the same

"""Reads the snapshots of eReuse: Workbench 11 and 12 (device and components), its lite form of 2022 and workbench-script (tools' outputs).

Checked against the names in the public code of devicehub-teal, devicehub-django and workbench-script; no snapshot of theirs was at hand.
Workbench 11 gives a disk's size in MB: too coarse to judge by, so its bytes stay null. Its erasures say no bytes either: they are read as
runs that cover none, and prove nothing. The `erase` of workbench-script is always empty and is not read.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC
from typing import Any, Literal

from services.refurb.domain.readers import dmidecode, lshw, smartctl
from services.refurb.domain.readers.facts import Facts, Hardware, Unusable, count, identifier, moment, parsed, part, words
from services.refurb.domain.readers.hardware import first, serial
from shared.events.base import Medium
from shared.events.refurb import ErasureRun

MOST_DISKS = 64
KINDS: Mapping[str, Literal["hdd", "ssd", "nvme"]] = {"HardDrive": "hdd", "SolidStateDrive": "ssd"}
SEVERITIES = {"Info": "ok", 0: "ok"}
"""Notice, Warning and Error are not success."""
ERASURES = {"EraseBasic": False, "EraseSectors": True}
"""Whether the kind of erasure reads back what it wrote (shred does not, badblocks does)."""


def looks_like(content: Any) -> bool:
    """Tell whether JSON is a snapshot of any of the three kinds."""
    if not isinstance(content, Mapping):
        return False
    named = str(content.get("software")) in {"Workbench", "workbench-script"}
    return (named and ("device" in content or "data" in content)) or ("schema_api" in content and "data" in content)


def facts(content: Mapping[str, Any]) -> Facts:
    """The machine, and what Workbench 11 and 12 say of erasures. Raises Unusable."""
    if isinstance(content.get("data"), Mapping):
        return Facts(tool="workbench", hardware=(of_tools(content["data"]),))
    components = content.get("components")
    parts = [one for one in components if isinstance(one, Mapping)] if isinstance(components, list) else []
    disks = [one for one in parts if one.get("type") in KINDS][:MOST_DISKS]
    cpus = [words(one.get("model")) for one in parts if one.get("type") == "Processor"]
    ram = [count(one.get("size")) for one in parts if one.get("type") == "RamModule"]
    device = content.get("device")
    return Facts(
        tool="workbench",
        runs=tuple(run for disk in disks for run in runs(disk, words(content.get("version")))),
        hardware=(
            Hardware(
                media=tuple(medium(disk) for disk in disks),
                maker=first(words(part(device, "manufacturer"))),
                model=first(words(part(device, "model"))),
                serial=first(words(part(device, "serialNumber"))),
                cpu=next((name for name in cpus if name), None),
                ram_gb=round(sum(size or 0 for size in ram) / 1024) or None,
            ),
        ),
    )


def medium(disk: Mapping[str, Any]) -> Medium:
    kind = "nvme" if str(disk.get("interface")) in {"NVMe", "NVME", "nvme"} else KINDS[str(disk["type"])]
    return Medium(serial=serial(words(disk.get("serialNumber"))), model=words(disk.get("model")), kind=kind)


def runs(disk: Mapping[str, Any], version: str | None) -> Iterator[ErasureRun]:
    """Its erasures. Every step must have gone well."""
    actions = disk.get("actions")
    for action in actions if isinstance(actions, list) else ():
        kind = action.get("type") if isinstance(action, Mapping) else None
        if kind not in ERASURES:
            continue
        steps = action.get("steps") if isinstance(action.get("steps"), list) else []
        said = [part(one, "severity") for one in (action, *steps)]
        good = bool(steps) and all(isinstance(one, str | int) and SEVERITIES.get(one) == "ok" for one in said)
        started, ended = moment(action.get("startTime")), moment(action.get("endTime"))
        yield ErasureRun(
            serial=identifier(disk.get("serialNumber")),
            model=words(disk.get("model")),
            outcome="ok" if good else "failed",
            covered_bytes=0,
            verified=ERASURES[kind],
            method_class="Clear",
            technique=kind,
            tool="workbench",
            tool_version=version,
            started_at=started.astimezone(UTC) if started else None,
            ended_at=ended.astimezone(UTC) if ended else None,
        )


def of_tools(data: Mapping[str, Any]) -> Hardware:
    """What smartctl, dmidecode and lshw said, each as JSON or as the text of it."""
    text = data.get("dmidecode")
    read = dmidecode.machine(text) if isinstance(text, str) else Hardware()
    tree = unpacked(data.get("lshw"))
    seen = lshw.machine(tree[0] if isinstance(tree, list) else tree) if lshw.looks_like(tree) else Hardware()
    disks = unpacked(data.get("smartctl") or data.get("smart"))
    listed = [unpacked(disk) for disk in disks] if isinstance(disks, list) else [disks]
    media = [smartctl.medium(disk) for disk in listed if smartctl.looks_like(disk)][:MOST_DISKS]
    return Hardware(
        media=tuple(media) or seen.media,
        maker=read.maker or seen.maker,
        model=read.model or seen.model,
        serial=read.serial or seen.serial,
        cpu=seen.cpu or read.cpu,
        ram_gb=seen.ram_gb or read.ram_gb,
    )


def unpacked(given: Any) -> Any:
    """JSON within JSON. Raises Unusable when it is hostile; None when it is none."""
    if not isinstance(given, str):
        return given
    try:
        return parsed(given)
    except Unusable as refusal:
        if refusal.code == "unreadable":
            return None
        raise
    except json.JSONDecodeError:
        return None

"""What the hardware tools really print is read as `machine.yaml` says beside each capture."""

import json
from pathlib import Path

import pytest
import yaml

from services.refurb.domain import snapshot
from services.refurb.domain.readers.facts import Hardware
from services.refurb.domain.readers.hardware import serial
from services.refurb.domain.readers.smartctl import medium
from tests.refurb.samples import CAPTURES

MACHINES = sorted(folder.name for folder in CAPTURES.glob("m*"))


def read(folder: Path) -> Hardware:
    texts = [(folder / f"dmidecode-{part}.txt").read_text("utf-8") for part in ("baseboard", "chassis")]
    disks = json.loads((folder / "smartctl.json").read_text("utf-8"))
    return snapshot.read(disks, "\n\n".join(texts), (folder / "lscpu.txt").read_text("utf-8"))


@pytest.mark.parametrize("name", MACHINES)
def test_a_capture_is_read(name: str) -> None:
    right = yaml.safe_load((CAPTURES / name / "machine.yaml").read_text("utf-8"))
    found = read(CAPTURES / name)
    assert [(m.serial, m.model, m.kind, m.bytes) for m in found.media] == [
        (m["serial"], m["model"], m["type"], m["bytes"]) for m in right["media"]
    ]
    assert (found.cpu, found.maker, found.model) == (right["cpu"], right["board_maker"], right["board_model"])
    assert found.serial != right["board_serial"] or found.serial == "FGR2263XZ1", "the board's number is not the machine's"


def test_there_are_21_machines() -> None:
    assert len(MACHINES) == 21


@pytest.mark.parametrize(
    "given",
    [
        "To Be Filled By O.E.M.",
        "To be filled by O.E.M.",
        "Default string",
        "00000000",
        "0",
        "123456789000",
        "MB-1234567890",
        "System Serial Number",
        "Not Available",
        "None",
        "xxxxxxx",
        "........",
        "   ",
        "",
        None,
    ],
)
def test_a_placeholder_is_no_serial_number(given: str | None) -> None:
    assert serial(given) is None


@pytest.mark.parametrize("given", ["L7K1BUW", "WD-WCAYU1220417", "5VJ1CTQM", "0F0F01", "1234567A", "356938035643809"])
def test_a_serial_number_stays(given: str) -> None:
    assert serial(f" {given} ") == given


@pytest.mark.parametrize(
    "disk",
    [
        {},
        {"serial_number": 5, "model_name": [], "user_capacity": "x"},
        {"user_capacity": {"bytes": True}},
        {"device": []},
        {"serial_number": "A\x00B"},
    ],
)
def test_a_strange_disk_is_an_unknown_one(disk: dict[str, object]) -> None:
    found = medium(disk)
    assert (found.serial, found.model, found.kind, found.bytes) == (None, None, "unknown", None)

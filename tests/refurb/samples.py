"""Devices, media and reports that the tests of refurb speak of."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import yaml

from services.refurb.domain import cases, grading, judge
from services.refurb.domain.device import ReceiveDevice
from services.refurb.settings import DATA, document
from shared.events.base import Medium, stream_id
from shared.events.refurb import DeviceAudited, DeviceReceived, EvidenceFiled

TESTS = Path(__file__).parents[1] / "data"
ERASURE = TESTS / "erasure"
CAPTURES = TESTS / "captures"
RULES = grading.rules(document(DATA / "grading.yaml"))
POLICY = judge.policy(document(DATA / "erasure.yaml"), "evidence-1")
HINTS = document(DATA / "hints.yaml")["hints"]
CONSIGNMENT = UUID("6f1c3a52-9d1e-5c7b-8a54-0d6f1b2c3d4e")
DONATION = UUID("0b7d2c11-3f4a-5b6c-9d8e-7f6a5b4c3d2e")
DEVICE = stream_id("device", "trira", "PE-1")
HDD = Medium(serial="WD-WCAYU1220417", model="WDC WD5000AZLX-08K2TA0", kind="hdd", bytes=67108864)
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def case(name: str) -> tuple[Mapping[str, Any], dict[str, bytes]]:
    """A labelled case and its files."""
    (folder,) = ERASURE.glob(f"{name}-*")
    found = yaml.safe_load((folder / "case.yaml").read_text("utf-8"))
    return found, {file: (folder / file).read_bytes() for file in found["files"]}


def log(name: str) -> bytes:
    """The report of a labelled case."""
    return next(iter(case(name)[1].values()))


def evidence(name: str) -> EvidenceFiled:
    """The report of a labelled case, filed."""
    return cases.filed(log(name))


def judged(labelled: Mapping[str, Any], files: Mapping[str, bytes]) -> dict[str, Any]:
    """The verdicts on a case, without a look at its label."""
    return cases.judged({name: said for name, said in labelled.items() if name != "expect"}, files, POLICY)


RECEIVE = ReceiveDevice(
    id=DEVICE,
    consignment_id=CONSIGNMENT,
    donation_id=DONATION,
    refurbisher="trira",
    region="ara",
    donor_public=True,
    required_class="Clear",
    device_ref="PE-1",
    device_type="desktop",
    policy=POLICY,
    maker="Dell",
)
RECEIVED = DeviceReceived(
    consignment_id=CONSIGNMENT,
    donation_id=DONATION,
    refurbisher="trira",
    region="ara",
    device_ref="PE-1",
    device_type="desktop",
    donor_public=True,
    required_class="Clear",
    maker="Dell",
)
AUDITED = DeviceAudited(media=(HDD,), cpu="i5", cpu_mark=5200, ram_gb=16, serial="DELL-1")

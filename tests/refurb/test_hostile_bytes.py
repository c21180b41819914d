"""Any bytes get facts or a reason, from every reader, and never an exception: made by hypothesis, and real reports with pieces exchanged.

A small number of examples in the usual run; EXAMPLES=<number> asks for more of each.
"""

import json
import os
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.refurb.domain import judge
from services.refurb.domain.cases import filed
from services.refurb.domain.readers.facts import Facts, Unreadable
from services.refurb.domain.readers.recognise import read
from services.refurb.domain.readers.records import COMPUTER, FIELDS
from shared.events.base import Medium
from tests.refurb.samples import POLICY, log
from tests.refurb.test_readers import DISKS, DMI, LSHW, RECORD, WORKBENCH, csv_of, workbook

EXAMPLES = int(os.environ.get("EXAMPLES", "10"))
REPORTS: dict[str, bytes] = {
    "nwipe": log("d04"),
    "blancco": log("d16"),
    "nvme": log("d17"),
    "hdparm": log("d20"),
    "reset": log("d22"),
    "destruction": log("d24"),
    "smartctl": DISKS,
    "lshw": json.dumps(LSHW).encode(),
    "dmidecode": DMI.encode(),
    "workbench": json.dumps(WORKBENCH).encode(),
    "record": json.dumps([RECORD]).encode(),
    "csv": csv_of(RECORD),
    "xlsx": workbook([list(FIELDS), list(RECORD.values())]),
    "form": workbook([["x"], ["x"], ["x"], list(COMPUTER), ["a"] * len(COMPUTER)]),
}
MEDIA = [Medium(serial="S0V3J9CPB02271", kind="hdd", bytes=67108864), Medium(serial=None)]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def answered(data: bytes) -> None:
    """There is an answer, and the judge can use it."""
    assert isinstance(read(data), Facts | Unreadable)
    for verdict in judge.judge(MEDIA, [filed(data)], "Clear", POLICY):
        assert verdict.reason


def made(test: Callable[..., None]) -> Callable[..., None]:
    return settings(
        max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=True
    )(test)


@made
@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_have_an_answer(data: bytes) -> None:
    answered(data)


@pytest.mark.parametrize("name", sorted(REPORTS))
@made
@given(data=st.data())
def test_a_report_with_pieces_exchanged_has_an_answer(name: str, data: st.DataObject) -> None:
    report = REPORTS[name]
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(report)))
        end = data.draw(st.integers(start, min(len(report), start + 60)))
        other = data.draw(
            st.binary(max_size=6) | st.sampled_from([b"\x00", b"\n", b"<", b'"', b"{", b"[", b"9" * 30, b"-1", b"null"])
        )
        report = report[:start] + other + report[end:]
    answered(report)


@pytest.mark.parametrize("name", ["destruction", "lshw", "nvme", "record", "reset", "smartctl", "workbench"])
@made
@given(data=st.data())
def test_a_report_with_a_value_of_another_kind_has_an_answer(name: str, data: st.DataObject) -> None:
    content = json.loads(REPORTS[name])
    spot, value = content, data.draw(VALUES)
    for _ in range(data.draw(st.integers(0, 5))):
        inside = list(range(len(spot))) if isinstance(spot, list) else list(spot)
        key = data.draw(st.sampled_from(inside)) if inside else None
        if key is None or not isinstance(spot[key], dict | list):
            break
        spot = spot[key]
    keys = list(range(len(spot))) if isinstance(spot, list) else list(spot)
    if keys:
        spot[data.draw(st.sampled_from(keys))] = value
    answered(json.dumps(content).encode())


def test_a_name_that_is_no_name_has_an_answer() -> None:
    answered(json.dumps({**WORKBENCH, "software": []}).encode())
    answered(json.dumps({**WORKBENCH, "software": {"name": "Workbench"}}).encode())

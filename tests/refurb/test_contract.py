"""The partner contract: what it takes, what it refuses and how it says so, and the documents made from it."""

import json
import re
import subprocess
import sys
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from services.refurb.domain import contract, receipt
from shared.consumer import malformed
from shared.errors import Malformed, NotYet, Refused
from shared.events import partner
from shared.events.refurb import Fault, ReceiptEvent
from tests.refurb.samples import HINTS

ID = "0b6a3a52-6f0b-4d4e-9a53-3f2a7c1d8e64"
DEVICE = {"consignment_id": ID, "device_ref": "PE-1"}
GOOD: list[tuple[type[partner.Report], dict[str, Any]]] = [
    (partner.ConsignmentReceived, {"consignment_id": ID, "counted": 12}),
    (partner.ConsignmentRefused, {"consignment_id": ID, "reason": "no_room"}),
    (partner.DeviceReceived, {**DEVICE, "device_type": "laptop", "maker": "Dell", "colour": "unknown fields are tolerated"}),
    (partner.DeviceAudited, {**DEVICE, "media": [{"serial": "S", "kind": "ssd", "bytes": 1}], "cpu_mark": 1200, "ram_gb": 8}),
    (partner.DeviceAudited, {**DEVICE, "snapshot": {"smartctl": [{"serial_number": "S"}], "lscpu": "Model name: x\n"}}),
    (partner.DeviceAudited, {**DEVICE, "report": "{}", "cpu_mark": 1200}),
    (partner.DeviceAudited, {**DEVICE, "evidence_sha256": "a" * 64}),
    (partner.MediumErased, {**DEVICE, "log": "line\r\n\tline\n"}),
    (partner.MediumErased, {**DEVICE, "evidence_sha256": "a" * 64}),
    (partner.DeviceRepaired, {**DEVICE, "parts": ["battery", "screen_panel"]}),
    (partner.DeviceFinished, DEVICE),
    (partner.DeviceScrapped, {**DEVICE, "reason": "erasure_failed"}),
    (partner.CapacityDeclared, {"weekly_places": {"laptop": 40}}),
]


@pytest.mark.parametrize(("kind", "value"), GOOD)
def test_a_good_message_is_read(kind: type[partner.Report], value: dict[str, Any]) -> None:
    assert kind.model_validate_json(json.dumps(value)).type == kind.type


BAD: list[tuple[type[partner.Report], str | dict[str, Any], list[tuple[str, str]]]] = [
    (partner.DeviceFinished, "{", [("", "malformed_json")]),
    (partner.DeviceFinished, "", [("", "malformed_json")]),
    (partner.DeviceFinished, "[]", [("", "not_an_object")]),
    (partner.DeviceFinished, "null", [("", "not_an_object")]),
    (partner.DeviceFinished, {}, [("/consignment_id", "missing_field"), ("/device_ref", "missing_field")]),
    (partner.DeviceFinished, {**DEVICE, "consignment_id": "7"}, [("/consignment_id", "not_an_id")]),
    (partner.DeviceFinished, {**DEVICE, "consignment_id": ID.replace("-", "")}, [("/consignment_id", "not_an_id")]),
    (partner.DeviceFinished, {**DEVICE, "device_ref": "PE 1\x00"}, [("/device_ref", "bad_form")]),
    (partner.DeviceFinished, {**DEVICE, "device_ref": "x" * 65}, [("/device_ref", "bad_form")]),
    (partner.DeviceFinished, {**DEVICE, "device_ref": 5}, [("/device_ref", "wrong_value")]),
    (partner.ConsignmentReceived, {"consignment_id": ID, "counted": "12"}, [("/counted", "not_a_number")]),
    (partner.ConsignmentReceived, {"consignment_id": ID, "counted": 12.5}, [("/counted", "not_a_number")]),
    (partner.ConsignmentReceived, {"consignment_id": ID, "counted": True}, [("/counted", "not_a_number")]),
    (partner.ConsignmentReceived, f'{{"consignment_id": "{ID}", "counted": NaN}}', [("/counted", "not_a_number")]),
    (partner.ConsignmentReceived, f'{{"consignment_id": "{ID}", "counted": Infinity}}', [("/counted", "not_a_number")]),
    (partner.ConsignmentReceived, {"consignment_id": ID, "counted": -1}, [("/counted", "out_of_range")]),
    (partner.ConsignmentReceived, {"consignment_id": ID, "counted": 10**30}, [("/counted", "out_of_range")]),
    (partner.ConsignmentRefused, {"consignment_id": ID, "reason": "Mme Martin est absente"}, [("/reason", "bad_form")]),
    (partner.DeviceReceived, {**DEVICE, "device_type": "toaster"}, [("/device_type", "not_one_of")]),
    (partner.DeviceReceived, {**DEVICE, "device_type": "laptop", "serial": "A\x00B"}, [("/serial", "control_characters")]),
    (partner.DeviceReceived, {**DEVICE, "device_type": "laptop", "maker": "\u202eDell"}, [("/maker", "control_characters")]),
    (partner.DeviceReceived, {**DEVICE, "device_type": "laptop", "model": "x" * 201}, [("/model", "too_long")]),
    (partner.DeviceAudited, DEVICE, [("", "one_of")]),
    (partner.DeviceAudited, {**DEVICE, "media": [], "snapshot": {"smartctl": []}}, [("", "one_of")]),
    (partner.DeviceAudited, {**DEVICE, "report": "{}", "evidence_sha256": "a" * 64}, [("", "one_of")]),
    (partner.DeviceAudited, {**DEVICE, "media": [{"bytes": "500 GB"}]}, [("/media/0/bytes", "not_a_number")]),
    (partner.DeviceAudited, {**DEVICE, "media": [{}] * 65}, [("/media", "too_many")]),
    (partner.MediumErased, DEVICE, [("", "one_of")]),
    (partner.MediumErased, {**DEVICE, "log": "a\x00b"}, [("/log", "control_characters")]),
    (partner.MediumErased, {**DEVICE, "log": ""}, [("/log", "too_short")]),
    (partner.MediumErased, {**DEVICE, "log": "x" * 900_001}, [("/log", "too_long")]),
    (partner.MediumErased, {**DEVICE, "evidence_sha256": "A" * 64}, [("/evidence_sha256", "bad_form")]),
    (partner.CapacityDeclared, {"weekly_places": {"laptop": -3}}, [("/weekly_places/laptop", "out_of_range")]),
    (partner.CapacityDeclared, {"weekly_places": {"toaster": 3}}, [("/weekly_places/toaster/[key]", "not_one_of")]),
]


@pytest.mark.parametrize(("kind", "value", "faults"), BAD)
def test_a_bad_message_is_refused_where_it_is_wrong(
    kind: type[partner.Report], value: str | dict[str, Any], faults: list[tuple[str, str]]
) -> None:
    raw = value if isinstance(value, str) else json.dumps(value)
    with pytest.raises(ValidationError) as refused:
        kind.model_validate_json(raw)
    found = receipt.faults(malformed(refused.value), HINTS)
    assert [(fault.where, fault.code) for fault in found] == faults
    for fault in found:
        assert len(fault.hint) > 15
        assert "…" not in fault.hint


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (Malformed("missing_ce_id"), ("header:ce_id", "missing_ce_id")),
        (Malformed("bad_ce_time"), ("header:ce_time", "bad_ce_time")),
        (Malformed("unknown_type", type="x"), ("header:ce_type", "unknown_type")),
        (Refused("id_reused"), ("header:ce_id", "id_reused")),
        (Refused("wrong_key", where="key", expected="PE-1"), ("key", "wrong_key")),
        (NotYet("consignment_unknown", where="/consignment_id"), ("/consignment_id", "consignment_unknown")),
        (Refused("event_too_large", bytes=1), ("", "event_too_large")),
        (KeyError("a bug of ours"), ("", "our_fault")),
    ],
)
def test_every_error_is_one_fault(error: Exception, fault: tuple[str, str]) -> None:
    (found,) = receipt.faults(error, HINTS)
    assert (found.where, found.code) == fault
    assert "a bug of ours" not in found.hint


def test_a_medium_that_is_not_proven_is_named_with_its_line() -> None:
    media = [{"serial": "5VJ1CTQM", "model": None, "reason": "failed", "line": 42, "said": "sda |-FAILED-|"}]
    assert receipt.faults(Refused("erasure_not_proven", media=media), HINTS) == (
        Fault(
            where="/media",
            code="failed",
            hint="Support 5VJ1CTQM : l'outil dit que l'effacement a échoué. Recommencez, ou détruisez le support.",
            evidence="ligne 42 : sda |-FAILED-|",
        ),
    )


def test_every_code_in_the_rules_has_a_hint() -> None:
    from pathlib import Path

    text = "".join(file.read_text("utf-8") for file in Path("services/refurb").rglob("*.py"))
    raised = set(re.findall(r'(?:Refused|NotYet|Ungradable)\(\s*"(\w+)"', text)) - {"erasure_not_proven"}
    assert raised
    assert raised - set(HINTS) == set()


def test_the_documents_are_what_the_code_says() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "services.refurb", "contract", "--check"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_asyncapi_document_holds_together() -> None:
    document, files = contract.asyncapi(), contract.files()
    messages = document["components"]["messages"]
    assert document["asyncapi"] == "3.0.0"
    assert len(messages) == len(partner.MESSAGES) + len(get_args(ReceiptEvent)) + len(contract.CONSIGNMENTS)
    for said in messages.values():
        assert said["payload"]["schema"]["$ref"].removeprefix("./") in files
    for channel in document["channels"].values():
        for ref in channel["messages"].values():
            assert ref["$ref"].rpartition("/")[2] in messages
    for operation in document["operations"].values():
        name = operation["channel"]["$ref"].rpartition("/")[2]
        for ref in operation["messages"]:
            assert ref["$ref"].rpartition("/")[2] in document["channels"][name]["messages"]


def test_either_log_or_hash_is_in_the_schema() -> None:
    schema = contract.schemas()["partner.medium_erased.v1.json"]
    assert [choice["required"] for choice in schema["oneOf"]] == [["log"], ["evidence_sha256"]]
    assert schema["$id"] == "urn:maillon:partner.medium_erased.v1"

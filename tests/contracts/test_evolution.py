"""A contract only grows."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.generate import __main__ as generate
from deploy.generate.contracts import event_types, files, schema, told
from deploy.generate.evolution import broken
from deploy.places import built
from deploy.topology import SERVICES, Topology

ASSIGNED = schema(event_types()["routing.consignment_assigned.v1"])
Change = Callable[[dict[str, Any]], object]


def test_the_code_keeps_what_is_committed() -> None:
    assert generate.changes() == []


def test_what_is_committed_is_what_the_code_says() -> None:
    assert generate.check() == []


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s["properties"].update(tour={"type": "string", "default": ""}),
        lambda s: s["$defs"]["Candidate"]["properties"].update(tons={"type": "number", "default": 0}),
        lambda s: s["properties"]["region"].update(description="other words"),
        lambda s: s.update(title="OtherName"),
    ],
)
def test_a_field_with_a_default_and_other_words_are_no_break(change: Change) -> None:
    new = copy.deepcopy(ASSIGNED)
    change(new)
    assert new != ASSIGNED
    assert broken(ASSIGNED, new) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda s: (s["properties"].update(tour={"type": "string"}), s["required"].append("tour")),
            "/tour: was added without a default",
        ),
        (lambda s: s["required"].append("others"), "/others: must be given now"),
        (lambda s: s["required"].remove("region"), "/region: may be absent now"),
        (lambda s: s["properties"].pop("others"), "/others: is gone"),
        (lambda s: s["properties"]["region"].update(type="integer"), "/region.type: 'string' became 'integer'"),
        (lambda s: s["properties"]["others"].update(default=[1]), "/others.default: [] became [1]"),
        (lambda s: s["properties"]["region"].update(maxLength=3), "/region.maxLength: was added"),
        (lambda s: s["properties"]["required_class"]["enum"].append("Melt"), "/required_class.enum: "),
        (lambda s: s["$defs"]["Candidate"]["properties"].pop("load"), "/chosen/load: is gone"),
        (lambda s: s["$defs"]["Donor"]["required"].append("name"), "/donor/name: must be given now"),
        (lambda s: s["$defs"]["Donor"]["properties"]["siren"]["anyOf"][0].update(pattern="x"), "/donor/siren.anyOf[0].pattern: "),
    ],
)
def test_anything_else_is_one(change: Change, said: str) -> None:
    new = copy.deepcopy(ASSIGNED)
    change(new)
    assert any(line.startswith(said) for line in broken(ASSIGNED, new)), broken(ASSIGNED, new)


def test_a_drift_is_named_with_the_command_that_mends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"ROOT": tmp_path, "CONTRACTS": tmp_path / "contracts", "PARTNERS": tmp_path / "partners"}.items():
        monkeypatch.setattr(generate, name, value)
    monkeypatch.setattr("sys.argv", ["generate", "--check"])
    generate.write(generate.generated())
    assert generate.main() == 0
    assert len(capsys.readouterr().out.splitlines()) == len(generate.generated()), "each file that was written"
    asyncapi = tmp_path / "contracts" / "asyncapi.json"
    asyncapi.write_text(asyncapi.read_text("utf-8").replace("intake tells", "intake says"), "utf-8")
    (tmp_path / "partners" / "schemas" / "partner.gone.v1.json").write_text("{}")
    path = tmp_path / "contracts" / "events" / "certs.certificate_superseded.v1.json"
    stricter = json.loads(path.read_text("utf-8"))
    stricter["properties"]["signed_by"] = {"type": "string"}
    path.write_text(json.dumps(stricter), "utf-8")
    assert generate.main() == 1
    said = capsys.readouterr().err
    assert "contracts/asyncapi.json is not what the code says: python -m deploy.generate\n" in said
    assert "partners/schemas/partner.gone.v1.json is not generated any more: python -m deploy.generate\n" in said
    assert "contracts/events/certs.certificate_superseded.v1.json: /signed_by: is gone (only fields" in said
    monkeypatch.setattr("sys.argv", ["generate"])
    assert generate.main() == 1, "writing does not make a break go away"
    assert json.loads(path.read_text("utf-8")) == stricter


def test_twice_is_the_same() -> None:
    assert files() == files()


def references(part: Any) -> list[str]:
    match part:
        case dict():
            mine = [part["$ref"]] if "$ref" in part else []
            return mine + [found for value in part.values() for found in references(value)]
        case list():
            return [found for value in part for found in references(value)]
        case _:
            return []


def test_asyncapi_leads_nowhere_that_is_not_there() -> None:
    made = files()
    document = json.loads(made["asyncapi.json"])
    assert document["asyncapi"] == "3.0.0"
    assert set(document["channels"]) == {family.name for family in Topology.read().families}
    for reference in references(document):
        file, _, pointer = reference.partition("#")
        if file:
            assert file in made
            continue
        part = document
        for step in pointer.strip("/").split("/"):
            part = part[step]
    payloads = [message["payload"]["$ref"] for message in document["components"]["messages"].values()]
    assert sorted([*payloads, "asyncapi.json"]) == sorted(made)
    sent = document["operations"]["refurb.tells.refurb.devices"]["channel"]["$ref"]
    assert sent == "#/channels/refurb.devices"
    assert "distribution.hears.refurb.devices" in document["operations"]
    assert "partner.tells.refurb.inbound" in document["operations"]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_hears_what_it_may_and_tells_what_is_its_own(service: str) -> None:
    """What the app is wired to, against the map from which the broker's rights are made."""
    wired, topology = built(service), Topology.read()
    may_hear = {f.name: f"{f.cell}s" for f in topology.families if service in (f.owner, *f.heard_by)}
    assert wired.hears.items() <= may_hear.items()
    assert dict(wired.tells) == {f.name: f"{f.cell}s" for f in topology.families if f.owner == service and f.partners != "write"}
    assert {name for name, types in told(topology).items() if types} == {family.name for family in topology.families}

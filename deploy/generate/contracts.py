"""The language of our topics for those who do not read Python: a JSON Schema for each event, AsyncAPI 3 for all channels.

Everything comes from the code and from deploy/topics.yaml; there is no second list. Which topic an event goes to is asked of the
aggregates that record it.
"""

import ast
import importlib
import inspect
import json
import pkgutil
import sys
import textwrap
from itertools import pairwise
from typing import Any

import shared.events
from deploy.topology import Family, Topology
from shared.aggregate import Aggregate
from shared.events import partner
from shared.events.base import Event, Fact

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
HEADERS: dict[str, str] = {
    "ce_specversion": "Always 1.0.",
    "ce_id": "UUIDv5 of stream and number: the same event has the same id, however often it is sent.",
    "ce_source": "Who tells: /maillon/<service>.",
    "ce_type": "The name of the event with its major version.",
    "ce_subject": "The stream (UUID). Equal to the key.",
    "ce_time": "When it happened, RFC 3339.",
    "ce_streamversion": "The number of the event in its stream: 1, 2, 3 … without a gap.",
    "content-type": "Always application/json.",
    "traceparent": "W3C trace context, where there is one.",
}
OUTSIDERS = {
    "ce_id": "The partner's own id of the message. The same id and source again is a repeat.",
    "ce_source": "The partner's system.",
    "ce_type": "The name of the message with its major version.",
    "ce_time": "When it happened, by the partner's clock, RFC 3339. Left out: when the broker took it.",
}


def event_types() -> dict[str, type[Event]]:
    """Every type of event in shared/events, by its published name. Two classes under one name are an error."""
    found: dict[str, type[Event]] = {}
    for module in sorted(info.name for info in pkgutil.iter_modules(shared.events.__path__)):
        for kind in vars(importlib.import_module(f"shared.events.{module}")).values():
            is_event = isinstance(kind, type) and issubclass(kind, Event) and "type" in vars(kind)
            if is_event and found.setdefault(kind.type, kind) is not kind:
                raise AssertionError(f"{kind.type} is the name of two classes: {kind} and {found[kind.type]}")
    return dict(sorted(found.items()))


def schema(kind: type[Event]) -> Schema:
    """JSON Schema of the value of a message. Fields that it does not name are to be ignored; those with a default may be absent."""
    made = kind.model_json_schema()
    described(made, kind)
    for name, part in made.get("$defs", {}).items():
        described(part, vars(sys.modules[kind.__module__]).get(name))
    return {"$schema": DIALECT, "$id": f"urn:maillon:event:{kind.type}", **made}


def described(made: Schema, kind: Any) -> None:
    """Put the docstrings of fields beside them, and leave out titles that only repeat a field's name."""
    docs = field_docs(kind) if isinstance(kind, type) and issubclass(kind, Fact) else {}
    for name, field in made.get("properties", {}).items():
        field.pop("title", None)
        if name in docs and "$ref" not in field:
            field["description"] = docs[name]


def field_docs(kind: type[Fact]) -> dict[str, str]:
    """Give the text below each field of a class, its bases included."""
    found: dict[str, str] = {}
    for base in (b for b in reversed(kind.__mro__) if issubclass(b, Fact)):
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        body = tree.body if isinstance(tree, ast.ClassDef) else []
        for field, text in pairwise(body):
            match field, text:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(doc))):
                    found[name] = inspect.cleandoc(doc).replace("\n", " ")
                case _:
                    pass
    return found


class AnyState:
    """Stands in for every state, to ask an aggregate for the family of its topic."""

    def __getattr__(self, name: str) -> str:
        return "any"


def families(owner: str) -> dict[str, set[str]]:
    """Which types of event a service puts into which family of topics, by its own aggregates."""
    found: dict[str, set[str]] = {}
    aggregates: set[Aggregate] = set(importlib.import_module(f"services.{owner}.app").AGGREGATES.values())
    for aggregate in aggregates:
        topic = aggregate.topic(AnyState())
        if topic is not None:
            found.setdefault(topic.rpartition(".")[0], set()).update(event.type for event in aggregate.events)
    return found


def told(topology: Topology) -> dict[str, list[str]]:
    """Family of topics -> types of event on it. An event that nobody tells, or that two families carry, is an error."""
    by_code = {name: types for owner in {f.owner for f in topology.families} for name, types in families(owner).items()}
    for family in topology.families:
        if family.partners == "write":
            by_code[family.name] = {message.type for message in partner.MESSAGES}
    if unknown := by_code.keys() - {f.name for f in topology.families}:
        raise AssertionError(f"deploy/topics.yaml has no {', '.join(sorted(unknown))}")
    placed = [name for types in by_code.values() for name in types]
    if lost := event_types().keys() - set(placed):
        raise AssertionError(f"no aggregate records {', '.join(sorted(lost))}: name it in the events of one, or delete it")
    if doubled := {name for name in placed if placed.count(name) > 1}:
        raise AssertionError(f"on two families of topics: {', '.join(sorted(doubled))}")
    return {family.name: sorted(by_code.get(family.name, ())) for family in topology.families}


def channel(family: Family, types: list[str], cells: tuple[str, ...]) -> Schema:
    kind = "A region." if family.cell == "region" else "A refurbisher."
    tells = "The refurbisher" if family.partners == "write" else family.owner
    hears = [*family.heard_by, *(["the refurbisher"] if family.partners == "read" else [])]
    if family.partners == "write":
        hears.append(family.owner)
    return {
        "address": f"{family.name}.{{{family.cell}}}",
        "title": family.name,
        "description": f"{tells} tells; {' and '.join(hears) or 'nobody but its owner'} may hear. One topic for each cell, for ever.",
        "parameters": {family.cell: {"enum": sorted(cells), "description": kind}},
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in types},
        "bindings": {"kafka": {"partitions": family.partitions, "topicConfiguration": configuration(family)}},
    }


def configuration(family: Family) -> Schema:
    """Only what AsyncAPI's binding knows; the rest is in deploy/topics.yaml."""
    config = family.config
    return {
        "cleanup.policy": [config["cleanup.policy"]],
        "retention.ms": int(config["retention.ms"]),
        "max.message.bytes": int(config["max.message.bytes"]),
    }


def operations(family: Family) -> Schema:
    at = {"$ref": f"#/channels/{family.name}"}
    teller = "partner" if family.partners == "write" else family.owner
    hearers = [*family.heard_by, *(["partner"] if family.partners == "read" else [])]
    if family.partners == "write":
        hearers.append(family.owner)
    sends = {f"{teller}.tells.{family.name}": {"action": "send", "channel": at, "tags": [{"name": teller}]}}
    hears = {
        f"{who}.hears.{family.name}": {"action": "receive", "channel": at, "tags": [{"name": who}]} for who in sorted(hearers)
    }
    return sends | hears


def message(kind: type[Event]) -> Schema:
    outside = kind in partner.MESSAGES
    names = OUTSIDERS if outside else HEADERS
    key = (
        {"type": "string", "description": "What the message is about, such as the device's reference."}
        if outside
        else {"type": "string", "format": "uuid", "description": "The stream."}
    )
    return {
        "name": kind.type,
        "title": kind.__name__,
        "summary": " ".join(inspect.cleandoc(kind.__doc__ or "").split()),
        "contentType": "application/json",
        "headers": {
            "type": "object",
            "required": sorted(set(names) - {"traceparent", *(["ce_time"] if outside else [])}),
            "properties": {
                name: {"type": "string", **({"const": kind.type} if name == "ce_type" else {}), "description": text}
                for name, text in names.items()
            },
        },
        "payload": {"$ref": f"events/{kind.type}.json"},
        "bindings": {"kafka": {"key": key}},
    }


def asyncapi() -> Schema:
    """All channels: who tells, who hears, what, under which key, with which headers."""
    topology = Topology.read()
    types = told(topology)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "maillon, between its services",
            "version": "1.0.0",
            "description": "CloudEvents 1.0 in Kafka's binary mode. Fields are only ever added, and may be absent; whoever reads "
            "ignores fields and types that it does not know. What partners need is in docs/partners.",
        },
        "defaultContentType": "application/json",
        "channels": {f.name: channel(f, types[f.name], topology.cells(f.cell)) for f in topology.families},
        "operations": {name: found for f in topology.families for name, found in operations(f).items()},
        "components": {"messages": {name: message(kind) for name, kind in event_types().items()}},
    }


def files() -> dict[str, str]:
    """Path below docs/contracts/ -> text: what is committed, byte for byte."""
    found = {f"events/{name}.json": schema(kind) for name, kind in event_types().items()}
    return {path: as_text(document) for path, document in {**found, "asyncapi.json": asyncapi()}.items()}


def as_text(document: Schema) -> str:
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"

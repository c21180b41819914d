"""The partner contract as documents: AsyncAPI 3 and JSON Schema, made from the types themselves. Pure: same code, same documents."""

import json
import re
from collections.abc import Mapping
from typing import Any

from shared.events import partner
from shared.events.base import Event
from shared.events.refurb import ReportAccepted, ReportRejected
from shared.events.routing import ConsignmentAssigned, ConsignmentEnded, ConsignmentScheduled

VERSION = "1.0.0"
DRAFT = "https://json-schema.org/draft/2020-12/schema"
RECEIPTS: tuple[type[Event], ...] = (ReportAccepted, ReportRejected)
CONSIGNMENTS: tuple[type[Event], ...] = (ConsignmentAssigned, ConsignmentScheduled, ConsignmentEnded)
KEYS: Mapping[str, str] = {
    "partner.consignment_received.v1": "consignment_id",
    "partner.consignment_refused.v1": "consignment_id",
    "partner.capacity_declared.v1": "the refurbisher's slug",
}
"""The key of each type of message; all others have `device_ref`."""


def schemas() -> dict[str, dict[str, Any]]:
    """File name -> JSON Schema, for every message that a partner writes or reads."""
    return {f"{kind.type}.json": schema(kind) for kind in (*partner.MESSAGES, *RECEIPTS, *CONSIGNMENTS)}


def schema(kind: type[Event]) -> dict[str, Any]:
    """One message's value."""
    made = kind.model_json_schema(mode="validation" if kind in partner.MESSAGES else "serialization")
    return {"$schema": DRAFT, "$id": f"urn:maillon:{kind.type}", **made, "title": kind.type}


def asyncapi() -> dict[str, Any]:
    """The whole contract as an AsyncAPI 3 document; the schemas are files beside it."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "maillon, partner contract",
            "version": VERSION,
            "description": "What a refurbisher's system tells maillon, and what it reads back. README.md is the way in.",
        },
        "defaultContentType": "application/json",
        "servers": {
            "kafka": {
                "host": "{host}",
                "protocol": "kafka-secure",
                "description": "SASL/SCRAM-SHA-512, one user a refurbisher: `partner-<refurbisher>`.",
                "variables": {"host": {"description": "Given with the user's password."}},
                "security": [{"$ref": "#/components/securitySchemes/scram"}],
            }
        },
        "channels": {
            "inbound": channel("refurb.inbound.{refurbisher}", partner.MESSAGES, "What you tell. You alone may write here."),
            "receipts": channel("refurb.receipts.{refurbisher}", RECEIPTS, "One answer to each message. Key: the receipt."),
            "consignments": channel("routing.consignments.{refurbisher}", CONSIGNMENTS, "What is assigned to you. Key: its id."),
        },
        "operations": {
            "report": operation("receive", "inbound", partner.MESSAGES, "You publish, maillon receives."),
            "answer": operation("send", "receipts", RECEIPTS, "maillon answers, you read."),
            "assign": operation("send", "consignments", CONSIGNMENTS, "maillon assigns, you read."),
        },
        "components": {
            "securitySchemes": {"scram": {"type": "scramSha512"}},
            "messages": {name(kind): message(kind) for kind in (*partner.MESSAGES, *RECEIPTS, *CONSIGNMENTS)},
        },
    }


def name(kind: type[Event]) -> str:
    return re.sub(r"[^a-zA-Z0-9]", "_", kind.type)


def channel(address: str, kinds: tuple[type[Event], ...], description: str) -> dict[str, Any]:
    return {
        "address": address,
        "description": description,
        "parameters": {"refurbisher": {"description": "Your slug, such as `trira`."}},
        "messages": {name(kind): {"$ref": f"#/components/messages/{name(kind)}"} for kind in kinds},
    }


def operation(action: str, channel_name: str, kinds: tuple[type[Event], ...], summary: str) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel_name}"},
        "summary": summary,
        "messages": [{"$ref": f"#/channels/{channel_name}/messages/{name(kind)}"} for kind in kinds],
    }


def message(kind: type[Event]) -> dict[str, Any]:
    """A message: CloudEvents headers, its value's schema, and for what partners write the key."""
    said: dict[str, Any] = {
        "name": kind.type,
        "summary": (kind.__doc__ or "").strip().split("\n")[0],
        "headers": headers(kind),
        "payload": {
            "schemaFormat": "application/schema+json;version=draft-2020-12",
            "schema": {"$ref": f"./schemas/{kind.type}.json"},
        },
    }
    if kind in partner.MESSAGES:
        key = KEYS.get(kind.type, "device_ref")
        said["bindings"] = {"kafka": {"key": {"type": "string", "description": f"Equal to {key}."}}}
    return said


def headers(kind: type[Event]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["ce_id", "ce_source", "ce_type"],
        "properties": {
            "ce_specversion": {"const": "1.0"},
            "ce_id": {"type": "string", "maxLength": 200, "description": "New for each message; a repeat keeps its own."},
            "ce_source": {"type": "string", "maxLength": 200, "description": "The system that speaks, always the same."},
            "ce_type": {"const": kind.type},
            "ce_time": {"type": "string", "format": "date-time"},
            "content-type": {"const": "application/json"},
        },
    }


def files() -> dict[str, str]:
    """Path below docs/partners/ -> text: what is committed, byte for byte."""
    documents = {"asyncapi.json": asyncapi(), **{f"schemas/{file}": found for file, found in schemas().items()}}
    return {path: json.dumps(found, ensure_ascii=False, indent=2) + "\n" for path, found in documents.items()}

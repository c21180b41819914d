"""What every published event has in common, and the words that several publishers share. Types only: nothing here does I/O."""

import json
from functools import lru_cache
from typing import ClassVar, Literal
from uuid import NAMESPACE_URL, UUID, uuid5

from pydantic import BaseModel, ConfigDict, Field

MAILLON = uuid5(NAMESPACE_URL, "urn:maillon")

DeviceType = Literal["laptop", "desktop", "smartphone", "tablet", "screen", "printer", "other"]
MethodClass = Literal["Clear", "Purge", "Destroy"]
"""Classes of NIST SP 800-88 r1, weakest first."""
Category = Literal["PREMIUM", "A", "B", "C", "D"]
DonorStatus = Literal["company", "association", "public", "person"]
"""`public`: State, local authorities and their establishments (price ceilings follow the device). `person`: a sole trader too."""


@lru_cache(maxsize=512, typed=True)  # what follows from one message names the same few again and again
def stream_id(kind: str, *parts: object) -> UUID:
    """Name an aggregate: same kind and parts, same id, everywhere and for ever, as in `stream_id("device", "trira", "GRPC26-0008")`.

    Anyone can compute it, so it is a name and never a secret. Parts come in normal form (trimmed, upper case).
    """
    return uuid5(MAILLON, json.dumps([kind, *map(str, parts)]))


class Fact(BaseModel):
    """A part of an event: frozen, tolerant of fields it does not know, without NaN."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Event(Fact):
    """A fact, in the past tense. Fields are only ever added, with a default; anything else is a new `type`."""

    type: ClassVar[str]
    """Published name and major version, such as `refurb.device_graded.v1`."""


class Donor(Fact):
    """Who gives, as it travels: a legal person by name, a natural person (sole traders included) by an opaque id only."""

    status: DonorStatus
    name: str | None = Field(None, max_length=200)
    siren: str | None = Field(None, pattern=r"^\d{9}$")
    siret: str | None = Field(None, pattern=r"^\d{14}$")
    person: UUID | None = None


class Medium(Fact):
    """A storage medium as the audit read it. `bytes` is its capacity; what the audit could not read is null."""

    serial: str | None = None
    model: str | None = None
    kind: Literal["hdd", "ssd", "nvme", "emmc", "phone", "unknown"] = "unknown"
    bytes: int | None = Field(None, ge=0)

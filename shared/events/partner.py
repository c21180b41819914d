"""What a refurbisher's own system tells us: partner contract, version 1. Topic: `refurb.inbound.<refurbisher>`.

A partner's message is a CloudEvent in Kafka's binary mode: headers `ce_id`, `ce_source`, `ce_type`, `ce_time`; the value is one of the
types below as JSON; the key is the device's reference (the consignment's id for what concerns a consignment). Strict where a slip
would change the meaning: a number is a number, never its text. Fields we do not know are tolerated, so that a partner may send more.
"""

import unicodedata
from typing import Annotated, Any, ClassVar, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, JsonValue, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from shared.events.base import DeviceType, Event, Fact

LARGEST_LOG = 900_000
"""Characters of an evidence text within a message. Above it, the evidence store takes the file and the message its hash."""

UNPRINTED = bytes({*range(32)} - {*b"\t\n\r"})


def _printable(text: str) -> str:
    if not text.isprintable() and any(unicodedata.category(c) in {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"} for c in text):
        raise PydanticCustomError("control_characters", "control characters are not allowed here")
    return text


def _plain_text(text: str) -> str:
    written = text.encode("utf-8", "surrogatepass")
    if len(written.translate(None, UNPRINTED)) < len(written):  # a tenth of the time of a regular expression
        raise PydanticCustomError("control_characters", "of the control characters, only tab and line ends are allowed here")
    return text


def _either(*names: str) -> dict[str, JsonValue]:
    """JSON Schema of "one of these fields, and only one"."""
    given: list[JsonValue] = [{"required": [name], "properties": {name: {"not": {"type": "null"}}}} for name in names]
    return {"oneOf": given}


def _consignment(given: Any) -> Any:
    if isinstance(given, str) and len(given) != 36:
        raise PydanticCustomError("uuid_parsing", "write the id as it was given to you, with hyphens")
    return given


Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200), AfterValidator(_printable)]
Log = Annotated[str, StringConstraints(min_length=1, max_length=LARGEST_LOG), AfterValidator(_plain_text)]
Ref = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,63}$")]
"""A refurbisher's own id of a device: letters, digits and `. _ / -`, 64 at most. Case does not tell two devices apart."""
Code = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{1,39}$")]
"""A reason or a part as a code, such as `screen_broken`: free text could name people."""
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
ConsignmentId = Annotated[UUID, BeforeValidator(_consignment)]


class Part(Fact):
    """A part of a partner's message."""

    model_config = ConfigDict(strict=True)


class Report(Event):
    """What every message of a partner has in common."""

    model_config = ConfigDict(strict=True)


class OfConsignment(Report):
    """A message about a consignment that was assigned to the refurbisher (topic `routing.consignments.<refurbisher>`)."""

    consignment_id: ConsignmentId


class OfDevice(OfConsignment):
    """A message about one device of a consignment."""

    device_ref: Ref


class ConsignmentReceived(OfConsignment):
    """The consignment is here, and this many devices were counted."""

    type: ClassVar[str] = "partner.consignment_received.v1"

    counted: int = Field(ge=0, le=100_000)
    corrects: int | None = Field(None, ge=0, le=100_000)
    """The count that you said before and that this one replaces. Another count without it is rejected (`count_differs`)."""


class ConsignmentRefused(OfConsignment):
    """The refurbisher cannot take it: it is assigned to another one."""

    type: ClassVar[str] = "partner.consignment_refused.v1"

    reason: Code


class DeviceReceived(OfDevice):
    """A device of the consignment was unpacked and identified."""

    type: ClassVar[str] = "partner.device_received.v1"

    device_type: DeviceType
    maker: Text | None = None
    model: Text | None = None
    serial: Text | None = None
    lot: Ref | None = None
    """Your own lot, as it is written on the shelf."""
    pallet: Ref | None = None


class MediumRead(Part):
    """A storage medium as your audit read it. Of a telephone or tablet: its IMEI as `serial`, kind `phone`."""

    serial: Text | None = None
    model: Text | None = None
    kind: Literal["hdd", "ssd", "nvme", "emmc", "phone", "unknown"] = "unknown"
    bytes: int | None = Field(None, ge=0, le=10**18)


class Snapshot(Part):
    """What the tools printed, unchanged: `smartctl -ja` of each disk as a list, `dmidecode` and `lscpu` as text."""

    smartctl: Annotated[list[dict[str, Any]], Field(max_length=64)]
    dmidecode: Log | None = None
    lscpu: Log | None = None


class DeviceAudited(OfDevice):
    """The hardware was read. Say the media by `media`, or let us read what your tool wrote: `snapshot`, `report` or `evidence_sha256`.

    One of the four. What is said beside it (`cpu`, `ram_gb`, `os` ...) goes before what we read.
    """

    model_config = ConfigDict(json_schema_extra=_either("media", "snapshot", "report", "evidence_sha256"))
    type: ClassVar[str] = "partner.device_audited.v1"

    media: Annotated[tuple[MediumRead, ...], Field(max_length=64)] | None = None
    """The medium that holds the system first. Empty: there is none."""
    snapshot: Snapshot | None = None
    report: Log | None = None
    """The text of a hardware report: Workbench, lshw, dmidecode, smartctl, or the charity's device record as JSON or CSV."""
    evidence_sha256: Sha256 | None = None
    """Or the SHA-256 of such a file, or of the record or a form as XLSX, that was put in the evidence store before."""
    cpu: Text | None = None
    cpu_mark: int | None = Field(None, ge=0, le=1_000_000)
    """PassMark CPU mark. Without it a computer cannot be graded."""
    ram_gb: int | None = Field(None, ge=0, le=65_536)
    os: Text | None = None
    battery: Literal["ok", "worn", "missing"] | None = None
    benchmark_thousands: int | None = Field(None, ge=0, le=100_000)
    """Of a telephone or tablet: its benchmark index, in thousands. Without it it cannot be graded."""
    weighting_percent: Literal[-100, -50, -10, -5, 0, 5, 10] = 0
    """Of a telephone or tablet: what a person adds for its state."""
    maker: Text | None = None
    model: Text | None = None
    serial: Text | None = None
    """Of the device, where `partner.device_received.v1` did not say them."""

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        given = (self.media, self.snapshot, self.report, self.evidence_sha256)
        if sum(one is not None for one in given) != 1:
            fields = "media, snapshot, report, evidence_sha256"
            raise PydanticCustomError(
                "one_of", "give one of `media`, `snapshot`, `report`, `evidence_sha256`", {"fields": fields}
            )
        return self


class MediumErased(OfDevice):
    """An erasure (or reset, or destruction) was done: here is the evidence, as the tool wrote it. We judge it medium by medium."""

    model_config = ConfigDict(json_schema_extra=_either("log", "evidence_sha256"))
    type: ClassVar[str] = "partner.medium_erased.v1"

    log: Log | None = None
    """The report's text, 900,000 characters at most."""
    evidence_sha256: Sha256 | None = None
    """Or the SHA-256 of a file that was put in the evidence store before."""

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.log is None) == (self.evidence_sha256 is None):
            raise PydanticCustomError("one_of", "give either `log` or `evidence_sha256`", {"fields": "log, evidence_sha256"})
        return self


class DeviceRepaired(OfDevice):
    """Work was done on it, with these parts."""

    type: ClassVar[str] = "partner.device_repaired.v1"

    parts: Annotated[tuple[Code, ...], Field(max_length=50)] = ()


class DeviceFinished(OfDevice):
    """All is done and tested: it may be sold, if every medium is proven erased."""

    type: ClassVar[str] = "partner.device_finished.v1"


class DeviceScrapped(OfDevice):
    """It will not be sold."""

    type: ClassVar[str] = "partner.device_scrapped.v1"

    reason: Code
    waste_reference: Ref | None = None
    """The number of the slip under which it leaves as waste (WEEE)."""


class DeviceLost(OfDevice):
    """It cannot be found. Say so as soon as you know: it is taken out of the stock until it is found."""

    type: ClassVar[str] = "partner.device_lost.v1"

    reason: Code


class DeviceFound(OfDevice):
    """It is there again. If it was ready, check it and finish it again."""

    type: ClassVar[str] = "partner.device_found.v1"


class DeviceReturned(OfDevice):
    """It came back after its sale.

    `to_resell`: the person gave it up, so it is audited, erased and graded anew. `to_repair`: under warranty; it stays the person's.
    """

    type: ClassVar[str] = "partner.device_returned.v1"

    purpose: Literal["to_resell", "to_repair"]
    reason: Code


class DeviceGivenBack(OfDevice):
    """The repair under warranty is over, and the device goes back to its owner."""

    type: ClassVar[str] = "partner.device_given_back.v1"

    outcome: Literal["repaired", "not_repairable"]


class MediumRemoved(OfDevice):
    """A medium was taken out: for another device (whose audit then names it), as a spare, or destroyed.

    It must be proven erased before; a destroyed one, proven destroyed by its statement.
    """

    type: ClassVar[str] = "partner.medium_removed.v1"

    serial: Text
    to: Literal["device", "spare", "destroyed"]
    to_device_ref: Ref | None = None


class CapacityDeclared(Report):
    """How many devices of each type you can take in a week."""

    type: ClassVar[str] = "partner.capacity_declared.v1"

    weekly_places: dict[DeviceType, Annotated[int, Field(ge=0, le=100_000)]]


MESSAGES: tuple[type[Report], ...] = (
    ConsignmentReceived,
    ConsignmentRefused,
    DeviceReceived,
    DeviceAudited,
    MediumErased,
    DeviceRepaired,
    DeviceFinished,
    DeviceScrapped,
    DeviceLost,
    DeviceFound,
    DeviceReturned,
    DeviceGivenBack,
    MediumRemoved,
    CapacityDeclared,
)

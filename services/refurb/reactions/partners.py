"""What partners report -> commands.

What a reaction looks up (a consignment as assigned, an original under its hash) never changes, so a second try ends the same; what is not
there yet is `NotYet`. Originals are set aside here, and durable before the transaction that speaks of them.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol
from uuid import UUID

from services.refurb.domain import arrival, audit, consignment, device, grading, holding, receipt, snapshot
from services.refurb.domain.consignment import Consignment
from services.refurb.domain.holding import medium_stream
from services.refurb.domain.judge import CLOCKS_DIFFER, Policy
from services.refurb.domain.readers.facts import Hardware, Unreadable, Unusable
from services.refurb.domain.readers.hardware import serial
from services.refurb.domain.readers.recognise import read
from services.refurb.reactions.claims import disputed, place, spans
from services.refurb.reactions.house import Consignments
from services.refurb.reactions.names import device_stream, expected_stream
from shared.aggregate import Command
from shared.consumer import Reaction, Reactions
from shared.errors import NotYet, Refused
from shared.events import partner
from shared.events.base import Event, Medium, stream_id
from shared.events.refurb import DeviceAudited, EvidenceFiled
from shared.message import Message


class Originals(Protocol):
    """Where originals are kept under their hash."""

    def keep(self, data: bytes) -> str: ...

    def fetch(self, sha256: str) -> bytes | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Partners:
    """What follows from the messages of partners."""

    consignments: Consignments
    originals: Originals
    rules: grading.Rules
    policy: Policy
    hints: receipt.Hints
    regions: Mapping[str, str]
    """Refurbisher -> region where it works."""

    def reactions(self) -> Reactions:
        """One for each message of the contract, after a look at its envelope."""
        found: Reactions = {
            partner.ConsignmentReceived: self.consignment_received,
            partner.ConsignmentRefused: self.consignment_refused,
            partner.DeviceReceived: self.device_received,
            partner.DeviceAudited: self.device_audited,
            partner.MediumErased: self.medium_erased,
            partner.DeviceRepaired: self.device_repaired,
            partner.DeviceFinished: self.device_finished,
            partner.DeviceScrapped: self.device_scrapped,
            partner.DeviceLost: device_lost,
            partner.DeviceFound: device_found,
            partner.DeviceReturned: device_returned,
            partner.DeviceGivenBack: device_given_back,
            partner.MediumRemoved: self.medium_removed,
            partner.CapacityDeclared: self.capacity_declared,
        }
        return {contract: partial(enveloped, react) for contract, react in found.items()}

    def reject(self, message: Message, error: Exception) -> Sequence[Command]:
        """Answer a message that had no effect; one that names a medium of another device also leaves a dispute for people to settle."""
        said = told(message, receipt.device_ref(message.value))
        faults = receipt.faults(error, self.hints) or receipt.faults(RuntimeError(), self.hints)
        return [
            *disputed(message, error, said.device_ref),
            receipt.RejectReport(id=receipt_stream(message), told=said, faults=faults),
        ]

    def consignment_received(self, message: Message, said: partner.ConsignmentReceived) -> Sequence[Command]:
        keyed(message, str(said.consignment_id))
        known = self.known(said)
        return [
            check(message, said),
            arrival.ReceiveConsignment(
                id=stream_id("arrival", said.consignment_id),
                consignment_id=said.consignment_id,
                donation_id=donation(known),
                refurbisher=message.cell,
                counted=said.counted,
                corrects=said.corrects,
            ),
            accept(message),
        ]

    def consignment_refused(self, message: Message, said: partner.ConsignmentRefused) -> Sequence[Command]:
        keyed(message, str(said.consignment_id))
        known = self.known(said)
        return [
            check(message, said),
            arrival.TurnDownConsignment(
                id=stream_id("arrival", said.consignment_id),
                consignment_id=said.consignment_id,
                donation_id=donation(known),
                refurbisher=message.cell,
                reason=said.reason,
            ),
            accept(message),
        ]

    def device_received(self, message: Message, said: partner.DeviceReceived) -> Sequence[Command]:
        keyed(message, said.device_ref)
        known = self.known(said)
        return [
            check(message, said),
            device.ReceiveDevice(
                id=device_stream(message.cell, said.device_ref),
                consignment_id=said.consignment_id,
                donation_id=donation(known),
                refurbisher=message.cell,
                region=self.regions.get(message.cell, message.cell),
                donor_public=known.donor_public,
                required_class=known.required_class,
                device_ref=said.device_ref,
                device_type=said.device_type,
                policy=self.policy,
                maker=said.maker,
                model=said.model,
                serial=serial(said.serial),
                assigned_at=known.assigned_at,
                lot=said.lot,
                pallet=said.pallet,
            ),
            accept(message, said.device_ref),
        ]

    def device_audited(self, message: Message, said: partner.DeviceAudited) -> Sequence[Command]:
        """Take an audit in, unless it names a medium that is in another device (`holding`)."""
        here = place(message, said.device_ref)
        audited = self.audited(message, said)
        command = device.AuditDevice(
            id=here.device_id,
            refurbisher=message.cell,
            consignment_id=said.consignment_id,
            audited=audited,
            policy=self.policy,
        )
        serials = sorted({m.serial for m in audited.media if m.serial})
        named = [holding.NameMedium(id=medium_stream(each), serial=each, place=here) for each in serials]
        return of_device(message, said, *named, command)

    def audited(self, message: Message, said: partner.DeviceAudited) -> DeviceAudited:
        """What was read, by the partner or by us. What we read is evidence: it is kept as it came."""
        found, original = self.found(message, said)
        return DeviceAudited(
            media=found.hardware.media,
            cpu=said.cpu or found.hardware.cpu,
            cpu_mark=said.cpu_mark,
            ram_gb=found.hardware.ram_gb if said.ram_gb is None else said.ram_gb,
            os=said.os or found.os,
            battery=said.battery,
            evidence_sha256=original,
            maker=said.maker or found.hardware.maker,
            model=said.model or found.hardware.model,
            serial=serial(said.serial) or found.hardware.serial,
            benchmark_thousands=said.benchmark_thousands,
            weighting_percent=said.weighting_percent,
        )

    def found(self, message: Message, said: partner.DeviceAudited) -> tuple[audit.Audit, str | None]:
        """The machine, and the SHA-256 of what it was read from. Raises Refused with the code of why it cannot be."""
        if said.media is not None:
            return audit.Audit(hardware=Hardware(media=tuple(medium(m) for m in said.media))), None
        where = "/snapshot" if said.snapshot is not None else "/report" if said.report is not None else "/evidence_sha256"
        try:
            if said.snapshot is not None:
                read = snapshot.read(said.snapshot.smartctl, said.snapshot.dmidecode, said.snapshot.lscpu)
                return audit.Audit(hardware=read), self.originals.keep(message.value)
            data, sha256 = self.original(said.report, said.evidence_sha256)
            return audit.read(data, said.device_ref), sha256
        except Unusable as refusal:
            raise Refused(refusal.code, where=where) from refusal

    def original(self, text: str | None, sha256: str | None) -> tuple[bytes, str]:
        """What came with the message or was put in the store before, and its SHA-256. Raises NotYet."""
        if text is not None:
            return text.encode(), self.originals.keep(text.encode())
        kept = self.originals.fetch(sha256 or "")
        if kept is None:
            raise NotYet("evidence_unknown", where="/evidence_sha256")
        return kept, sha256 or ""

    def medium_erased(self, message: Message, said: partner.MediumErased) -> Sequence[Command]:
        """File a report, unless it is of what has not happened. It and each run in it are claimed for this device: they prove no other.

        The end of a run is claimed for itself too, as it was before spans were kept: what was claimed then is claimed for good.
        """
        keyed(message, said.device_ref)
        where = "/log" if said.log is not None else "/evidence_sha256"
        filed = self.filed(said, where)
        if any(run.ended_at and run.ended_at > message.arrived + CLOCKS_DIFFER for run in filed.runs):
            raise Refused("erasure_in_future", where=where)
        stream = device_stream(message.cell, said.device_ref)
        runs = {stream_id("run_use", run.serial, run.ended_at) for run in filed.runs if run.serial and run.ended_at}
        claims = [stream_id("evidence_use", filed.evidence_sha256), *sorted(runs)]
        return [
            check(message, said),
            *(consignment.ClaimEvidence(id=claimed, device_id=stream) for claimed in claims),
            *spans(filed.runs, place(message, said.device_ref), where),
            device.FileEvidence(
                id=stream, refurbisher=message.cell, consignment_id=said.consignment_id, filed=filed, policy=self.policy
            ),
            accept(message, said.device_ref),
        ]

    def filed(self, said: partner.MediumErased, where: str) -> EvidenceFiled:
        """Read the original. Raises Refused with the code of why it cannot be."""
        data, sha256 = self.original(said.log, said.evidence_sha256)
        found = read(data)
        if isinstance(found, Unreadable):
            raise Refused(found.reason, where=where)
        if not found.runs:
            raise Refused("not_an_erasure", where=where)
        return EvidenceFiled(evidence_sha256=sha256, tool=found.tool, size_bytes=len(data), runs=found.runs)

    def device_repaired(self, message: Message, said: partner.DeviceRepaired) -> Sequence[Command]:
        command = device.RepairDevice(
            id=device_stream(message.cell, said.device_ref), consignment_id=said.consignment_id, parts=said.parts
        )
        return of_device(message, said, command)

    def device_finished(self, message: Message, said: partner.DeviceFinished) -> Sequence[Command]:
        command = device.FinishDevice(
            id=device_stream(message.cell, said.device_ref),
            consignment_id=said.consignment_id,
            rules=self.rules,
            policy=self.policy,
        )
        return of_device(message, said, command)

    def device_scrapped(self, message: Message, said: partner.DeviceScrapped) -> Sequence[Command]:
        command = device.ScrapDevice(
            id=device_stream(message.cell, said.device_ref),
            consignment_id=said.consignment_id,
            reason=said.reason,
            waste_reference=said.waste_reference,
        )
        return of_device(message, said, command)

    def medium_removed(self, message: Message, said: partner.MediumRemoved) -> Sequence[Command]:
        return of_device(
            message,
            said,
            device.RemoveMedium(
                id=device_stream(message.cell, said.device_ref),
                consignment_id=said.consignment_id,
                serial=said.serial,
                to=said.to,
                to_device_ref=said.to_device_ref,
                policy=self.policy,
            ),
        )

    def capacity_declared(self, message: Message, said: partner.CapacityDeclared) -> Sequence[Command]:
        keyed(message, message.cell)
        command = arrival.DeclareCapacity(
            id=stream_id("capacity", message.cell), refurbisher=message.cell, weekly_places=said.weekly_places
        )
        return [command, accept(message)]

    def known(self, said: partner.OfConsignment) -> Consignment:
        """Look the consignment up. Whether it may be used is for `CheckConsignment` to say."""
        found = self.consignments.get(said.consignment_id)
        if found is None:
            raise NotYet("consignment_unknown", where="/consignment_id")
        return found


def refers(message: Message) -> bool:
    """Tell whether a message names an original in the store: reading that may take seconds, and the archive may be far."""
    return b'"evidence_sha256"' in message.value


def enveloped(react: Reaction, message: Message, said: Event) -> Sequence[Command]:
    """React to a message whose envelope is one of CloudEvents 1.0. An id that a receipt cannot repeat as it came would answer nobody."""
    for name in ("ce_id", "ce_source"):
        if not receipt.repeatable(message.headers[name]):
            raise Refused(f"bad_{name}")
    if message.headers.get("ce_specversion", "1.0") != "1.0":
        raise Refused("bad_ce_specversion")
    if not receipt.dated(message.headers.get("ce_time")):
        raise Refused("bad_ce_time")
    return react(message, said)


def of_device(message: Message, said: partner.OfDevice, *commands: Command) -> Sequence[Command]:
    """Check the message's key and consignment, carry the commands out, and answer."""
    keyed(message, said.device_ref)
    return [check(message, said), *commands, accept(message, said.device_ref)]


def device_lost(message: Message, said: partner.DeviceLost) -> Sequence[Command]:
    stream = device_stream(message.cell, said.device_ref)
    return of_device(message, said, device.LoseDevice(id=stream, consignment_id=said.consignment_id, reason=said.reason))


def device_found(message: Message, said: partner.DeviceFound) -> Sequence[Command]:
    stream = device_stream(message.cell, said.device_ref)
    return of_device(message, said, device.FindDevice(id=stream, consignment_id=said.consignment_id))


def device_returned(message: Message, said: partner.DeviceReturned) -> Sequence[Command]:
    stream, consignment_id = device_stream(message.cell, said.device_ref), said.consignment_id
    if said.purpose == "to_repair":
        begin = device.BeginWarrantyRepair(id=stream, consignment_id=consignment_id, fault=said.reason)
        return of_device(message, said, begin)
    return of_device(message, said, device.TakeBackDevice(id=stream, consignment_id=consignment_id, reason=said.reason))


def device_given_back(message: Message, said: partner.DeviceGivenBack) -> Sequence[Command]:
    stream = device_stream(message.cell, said.device_ref)
    return of_device(message, said, device.EndWarrantyRepair(id=stream, consignment_id=said.consignment_id, outcome=said.outcome))


def medium(said: partner.MediumRead) -> Medium:
    return Medium(serial=serial(said.serial), model=said.model, kind=said.kind, bytes=said.bytes)


def donation(known: Consignment) -> UUID:
    if known.donation_id is None:
        raise AssertionError("an assigned consignment has a donation")
    return known.donation_id


def keyed(message: Message, expected: str) -> None:
    """Refuse a message whose key does not keep the order of what it is about."""
    if message.key is None:
        raise Refused("missing_key", where="key")
    if message.key.decode("utf-8", "replace").upper() != expected.upper():
        raise Refused("wrong_key", where="key", expected=expected)


def check(message: Message, said: partner.OfConsignment) -> consignment.CheckConsignment:
    return consignment.CheckConsignment(id=expected_stream(said.consignment_id), refurbisher=message.cell)


def accept(message: Message, device_ref: str | None = None) -> receipt.AcceptReport:
    return receipt.AcceptReport(id=receipt_stream(message), told=told(message, device_ref))


def receipt_stream(message: Message) -> UUID:
    """Name the answers to one message id; a message without one has its place as its name."""
    source, ce_id = message.headers.get("ce_source"), message.headers.get("ce_id")
    if source and ce_id:
        return stream_id("receipt", message.topic, source, ce_id)
    return stream_id("receipt", message.topic, message.stream)


def told(message: Message, device_ref: str | None) -> receipt.Told:
    headers: Mapping[str, Any] = message.headers
    content = hashlib.sha256(f"{message.type}\n".encode(errors="replace") + message.value)
    return receipt.Told(
        report_id=receipt.headed(headers, "ce_id"),
        report_type=receipt.headed(headers, "ce_type"),
        source=receipt.headed(headers, "ce_source"),
        refurbisher=message.cell,
        device_ref=device_ref,
        content_sha256=content.hexdigest(),
    )

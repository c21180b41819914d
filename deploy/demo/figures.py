"""The figures of the chain, asked twice: of every service over HTTP, and counted on the topics themselves. Both must say the same."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from deploy.demo.browser import Browser
from deploy.local.stack import Stack
from deploy.topology import SERVICES, Family
from shared.events import certs, distribution, intake, refurb, routing
from shared.events.base import Event
from shared.kafka.reader import read_on
from shared.kafka.wire import Access
from shared.message import Message

E = TypeVar("E", bound=Event)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What became of a donation, or of all of them."""

    donations: int
    consignments: int
    collected: int
    """Consignments that a driver fetched."""
    received_at_point: int
    """Consignments that came by a reception point."""
    devices: int
    erasures_accepted: int
    erasures_rejected: int
    ready: int
    scrapped: int
    certificates: int
    erased: int
    """Devices certified as erased."""
    not_erased: int
    vouchers_spent: int
    sold: int


async def counted(stack: Stack, reference: str = "") -> Figures:
    """Count on the topics, each read as the service that owns it; of one donation when its reference is given.

    An event that was sent twice counts once.
    """
    messages: dict[tuple[UUID, int], Message] = {}
    for family in stack.topology.families:
        if family.partners != "write":
            for message in await whole(stack, family):
                messages[message.stream, message.version] = message
    return add_up(list(messages.values()), reference)


async def whole(stack: Stack, family: Family) -> list[Message]:
    """Every message of a family of topics."""
    access = Access(stack.kafka_bootstrap, family.owner, stack.secrets[f"kafka.{family.owner}"])
    topics = [f"{family.name}.{cell}" for cell in stack.topology.cells(family.cell)]
    return [message async for message in read_on(access, {}, topics)]


def add_up(told: Sequence[Message], reference: str) -> Figures:
    """Count messages by what they say."""
    offered = {m.stream: event(m, intake.DonationOffered).reference for m in told if m.type == intake.DonationOffered.type}
    donation = next(stream for stream, known in offered.items() if known == reference) if reference else None
    devices = {m.stream: event(m, refurb.DeviceReceived).donation_id for m in told if m.type == refurb.DeviceReceived.type}
    sold = [event(m, distribution.DeviceSold) for m in told if m.type == distribution.DeviceSold.type]
    sold = [sale for sale in sold if donation in {None, sale.donation_id}]
    issued = [event(m, certs.CertificateIssued) for m in told if m.type == certs.CertificateIssued.type]
    issued = [certificate for certificate in issued if donation in {None, certificate.donation_id}]
    assigned = routing.ConsignmentAssigned
    consignments = {m.stream: event(m, assigned).donation_id for m in told if m.type == assigned.type}
    sales = {sale.sale_id for sale in sold}
    spent = [event(m, distribution.VoucherSpent) for m in told if m.type == distribution.VoucherSpent.type]

    def of_device(kind: type[Event]) -> int:
        return sum(1 for m in told if m.type == kind.type and donation in {None, devices.get(m.stream)})

    def of_consignment(kind: type[Event]) -> int:
        return sum(1 for m in told if m.type == kind.type and donation in {None, consignments.get(m.stream)})

    return Figures(
        donations=sum(1 for stream in offered if donation in {None, stream}),
        consignments=of_consignment(assigned),
        collected=of_consignment(routing.ConsignmentCollected),
        received_at_point=of_consignment(routing.ReceivedAtPoint),
        devices=of_device(refurb.DeviceReceived),
        erasures_accepted=of_device(refurb.MediumSanitised),
        erasures_rejected=of_device(refurb.SanitisationRejected),
        ready=of_device(refurb.DeviceReady),
        scrapped=of_device(refurb.DeviceScrapped),
        certificates=len(issued),
        erased=sum(certificate.erased for certificate in issued),
        not_erased=sum(certificate.not_erased for certificate in issued),
        vouchers_spent=sum(1 for one in spent if one.sale_id in sales),
        sold=len(sold),
    )


def event(message: Message, kind: type[E]) -> E:
    """Read one message."""
    return kind.model_validate_json(message.value)


async def asked(origin: str, staff_code: str) -> dict[str, dict[str, Any]]:
    """Ask every service for its figures, through the gateway."""
    async with Browser(origin) as staff:
        pages = {service: await staff.get(f"/{service}/figures", bearer=staff_code) for service in SERVICES}
    return {service: json.loads(page.content) for service, page in pages.items()}


def disagreements(figures: Figures, told: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Where a service says something else than the topics, all donations together. Empty when all agree."""
    of_intake, of_routing, of_refurb, of_certs, of_shops = (told[name] for name in SERVICES)
    stock: Mapping[str, int] = of_shops["stock"]
    pairs = {
        "intake donations": (of_intake["donations"], figures.donations),
        "intake consignments": (of_intake["consignments"], figures.consignments),
        "intake devices": (of_intake["devices"], figures.devices),
        "intake ready": (of_intake["ready"], figures.ready),
        "intake scrapped": (of_intake["scrapped"], figures.scrapped),
        "intake certificates": (of_intake["certificates"], figures.certificates),
        "intake sold": (of_intake["sold"], figures.sold),
        "routing donations": (of_routing["donations"], figures.donations),
        "routing consignments": (of_routing["consignments"], figures.consignments),
        "routing delivered": (of_routing["delivered"], figures.devices),
        "refurb devices": (of_refurb["devices"], figures.devices),
        "refurb ready and sold": (of_refurb["ready"] + of_refurb["sold"], figures.ready),
        "refurb scrapped": (of_refurb["scrapped"], figures.scrapped),
        "refurb sold": (of_refurb["sold"], figures.sold),
        "refurb erasures accepted": (of_refurb["erasures_accepted"], figures.erasures_accepted),
        "refurb erasures rejected": (of_refurb["erasures_rejected"], figures.erasures_rejected),
        "certs consignments": (of_certs["consignments"], figures.consignments),
        "certs devices": (of_certs["devices"], figures.devices),
        "certs certificates": (of_certs["certificates"], figures.certificates),
        "certs log": (of_certs["log_size"], figures.certificates),
        "certs erased": (of_certs["erased"], figures.erased),
        "certs not erased": (of_certs["not_erased"], figures.not_erased),
        "distribution stock": (sum(stock.values()), figures.ready),
        "distribution sold": (of_shops["sold"], figures.sold),
        "distribution vouchers spent": (of_shops["vouchers"].get("spent", 0), figures.vouchers_spent),
    }
    return [f"{name}: {said}, on the topics {counted_}" for name, (said, counted_) in pairs.items() if said != counted_]


def memory_mb(leader: int) -> float:
    """Memory of a program and of all that it began: proportional set size (what is shared is shared out), in MB. 0 where unknown."""
    total_kb = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            session = int((folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[3])
            if session == leader:
                rollup = (folder / "smaps_rollup").read_text(encoding="ascii", errors="replace")
                total_kb += next((int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")), 0)
        except (OSError, ValueError, IndexError):
            continue  # ended meanwhile, or not ours to look at
    return round(total_kb * 1024 / 1_000_000, 1)

"""A consignment as routing and refurb tell it, and the keys and files that tests make of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from uuid import UUID, uuid4

from services.certs.domain import issuer, merkle, note
from services.certs.domain.assets import layout
from services.certs.domain.certificate import leaf_entry, leaf_extra
from services.certs.domain.custody import Custody, Doubt, Erasure, Held
from services.certs.domain.statement import Statement, digest, state
from services.certs.domain.verification import Trust
from shared.events.base import Donor, Event, Medium, MethodClass, stream_id
from shared.events.refurb import (
    ConsignmentReceived,
    DeviceAudited,
    DeviceReady,
    DeviceReceived,
    DeviceScrapped,
    MediumSanitised,
    SanitisationRejected,
)
from shared.events.routing import Candidate, ConsignmentAssigned

AT = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
ORIGIN = "maillon.test/certificats"
POLICY = "erasure-2026-01"


def medium(serial: str | None = "WD-WCAV5", *, kind: str = "hdd", size: int = 500_107_862_016) -> Medium:
    return Medium.model_validate({"serial": serial, "model": "WDC WD5000AAKX", "kind": kind, "bytes": size})


def erasure(of: Medium, *, evidence: str = "a" * 64, reached: MethodClass = "Clear", verified: bool = True) -> Erasure:
    return Erasure(
        medium=of,
        method_class=reached,
        technique="overwrite_zero_verified",
        tool="nwipe",
        tool_version="0.37",
        verified=verified,
        required_class="Clear",
        started_at=AT - timedelta(hours=3),
        ended_at=AT - timedelta(hours=1),
        evidence_sha256=evidence,
        policy=POLICY,
    )


def held(ref: str = "GRPC26-0001", *, media: Sequence[Medium] | None = (), **more: object) -> Held:
    values: dict[str, object] = {
        "device_id": stream_id("device", "trira", ref),
        "consignment_id": stream_id("consignment", "sample"),
        "device_ref": ref,
        "device_type": "laptop",
        "maker": "HP",
        "model": "ProBook 450 G5",
        "serial": "5CD8123456",
        "audited": media is not None,
        "media": tuple(media or ()),
        "outcome": "ready",
        "category": "B",
    }
    return Held(**values | more)  # type: ignore[arg-type]  # each test names the fields it is about


def custody(**more: object) -> Custody:
    values: dict[str, object] = {
        "consignment_id": stream_id("consignment", "sample"),
        "reference": "DON-7K3M-24PQ/1",
        "donation_id": stream_id("donation", "sample"),
        "donation_reference": "DON-7K3M-24PQ",
        "refurbisher": "trira",
        "region": "ara",
        "postal_code": "38200",
        "donor": Donor(status="company", name="Mercerie Brindille SAS", siren="732829320"),
        "declared": {"laptop": 3},
        "counted": 3,
        "received_at": AT - timedelta(days=4),
    }
    return Custody(**values | more)  # type: ignore[arg-type]  # each test names the fields it is about


def certify(devices: Sequence[Held], by: str = "", **more: object) -> Statement:
    known = custody(**{"counted": len(devices)} | more)
    return state(
        known,
        devices,
        number="MC-7K3M-24PQ-1",
        issued_at=AT,
        issuer="Emmaüs Connect",
        verify_url="https://maillon.example/certs/verifier",
        layout=by or layout(),
    )


def mixed(by: str = "") -> Statement:
    """One device erased, one not proven, one without a medium."""
    disk, failed = medium("WD-1"), medium("ST-2")
    return certify(
        [
            held("GRPC26-0001", media=[disk], erasures=(erasure(disk),)),
            held(
                "GRPC26-0002",
                media=[failed],
                doubts=(Doubt(medium=failed, reason="failed"),),
                outcome="scrapped",
                category=None,
                reason="erasure_failed",
            ),
            held("GRPC26-0003", media=[], device_type="desktop"),
        ],
        by=by,
    )


@cache
def keys() -> issuer.Keys:
    return issuer.make("Emmaüs Connect", AT - timedelta(days=1))


def trust_text(of: issuer.Keys | None = None) -> str:
    made = of or keys()
    return f"log: {note.public(ORIGIN, made.log)}\n{made.certificate.decode()}"


def trust(of: issuer.Keys | None = None) -> Trust:
    return Trust.read(trust_text(of))


def proof(document: bytes, number: str, signer: issuer.Keys | None = None) -> bytes:
    """Of a log in which `document` is the second of three entries."""
    extra = leaf_extra(number, "00" * 16, digest(document), len(document))
    nodes: dict[merkle.Node, bytes] = {}
    for index, entry in enumerate((b"first", leaf_entry(extra), b"third")):
        nodes |= merkle.append(index, merkle.leaf_hash(entry), nodes.__getitem__)
    root = merkle.root(3, nodes.__getitem__)
    signed = note.sign(note.Checkpoint(origin=ORIGIN, size=3, root=root), (signer or keys()).log)
    path = tuple(merkle.inclusion(1, 3, nodes.__getitem__))
    return note.Proof(extra=extra, index=1, path=path, note=signed).text.encode()


def new_mark() -> str:
    return uuid4().hex[:8].upper()


@dataclass(slots=True, kw_only=True)
class Story:
    """What the others publish about one consignment; unique ids each time."""

    refurbisher: str = "trira"
    mark: str = field(default_factory=new_mark)

    @property
    def reference(self) -> str:
        return f"DON-{self.mark[:4]}-{self.mark[4:]}/1"

    @property
    def number(self) -> str:
        return f"MC-{self.mark[:4]}-{self.mark[4:]}-1"

    @property
    def consignment(self) -> UUID:
        return stream_id("consignment", self.mark, 1)

    @property
    def arrival(self) -> UUID:
        return stream_id("arrival", self.consignment)

    @property
    def donation(self) -> UUID:
        return stream_id("donation", self.mark)

    def device(self, ref: str) -> UUID:
        return stream_id("device", self.refurbisher, f"{self.mark}-{ref}")

    def assigned(self, **more: object) -> ConsignmentAssigned:
        values: dict[str, object] = {
            "consignment_id": self.consignment,
            "reference": self.reference,
            "donation_id": self.donation,
            "donation_reference": self.reference[:-2],
            "refurbisher": self.refurbisher,
            "region": "ara",
            "postal_code": "38200",
            "donor": Donor(status="company", name="Mercerie Brindille SAS", siren="732829320"),
            "required_class": "Clear",
            "declared": {"laptop": 3},
            "chosen": Candidate(refurbisher=self.refurbisher, distance_km=12, load=0.2, cost=1.0),
            "rules": "routing-2026-01",
        }
        return ConsignmentAssigned.model_validate(values | more)

    def received(self, counted: int) -> ConsignmentReceived:
        return ConsignmentReceived(
            consignment_id=self.consignment, donation_id=self.donation, refurbisher=self.refurbisher, counted=counted
        )

    def arrived(self, ref: str) -> DeviceReceived:
        return DeviceReceived(
            consignment_id=self.consignment,
            donation_id=self.donation,
            refurbisher=self.refurbisher,
            region="ara",
            device_ref=f"{self.mark}-{ref}",
            device_type="laptop",
            donor_public=False,
            maker="HP",
            model="ProBook 450 G5",
            serial=f"SN-{self.mark}-{ref}",
        )

    def disk(self, ref: str) -> Medium:
        return medium(f"DISK-{self.mark}-{ref}")

    def erased(self, ref: str) -> list[Event]:
        """The whole life of a device whose erasure is proven."""
        proven = erasure(self.disk(ref), evidence=digest(f"{self.mark}{ref}".encode()))
        return [
            self.arrived(ref),
            DeviceAudited(media=(self.disk(ref),)),
            MediumSanitised.model_validate(proven.model_dump()),
            self.ready(ref),
        ]

    def ready(self, ref: str) -> DeviceReady:
        return DeviceReady(
            consignment_id=self.consignment,
            donation_id=self.donation,
            refurbisher=self.refurbisher,
            region="ara",
            device_ref=f"{self.mark}-{ref}",
            device_type="laptop",
            category="B",
            donor_public=False,
        )

    def failed(self, ref: str) -> list[Event]:
        """The whole life of a device whose erasure failed."""
        return [
            self.arrived(ref),
            DeviceAudited(media=(self.disk(ref),)),
            SanitisationRejected(medium=self.disk(ref), reason="failed", policy=POLICY),
            DeviceScrapped(consignment_id=self.consignment, donation_id=self.donation, reason="erasure_failed"),
        ]

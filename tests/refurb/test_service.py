"""From a partner's messages to ready devices and receipts, on the real broker and database."""

import asyncio
import hashlib
import json
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from services.refurb.reactions.names import device_stream
from shared.events.base import stream_id
from shared.events.distribution import DeviceSold
from tests.refurb.conftest import ASSIGNED, Scene
from tests.refurb.samples import CAPTURES, NOW, case, log

MEDIA = case("d01")[0]["device"]["media"]
AUDIT = {"cpu": "i5", "cpu_mark": 5200, "ram_gb": 16}


def relabelled(name: str, serial: str) -> str:
    """A labelled log about another medium: the serial number is replaced in both places."""
    old = case(name)[0]["device"]["media"][0]["serial"]
    return log(name).decode().replace(old, serial)


def disk(serial: str, size: int = 67108864) -> dict[str, Any]:
    return {"serial": serial, "model": "WDC WD5000AZLX-08K2TA0", "kind": "hdd", "bytes": size}


async def test_from_the_first_message_to_the_sale(scene: Scene) -> None:
    consignment = await scene.assigned(status="public")
    ref, serial = f"PE-{uuid4().hex[:6]}", uuid4().hex[:12].upper()
    about = {"consignment_id": str(consignment), "device_ref": ref}
    await scene.accepted("capacity_declared", {"weekly_places": {"laptop": 40}})
    await scene.accepted("consignment_received", {"consignment_id": str(consignment), "counted": 1})
    await scene.accepted("device_received", {**about, "device_type": "desktop", "serial": "To Be Filled By O.E.M."})
    await scene.accepted("device_audited", {**about, "media": [disk(serial)], **AUDIT})
    await scene.accepted("medium_erased", {**about, "log": relabelled("d01", serial)})
    await scene.accepted("device_repaired", {**about, "parts": ["battery"]})
    await scene.accepted("device_finished", about)
    device = device_stream("trira", ref)
    assert await scene.events(device) == [
        "device_received",
        "device_audited",
        "evidence_filed",
        "medium_sanitised",
        "device_repaired",
        "device_graded",
        "device_ready",
    ]
    row = await scene.site.desk.pool.fetchrow("SELECT serial, donor_public, region, category FROM devices WHERE id = $1", device)
    assert row
    assert tuple(row) == (None, True, "ara", "B")

    sale = uuid4()
    sold = DeviceSold(
        sale_id=sale,
        device_id=device,
        consignment_id=consignment,
        donation_id=uuid4(),
        refurbisher="trira",
        device_type="desktop",
        category="B",
        structure="STR-1",
        voucher_id=uuid4(),
        price_cents=8000,
        price_rules="test",
        sold_at=NOW,
        warranty_until=NOW.date(),
    )
    await scene.told.tell("distribution.sales.ara", stream_id("sale", sale), sold)
    await scene.site.until(lambda: scene.count("devices", "id = $1 AND status = 'sold'", device))


async def test_a_failed_erasure_is_told_and_can_only_be_scrapped(scene: Scene) -> None:
    consignment = await scene.assigned()
    ref, serial = f"PE-{uuid4().hex[:6]}", uuid4().hex[:12].upper()
    about = {"consignment_id": str(consignment), "device_ref": ref}
    await scene.accepted("device_received", {**about, "device_type": "laptop"})
    await scene.accepted("device_audited", {**about, "media": [disk(serial)], **AUDIT})
    await scene.accepted("medium_erased", {**about, "log": relabelled("d03", serial)})
    found = await scene.say("device_finished", about)
    assert (found["outcome"], found["faults"]) == ("rejected", [("/media", "failed")])
    assert "-FAILED-" in found["evidence"][0]
    await scene.accepted("device_scrapped", {**about, "reason": "erasure_failed"})
    device = device_stream("trira", ref)
    assert await scene.events(device) == [
        "device_received",
        "device_audited",
        "evidence_filed",
        "sanitisation_rejected",
        "device_scrapped",
    ]


async def test_any_order_ends_the_same(scene: Scene) -> None:
    consignment = await scene.assigned()
    ref, serial = f"PE-{uuid4().hex[:6]}", uuid4().hex[:12].upper()
    about = {"consignment_id": str(consignment), "device_ref": ref}
    finish = await scene.client.tell("device_finished", about)
    await scene.accepted("medium_erased", {**about, "log": relabelled("d01", serial)})
    audited = await scene.client.tell("device_audited", {**about, "media": [disk(serial)], **AUDIT})
    await scene.accepted("device_received", {**about, "device_type": "desktop"})
    assert [(await scene.receipt(waited))["outcome"] for waited in (audited, finish)] == ["accepted"] * 2
    assert (await scene.events(device_stream("trira", ref)))[-1] == "device_ready"


async def test_a_device_may_come_before_its_consignment(scene: Scene) -> None:
    unknown = uuid4()
    about = {"consignment_id": str(unknown), "device_ref": f"PE-{uuid4().hex[:6]}"}
    early = await scene.client.tell("device_received", {**about, "device_type": "laptop"})
    await scene.site.until(lambda: scene.count("parked", "why = 'early' AND reason = 'consignment_unknown'"))
    assert not await scene.count("receipts", "report_id = $1", early)


async def test_a_repeat_has_one_effect_and_one_receipt(scene: Scene) -> None:
    consignment = await scene.assigned()
    about = {"consignment_id": str(consignment), "device_ref": f"PE-{uuid4().hex[:6]}", "device_type": "tablet"}
    ce_id = str(uuid4())
    for _ in range(3):
        await scene.client.tell("device_received", about, id=ce_id)
    assert (await scene.receipt(ce_id))["outcome"] == "accepted"
    await scene.accepted("device_received", about)
    assert await scene.count("events", "data->>'report_id' = $1", ce_id) == 1
    assert await scene.events(device_stream("trira", about["device_ref"])) == ["device_received"]

    await scene.client.tell("device_received", {**about, "maker": "Dell"}, id=ce_id)
    await scene.site.until(lambda: scene.count("receipts", "report_id = $1 AND jsonb_array_length(reused) = 1", ce_id))
    assert await scene.count("events", "data->>'report_id' = $1 AND type = 'refurb.report_rejected.v1'", ce_id) == 1


async def test_every_wrong_message_gets_one_rejected_receipt(scene: Scene) -> None:
    mine, other = await scene.assigned(), await scene.assigned("ares")
    about = {"consignment_id": str(mine), "device_ref": f"PE-{uuid4().hex[:6]}"}
    wrong: list[tuple[str, dict[str, Any] | bytes, dict[str, Any], tuple[str, str]]] = [
        ("device_received", b"{", {"key": "x"}, ("", "malformed_json")),
        ("device_received", b"\xff\xfe", {"key": "x"}, ("", "malformed_json")),
        ("device_received", {**about, "device_type": "toaster"}, {}, ("/device_type", "not_one_of")),
        ("device_vanished", about, {}, ("header:ce_type", "unknown_type")),
        ("device_received", {**about, "device_type": "laptop"}, {"key": "PE-OTHER"}, ("key", "wrong_key")),
        ("device_received", json.dumps({**about, "device_type": "laptop"}).encode(), {}, ("key", "missing_key")),
        ("consignment_received", {"consignment_id": str(other), "counted": 1}, {}, ("/consignment_id", "consignment_of_another")),
        ("medium_erased", {**about, "log": "<?xml version='1.0'?>"}, {}, ("/log", "unreadable")),
        ("medium_erased", {**about, "log": "wiped it myself, promise"}, {}, ("/log", "unsupported_format")),
        ("medium_erased", {**about, "log": "  "}, {}, ("/log", "unreadable")),
        ("capacity_declared", b'{"weekly_places": {"laptop": NaN}}', {"key": "trira"}, ("/weekly_places/laptop", "not_a_number")),
    ]
    sent = [(await scene.client.tell(kind, value, **more), fault) for kind, value, more, fault in wrong]
    for ce_id, fault in sent:
        found = await scene.receipt(ce_id)
        assert (found["outcome"], found["faults"]) == ("rejected", [fault])
    assert await scene.count("parked", "why <> 'early'") == 0
    assert await scene.count("devices", "device_ref = $1", about["device_ref"]) == 0


async def test_an_envelope_is_one_of_cloudevents(scene: Scene) -> None:
    """What a receipt cannot repeat, a version that we do not read, a time without its offset: refused, each with its code."""
    good = {"ce_specversion": "1.0", "ce_source": "/trira/odd", "ce_type": "partner.capacity_declared.v1"}
    wrong = {
        "bad_ce_id": {"ce_id": f"{uuid4()}\x00"},
        "bad_ce_id ": {"ce_id": "x" * 5_000},
        "bad_ce_source": {"ce_id": str(uuid4()), "ce_source": "s" * 201},
        "bad_ce_specversion": {"ce_id": str(uuid4()), "ce_specversion": "0.3"},
        "bad_ce_time": {"ce_id": str(uuid4()), "ce_time": "2026-11-23T09:30:00"},
        "bad_ce_time ": {"ce_id": str(uuid4()), "ce_time": "yesterday"},
    }
    for code, headers in wrong.items():
        text = json.dumps({"weekly_places": {"laptop": 70 + len(code)}}).encode()
        await scene.told.raw("refurb.inbound.trira", b"trira", text, {**good, **headers})
        expected = json.dumps([{"code": code.strip(), "where": f"header:{code.strip().removeprefix('bad_')}"}])
        found = "faults @> $1::jsonb AND content_sha256 = $2"
        mark = hashlib.sha256(b"partner.capacity_declared.v1\n" + text).hexdigest()
        await scene.site.until(partial(scene.count, "receipts", found, expected, mark))
    bare = {name: value for name, value in good.items() if name != "ce_specversion"} | {"ce_id": str(uuid4())}
    await scene.told.raw("refurb.inbound.trira", b"trira", b'{"weekly_places": {"laptop": 69}}', bare)
    assert (await scene.receipt(bare["ce_id"]))["outcome"] == "accepted", "what CloudEvents leaves open may be left out"


async def test_a_message_without_envelope_is_answered_too(scene: Scene) -> None:
    before = await scene.count("receipts", "report_id IS NULL")
    for headers in ({}, {"ce_source": "x", "ce_type": "partner.device_finished.v1"}):
        await scene.told.raw("refurb.inbound.trira", b"\xff\x00", b"\x00" * 1000, headers)
    await scene.told.raw("refurb.inbound.trira", None, b"", {})
    await scene.site.until(lambda: reached(scene, before + 3))
    rows = await scene.site.desk.pool.fetch("SELECT faults->0->>'code' AS code FROM receipts WHERE report_id IS NULL")
    assert {row["code"] for row in rows} == {"missing_ce_id"}


async def reached(scene: Scene, wanted: int) -> bool:
    return await scene.count("receipts", "report_id IS NULL") == wanted


async def test_a_report_proves_one_device_only(scene: Scene) -> None:
    consignment = await scene.assigned()
    serial = uuid4().hex[:12].upper()
    text = relabelled("d01", serial)
    abouts = [{"consignment_id": str(consignment), "device_ref": f"PE-{uuid4().hex[:6]}"} for _ in range(3)]
    for about in abouts:
        await scene.accepted("device_received", {**about, "device_type": "desktop"})
    await scene.accepted("medium_erased", {**abouts[0], "log": text})
    await scene.accepted("medium_erased", {**abouts[0], "log": text})
    assert (await scene.say("medium_erased", {**abouts[1], "log": text}))["faults"] == [("/log", "duplicate_evidence")]
    assert (await scene.say("medium_erased", {**abouts[2], "log": text + "\n\n"}))["faults"] == [("/log", "duplicate_evidence")]


async def test_a_snapshot_is_read_and_a_reset_statement_proves_a_telephone(scene: Scene) -> None:
    consignment = await scene.assigned()
    machine = CAPTURES / "m05-desktop-hdd-nvme"
    snapshot = {
        "smartctl": json.loads((machine / "smartctl.json").read_text()),
        "dmidecode": (machine / "dmidecode-baseboard.txt").read_text(),
        "lscpu": (machine / "lscpu.txt").read_text(),
    }
    about = {"consignment_id": str(consignment), "device_ref": f"PE-{uuid4().hex[:6]}"}
    await scene.accepted("device_received", {**about, "device_type": "desktop"})
    await scene.accepted("device_audited", {**about, "snapshot": snapshot, "cpu_mark": 5600, "ram_gb": 8})
    row = await scene.site.desk.pool.fetchval("SELECT audit FROM devices WHERE device_ref = $1", about["device_ref"])
    audit = json.loads(row)
    assert [m["serial"] for m in audit["media"]] == ["WD-WCYHX3685310", "4299JVMU2653YSV"]
    assert json.loads(scene.site.service.state["evidence"].fetch(audit["evidence_sha256"]))["snapshot"] == snapshot

    phone = {"consignment_id": str(consignment), "device_ref": f"PH-{uuid4().hex[:6]}"}
    media = [{"serial": "356938035643809", "model": "iPhone SE (2020)", "kind": "phone", "bytes": 64_000_000_000}]
    await scene.accepted("device_received", {**phone, "device_type": "smartphone"})
    await scene.accepted("device_audited", {**phone, "media": media, "ram_gb": 3, "benchmark_thousands": 300})
    await scene.accepted("medium_erased", {**phone, "log": log("d22").decode()})
    await scene.accepted("device_finished", phone)
    events = await scene.events(device_stream("trira", phone["device_ref"]))
    assert events[-1] == "device_ready"
    stored = await scene.site.desk.pool.fetch("SELECT data::text FROM events WHERE topic IS NOT NULL")
    assert not any("Opératrice" in row["data"] for row in stored), "names of people never leave the evidence store"


async def test_the_donor_asks_for_more_than_an_overwriting_gives(scene: Scene) -> None:
    consignment = await scene.assigned(required="Purge")
    serial = uuid4().hex[:12].upper()
    about = {"consignment_id": str(consignment), "device_ref": f"PE-{uuid4().hex[:6]}"}
    await scene.accepted("device_received", {**about, "device_type": "desktop"})
    await scene.accepted("device_audited", {**about, "media": [disk(serial)], **AUDIT})
    await scene.accepted("medium_erased", {**about, "log": relabelled("d01", serial)})
    assert (await scene.say("device_finished", about))["faults"] == [("/media", "class_insufficient")]


async def test_the_documented_client_reads_its_receipts_and_consignments(scene: Scene) -> None:
    consignment = await scene.assigned()
    sent = await scene.client.tell("consignment_refused", {"consignment_id": str(consignment), "reason": "no_room"})
    async with asyncio.timeout(20):
        async for kind, receipt in scene.client.read("refurb.receipts"):
            if receipt["report_id"] == sent:
                assert kind == "refurb.report_accepted.v1"
                break
        async for kind, event in scene.client.read("routing.consignments"):
            if event.get("consignment_id") == str(consignment):
                assert kind == "routing.consignment_assigned.v1"
                break
    assert await scene.count("arrivals", "consignment_id = $1 AND status = 'turned_down'", consignment) == 1


async def test_evidence_by_hash_waits_for_its_file(scene: Scene) -> None:
    consignment = await scene.assigned()
    serial = uuid4().hex[:12].upper()
    data = relabelled("d01", serial).encode()
    about = {"consignment_id": str(consignment), "device_ref": f"PE-{uuid4().hex[:6]}"}
    await scene.accepted("device_received", {**about, "device_type": "desktop"})
    sha256 = hashlib.sha256(data).hexdigest()
    waiting = await scene.client.tell("medium_erased", {**about, "evidence_sha256": sha256})
    await scene.site.until(lambda: scene.count("parked", "reason = 'evidence_unknown'"))
    async with scene.http() as http:
        assert (await http.put(f"/refurb/evidence/{sha256}", content=data)).status_code == 201
    assert (await scene.receipt(waiting))["outcome"] == "accepted"


async def test_an_erasure_that_is_still_to_come_proves_nothing(scene: Scene) -> None:
    consignment = await scene.assigned()
    log = relabelled("d01", uuid4().hex[:12].upper()).replace("[2026/11/23 ", "[2126/11/23 ")
    about = {"consignment_id": str(consignment), "device_ref": f"PE-{uuid4().hex[:6]}"}
    await scene.accepted("device_received", {**about, "device_type": "desktop"})
    assert (await scene.say("medium_erased", {**about, "log": log}))["faults"] == [("/log", "erasure_in_future")]


async def test_an_erasure_from_before_the_consignment_proves_nothing(scene: Scene) -> None:
    """A genuine report of the very drive, from its earlier life: the donor has used it since."""
    consignment = await scene.assigned()
    serial = uuid4().hex[:12].upper()
    old = relabelled("d01", serial).replace("[2026/11/23 ", "[2025/11/23 ")
    about = {"consignment_id": str(consignment), "device_ref": f"PE-{uuid4().hex[:6]}"}
    await scene.accepted("medium_erased", {**about, "log": old})
    await scene.accepted("device_received", {**about, "device_type": "desktop"})
    await scene.accepted("device_audited", {**about, "media": [disk(serial)], **AUDIT})
    assert (await scene.say("device_finished", about))["faults"] == [("/media", "before_receipt")]
    await scene.accepted("medium_erased", {**about, "log": relabelled("d01", serial)})
    await scene.accepted("device_finished", about)
    row = await scene.site.desk.pool.fetchrow(
        "SELECT d.assigned_at, c.assigned_at FROM devices d JOIN consignments c USING (consignment_id) WHERE d.device_ref = $1",
        about["device_ref"],
    )
    assert row
    assert tuple(row) == (ASSIGNED, ASSIGNED), "when routing said it, not when it came here"


@pytest.mark.parametrize("change", ["status = 'ready'", "refurbisher = ''", "status = 'sold'"])
async def test_the_table_refuses_what_the_rules_refuse(scene: Scene, change: str) -> None:
    consignment = await scene.assigned()
    about = {"consignment_id": str(consignment), "device_ref": f"PE-{uuid4().hex[:6]}"}
    await scene.accepted("device_received", {**about, "device_type": "desktop"})
    device: UUID = device_stream("trira", about["device_ref"])
    with pytest.raises(asyncpg.CheckViolationError):
        await scene.site.desk.pool.execute(f"UPDATE devices SET {change} WHERE id = $1", device)  # noqa: S608 ours

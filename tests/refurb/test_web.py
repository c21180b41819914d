"""The way in by HTTP: lines, evidence, receipts, counts; and who may see what."""

import asyncio
import hashlib
import json
import os
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from services.refurb.reactions.names import device_stream
from shared.events import partner
from tests.refurb.conftest import KEYS, Scene
from tests.refurb.samples import log


def line(kind: str, data: Any, **more: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": str(uuid4()),
        "source": "/trira/bench",
        "type": f"partner.{kind}.v1",
        "data": data,
        **more,
    }


async def post(scene: Scene, *lines: Any) -> httpx.Response:
    body = "\n".join(each if isinstance(each, str) else json.dumps(each) for each in lines)
    async with scene.http() as http:
        return await http.post("/refurb/reports", content=body.encode())


async def test_lines_go_the_same_way_as_messages(scene: Scene) -> None:
    consignment = await scene.assigned()
    about = {"consignment_id": str(consignment), "device_ref": f"PE-{uuid4().hex[:6]}"}
    good = line("device_received", {**about, "device_type": "laptop"}, time="2026-11-23T09:30:00+01:00")
    audit = line("device_audited", {**about, "media": []})
    bad = line("device_received", {**about, "device_type": "toaster"})
    odd = [
        "{",
        "[]",
        '{"id": "x", "data": NaN}',
        line("device_vanished", about),
        {"type": "partner.device_finished.v1"},
        line("device_finished", None),
        line("device_finished", about, time="yesterday"),
        line("device_finished", about, id=5),
        line("medium_erased", {**about, "log": "é" * 600_000}),
        line("device_finished", about, specversion="2.0"),
    ]
    answer = await post(scene, good, bad, "", audit, *odd)
    assert answer.status_code == 202, answer.text
    told = answer.json()
    assert told["published"] == 2
    assert [each["accepted"] for each in told["lines"]] == [
        True,
        False,
        True,
        False,
        False,
        False,
        False,
        False,
        False,
        False,
        False,
        False,
        False,
    ]
    codes = [each["faults"][0]["code"] for each in told["lines"] if not each["accepted"]]
    assert codes == [
        "not_one_of",
        "malformed_json",
        "not_an_object",
        "malformed_json",
        "unknown_type",
        "missing_ce_id",
        "not_an_object",
        "bad_ce_time",
        "missing_ce_id",
        "message_too_large",
        "bad_ce_specversion",
    ]
    assert told["lines"][1]["id"] == bad["id"]
    for sent in (good, audit):
        assert (await scene.receipt(sent["id"]))["outcome"] == "accepted"
    assert await scene.events(device_stream("trira", about["device_ref"])) == ["device_received", "device_audited"]


async def test_a_thousand_lines_at_once_and_no_more(scene: Scene) -> None:
    consignment = await scene.assigned()
    lines = [
        line(
            "device_received",
            {"consignment_id": str(consignment), "device_ref": f"B{n}-{uuid4().hex[:6]}", "device_type": "laptop"},
        )
        for n in range(1001)
    ]
    too_many = await post(scene, *lines)
    assert (too_many.status_code, too_many.json()["code"]) == (422, "too_many_lines")
    assert (await post(scene, *lines[:1000])).json()["published"] == 1000

    async def all_there() -> bool:
        return await scene.count("devices", "consignment_id = $1", consignment) == 1000

    await scene.site.until(all_there, 60)
    assert (await post(scene)).json()["code"] == "no_lines"
    again = await post(scene, *lines[:5])
    assert again.json()["published"] == 5, "a repeat is taken, and changes nothing"


async def test_a_key_names_its_refurbisher(scene: Scene) -> None:
    async with httpx.AsyncClient(base_url=scene.site.url) as nobody:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Bearer {KEYS['trira']}x"}):
            refused = await nobody.post("/refurb/reports", content=b"{}", headers=headers)
            assert (refused.status_code, refused.json()["code"]) == (401, "sign_in")
            assert (await nobody.get("/refurb/receipts", headers=headers)).status_code == 401
            assert (await nobody.put(f"/refurb/evidence/{'a' * 64}", content=b"", headers=headers)).status_code == 401


async def test_receipts_are_read_from_a_number_on_and_only_ones_own(scene: Scene) -> None:
    sent = line("capacity_declared", {"weekly_places": {"laptop": 7}})
    await post(scene, sent)
    await scene.receipt(sent["id"])
    async with scene.http() as trira, scene.http("ares") as ares:
        found: list[dict[str, Any]] = []
        after = 0
        while len(page := (await trira.get("/refurb/receipts", params={"after": after, "limit": 100})).json()["receipts"]):
            found += page
            after = found[-1]["number"]
        assert sent["id"] in [each["report_id"] for each in found]
        assert [each["number"] for each in found] == sorted({each["number"] for each in found})
        assert (await ares.get("/refurb/receipts")).json() == {"receipts": [], "next": 0}
        assert (await trira.get("/refurb/receipts", params={"after": -1})).status_code == 422


async def test_evidence_is_stored_under_its_hash_only(scene: Scene) -> None:
    data = log("d01") + uuid4().hex.encode()
    sha256 = hashlib.sha256(data).hexdigest()
    async with scene.http() as http:
        for wrong in ("a" * 64, sha256.upper(), "../../etc/passwd", "a"):
            answer = await http.put(f"/refurb/evidence/{wrong}", content=data)
            assert answer.status_code in {404, 422}, wrong
        assert (await http.put(f"/refurb/evidence/{sha256}", content=data)).status_code == 201
        assert (await http.put(f"/refurb/evidence/{sha256}", content=data)).status_code == 200
        big = b"x" * (16 * 1024 * 1024 + 1)
        refused = await http.put(f"/refurb/evidence/{hashlib.sha256(big).hexdigest()}", content=big)
        assert (refused.status_code, refused.json()["code"]) == (422, "too_large")
    store = scene.site.service.state["evidence"]
    assert store.fetch(sha256) == data
    assert list(store.folder.rglob("*.part")) == []


async def test_figures_are_for_staff(scene: Scene) -> None:
    async with scene.site.client() as nobody, scene.site.client(staff=True) as staff:
        assert (await nobody.get("/refurb/figures")).status_code == 401
        figures = (await staff.get("/refurb/figures")).json()
    assert set(figures) == {
        "devices",
        "ready",
        "sold",
        "scrapped",
        "lost",
        "returned",
        "blocked",
        "erasures_accepted",
        "erasures_rejected",
        "reports_accepted",
        "reports_rejected",
        "consignments_received",
        "counted",
    }
    assert figures["devices"] >= 0


async def test_the_contract_is_served_as_committed(scene: Scene) -> None:
    async with scene.site.client() as anyone:
        document = (await anyone.get("/refurb/contrat/asyncapi.json")).json()
        assert len(document["channels"]["inbound"]["messages"]) == len(partner.MESSAGES)
        for kind in partner.MESSAGES:
            assert (await anyone.get(f"/refurb/contrat/schemas/{kind.type}.json")).status_code == 200
        assert (await anyone.get("/refurb/contrat/../app.py")).status_code == 404


async def test_the_pages_commands_without_kafka(scene: Scene, tmp_path: Path) -> None:
    """Only the address, the key and the file that is sent are put in: the commands are those of docs/partners/README.md."""
    page = (Path(__file__).parents[2] / "docs" / "partners" / "README.md").read_text("utf-8").partition("## Without Kafka\n")[2]
    said = page.partition("```sh\n")[2].partition("```")[0].replace("https://maillon.example", scene.site.url)
    line = json.loads(page.partition("```json\n")[2].partition("```")[0])
    consignment = await scene.assigned()
    line |= {"id": str(uuid4()), "data": {**line["data"], "consignment_id": str(consignment)}}
    (tmp_path / "messages.jsonl").write_text(json.dumps(line) + "\n")
    (tmp_path / "report.log").write_bytes(b"a report")
    env = {"PATH": os.environ["PATH"], "KEY": KEYS["trira"]}
    shell = await asyncio.create_subprocess_exec(
        "sh", "-eu", "-c", said, cwd=tmp_path, env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    told, wrong = await shell.communicate()
    assert shell.returncode == 0, wrong
    assert told.count(b'"accepted":true') >= 1
    assert await scene.receipt(line["id"]) == {"outcome": "accepted", "faults": [], "evidence": []}
    assert scene.site.service.state["evidence"].fetch(hashlib.sha256(b"a report").hexdigest()) == b"a report"

"""One donation, twelve devices, from six questions to a certified and sold computer: asked of everybody, counted everywhere."""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from aiokafka.errors import TopicAuthorizationFailedError

from deploy.demo.bench import DATA
from deploy.demo.browser import Browser, PageError
from deploy.demo.figures import Figures, asked, counted, disagreements
from deploy.demo.refurbisher import connect
from deploy.demo.stage import Stage
from deploy.demo.walk import Offer
from deploy.local.jars import ROOT
from deploy.local.state import Folder
from deploy.topology import SERVICES, partner_user
from tests.flows.proof import faults, settled
from tests.support.platform import new_folder

pytestmark = pytest.mark.timeout(300)
AS_IT_MUST_BE = Figures(
    donations=1,
    consignments=1,
    collected=1,
    received_at_point=0,
    devices=12,
    erasures_accepted=12,
    erasures_rejected=1,
    ready=11,
    scrapped=1,
    certificates=1,
    erased=11,
    not_erased=1,
    vouchers_spent=3,
    sold=3,
)
KEYS = {
    "ok",
    "donation",
    "consignments",
    "devices",
    "erasures_accepted",
    "erasures_rejected",
    "certificates",
    "sold",
    "signature_valid",
    "log_inclusion_valid",
    "certificate_pdf",
    "seconds",
    "rss_mb",
}


def test_what_people_saw_is_what_the_topics_say(walked: dict[str, Any]) -> None:
    assert walked["ok"]
    assert walked["signature_valid"]
    assert walked["log_inclusion_valid"]
    assert Path(walked["certificate_pdf"]).read_bytes().startswith(b"%PDF")
    assert walked["counted"] == AS_IT_MUST_BE
    for name in ("consignments", "devices", "erasures_accepted", "erasures_rejected", "certificates", "sold"):
        assert walked[name] == getattr(AS_IT_MUST_BE, name), name


@pytest.mark.usefixtures("walked")
async def test_every_service_says_what_the_topics_say(stage: Stage) -> None:
    told = await asked(stage.stack.origin, stage.stack.secrets["staff_code"])
    assert set(told) == set(SERVICES)
    assert disagreements(await counted(stage.stack), told) == []


@pytest.mark.usefixtures("walked")
async def test_rows_are_what_events_say_and_everybody_heard_everything(stage: Stage) -> None:
    assert await faults(stage) == []


@pytest.fixture
def changed_log(tmp_path: Path) -> Path:
    """The bench's data with one figure of one wipe log changed: verification errors of the disk of one desktop."""
    data = tmp_path / "data"
    shutil.copytree(DATA, data)
    log = data / "nwipe" / "g04-dodshort-2-rounds-verify-all.log"
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
    at = next(number for number, line in enumerate(lines) if "Verifications Errors" in line) + 2
    assert lines[at].split() == ["loop3", "|", "0", "|", "0", "|", "0"]
    lines[at] = lines[at].replace("|                    0 |", "|                    3 |", 1)
    log.write_text("".join(lines), encoding="utf-8")
    return data


@pytest.mark.usefixtures("walked")
async def test_one_changed_wipe_log_changes_the_figures(stage: Stage, changed_log: Path) -> None:
    await stage.stack.stop("refurbisher")
    await stage.open_workshop(changed_log)
    try:
        answer = await stage.walk(Offer(wanted={"laptop": 5, "desktop": 5}))
    finally:
        await stage.stack.stop("refurbisher")
        await stage.open_workshop()
    await settled(stage)
    found = await counted(stage.stack, answer["donation"])
    assert answer["ok"]
    assert (found.erasures_accepted, found.erasures_rejected, found.ready, found.scrapped) == (11, 2, 10, 2)
    assert (found.erased, found.not_erased) == (10, 2)
    assert (answer["erasures_accepted"], answer["erasures_rejected"]) == (11, 2)


async def test_a_small_public_donation_goes_by_a_reception_point_and_under_the_ceiling(stage: Stage) -> None:
    town = {"donor_status": "public", "donor_name": "Ville de Brindille (fictive)", "company_number": "217000017", "pallets": ""}
    offer = Offer(declared={"laptop": 6, "desktop": 3}, wanted={"laptop": 5, "desktop": 3}, otherwise=town)
    async with stage.new_walk(offer) as walk:
        story = await walk.whole()
        answer = await stage.told(walk)
    await settled(stage)
    found = await counted(stage.stack, answer["donation"])
    assert answer["ok"]
    assert (found.devices, found.ready, found.scrapped, found.sold) == (9, 8, 1, 3)
    assert (found.received_at_point, found.collected) == (1, 0)
    assert story.sales[0].words.replace("\u00a0", " ") == "Vendu : portable à 180 €", "190 € by the price list, 180 € by law"


@pytest_asyncio.fixture(loop_scope="session")
async def till(stage: Stage, walked: dict[str, Any]) -> AsyncIterator[httpx.AsyncClient]:
    """A program of the staff's."""
    assert walked["ok"]
    headers = {"Authorization": f"Bearer {stage.stack.secrets['staff_code']}"}
    async with httpx.AsyncClient(base_url=stage.stack.origin, headers=headers, timeout=20) as client:
        yield client


async def test_a_voucher_is_spent_once_at_the_same_instant_too(stage: Stage, till: httpx.AsyncClient) -> None:
    devices = [each for each in (await till.get("/distribution/devices")).json() if each["status"] == "delivered"]
    one, other, *_ = (d for d in devices if d["device_type"] == "desktop" and d["structure"] == devices[0]["structure"])
    asked_for = {"device_type": "desktop", "structure": one["structure"]}
    voucher = (await till.put(f"/distribution/vouchers/{uuid4().hex}", json=asked_for)).raise_for_status().json()["code"]
    sales = {str(uuid4()): {"voucher": voucher, "device": each["device_id"]} for each in (one, other)}
    both = await asyncio.gather(*(till.put(f"/distribution/sales/{name}", json=sale) for name, sale in sales.items()))
    assert sorted(answer.status_code for answer in both) == [200, 409]
    refused = next(answer.json() for answer in both if answer.status_code == 409)
    assert refused["code"] == "voucher_already_spent"
    won = next(name for name, answer in zip(sales, both, strict=True) if answer.status_code == 200)
    again = await till.put(f"/distribution/sales/{won}", json=sales[won])
    assert again.status_code == 200
    await settled(stage)


async def test_a_partner_cannot_speak_for_another(stage: Stage) -> None:
    password = stage.stack.secrets[f"kafka.{partner_user('trira')}"]
    async with connect("bocage", stage.stack.kafka_bootstrap, password, user=partner_user("trira")) as client:
        with pytest.raises(TopicAuthorizationFailedError):
            await client.tell("capacity_declared", {"weekly_places": {"laptop": 1}})


async def test_a_workshop_enters_with_the_key_of_its_folder(stage: Stage) -> None:
    """The key that the demo shows: for the console, and over HTTP for its own refurbisher alone."""
    async with Browser(stage.stack.origin) as workshop:
        door, key = await workshop.get("/refurb/partenaires"), stage.stack.secrets["partner.trira"]
        page = await workshop.send(door, door.form(lambda form: "key" in form.fields), {"key": key})
        assert page.url == f"{stage.stack.origin}/refurb/appareils"
        assert set(json.loads((await workshop.get("/refurb/receipts?after=0", bearer=key)).content)) == {"receipts", "next"}
        with pytest.raises(PageError, match="401"):
            await workshop.get("/refurb/receipts?after=0", bearer=stage.stack.secrets["partner.bocage"] + "x")


async def test_a_second_demo_in_a_folder_is_told_so(tmp_path: Path) -> None:
    with Folder(tmp_path):
        argv = (sys.executable, "-m", "deploy.demo", "--exit", "--folder", str(tmp_path))
        process = await asyncio.create_subprocess_exec(*argv, cwd=ROOT, stderr=asyncio.subprocess.PIPE)
        async with asyncio.timeout(60):
            _, said = await process.communicate()
    told = (
        f"{tmp_path}: another stack runs here (process {os.getpid()}). Stop it first (Ctrl-C where it runs), or use its site.\n"
    )
    assert (process.returncode, said.decode()) == (2, told)


async def test_the_command_walks_once_and_leaves_nothing_behind() -> None:
    folder = new_folder("demo-")
    argv = (sys.executable, "-m", "deploy.demo", "--exit", "--folder", str(folder))
    process = await asyncio.create_subprocess_exec(*argv, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(280):
        said, _ = await process.communicate()
    last = json.loads(said.splitlines()[-1])
    assert process.returncode == 0, said.decode()
    assert set(last) == KEYS
    assert last["ok"] is True
    assert set(last["seconds"]) == {"setup", "start", "chain"}
    assert set(last["rss_mb"]) == set(SERVICES)
    assert list((folder / "pids").iterdir()) == []
    shutil.rmtree(folder)

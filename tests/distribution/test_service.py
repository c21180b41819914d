"""From a device that is ready to its sale, by messages and HTTP, on the real broker and database."""

import asyncio
import json
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from shared.events.base import stream_id
from tests.distribution.conftest import FAR, NEAR, Scene


async def test_a_ready_device_goes_to_the_nearest_need_and_is_sold(scene: Scene) -> None:
    before = await scene.figures()
    campaign = await scene.ask(NEAR, FAR)
    for structure in (FAR, NEAR):
        assert (await scene.need(structure, campaign, laptop=1)).json()["unmet"] == 1
    device, ref = await scene.ready("laptop", "PREMIUM", public=True)
    await scene.given(device, NEAR)
    item = await scene.item(device)
    assert (item["status"], item["reason"], item["distance_km"]) == ("allotted", "nearest", 16)

    moved = await scene.staff.put(f"/distribution/devices/{device}/shipment")
    assert moved.json()["status"] == "shipped"
    here = await scene.staff.put(f"/distribution/devices/{device}/delivery", headers=scene.speak_for(NEAR))
    assert here.json()["status"] == "delivered"

    quote = (await scene.staff.get("/distribution/quote", params={"device": ref}, headers=scene.speak_for(NEAR))).json()
    assert (quote["price_cents"], quote["list_price_cents"], quote["because"]) == (18_000, 19_000, "ceiling")
    voucher = await scene.voucher()
    sale = uuid4()
    sold = await scene.sell(voucher["code"].lower(), ref.lower(), sale, NEAR, price_cents=18_000)
    assert sold.status_code == 200, sold.text
    told = sold.json()
    assert {
        name: told[name] for name in ("device_id", "voucher_id", "structure", "price_cents", "ceiling_cents", "price_rules")
    } == {
        "device_id": str(device),
        "voucher_id": voucher["voucher_id"],
        "structure": NEAR,
        "price_cents": 18_000,
        "ceiling_cents": 18_000,
        "price_rules": "price-2026-01",
    }
    booked = await scene.staff.put(f"/distribution/sales/{sale}/training", json={"answer": "booked"})
    assert booked.json()["training"] == "booked"
    assert (await scene.need(FAR, campaign)).json()["unmet"] == 0
    assert grown(before, await scene.figures()) == {
        "stock.sold": 1,
        "vouchers.spent": 1,
        "training.booked": 1,
        "asked": 2,
        "answered": 2,
        "wanted": 1,
        "met": 1,
        "sold": 1,
        "paid_cents": 18_000,
    }


def grown(before: dict[str, Any], after: dict[str, Any]) -> dict[str, int]:
    """What the figures have gained."""

    def flat(figures: dict[str, Any]) -> dict[str, int]:
        found: dict[str, int] = {}
        for name, value in figures.items():
            found |= {f"{name}.{part}": n for part, n in value.items()} if isinstance(value, dict) else {name: value}
        return found

    was, now = flat(before), flat(after)
    return {name: now.get(name, 0) - was.get(name, 0) for name in was | now if now.get(name, 0) != was.get(name, 0)}


async def test_a_sale_repeated_is_the_same_answer_even_after_the_device_came_back(scene: Scene) -> None:
    device, ref = await scene.here(NEAR)
    voucher, sale = await scene.voucher(), uuid4()
    first = await scene.sell(voucher["code"], ref, sale, NEAR)
    again = await scene.sell(voucher["code"], ref, sale, NEAR)
    assert (first.status_code, first.json()) == (200, again.json())
    other = await scene.sell(voucher["code"], ref, sale, NEAR, free_reason="lockdown")
    assert (other.status_code, other.json()["code"]) == (409, "sale_differs")

    await scene.taken_back(device)
    await scene.ready("laptop", "C", ref=ref)
    await scene.site.until(lambda: back(scene, device))
    late = await scene.sell(voucher["code"], ref, sale, NEAR)
    assert late.json() == first.json()
    await scene.scrapped(device)
    await scene.site.until(lambda: gone(scene, device))


async def back(scene: Scene, device: UUID) -> bool:
    return (await scene.item(device)).get("status") == "available"


async def gone(scene: Scene, device: UUID) -> bool:
    return not await scene.item(device)


async def test_a_voucher_is_spent_once_whatever_the_till(scene: Scene) -> None:
    _, first = await scene.here(NEAR)
    second_id, second = await scene.here(FAR)
    voucher = await scene.voucher()
    assert (await scene.sell(voucher["code"], first, structure=NEAR)).status_code == 200
    refused = await scene.sell(voucher["code"], second, structure=FAR)
    assert (refused.status_code, refused.json()["code"]) == (409, "voucher_already_spent")
    assert set(refused.json()["detail"]) == {"spent_at"}
    assert (await scene.item(second_id))["status"] == "delivered"


async def test_fifty_sales_of_one_voucher_at_the_same_instant_are_one(scene: Scene) -> None:
    devices = [await scene.here(NEAR) for _ in range(3)]
    before = await scene.figures()
    voucher = await scene.voucher()
    before["vouchers"]["issued"] = before["vouchers"].get("issued", 0) + 1
    async with scene.site.client(staff=True) as crowd:

        async def one(n: int) -> httpx.Response:
            body = {"voucher": voucher["code"], "device": str(devices[n % 3][0])}
            return await crowd.put(f"/distribution/sales/{uuid4()}", json=body)

        answers = await asyncio.gather(*(one(n) for n in range(50)))
    told = [answer.status_code for answer in answers]
    assert told.count(200) == 1, told
    for answer in answers:
        assert answer.status_code in {200, 409, 503}, answer.text
    codes = {answer.json().get("code") for answer in answers if answer.status_code == 409}
    assert codes == {"voucher_already_spent"}
    assert grown(before, await scene.figures()) == {
        "stock.delivered": -1,
        "stock.sold": 1,
        "vouchers.issued": -1,
        "vouchers.spent": 1,
        "training.open": 1,
        "sold": 1,
        "paid_cents": 7_500,
    }


def try_to_sell(url: str, code: str, device: str, at: float) -> tuple[int, str]:
    """Run in a process of its own: wait for the agreed moment, then sell."""
    with httpx.Client(base_url=url, headers={"Authorization": "Bearer code-de-test"}, timeout=20) as client:
        client.get("/health")
        time.sleep(max(0.0, at - time.time()))
        answer = client.put(f"/distribution/sales/{uuid4()}", json={"voucher": code, "device": device})
        return answer.status_code, answer.json().get("code", "")


async def test_two_processes_cannot_spend_one_voucher(scene: Scene) -> None:
    (_, first), (_, second) = await scene.here(NEAR), await scene.here(FAR)
    voucher, before = await scene.voucher(), await scene.figures()
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        at = time.time() + 4
        answers = await asyncio.gather(
            *(loop.run_in_executor(pool, try_to_sell, scene.site.url, voucher["code"], ref, at) for ref in (first, second))
        )
    assert sorted(answers) == [(200, ""), (409, "voucher_already_spent")]
    assert (await scene.figures())["sold"] == before["sold"] + 1


@pytest.mark.parametrize("more", [{"kind": "tablet"}, {"kind": "smartphone"}])
async def test_a_voucher_for_something_else(scene: Scene, more: dict[str, str]) -> None:
    _, ref = await scene.here(NEAR)
    voucher = await scene.voucher(**more)  # type: ignore[arg-type]
    refused = await scene.sell(voucher["code"], ref, structure=NEAR)
    assert (refused.status_code, refused.json()["code"]) == (409, "voucher_other_type")


async def test_vouchers_that_buy_nothing_and_devices_that_are_not_sold(scene: Scene) -> None:
    device, ref = await scene.here(NEAR)
    before = await scene.figures()
    good, lost = await scene.voucher(), await scene.voucher()
    revoked = await scene.staff.put(f"/distribution/vouchers/{lost['voucher_id']}/revocation", json={"reason": "lost"})
    assert revoked.json()["status"] == "revoked"
    await scene.site.desk.pool.execute("UPDATE vouchers SET expires = '2020-01-01' WHERE id = $1", UUID(good["voucher_id"]))
    told = [
        (await scene.sell(code, what, structure=where)).json()["code"]
        for code, what, where in [
            (lost["code"], ref, NEAR),
            (good["code"], ref, NEAR),
            ("BON-0000-0000-0000-0000", ref, NEAR),
            ("nonsense", ref, NEAR),
            ("BON-0000-0000-0000-0000", "no such device", NEAR),
        ]
    ]
    assert told == ["voucher_revoked", "voucher_expired", "voucher_unknown", "voucher_code_unreadable", "device_unknown"]
    await scene.site.desk.pool.execute(
        "UPDATE vouchers SET expires = (SELECT (data->>'expires')::date FROM events WHERE stream = $1 AND version = 1) WHERE id = $1",
        UUID(good["voucher_id"]),
    )
    await scene.ask(FAR)
    elsewhere = await scene.sell(good["code"], ref, structure=FAR)
    assert elsewhere.json()["code"] == "device_elsewhere"
    assert (await scene.item(device))["status"] == "delivered"
    found = grown(before, await scene.figures())
    assert {name: n for name, n in found.items() if name.startswith("vouchers") or name == "sold"} == {
        "vouchers.issued": 1,
        "vouchers.revoked": 1,
    }


async def test_what_nobody_wants_waits_and_goes_when_somebody_asks(scene: Scene) -> None:
    device, _ = await scene.ready("printer")
    await scene.site.until(lambda: back(scene, device))
    await scene.need(NEAR, await scene.ask(NEAR), printer=1)
    await scene.given(device, NEAR)


async def test_a_scrapped_device_leaves_and_its_need_is_open_again(scene: Scene) -> None:
    before = await scene.figures()
    await scene.need(NEAR, await scene.ask(NEAR), laptop=1)
    device, _ = await scene.ready()
    await scene.given(device, NEAR)
    await scene.scrapped(device)
    other, _ = await scene.ready()
    await scene.given(other, NEAR)
    assert await scene.item(device) == {}
    assert (await scene.figures())["met"] == before["met"] + 1


async def test_nobody_is_asked_twice_and_links_are_told_once(scene: Scene) -> None:
    first = (await scene.staff.put("/distribution/campaigns/ete", json={"regions": ["ara"]})).json()
    again = (await scene.staff.put("/distribution/campaigns/ete", json={"regions": ["ara"]})).json()
    assert (first["asked"], len(first["links"]), again["asked"], again["links"]) == (107, 107, 0, [])
    kept = await scene.site.desk.pool.fetch("SELECT hash FROM links WHERE campaign = 'ete'")
    assert len({bytes(row["hash"]) for row in kept}) == 107
    stored = str([dict(row) for row in await scene.site.desk.pool.fetch("SELECT * FROM events")])
    assert not any(link["token"] in stored for link in first["links"])


async def test_doors(scene: Scene) -> None:
    campaign = await scene.ask(NEAR, FAR)
    near = scene.speak_for(NEAR)
    nobody = {"Authorization": "Bearer nonsense"}
    told = [
        (await scene.staff.get("/distribution/figures", headers=nobody)).status_code,
        (await scene.staff.get("/distribution/figures", headers=near)).status_code,
        (await scene.staff.put(f"/distribution/needs/{FAR}/{campaign}", json={"wanted": {}}, headers=near)).status_code,
        (await scene.staff.put(f"/distribution/needs/{NEAR}/inconnue", json={"wanted": {}}, headers=near)).status_code,
        (
            await scene.staff.put(f"/distribution/needs/{NEAR}/permanent", json={"wanted": {"laptop": 1}}, headers=near)
        ).status_code,
        (
            await scene.staff.put(f"/distribution/needs/{NEAR}/{campaign}", json={"wanted": {"laptop": -1}}, headers=near)
        ).status_code,
        (await scene.staff.put(f"/distribution/needs/{NEAR}/{campaign}", json={"wanted": {"boat": 1}}, headers=near)).status_code,
        (await scene.staff.put("/distribution/campaigns/x", json={"structures": ["STR-9999"]})).status_code,
    ]
    assert told == [401, 403, 403, 404, 200, 422, 422, 404]
    await scene.need(NEAR, "permanent")
    theirs = (await scene.voucher(FAR))["voucher_id"]
    taken = await scene.staff.put(f"/distribution/vouchers/{theirs}/revocation", json={"reason": "lost"}, headers=near)
    assert (taken.status_code, taken.json()["code"]) == (404, "voucher_unknown")
    body = {"structure": FAR, "device_type": "laptop"}
    assert (await scene.staff.put(f"/distribution/vouchers/{uuid4()}", json=body, headers=near)).status_code == 403
    device, ref = await scene.here(FAR)
    sale = uuid4()
    code = (await scene.voucher())["code"]
    assert (await scene.staff.put(f"/distribution/devices/{device}/delivery", headers=near)).status_code == 409
    assert (await scene.sell(code, ref, sale)).status_code == 200
    assert (await scene.staff.get(f"/distribution/sales/{sale}", headers=near)).status_code == 404
    answer = await scene.staff.put(f"/distribution/sales/{sale}/training", json={"answer": "later"}, headers=near)
    assert answer.status_code == 404


@pytest.mark.parametrize("device", ["\x00", "PC\x00-1", "\ud800"])
async def test_what_no_text_can_hold_is_told_and_is_no_bug(scene: Scene, device: str) -> None:
    sale = json.dumps({"voucher": "BON-0000-0000-0000-0000", "device": device})
    kind = {"content-type": "application/json"}
    answer = await scene.staff.put(f"/distribution/sales/{uuid4()}", content=sale, headers=kind)
    assert answer.status_code == 422, answer.text


async def test_the_same_voucher_request_is_the_same_code_and_no_code_is_kept(scene: Scene) -> None:
    request = uuid4()
    body = {"structure": NEAR, "device_type": "laptop"}
    first = (await scene.staff.put(f"/distribution/vouchers/{request}", json=body)).json()
    again = (await scene.staff.put(f"/distribution/vouchers/{request}", json=body)).json()
    assert first == again
    differs = await scene.staff.put(f"/distribution/vouchers/{request}", json=body | {"device_type": "tablet"})
    assert differs.json()["code"] == "voucher_differs"
    pool = scene.site.desk.pool
    kept = [*await pool.fetch("SELECT * FROM events"), *await pool.fetch("SELECT * FROM vouchers")]
    rows = str([dict(row) for row in kept])
    assert first["code"] not in rows
    assert first["voucher_id"] in rows


async def test_the_database_holds_the_rules_too(scene: Scene) -> None:
    _, ref = await scene.here(NEAR, "laptop", "PREMIUM", public=True)
    voucher = await scene.voucher()
    sale = uuid4()
    assert (await scene.sell(voucher["code"], ref, sale)).status_code == 200
    pool, row = scene.site.desk.pool, stream_id("sale", sale)
    for broken in (
        "UPDATE sales SET price_cents = 18001 WHERE id = $1",
        "UPDATE sales SET price_cents = 0 WHERE id = $1",
        "UPDATE sales SET price_cents = -1 WHERE id = $1",
        "UPDATE sales SET ceiling_cents = NULL WHERE id = $1",
        "UPDATE vouchers SET status = 'issued' WHERE id = (SELECT voucher_id FROM sales WHERE id = $1)",
    ):
        with pytest.raises(asyncpg.CheckViolationError):
            await pool.execute(broken, row)
    await scene.here(NEAR)
    other = await scene.voucher()
    _, spare = await scene.here(NEAR)
    another = uuid4()
    assert (await scene.sell(other["code"], spare, another)).status_code == 200
    for taken in ("voucher_id", "device_id"):
        with pytest.raises(asyncpg.UniqueViolationError):
            await pool.execute(
                f"UPDATE sales SET {taken} = (SELECT {taken} FROM sales WHERE id = $1) WHERE id = $2",  # noqa: S608
                row,
                stream_id("sale", another),
            )

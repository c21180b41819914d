import asyncio
import json
import uuid
from typing import Any

import httpx
import pytest

from services.intake.domain.offer import donation_id
from tests.intake.conftest import OTHER_KEY
from tests.intake.samples import PRIVATE, body, soon
from tests.support.service import STAFF_CODE, Site


def fresh() -> str:
    return f"don-{uuid.uuid4().hex[:12]}"


async def put(program: httpx.AsyncClient, name: str, sent: Any, **headers: str) -> httpx.Response:
    return await program.put(f"/intake/donations/{name}", json=sent, headers=headers)


async def events_of(intake: Site, name: str, client: str = "acme") -> list[str]:
    async with intake.desk.read() as tx:
        rows = await tx.connection.fetch("SELECT type FROM events WHERE stream = $1 ORDER BY version", donation_id(client, name))
    return [row["type"] for row in rows]


async def test_a_program_offers_a_donation(program: httpx.AsyncClient, intake: Site) -> None:
    name = fresh()
    answer = await put(program, name, body())
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/intake/donations/{name}"
    shown = answer.json()
    assert shown["id"] == str(donation_id("acme", name))
    assert shown["status"] == "accepted"
    assert shown["outcome"] == "accepted_with_conditions"
    assert [reason["code"] for reason in shown["reasons"]] == ["wanted_first"]
    assert shown["reasons"][0]["text"].endswith(".")
    assert shown["declared"] == {"laptop": 24, "desktop": 10, "smartphone": 8}
    assert (await program.get(f"/intake/donations/{name}")).json() == shown
    tracking = shown["tracking_url"].removeprefix("http://127.0.0.1")
    assert (await program.get(tracking)).status_code == 200
    assert await events_of(intake, name) == ["intake.donation_offered.v1", "intake.donation_accepted.v1"]


async def test_the_same_again_is_the_same_answer(program: httpx.AsyncClient, intake: Site) -> None:
    name = fresh()
    first, second = await put(program, name, body()), await put(program, name.upper(), body())
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    assert len(await events_of(intake, name)) == 2


async def test_twenty_at_once_are_one(program: httpx.AsyncClient, intake: Site) -> None:
    name = fresh()
    answers = await asyncio.gather(*(put(program, name, body()) for _ in range(20)))
    again = [answer for answer in answers if answer.status_code == 503]  # busy: the same again is right
    assert sorted({answer.status_code for answer in answers} - {503}) == [200, 201]
    assert sum(answer.status_code == 201 for answer in answers) == 1
    assert len(again) < 15
    assert len(await events_of(intake, name)) == 2
    async with intake.desk.read() as tx:
        stream = donation_id("acme", name)
        assert await tx.connection.fetchval("SELECT count(*) FROM tracking_links WHERE donation_id = $1", stream) == 1


async def test_other_answers_under_the_same_id(program: httpx.AsyncClient, intake: Site) -> None:
    name = fresh()
    await put(program, name, body())
    answer = await put(program, name, body(declared={"laptop": 25}))
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == "donation_differs"
    assert problem["detail"]["known"]["declared"] == {"laptop": 24, "desktop": 10, "smartphone": 8}
    assert problem["detail"]["told"]["declared"] == {"laptop": 25}
    assert problem["detail"]["differs"] == ["declared"]
    assert len(await events_of(intake, name)) == 2


async def test_two_clients_never_meet(program: httpx.AsyncClient) -> None:
    name = fresh()
    await put(program, name, body())
    theirs = {"Authorization": f"Bearer {OTHER_KEY}"}
    assert (await program.get(f"/intake/donations/{name}", headers=theirs)).status_code == 404
    other = await put(program, name, body(declared={"laptop": 99}), **theirs)
    assert other.status_code == 201
    assert other.json()["id"] != str(donation_id("acme", name))
    assert (await program.get(f"/intake/donations/{name}")).json()["declared"]["laptop"] == 24


async def test_each_wrong_field_has_its_entry(program: httpx.AsyncClient, intake: Site) -> None:
    name = fresh()
    wrong = body(declared={"laptop": -1, "toaster": 2}, owner=False, condition=["working"])
    wrong["pickup"] |= {"postal_code": "99999", "available_from": "2020-01-01", "address": "12\u0000 rue"}
    wrong["donor"] |= {"company_number": "123456789"}
    answer = await put(program, name, wrong)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    entries = answer.json()["detail"]["errors"]
    found = {entry["pointer"]: entry["code"] for entry in entries}
    assert len(entries) == len(found)
    assert found == {
        "/condition": "wrong_type",
        "/declared/laptop": "not_a_count",
        "/declared/toaster": "unknown_field",
        "/pickup/address": "control_characters",
        "/pickup/postal_code": "postal_code_unknown",
        "/pickup/available_from": "date_past",
        "/donor/company_number": "company_number_checksum",
        "/owner": "owner_not_confirmed",
    }
    assert all(entry["text"] for entry in answer.json()["detail"]["errors"])
    assert await events_of(intake, name) == []


@pytest.mark.parametrize(
    "sent, code",
    [
        (b"", "not_json"),
        (b"{", "not_json"),
        (b'{"declared": \xff}', "not_json"),
        (b"[" * 60_000, "not_json"),
        (b"[]", "answers_wrong"),
        (b"null", "answers_wrong"),
        (b'{"declared": {"laptop": NaN}}', "answers_wrong"),
        (b'{"contact": {"name": "\\ud800"}}', "answers_wrong"),
        (json.dumps(body() | {"pickup": {"remarks": "x" * 200_000}}).encode(), "body_too_large"),
    ],
    ids=["empty", "cut", "bytes", "deep", "list", "null", "nan", "surrogate", "200 kB"],
)
async def test_what_cannot_be_read_is_told(program: httpx.AsyncClient, sent: bytes, code: str) -> None:
    answer = await program.put(f"/intake/donations/{fresh()}", content=sent)
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text[:300]


async def test_a_megabyte_is_not_even_read(program: httpx.AsyncClient) -> None:
    answer = await program.put(f"/intake/donations/{fresh()}", content=b" " * 1_000_000)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


async def test_who_has_no_key(program: httpx.AsyncClient) -> None:
    for header in ("", "Bearer", "Bearer nope", f"Basic {OTHER_KEY}"):
        answer = await put(program, fresh(), body(), Authorization=header)
        assert (answer.status_code, answer.json()["code"]) == (401, "key_unknown")
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("name", ["a b", "é", "x" * 65, ".x", "%00"])
async def test_an_id_that_is_none(program: httpx.AsyncClient, name: str) -> None:
    answer = await put(program, name, body())
    assert (answer.status_code, answer.json()["code"]) == (422, "wrong_id")


async def test_a_donation_nobody_offered(program: httpx.AsyncClient) -> None:
    answer = await program.get(f"/intake/donations/{fresh()}")
    assert (answer.status_code, answer.json()["code"]) == (404, "donation_unknown")


async def test_what_no_region_tells_is_kept_by_the_vault(program: httpx.AsyncClient, intake: Site) -> None:
    """No event holds a name, a mail, a phone, an address or a remark: none of any donation."""
    name, trader = fresh(), fresh()
    await put(program, name, body())
    who = {"status": "person", "name": "Zoé Tréfle", "company_number": "73282932000074"}
    answer = await put(program, trader, body(donor=who))
    assert answer.status_code == 201, answer.text
    async with intake.desk.read() as tx:
        rows = await tx.connection.fetch("SELECT data FROM events")
        tables = await tx.connection.fetch("SELECT to_jsonb(d)::text AS data FROM donations d")
        donor = json.loads(await tx.connection.fetchval("SELECT donor FROM donations WHERE id = $1", donation_id("acme", trader)))
        contact = await tx.connection.fetchval("SELECT contact FROM donations WHERE id = $1", donation_id("acme", name))
        kept, legal = await intake.desk.vault.read(tx, contact), await intake.desk.vault.read(tx, uuid.UUID(donor["person"]))
    everything = "".join(row["data"] for row in (*rows, *tables)).lower()
    assert [word for word in (*PRIVATE, "tréfle", "73282932000074") if word.lower() in everything] == []
    assert kept is not None
    assert kept["name"] == "Camille Durand"
    assert kept["phone"] == "0199001234"
    assert kept["address"] == "12 rue de l’Aiguille"
    assert legal == {"name": "Zoé Tréfle", "company_number": "73282932000074"}
    assert {key: value for key, value in donor.items() if value is not None} == {"status": "person", "person": donor["person"]}


async def test_who_asked_to_be_forgotten_does_not_come_back_with_a_repeat(program: httpx.AsyncClient, intake: Site) -> None:
    name = fresh()
    await put(program, name, body())
    async with intake.desk.read() as tx:
        contact = await tx.connection.fetchval("SELECT contact FROM donations WHERE id = $1", donation_id("acme", name))
    await intake.desk.vault.forget(intake.desk.pool, contact)
    assert (await put(program, name, body())).status_code == 200
    async with intake.desk.read() as tx:
        assert await intake.desk.vault.read(tx, contact) is None


async def test_a_retry_after_midnight_is_still_the_same(program: httpx.AsyncClient, intake: Site) -> None:
    """Offered for the next day, repeated when that day has passed: the day of the first offer counts."""
    name = fresh()
    sent = body()
    sent["pickup"]["available_from"] = soon(0)
    assert (await put(program, name, sent)).status_code == 201
    async with intake.desk.write() as tx:  # as if it had been offered three days ago, for that day
        stream = donation_id("acme", name)
        was = await tx.connection.fetchval("SELECT offered_at FROM donations WHERE id = $1", stream)
        await tx.connection.execute("UPDATE donations SET offered_at = offered_at - interval '3 days' WHERE id = $1", stream)
    sent["pickup"]["available_from"] = soon(-2)
    late = await put(program, name, sent)
    assert late.json()["code"] == "donation_differs"  # read and compared, not turned away as a past date
    async with intake.desk.write() as tx:
        await tx.connection.execute("UPDATE donations SET offered_at = $2 WHERE id = $1", stream, was)


async def test_figures_are_for_the_staff(program: httpx.AsyncClient) -> None:
    await put(program, fresh(), body())
    assert (await program.get("/intake/figures")).status_code == 401
    answer = await program.get("/intake/figures", headers={"Authorization": f"Bearer {STAFF_CODE}"})
    assert answer.status_code == 200
    found = answer.json()
    assert found["donations"] == sum(found["by_status"].values()) >= 1
    assert found["declared"] >= 42
    assert set(found) == {
        "donations", "declared", "consignments", "consignments_open", "devices", "ready", "scrapped", "certificates", "sold",
        "by_status",
    }  # fmt: skip

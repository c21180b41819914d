import time
from http.cookies import SimpleCookie

import httpx
import pytest
from itsdangerous import TimestampSigner
from starlette.requests import Request

from shared.ui.access import COOKIE, HOURS, Access, Throttle, client_of, safe_path
from shared.ui.formats import fr
from tests.ui.conftest import BROWSER
from tests.ui.site import PAGES, SECRET, STAFF_CODE, Clock, access, build

DOOR = "/sheet/connexion"


async def enter(client: httpx.AsyncClient, code: str, path: str = "/sheet/staff") -> httpx.Response:
    return await client.post(DOOR, data={"code": code, "next": path})


async def test_a_person_is_led_to_the_door_and_back(person: httpx.AsyncClient) -> None:
    sent = await person.get("/sheet/staff?page=2")
    assert (sent.status_code, sent.headers["location"]) == (303, f"{DOOR}?next=/sheet/staff%3Fpage%3D2")
    assert 'name="next" value="/sheet/staff?page=2"' in (await person.get(sent.headers["location"])).text
    let_in = await enter(person, f" {STAFF_CODE} ", "/sheet/staff?page=2")
    assert (let_in.status_code, let_in.headers["location"]) == (303, "/sheet/staff?page=2")
    assert (await person.get("/sheet/staff")).json() == "staff"


async def test_a_program_is_told(program: httpx.AsyncClient, clock: Clock) -> None:
    nobody = await program.get("/sheet/staff")
    other = await program.get("/sheet/staff", headers={"cookie": f"{COOKIE}={access(clock).sign('structure:s-12')}"})
    assert (nobody.status_code, nobody.headers["content-type"]) == (401, "application/problem+json")
    assert (nobody.json()["code"], other.status_code, other.json()["code"]) == ("sign_in", 403, "not_allowed")


async def test_htmx_leads_the_whole_page_to_the_door(person: httpx.AsyncClient) -> None:
    answer = await person.get("/sheet/staff", headers={"hx-request": "true"})
    assert (answer.status_code, answer.headers["hx-redirect"]) == (401, DOOR)


async def test_each_role_opens_its_own_pages(person: httpx.AsyncClient, clock: Clock) -> None:
    doors = access(clock)
    for role, path, status in (
        ("structure:s-12", "/sheet/structure", 200),
        ("structure:s-12", "/sheet/staff", 403),
        ("partner:trira", "/sheet/structure", 403),
        ("staff", "/sheet/structure", 403),
        ("structures", "/sheet/structure", 403),
    ):
        answer = await person.get(path, headers={"cookie": f"{COOKIE}={doors.sign(role)}"})
        assert (role, path, answer.status_code) == (role, path, status)
    named = await person.get("/sheet/structure", headers={"cookie": f"{COOKIE}={doors.sign('structure:s-12')}"})
    assert named.json() == "s-12"


async def test_the_cookie_ends_after_12_hours(person: httpx.AsyncClient, clock: Clock) -> None:
    given = {"cookie": f"{COOKIE}={access(clock).sign('staff')}"}
    clock.now += HOURS * 3600
    assert (await person.get("/sheet/staff", headers=given)).status_code == 200
    clock.now += 1
    assert (await person.get("/sheet/staff", headers=given)).status_code == 303


async def test_a_cookie_of_another_hand_is_nothing(person: httpx.AsyncClient, clock: Clock) -> None:
    clock.now = time.time()  # that of the other signers
    good = access(clock).sign("structure:s-12")
    forged = [
        "",
        "staff",
        good.replace("structure:s-12", "staff"),
        good[:-1] + ("A" if good[-1] != "A" else "E"),  # not B: its last two bits are not read
        access(clock, secret="another secret").sign("staff"),
        TimestampSigner(SECRET).sign("staff").decode(),  # the same secret used for something else
    ]
    answers = [await person.get("/sheet/staff", headers={"cookie": f"{COOKIE}={value}"}) for value in forged]
    assert [a.status_code for a in answers] == [303] * len(forged)


async def test_all_services_know_the_cookie_and_it_is_guarded(clock: Clock) -> None:
    for url, secure in (("https://maillon.example", True), ("http://127.0.0.1:8000", False)):
        inside = httpx.ASGITransport(build(clock, access(clock, public_url=url)))
        async with httpx.AsyncClient(transport=inside, base_url="http://test", headers=BROWSER) as client:
            answer = await enter(client, STAFF_CODE)
        morsel = SimpleCookie(answer.headers["set-cookie"])[COOKIE]
        kept = morsel["path"], morsel["httponly"], morsel["samesite"], morsel["max-age"], bool(morsel["secure"])
        assert kept == ("/", True, "lax", str(HOURS * 3600), secure)


async def test_signing_out_takes_the_role_away(person: httpx.AsyncClient) -> None:
    await enter(person, STAFF_CODE)
    left = await person.post("/sheet/deconnexion")
    assert (left.status_code, left.headers["location"]) == (303, DOOR)
    assert (await person.get("/sheet/staff")).status_code == 303


async def test_another_site_can_neither_sign_a_person_in_nor_out(person: httpx.AsyncClient) -> None:
    foreign = {"sec-fetch-site": "cross-site"}
    for path in (DOOR, "/sheet/deconnexion"):
        answer = await person.post(path, data={"code": STAFF_CODE}, headers=foreign)
        assert (path, answer.status_code, "set-cookie" in answer.headers) == (path, 403, False)


@pytest.mark.parametrize("path", ["/", "/sheet/", "/sheet/a?b=c&d=/e", "/a//b", "/sheet/%C3%A9"])
def test_paths_of_this_site_are_followed(path: str) -> None:
    assert safe_path(path, "/home") == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https://evil.example",
        "evil.example",
        "javascript:alert(1)",
        " //evil.example",
        "/\t/evil.example",
        "/a\r\nset-cookie: x",
        "/" + "a" * 500,
        "/\N{FULLWIDTH SOLIDUS}evil",
    ],
)
async def test_other_paths_are_not(person: httpx.AsyncClient, path: str) -> None:
    assert safe_path(path, "/sheet/") == "/sheet/"
    assert (await enter(person, STAFF_CODE, path)).headers["location"] == "/sheet/"


async def test_wrong_codes_are_told_and_then_made_to_wait(person: httpx.AsyncClient, clock: Clock) -> None:
    first = await enter(person, "souci")
    assert (first.status_code, "n\N{RIGHT SINGLE QUOTATION MARK}est pas le bon" in first.text) == (422, True)
    assert 'value="/sheet/staff"' in first.text
    assert [(await enter(person, "")).status_code for _ in range(4)] == [422] * 4
    held = await enter(person, STAFF_CODE)
    assert (held.status_code, held.headers["retry-after"], fr("30 secondes") in held.text) == (429, "30", True)
    clock.now += 31
    assert (await enter(person, "again")).status_code == 422
    assert (await enter(person, STAFF_CODE)).headers["retry-after"] == "60"
    clock.now += 61
    assert (await enter(person, STAFF_CODE)).status_code == 303
    assert (await enter(person, "again")).status_code == 422


async def test_one_client_does_not_make_another_wait(person: httpx.AsyncClient) -> None:
    for _ in range(5):
        await person.post(DOOR, data={"code": "no"}, headers={"x-forwarded-for": "1.1.1.1, 203.0.113.7"})
    held = await person.post(DOOR, data={"code": "no"}, headers={"x-forwarded-for": "9.9.9.9, 203.0.113.7"})
    other = await person.post(DOOR, data={"code": "no"}, headers={"x-forwarded-for": "203.0.113.7, 203.0.113.8"})
    assert (held.status_code, other.status_code) == (429, 422)


async def test_a_program_has_the_code_as_its_key_and_guesses_no_faster(program: httpx.AsyncClient, clock: Clock) -> None:
    async def ask(key: str) -> httpx.Response:
        return await program.get("/sheet/staff", headers={"authorization": key})

    assert (await ask(f"Bearer {STAFF_CODE}")).json() == "staff"
    assert (await ask(f"bearer  {STAFF_CODE} ")).status_code == 200
    assert (await ask(f"Basic {STAFF_CODE}")).status_code == 401
    for _ in range(5):
        assert (await ask("Bearer guess")).status_code == 401
    made_to_wait = await ask(f"Bearer {STAFF_CODE}")
    assert (made_to_wait.status_code, made_to_wait.headers["retry-after"]) == (429, "30")
    assert made_to_wait.json()["code"] == "too_many_tries"
    assert (await enter(program, STAFF_CODE)).status_code == 429, "the same door, whichever way"
    clock.now += 31
    assert (await ask(f"Bearer {STAFF_CODE}")).status_code == 200


def test_a_client_from_afar_does_not_choose_its_name() -> None:
    headers = [(b"x-forwarded-for", b"10.0.0.1")]
    afar = Request({"type": "http", "headers": headers, "client": ("8.8.8.8", 4000)})
    near = Request({"type": "http", "headers": headers, "client": ("127.0.0.1", 4000)})
    assert (client_of(afar), client_of(near)) == ("8.8.8.8", "10.0.0.1")


def test_the_throttle_forgets_and_stays_small(clock: Clock) -> None:
    throttle = Throttle(clock)
    for _ in range(20):
        throttle.wrong("a")
    assert throttle.wait_s("a") == 900
    clock.now += 3601
    throttle.wrong("a")
    assert throttle.wait_s("a") == 0
    for n in range(10_001):
        throttle.wrong(str(n))
    assert len(throttle._seen) == 10_000


def test_a_short_code_is_not_taken() -> None:
    with pytest.raises(ValueError, match="at least 8"):
        Access(PAGES, secret=SECRET, staff_code="1234567", public_url="http://127.0.0.1")

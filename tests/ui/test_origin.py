import httpx
import pytest

OURS = {"host": "site.example"}


@pytest.mark.parametrize(
    ("headers", "answered"),
    [
        ({}, 200),  # a program
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),  # typed, or a bookmark
        ({"sec-fetch-site": "same-origin", "origin": "null"}, 200),  # a page without referrer
        ({"origin": "http://site.example"}, 200),
        ({"origin": "https://site.example"}, 200),  # the gateway ends TLS
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "cross-site", "origin": "http://site.example"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://site.example.evil.example"}, 403),
        ({"origin": "http://site.example:8080"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": ""}, 403),
    ],
)
async def test_who_may_post(program: httpx.AsyncClient, headers: dict[str, str], answered: int) -> None:
    answer = await program.post("/sheet/story", headers=OURS | {"accept": "text/html"} | headers)
    assert answer.status_code == answered
    assert ("Ce formulaire vient d\N{RIGHT SINGLE QUOTATION MARK}un autre site" in answer.text) == (answered == 403)


async def test_reading_is_free(program: httpx.AsyncClient) -> None:
    assert (await program.get("/sheet/story", headers={"sec-fetch-site": "cross-site"})).status_code == 200

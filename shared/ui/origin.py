"""A form is answered only when a page of ours sent it.

Browsers say where a request comes from (Sec-Fetch-Site, else Origin) and pages cannot change it, so no token is needed.
Programs send neither header and carry no cookie that a page could misuse: they pass.
"""

from urllib.parse import urlsplit

from starlette.requests import Request

from shared.errors import Refused

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def is_same_origin(request: Request) -> bool:
    """Tell whether a page of this site, or no page at all, sent the request."""
    if request.method in SAFE:
        return True
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = request.headers.get("origin")
    # "null" (a sandboxed frame, a page without referrer in a browser of before 2023) has no host, and is refused
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


async def same_origin(request: Request) -> None:
    """Refuse what another site makes a browser send: `dependencies=[Depends(same_origin)]` on each form."""
    if not is_same_origin(request):
        raise Refused("cross_site")

"""Style, script, fonts and icon, served by each service under its own prefix, so that none needs another to look right.

The address holds a digest of all the files (`/intake/static/3f2a9c1b5d7e/ui.css`): browsers keep them for a year, and a
change of any file changes all the addresses. An address with an older digest gets today's file, not to be kept.
"""

import functools
import hashlib
from pathlib import Path

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

STATIC = Path(__file__).with_name("static")
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}


@functools.cache
def _files() -> dict[str, bytes]:
    return {f.relative_to(STATIC).as_posix(): f.read_bytes() for f in sorted(STATIC.rglob("*")) if f.suffix in _TYPES}


@functools.cache
def version() -> str:
    """Give the digest of all the files, names included."""
    digest = hashlib.sha256()
    for name, content in _files().items():
        digest.update(name.encode() + b"\0" + hashlib.sha256(content).digest())
    return digest.hexdigest()[:12]


def static_path(prefix: str, name: str) -> str:
    """Give the address of a file for pages below that prefix; a name that does not exist is a mistake of the page."""
    if name not in _files():
        raise LookupError(name)
    return f"{prefix}/static/{version()}/{name}"


async def _serve(request: Request) -> Response:
    name = request.path_params["name"]
    content = _files().get(name)
    if content is None:
        raise HTTPException(404)
    fresh = request.path_params["version"] == version()
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable" if fresh else "no-cache",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(content, media_type=_TYPES[Path(name).suffix], headers=headers)


def mount_static(app: FastAPI, prefix: str) -> None:
    """Serve the files under `<prefix>/static/`; prefix is `/intake`, the path the gateway gives to the service."""
    app.add_route(f"{prefix}/static/{{version}}/{{name:path}}", _serve, methods=["GET"], include_in_schema=False)

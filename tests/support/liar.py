"""A server of HTTP that lies: what goes out at an address is byte for byte what a test says, at the pace that it says."""

import contextlib
import socketserver
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

Lie = bytes | Callable[[], Iterator[bytes]]
"""The whole answer, or its pieces as they come."""


def answer(body: bytes, *, kind: str = "text/plain", length: int | None = None, more: str = "") -> bytes:
    """As a server would say it; `length` is what it claims."""
    claimed = len(body) if length is None else length
    return f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {claimed}\r\n{more}\r\n".encode() + body


def told(body: bytes) -> bytes:
    """The same as JSON."""
    return answer(body, kind="application/json")


def dripped(head: bytes = b"HTTP/1.1 200 OK\r\n\r\n", drop: bytes = b"x", seconds: float = 6) -> Callable[[], Iterator[bytes]]:
    """The head, then a drop each tenth of a second: no timeout that a socket has sees it."""

    def pieces() -> Iterator[bytes]:
        yield head
        for _ in range(round(seconds * 10)):
            time.sleep(0.1)
            yield drop

    return pieces


def endless(
    head: bytes = b"HTTP/1.1 200 OK\r\n\r\n", piece: bytes = b"x" * 65_536, most: int = 2_000
) -> Callable[[], Iterator[bytes]]:
    """More than anybody should take: 128 MB, unless who asked goes away."""

    def pieces() -> Iterator[bytes]:
        yield head
        yield from (piece for _ in range(most))

    return pieces


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, lies: Mapping[str, Lie]) -> None:
        self.lies, self.sent = lies, 0
        super().__init__(("127.0.0.1", 0), Handler)

    def handle_error(self, *_: Any) -> None:
        """Who asked has gone."""


class Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        path = self.rfile.readline().split()[1].decode()
        while self.rfile.readline().strip():
            pass
        assert isinstance(self.server, Server)
        found = next((lie for end, lie in self.server.lies.items() if path.endswith(end)), b"HTTP/1.1 404 Not Found\r\n\r\n")
        with contextlib.suppress(OSError):
            for piece in [found] if isinstance(found, bytes) else found():
                self.request.sendall(piece)
                self.server.sent += len(piece)


@contextmanager
def lying(lies: Mapping[str, Lie]) -> Iterator[tuple[str, Server]]:
    """Address and server; each lie by the end of the path that it answers."""
    server = Server(lies)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", server
    finally:
        server.shutdown()
        server.server_close()

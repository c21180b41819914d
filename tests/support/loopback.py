"""No test leaves this machine: connecting, sending or resolving a name beyond loopback fails the test on the spot.

A plugin of pytest (`-p tests.support.loopback` in pyproject.toml). It guards the test process and plain asyncio in it. Programs
that a test starts, and uvloop, are not seen: those are given loopback addresses by whoever starts them.
"""

import socket
from collections.abc import Callable
from functools import wraps
from ipaddress import ip_address
from typing import Any

import pytest

GUARDED = ("connect", "connect_ex", "sendto")

_originals: dict[str, Callable[..., Any]] = {}


def is_local(host: object) -> bool:
    """Whether `host`, as given to a socket, stays on this machine: no host at all, localhost, or an address of the loopback range."""
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return True
    if not isinstance(name, str):
        return False
    try:
        return ip_address(name.partition("%")[0]).is_loopback
    except ValueError:
        return False


def refuse(host: object) -> None:
    """Fail the test, past every `except Exception`: code that takes this for an outage would wait for ever."""
    pytest.fail(f"a test tried to reach {host!r}: only loopback is allowed")


def _guard(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def guarded(self: socket.socket, *args: Any) -> Any:
        address = args[-1] if args else None  # sendto(data, [flags,] address)
        if self.family in (socket.AF_INET, socket.AF_INET6) and isinstance(address, tuple) and not is_local(address[0]):
            refuse(address[0])
        return original(self, *args)

    _originals[name] = original
    return guarded


def _guard_names(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def guarded(host: Any, *args: Any, **kwargs: Any) -> Any:
        if not is_local(host):
            refuse(host)
        return original(host, *args, **kwargs)

    _originals["getaddrinfo"] = original
    return guarded


def pytest_configure() -> None:
    """Close the doors before the first test is imported."""
    for name in GUARDED:
        setattr(socket.socket, name, _guard(name, getattr(socket.socket, name)))
    socket.getaddrinfo = _guard_names(socket.getaddrinfo)


def pytest_unconfigure() -> None:
    """Open them again: pytest may run inside another program."""
    for name in GUARDED:
        setattr(socket.socket, name, _originals[name])
    socket.getaddrinfo = _originals["getaddrinfo"]

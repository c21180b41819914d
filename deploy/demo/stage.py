"""What a walk needs around it: the stack, the refurbisher's program beside it, its dock, and a verifier of certificates."""

import asyncio
import json
import secrets
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from deploy.demo.bench import DATA
from deploy.demo.browser import Browser
from deploy.demo.figures import memory_mb
from deploy.demo.refurbisher import SAID
from deploy.demo.walk import Offer, Walk
from deploy.local.jars import ROOT
from deploy.local.stack import Stack, tell
from deploy.topology import SERVICES, partner_user

REFURBISHER = "trira"
VERIFY_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Certified:
    """A certificate, as somebody else verified it."""

    path: Path
    signature_valid: bool
    log_inclusion_valid: bool
    statement: Mapping[str, Any]


class Stage:
    """The stack and the refurbisher's program, in one folder. `async with Stage(folder) as stage: await stage.ready()`."""

    def __init__(
        self,
        folder: Path,
        *,
        say: Callable[[str], None] = tell,
        keep: bool = True,
        extra_env: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self.stack = Stack(folder, say=say, keep=keep, extra_env=extra_env)
        self.tracking = self.structure_link = ""
        self._say, self._exit = say, AsyncExitStack()
        self._dock = folder / "dock"

    async def __aenter__(self) -> Self:
        await self._exit.enter_async_context(self.stack)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._exit.aclose()

    async def ready(self) -> None:
        """The site answers and the refurbisher is at work."""
        await self.stack.ready(120)
        await self.open_workshop()

    async def open_workshop(self, data: Path = DATA) -> None:
        """Begin the refurbisher's program, with its own user and nothing else of ours."""
        self._dock.mkdir(parents=True, exist_ok=True)
        argv = (sys.executable, "-m", "deploy.demo.refurbisher", "--dock", str(self._dock), "--data", str(data))
        env = {
            "MAILLON_REFURBISHER": REFURBISHER,
            "MAILLON_BOOTSTRAP": self.stack.kafka_bootstrap,
            "MAILLON_PASSWORD": self.stack.secrets[f"kafka.{partner_user(REFURBISHER)}"],
        }
        await self.stack.start_program("refurbisher", argv, env)

    def memory_mb(self) -> dict[str, float]:
        """Memory of each service."""
        pids = self.stack.pids()
        return {name: memory_mb(pids[name]) for name in SERVICES if name in pids}

    # ── the walk ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

    @asynccontextmanager
    async def new_walk(self, offer: Offer | None = None) -> AsyncIterator[Walk]:
        """A walk with people of its own; what the refurbisher says meanwhile is shown."""
        name = f"{int(time.time())}-{secrets.token_hex(2)}"
        log = self.stack.folder / "logs" / "refurbisher.log"
        listening = asyncio.create_task(self._listen(log, log.stat().st_size if log.exists() else 0))
        code = self.stack.secrets["staff_code"]
        try:
            async with Walk(self.stack.origin, code, name, say=self._say, offer=offer, lorry=self._deliver) as walk:
                yield walk
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening

    async def walk(self, offer: Offer | None = None) -> dict[str, Any]:
        """A whole walk and what it came to, as the last line of the demo tells it."""
        async with self.new_walk(offer) as walk:
            try:
                await walk.whole()
            finally:
                self.tracking, self.structure_link = walk.story.tracking, walk.story.structure_link
            return await self.told(walk)

    async def _deliver(self, consignment: str, counted: int) -> None:
        """The lorry is at the refurbisher's door."""
        arrival = self._dock / f"{consignment}.json"
        if not arrival.exists() and not arrival.with_suffix(".done").exists():
            draft = arrival.with_suffix(".new")
            draft.write_text(json.dumps({"counted": counted, "at": datetime.now(UTC).isoformat()}), encoding="utf-8")
            draft.rename(arrival)

    async def _listen(self, log: Path, at: int) -> None:
        """Show what the refurbisher's program writes."""
        while True:
            if log.exists():
                with log.open("rb") as lines:
                    lines.seek(at)
                    for line in lines:
                        if not line.endswith(b"\n"):
                            break
                        at += len(line)
                        said = line.decode("utf-8", "replace").rstrip()
                        if said.startswith(SAID):
                            self._say(f"{REFURBISHER}: {said.removeprefix(SAID)}")
            await asyncio.sleep(0.2)

    # ── what it came to ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def verify(self, number: str, content: bytes) -> Certified:
        """As anybody can: by the command, with the issuer's public keys, without asking a service about this certificate."""
        folder = self.stack.folder / "certificates"
        folder.mkdir(exist_ok=True)
        path, trust = folder / f"{number}.pdf", folder / "issuer.pem"
        path.write_bytes(content)
        async with Browser(self.stack.origin) as anybody:
            trust.write_bytes((await anybody.get("/certs/issuer.pem")).content)
        argv = (sys.executable, "-m", "services.certs", "verify", str(path), "--trust", str(trust), "--json")
        process = await asyncio.create_subprocess_exec(*argv, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
        async with asyncio.timeout(VERIFY_S):
            said, _ = await process.communicate()
        verdict = json.loads(said)
        self._say(f"anybody: {number} is {verdict['code']}, entry {verdict['leaf_index']} of a log of {verdict['log_size']}")
        return Certified(
            path=path,
            signature_valid=verdict["signature_valid"],
            log_inclusion_valid=verdict["log_inclusion_valid"],
            statement=verdict["statement"],
        )

    async def told(self, walk: Walk) -> dict[str, Any]:
        """The figures as people saw them: on the certificates, at the structure, at the till."""
        story = walk.story
        certified = [await self.verify(number, content) for number, content in story.certificates.items()]
        lines = [line for each in certified for line in each.statement["devices"]]
        media = [medium for line in lines for medium in line["media"]]
        wrong = self._wrong(walk, certified, lines)
        for each in wrong:
            self._say(f"NOT AS IT MUST BE: {each}")
        return {
            "ok": not wrong,
            "donation": story.reference,
            "consignments": len(story.consignments),
            "devices": len(lines),
            "erasures_accepted": sum(medium["erased"] for medium in media),
            "erasures_rejected": sum(not medium["erased"] for medium in media),
            "certificates": len(certified),
            "sold": len(story.sales),
            "signature_valid": bool(certified) and all(each.signature_valid for each in certified),
            "log_inclusion_valid": bool(certified) and all(each.log_inclusion_valid for each in certified),
            "certificate_pdf": str(certified[0].path) if certified else "",
        }

    def _wrong(self, walk: Walk, certified: list[Certified], lines: list[Mapping[str, Any]]) -> list[str]:
        """What must hold in the end, and does not."""
        story = walk.story
        ready = {line["device_ref"] for line in lines if line["outcome"] == "ready"}
        scrapped = {line["device_ref"] for line in lines if line["outcome"] == "scrapped"}
        unproven = {line["device_ref"] for line in lines if line["verdict"] != "erased"}
        sold = {sale.device_ref for sale in story.sales}
        rules = {
            "every device that was declared is on a certificate": len(lines) == walk.offer.devices,
            "a device is ready or scrapped": ready | scrapped == {line["device_ref"] for line in lines} and not ready & scrapped,
            "what is not proven erased is scrapped": unproven == scrapped,
            "the structure has what is ready, nothing else": self._has_what_is_ready(walk, lines, ready),
            "what was sold was there": bool(sold) and sold <= set(story.received),
            "a voucher is spent once": bool(story.second_attempt),
            "every signature is valid": all(each.signature_valid for each in certified),
            "every certificate is in the log": all(each.log_inclusion_valid for each in certified),
        }
        return [rule for rule, holds in rules.items() if not holds]

    def _has_what_is_ready(self, walk: Walk, lines: list[Mapping[str, Any]], ready: set[str]) -> bool:
        """Of this donation's devices it has those that are ready; one of another donation, which came first, takes the place of one."""
        received, ours = set(walk.story.received), {line["device_ref"] for line in lines}
        return received & ours <= ready and len(ready - received) == len(received - ours)

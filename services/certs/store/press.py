"""The press: processes that lay out, sign and verify. Large libraries live there only, and the event loop never waits for them.

The processes start when there is work and end when there is none for a while, so that an idle service is small. A worker that dies
takes its task with it (an outage: the same again is right), and ends by itself when the service is gone.
"""

import asyncio
import multiprocessing
import os
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from shared.desk import Desk
from shared.errors import Outage

if TYPE_CHECKING:
    from services.certs.domain.verification import Verdict

T = TypeVar("T")


@dataclass(slots=True)
class Press:
    """Runs work on `folder`'s keys in at most `workers` processes."""

    folder: Path
    workers: int = 1
    idle_s: float = 10.0
    longest_s: float = 60.0
    patience_s: float = 10.0
    pool: ProcessPoolExecutor | None = None
    busy: int = 0
    used: float = field(default_factory=time.monotonic)
    turns: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self.turns = asyncio.Semaphore(min(2, max(1, self.workers - 1)))

    async def render(self, statement: bytes) -> bytes:
        """The document that says `statement` (canonical JSON)."""
        return await self._do(_render, statement)

    async def seal(self, document: bytes, proof: bytes, at: datetime) -> bytes:
        """The document with the proof in it, signed."""
        return await self._do(_seal, document, proof, at)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for leave to verify a file that somebody sent; Outage after `patience_s`. Read the file only once inside.

        One at a time has it (two where there are three workers or more), so that many who verify stand in line here, with their files
        still on disk, and never fill the line in which certificates wait to be issued.
        """
        try:
            async with asyncio.timeout(self.patience_s):
                await self.turns.acquire()
        except TimeoutError as error:
            raise Outage("verifier_busy") from error
        try:
            yield
        finally:
            self.turns.release()

    async def verify(self, data: bytes) -> "Verdict":
        """What can be said of `data`, trusting our own keys. For what strangers send: within a `turn`."""
        return await self._do(_verify, data)

    async def _do(self, work: Callable[..., T], *given: Any) -> T:
        pool = self.pool = self.pool or ProcessPoolExecutor(
            self.workers, multiprocessing.get_context("spawn"), _prepare, (str(self.folder), os.getpid())
        )
        self.busy += 1
        try:
            async with asyncio.timeout(self.longest_s):
                return await asyncio.get_running_loop().run_in_executor(pool, work, *given)
        except (BrokenProcessPool, TimeoutError) as error:
            if self.pool is pool:
                self.pool = None
            _end(pool)
            raise Outage("press") from error
        finally:
            self.busy -= 1
            self.used = time.monotonic()

    async def keep(self, _: Desk) -> None:
        """End the processes when they have been idle, and when the service stops."""
        try:
            while True:
                await asyncio.sleep(1)
                if self.pool is not None and not self.busy and time.monotonic() - self.used > self.idle_s:
                    self.close()
        finally:
            self.close()

    def close(self) -> None:
        pool, self.pool = self.pool, None
        if pool is not None:
            _end(pool)


def _end(pool: ProcessPoolExecutor) -> None:
    for process in list((getattr(pool, "_processes", None) or {}).values()):
        process.kill()  # no work of theirs can be lost: nothing they do is seen before they hand it back
    pool.shutdown(wait=False, cancel_futures=True)


# ---- in the worker ----

_HERE: dict[str, Any] = {}


def _prepare(folder: str, parent: int) -> None:
    """Once per worker: the keys, and a watch on the service, whose death by SIGKILL tells nobody."""
    from services.certs.domain import document, signature, verification
    from services.certs.store import files

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
    kept = files.keys(Path(folder))
    _HERE.update(
        issuer=signature.Issuer.read(kept.signing_key, kept.certificate),
        trust=verification.Trust.read(files.trust(Path(folder))),
        document=document,
        signature=signature,
        verification=verification,
    )


def _render(statement: bytes) -> bytes:
    from services.certs.domain.statement import Statement

    made: bytes = _HERE["document"].render(Statement.model_validate_json(statement))
    return made


def _seal(document: bytes, proof: bytes, at: datetime) -> bytes:
    signed: bytes = _HERE["signature"].sign(document, proof, _HERE["issuer"], at)
    return signed


def _verify(data: bytes) -> "Verdict":
    from services.certs.domain.assets import layout

    return _HERE["verification"].verify(data, _HERE["trust"], layout(), _HERE["document"].render)  # type: ignore[no-any-return]

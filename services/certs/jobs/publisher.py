"""Brings the public log to its files, and each of its states to the witnesses."""

import asyncio
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from services.certs.domain import cosignature, merkle, note
from services.certs.domain.cosignature import Witness
from services.certs.domain.tiles import new_tiles
from services.certs.store import tables
from services.certs.store.shelf import Shelf, size_of
from shared.desk import Desk
from shared.errors import Outage
from shared.log import log

TILES_AT_ONCE = 32


@dataclass(slots=True, kw_only=True)
class Publisher:
    """Brings the log to its files, and each state to the witnesses. A witness that is away is asked again; nothing waits for it."""

    shelf: Shelf
    witnesses: Sequence[Witness] = ()
    known: dict[str, int] = field(default_factory=dict)
    """The size that each witness signed last, as far as we know."""
    quiet: set[str] = field(default_factory=set)

    async def run(self, desk: Desk) -> None:
        """Publish what is new."""
        async with desk.read() as tx:
            latest = await tables.latest_checkpoints(tx, 1)
        if not latest:
            return
        size, text = int(latest[0]["size"]), str(latest[0]["note"])
        published = await asyncio.to_thread(lambda: self.shelf.published)
        there = size_of(published)
        if size < there:  # never unsay what the world has seen
            raise Outage("log_behind_what_is_published", size=size, published=there)
        if size > there:
            await self.tiles(desk, there, size)
            await asyncio.to_thread(self.shelf.sign, text)
            published = text
        await self.cosign(desk, size, published)

    async def tiles(self, desk: Desk, old: int, size: int) -> None:
        """Write the tiles that a log of `size` has more than one of `old`, some at a time."""
        new = iter(new_tiles(old, size))
        while some := list(islice(new, TILES_AT_ONCE)):
            async with desk.read() as tx:
                found = await tables.nodes(tx, [node for tile in some for node in tile.nodes])
            await asyncio.to_thread(self.shelf.put, dict.fromkeys(some, found))

    async def cosign(self, desk: Desk, size: int, text: str) -> None:
        """Ask each witness that has not signed `text`, the published state."""
        for witness in self.witnesses:
            if f"\u2014 {witness.name} " in text:
                continue
            try:
                line = await self.asked(desk, witness, text, size)
                cosignature.check(text, line, witness)
            except (Outage, note.BadNoteError) as error:
                if witness.name not in self.quiet:
                    log.warning("witness_silent", witness=witness.name, error=repr(error))
                self.quiet.add(witness.name)
                continue
            self.quiet.discard(witness.name)
            text += line
            await asyncio.to_thread(self.shelf.sign, text)

    async def asked(self, desk: Desk, witness: Witness, text: str, size: int) -> str:
        """The cosignature of one witness. It may tell once that it knows another size. Raises Outage."""
        for _ in range(2):
            old = min(self.known.get(witness.name, 0), size)
            path: list[bytes] = []
            if 0 < old < size:
                async with desk.read() as tx:
                    found = await tables.nodes(tx, merkle.needed(lambda read, old=old: merkle.consistency(old, size, read)))  # type: ignore[misc]
                path = merkle.consistency(old, size, merkle.reader(found))
            lines = [f"old {old}", *(b64encode(step).decode() for step in path)]
            status, answer = await post(f"{witness.url}/add-checkpoint", "\n".join([*lines, "", own(text)]))
            if status == 200:
                self.known[witness.name] = size
                return next((f"{line}\n" for line in answer.splitlines() if line.startswith(f"\u2014 {witness.name} ")), "")
            if status != 409 or not answer.strip().isdecimal() or int(answer) > size:
                raise Outage("witness_refuses", status=status, answer=answer[:200])
            self.known[witness.name] = int(answer)
        raise Outage("witness_refuses", status=409)


def own(checkpoint: str) -> str:
    """A checkpoint with the log's own signature alone."""
    body, _, signatures = checkpoint.rpartition("\n\n")
    return f"{body}\n\n{signatures.splitlines()[0]}\n"


async def post(url: str, body: str) -> tuple[int, str]:
    """Ask a witness. Raises Outage when it is not there."""
    import httpx  # where there are witnesses, and not before: it is large

    try:
        async with httpx.AsyncClient(timeout=10) as client:
            answer = await client.post(url, content=body.encode())
    except httpx.HTTPError as error:
        raise Outage("witness_away", error=type(error).__name__) from error
    return answer.status_code, answer.text

"""What runs beside the messages: the book of consignments is kept up to date, originals go to the archive, older media get a place."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from services.refurb.domain.holding import DisputeMedium, NameMedium, Place, medium_stream
from services.refurb.store import Book, Evidence, boards
from shared.desk import Desk
from shared.errors import Coded, Outage
from shared.log import log

EVERY_S = 0.1
ARCHIVE_EVERY_S = 5.0


def book_keeper(book: Book) -> Callable[[Desk], Awaitable[None]]:
    """Make what fetches consignments that reactions asked for."""

    async def keep_book(desk: Desk) -> None:
        await book.load(desk)
        while True:
            await book.refresh(desk)
            await asyncio.sleep(EVERY_S)

    return keep_book


def archivist(evidence: Evidence, every_s: float = ARCHIVE_EVERY_S) -> Callable[[Desk], Awaitable[None]]:
    """Make what brings originals to the archive, and leaves the store in the end. While the archive is away, that is said once."""

    async def keep_archive(_: Desk) -> None:
        away = False
        try:
            with suppress(OSError):  # a disk that is away now is told of by whoever needs it
                await asyncio.to_thread(evidence.ready)
            while evidence.archive is not None:
                try:
                    for sha256 in await asyncio.to_thread(list, evidence.to_archive()):
                        await asyncio.to_thread(evidence.archived, sha256)
                    away = False
                except (Outage, OSError) as error:
                    if not away:
                        log.warning("evidence_archive_away", error=repr(error))
                    away = True
                await asyncio.sleep(every_s)
            await asyncio.Event().wait()
        finally:
            evidence.close()

    return keep_archive


async def place_media(desk: Desk) -> None:
    """Note where the media of devices are that were audited before this was kept. What two devices name then is for people to settle."""
    while found := await unplaced(desk):
        for serial, places in found:
            first, *others = places
            medium = medium_stream(serial)
            named = NameMedium(id=medium, serial=serial, place=first)
            with suppress(Coded):  # an audit was quicker: what it said stands
                await desk.carry_out([named, *(DisputeMedium(id=medium, place=place) for place in others)])
    await asyncio.Event().wait()


async def unplaced(desk: Desk) -> list[tuple[str, list[Place]]]:
    """Media that devices have and of which nothing is kept, some at a time."""
    async with desk.read() as tx:
        return await boards.unplaced(tx)

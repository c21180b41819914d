"""What runs beside the messages: the book of consignments is kept up to date."""

import asyncio
from collections.abc import Awaitable, Callable

from services.refurb.store import Book
from shared.desk import Desk

EVERY_S = 0.1


def book_keeper(book: Book) -> Callable[[Desk], Awaitable[None]]:
    """Make what fetches consignments that reactions asked for."""

    async def keep_book(desk: Desk) -> None:
        await book.load(desk)
        while True:
            await book.refresh(desk)
            await asyncio.sleep(EVERY_S)

    return keep_book

"""Turns: whoever has much to compute lets the others of its process go on in between, so that one cell's flood is not all cells' wait."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from time import monotonic
from typing import TypeVar

T = TypeVar("T")

SLICE_S = 0.0005
"""Longest time for which work on a batch keeps the loop to itself. An answer takes some thirty turns of the loop, each behind a slice."""


async def in_turn(items: Iterable[T]) -> AsyncIterator[T]:
    """Give `items` one by one; after each slice of time everything else that is ready goes first."""
    began = monotonic()
    for item in items:
        yield item
        if monotonic() - began > SLICE_S:
            await asyncio.sleep(0)
            began = monotonic()

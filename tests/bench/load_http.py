"""Donations by the programs' way in, as fast as they are taken or at an even rate."""

import asyncio
import hashlib
import secrets
import time
from collections.abc import Mapping
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from services.intake.web import EXAMPLE

KEY = secrets.token_urlsafe(24)
CLIENT = f"bench:{hashlib.sha256(KEY.encode()).hexdigest()}"
WITH_KEY: Mapping[str, Mapping[str, str]] = {"intake": {"MAILLON_INTAKE_API_KEYS": CLIENT}}
"""What a stack must be told so that the donations are taken."""


def donation() -> dict[str, Any]:
    """The contract's own example, with a date that is still to come."""
    body: dict[str, Any] = deepcopy(EXAMPLE)
    body["pickup"]["available_from"] = (datetime.now(UTC) + timedelta(days=20)).date().isoformat()
    return body


def client(origin: str) -> httpx.AsyncClient:
    """A program that may offer."""
    return httpx.AsyncClient(base_url=origin, headers={"Authorization": f"Bearer {KEY}"}, timeout=30)


async def offer_evenly(origin: str, count: int, rate: float) -> int:
    """Offer `count` donations, `rate` a second, whether or not the one before was answered. Returns how many were taken."""
    body = donation()
    async with client(origin) as program:

        async def one(after_s: float) -> bool:
            await asyncio.sleep(after_s)
            return (await program.put(f"/intake/donations/{secrets.token_hex(8)}", json=body)).status_code == 201

        return sum(await asyncio.gather(*(one(n / rate) for n in range(count))))


async def offer_at_once(origin: str, count: int, clients: int = 16) -> float:
    """Offer `count` donations by `clients` that each wait for their answer. Returns how many a second were taken."""
    body, left = donation(), iter(range(count))
    async with client(origin) as program:

        async def one() -> None:
            for _ in left:
                (await program.put(f"/intake/donations/{secrets.token_hex(8)}", json=body)).raise_for_status()

        started = time.monotonic()
        await asyncio.gather(*(one() for _ in range(clients)))
    return count / (time.monotonic() - started)

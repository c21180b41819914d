"""Refurb at work on the real broker and database, and a partner who speaks to it with the documented client."""

import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest_asyncio

from deploy.local.platform import Platform
from services.refurb.app import build
from services.refurb.settings import RefurbSettings
from shared.events.base import Donor, DonorStatus, MethodClass
from shared.events.routing import Candidate, ConsignmentAssigned
from tests.support.alone import loaded
from tests.support.browser import bare_tab, browser, tab
from tests.support.platform import unique
from tests.support.service import Ground, Publisher, Site, running, with_topics

__all__ = ["bare_tab", "browser", "tab"]

ASSIGNED = datetime(2026, 10, 1, 9, tzinfo=UTC)
"""Before the labelled reports, whatever the day of the test."""
KEYS = {"trira": "key-of-trira-0123456789abcdef", "ares": "key-of-ares-0123456789abcdefg"}


def documented_client() -> ModuleType:
    """The program of docs/partners, as a partner would copy it."""
    return loaded(Path(__file__).parents[2] / "docs" / "partners" / "client.py")


@dataclass(slots=True)
class Scene:
    """What the tests of this folder do again and again."""

    site: Site
    ground: Ground
    told: Publisher
    client: Any
    """Of the documented program, as trira."""
    sent: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    async def assigned(
        self,
        refurbisher: str = "trira",
        *,
        required: MethodClass = "Clear",
        status: DonorStatus = "company",
        donor: str = "Exempla",
    ) -> UUID:
        """Assign a consignment, and wait until refurb expects it."""
        consignment = uuid4()
        event = ConsignmentAssigned(
            consignment_id=consignment,
            reference=f"DON-{str(consignment)[:4].upper()}/1",
            donation_id=uuid4(),
            donation_reference=f"DON-{str(consignment)[:4].upper()}",
            refurbisher=refurbisher,
            region="ara",
            postal_code="38000",
            donor=Donor(status=status, name=donor),
            required_class=required,
            declared={"laptop": 2},
            chosen=Candidate(refurbisher=refurbisher, distance_km=10, load=0.1, cost=10.0),
            rules="test",
        )
        await self.told.tell(f"routing.consignments.{refurbisher}", consignment, event, at=ASSIGNED)
        await self.site.until(lambda: self.count("consignments", "consignment_id = $1", consignment))
        return consignment

    async def count(self, table: str, where: str, *args: object) -> int:
        return int(await self.site.desk.pool.fetchval(f"SELECT count(*) FROM {table} WHERE {where}", *args))  # noqa: S608 ours

    async def receipt(self, ce_id: str) -> dict[str, Any]:
        """Wait for the receipt of a message; its faults as (where, code)."""
        await self.site.until(lambda: self.count("receipts", "report_id = $1", ce_id))
        row = await self.site.desk.pool.fetchrow("SELECT outcome, faults, device_ref FROM receipts WHERE report_id = $1", ce_id)
        assert row
        faults = json.loads(row["faults"])
        return {
            "outcome": row["outcome"],
            "faults": [(f["where"], f["code"]) for f in faults],
            "evidence": [f["evidence"] for f in faults],
        }

    async def say(self, kind: str, value: Mapping[str, Any] | bytes, **more: Any) -> dict[str, Any]:
        """Tell as trira and wait for the receipt."""
        return await self.receipt(await self.client.tell(kind, value, **more))

    async def accepted(self, kind: str, value: Mapping[str, Any]) -> None:
        found = await self.say(kind, value)
        assert found["outcome"] == "accepted", found

    async def events(self, device: UUID) -> list[str]:
        rows = await self.site.desk.pool.fetch("SELECT type FROM events WHERE stream = $1 ORDER BY version", device)
        return [row["type"].removeprefix("refurb.").removesuffix(".v1") for row in rows]

    def http(self, refurbisher: str = "trira") -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.site.url, headers={"Authorization": f"Bearer {KEYS[refurbisher]}"}, timeout=20)


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def scene(platform: Platform, tmp_path_factory: Any, module_database: str) -> AsyncIterator[Scene]:
    """The service, and trira's client, for the tests of one file."""
    ground = Ground(platform, f"{unique('refurb')}.", tmp_path_factory.mktemp("refurb"))
    hashed = {slug: [hashlib.sha256(key.encode()).hexdigest()] for slug, key in KEYS.items()}
    settings = ground.settings(RefurbSettings, "refurb", module_database, refurb_api_keys=hashed)
    await with_topics(ground, build(settings))
    p = platform
    client = documented_client().Client(
        "trira", p.kafka_bootstrap, p.kafka_admin_password, user=p.kafka_admin_user, prefix=ground.prefix
    )
    async with running(build, settings) as site, client:
        yield Scene(site, ground, Publisher(ground), client)


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def module_database(platform: Platform) -> AsyncIterator[str]:
    """A fresh database for the tests of one file."""
    from deploy.local import postgres

    name, role, password = await postgres.fresh_database(platform.postgres_url)
    yield postgres.with_role(platform.postgres_url, role, password, name)
    await postgres.drop_database(platform.postgres_url, name, role)

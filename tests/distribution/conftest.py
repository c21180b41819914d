"""Distribution at work on the real broker and database, and a scene to act in: a region, structures, devices that become ready."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio

from deploy.local import postgres
from deploy.local.platform import Platform
from services.distribution.app import build
from shared.events.base import Category, DeviceType, stream_id
from shared.events.refurb import DeviceReady, DeviceScrapped, DeviceTakenBack
from shared.settings import Settings
from tests.support.browser import bare_tab, browser, tab
from tests.support.platform import unique
from tests.support.service import Ground, Publisher, Site, running, with_topics

__all__ = ["bare_tab", "browser", "tab"]

NEAR = "STR-0017"
"""Near Trira."""
FAR = "STR-0052"
"""Some 60 km from Trira."""


@dataclass(slots=True)
class Scene:
    """What the tests of this folder do again and again. All by HTTP and by messages, as others would."""

    site: Site
    told: Publisher
    staff: httpx.AsyncClient
    tokens: dict[str, str] = field(default_factory=dict)

    async def ask(self, *structures: str) -> str:
        """Ask structures for their needs in a new campaign, whose name it gives; keeps their tokens."""
        campaign = unique("c")
        answer = await self.staff.put(f"/distribution/campaigns/{campaign}", json={"structures": list(structures)})
        assert answer.status_code == 200, answer.text
        self.tokens |= {row["structure"]: row["token"] for row in answer.json()["links"]}
        return campaign

    def speak_for(self, structure: str) -> dict[str, str]:
        """Headers of a structure's program."""
        return {"Authorization": f"Bearer {self.tokens[structure]}"}

    async def need(self, structure: str, campaign: str, **wanted: int) -> httpx.Response:
        """Say what a structure needs, as its program."""
        return await self.staff.put(
            f"/distribution/needs/{structure}/{campaign}", json={"wanted": wanted}, headers=self.speak_for(structure)
        )

    async def ready(
        self, kind: DeviceType = "laptop", category: Category = "B", *, public: bool = False, ref: str = ""
    ) -> tuple[UUID, str]:
        """A refurbisher says that a device is ready; gives its id and label."""
        ref = ref or f"TRI-{secrets.token_hex(4).upper()}"
        device = stream_id("device", "trira", ref)
        event = DeviceReady(
            consignment_id=uuid4(),
            donation_id=uuid4(),
            refurbisher="trira",
            region="ara",
            device_ref=ref,
            device_type=kind,
            category=category,
            donor_public=public,
            maker="Exempla",
            model="ProBook 14",
        )
        await self.told.tell("refurb.devices.trira", device, event)
        return device, ref

    async def scrapped(self, device: UUID) -> None:
        """A refurbisher says that a device will not be sold."""
        event = DeviceScrapped(consignment_id=uuid4(), donation_id=uuid4(), reason="broken")
        await self.told.tell("refurb.devices.trira", device, event)

    async def taken_back(self, device: UUID) -> None:
        """A refurbisher says that a sold device came back."""
        await self.told.tell("refurb.devices.trira", device, DeviceTakenBack(reason="fails"))

    async def item(self, device: UUID) -> dict[str, Any]:
        """The device as the stock has it; empty while it is unknown or gone from the stock."""
        found = (await self.staff.get("/distribution/devices")).json()
        return next((row for row in found if row["device_id"] == str(device)), {})

    async def given(self, device: UUID, structure: str) -> None:
        """Wait until the planner has given the device to that structure."""

        async def is_given() -> bool:
            return (await self.item(device)).get("structure") == structure

        await self.site.until(is_given)

    async def here(
        self, structure: str, kind: DeviceType = "laptop", category: Category = "B", *, public: bool = False
    ) -> tuple[UUID, str]:
        """A device that the structure asked for, was given, and has. Ends with no need unmet."""
        campaign = await self.ask(structure)
        assert (await self.need(structure, campaign, **{kind: 1})).status_code == 200
        device, ref = await self.ready(kind, category, public=public)
        await self.given(device, structure)
        answer = await self.staff.put(f"/distribution/devices/{device}/delivery", headers=self.speak_for(structure))
        assert answer.json()["status"] == "delivered", answer.text
        return device, ref

    async def figures(self) -> dict[str, Any]:
        """Everything in counts."""
        found: dict[str, Any] = (await self.staff.get("/distribution/figures")).json()
        return found

    async def voucher(self, structure: str = NEAR, kind: DeviceType = "laptop", **more: str) -> dict[str, Any]:
        """A voucher of that structure."""
        answer = await self.staff.put(
            f"/distribution/vouchers/{uuid4()}", json={"structure": structure, "device_type": kind, **more}
        )
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def sell(self, code: str, device: str, sale: UUID | None = None, structure: str = "", **more: Any) -> httpx.Response:
        """Sell, as the staff or as a structure's program."""
        return await self.staff.put(
            f"/distribution/sales/{sale or uuid4()}",
            json={"voucher": code, "device": device, **more},
            headers=self.speak_for(structure) if structure else {},
        )


@asynccontextmanager
async def at_work(platform: Platform, database: str, folder: Path) -> AsyncIterator[Scene]:
    cells = {"regions": ["ara", "idf", "cor"], "refurbishers": ["trira"]}
    ground = Ground(platform, prefix=f"{unique('d')}.", folder=folder, cells=cells)
    settings = ground.settings(Settings, "distribution", database)
    await with_topics(ground, build(settings))
    async with running(build, settings) as site, site.client(staff=True) as staff:
        yield Scene(site, Publisher(ground, "/maillon/refurb"), staff)


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def scene(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """Distribution alone with its own database and topics. Tests of a module share it: each ends with no need unmet and no device waiting.

    When it ends, rows must be what their events say.
    """
    name, role, password = await postgres.fresh_database(platform.postgres_url)
    database = postgres.with_role(platform.postgres_url, role, password, name)
    try:
        async with at_work(platform, database, tmp_path_factory.mktemp("distribution")) as found:
            yield found
    finally:
        await postgres.drop_database(platform.postgres_url, name, role)


@pytest_asyncio.fixture(loop_scope="session")
async def person(scene: Scene) -> AsyncIterator[httpx.AsyncClient]:
    """A browser without any role."""
    async with scene.site.client(browser=True) as client:
        yield client

"""Who uses the chain meanwhile: donors' programs, two refurbishers (one on Kafka, one by HTTP), drivers, structures and their tills.

Everything goes through the gateway or as the partner's own user, and into the ledger. What is not answered is asked again under the
same id; some of it, once, and never again: that stays unknown.
"""

import asyncio
import hashlib
import json
import random
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Self
from uuid import UUID, uuid4, uuid5

from deploy.local.stack import Stack
from deploy.topology import partner_user
from services.distribution.domain import vouchers
from services.distribution.domain.needs import STANDING, need_id
from services.distribution.domain.sales import sale_stream
from services.distribution.domain.stock import item_id
from services.intake.domain.offer import donation_id
from tests.faults.caller import Caller
from tests.faults.ledger import Command, Ledger, Outcome
from tests.faults.workshop import ACCEPTED, Report, Workshop, reports
from tests.intake.samples import body

CLIENT, KEY, PARTNER_KEY = "faults", "intake-key-of-the-fault-tests", "partner-key-of-the-fault-tests"
WORKSHOPS = {"trira": "69007", "bocage": "79140"}
"""Refurbisher -> postal code of donors nearby."""
SELLERS = ("STR-0005", "STR-0017", "STR-0019", "STR-0048", "STR-0049")
OFFERED, AMENDED = "intake.donation_offered.v1", "intake.donation_amended.v1"


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


ENVIRONMENT = {
    "intake": {"MAILLON_INTAKE_API_KEYS": f"{CLIENT}:{digest(KEY)}"},
    "refurb": {"MAILLON_REFURB_API_KEYS": json.dumps({slug: [digest(PARTNER_KEY)] for slug in ("bocage",)})},
}
"""What the services must be told to know these programs."""
Ask = Callable[[], Awaitable[Outcome]]


@dataclass(slots=True)
class Traffic:
    """`async with Traffic(…) as traffic: await traffic.begin(); …; await traffic.finish()`."""

    stack: Stack
    ledger: Ledger
    seed: int
    rate: float
    """Donations a second."""
    worked: float
    """The share of consignments that are carried through to the till; the others wait at their donors'."""
    begun: set[UUID] = field(default_factory=set)
    done: set[UUID] = field(default_factory=set)
    """Consignments of which everything was told."""
    counted: int = 0
    """Devices in them."""
    selling: set[str] = field(default_factory=set)
    trouble: list[str] = field(default_factory=list)
    caller: Caller = field(init=False)
    workshops: list[Workshop] = field(init=False)
    staff: dict[str, str] = field(init=False)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    _always: list["asyncio.Task[None]"] = field(default_factory=list)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _exit: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def __aenter__(self) -> Self:
        self.caller = await self._exit.enter_async_context(Caller(self.stack.origin))
        self.staff = {"Authorization": f"Bearer {self.stack.secrets['staff_code']}"}
        self.workshops = [
            Workshop(
                slug,
                self.stack.kafka_bootstrap,
                self.stack.secrets[f"kafka.{partner_user(slug)}"],
                self.caller,
                PARTNER_KEY,
                by_kafka=slug == "trira",
            )
            for slug in WORKSHOPS
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in (*self._tasks, *self._always):
            task.cancel()
        await asyncio.gather(*self._tasks, *self._always, return_exceptions=True)
        for workshop in self.workshops:
            await workshop.close()
        await self._exit.aclose()

    # ── from beginning to end ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def begin(self) -> None:
        """Places enough and needs enough, while nothing is broken yet; then everybody is at work."""
        for workshop in self.workshops:
            value = {"weekly_places": {"smartphone": 100_000}}
            await self._report(
                workshop, Report(slug=workshop.slug, id=str(uuid4()), kind="capacity_declared", value=value, key=workshop.slug)
            )
        for structure in SELLERS:
            need = self.ledger.open("need", structure, need_id(structure, STANDING), "distribution.need_expressed.v1")
            path = f"/distribution/needs/{structure}/{STANDING}"
            await self._until_ok(need, partial(self._put, path, {"wanted": {"smartphone": 999}}))
        works = [*(w.listen() for w in self.workshops), self._take_in(), self._sell(), self._donate()]
        self._always = [asyncio.create_task(work) for work in works]

    def stop(self) -> None:
        """No new donations from now on."""
        self._stopping.set()

    async def finish(self, seconds: float) -> bool:
        """What was begun is brought to its end. False when that takes longer."""
        self.stop()
        quiet = 0
        deadline = asyncio.get_running_loop().time() + seconds
        while quiet < 6 and not self.trouble:
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(0.5)
            quiet = 0 if self._tasks or self.unassigned() else quiet + 1
        return not self.trouble

    def unassigned(self) -> set[UUID]:
        """Donations that are there and that no refurbisher has heard of yet."""
        known = {UUID(value["donation_id"]) for workshop in self.workshops for value in workshop.assigned.values()}
        return {c.stream for c in self.ledger if (c.kind, c.event, c.outcome) == ("donation", OFFERED, "ok")} - known

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        async def watched() -> None:
            try:
                await work
            except Exception as error:  # noqa: BLE001 told at the end, whatever it is
                self.trouble.append(repr(error))

        task = asyncio.create_task(watched())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ── asking ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _until_ok(self, command: Command, ask: Ask) -> None:
        """Ask again until it is done. A refusal that stays is somebody's mistake."""
        refusals, wait_s = 0, 0.2
        while True:
            said = await ask()
            if self.ledger.heard(command, said) == "ok":
                return
            refusals += said == "refused"
            if refusals > 5:
                raise AssertionError(f"{command.kind} {command.name} is refused")
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, 2.0)

    async def _put(self, path: str, value: object, *, method: str = "PUT", key: str = "") -> Outcome:
        headers = {"Authorization": f"Bearer {key}"} if key else self.staff
        return (await self.caller.ask(method, path, headers, json=value))[0]

    async def _report(self, workshop: Workshop, report: Report) -> None:
        command = self.ledger.open("report", report.id, report.receipt, ACCEPTED)
        await self._until_ok(command, lambda: workshop.tell(report))

    # ── the donors ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _donate(self) -> None:
        number = 0
        while not self._stopping.is_set():
            number += 1
            self._spawn(self._donation(number))
            await asyncio.sleep(1 / self.rate)

    async def _donation(self, number: int) -> None:
        """Most are right, and asked for until they are done; some are asked for once; some are wrong; some change their answers."""
        chance = random.Random(f"{self.seed} donation {number}")  # noqa: S311 repeatable, no secret
        name, fate = f"D{self.seed}-{number}", chance.random()
        pickup = {**body()["pickup"], "postal_code": chance.choice(list(WORKSHOPS.values()))}
        value = body(declared={"smartphone": chance.randint(1, 3)}, pickup=pickup)
        command = self.ledger.open("donation", name, donation_id(CLIENT, name), OFFERED)

        async def offer(value: object = value) -> Outcome:
            return await self._put(f"/intake/donations/{name}", value, key=KEY)

        if fate < 0.05:
            self.ledger.heard(command, await offer({**value, "condition": "as new"}))
        elif fate < 0.25:
            self.ledger.heard(command, await offer())
        else:
            await self._until_ok(command, offer)
        if fate > 0.95:
            other = self.ledger.open("donation", f"{name} otherwise", command.stream, AMENDED)
            self.ledger.heard(other, await offer({**value, "declared": {"smartphone": 9}}))

    # ── drivers and refurbishers ────────────────────────────────────────────────────────────────────────────────────────────────

    async def _take_in(self) -> None:
        while True:
            for workshop in self.workshops:
                for consignment, value in list(workshop.assigned.items()):
                    if consignment not in self.begun:
                        self.begun.add(consignment)
                        if random.Random(f"{self.seed} {consignment}").random() < self.worked:  # noqa: S311 repeatable, no secret
                            self._spawn(self._work(workshop, consignment, sum(value["declared"].values())))
            await asyncio.sleep(0.2)

    async def _work(self, workshop: Workshop, consignment: UUID, counted: int) -> None:
        collected = self.ledger.open("collection", str(consignment), consignment, "routing.consignment_collected.v1")
        path = f"/routing/consignments/{consignment}/collected"
        await self._until_ok(collected, lambda: self._put(path, {"counted": counted, "pallets": 1}, method="POST"))
        for report in reports(workshop.slug, consignment, counted):
            await self._report(workshop, report)
            if not workshop.by_kafka and report.kind == "consignment_received":
                await self._slip(workshop, report)
        self.done.add(consignment)
        self.counted += counted

    async def _slip(self, workshop: Workshop, report: Report) -> None:
        """A line of a type that nobody knows: refused at the door, once."""
        slip = replace(report, id=f"{report.id} slip", kind="device_lost")
        self.ledger.heard(self.ledger.open("report", slip.id, slip.receipt, ACCEPTED), await workshop.tell(slip))

    # ── structures ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _sell(self) -> None:
        while True:
            outcome, devices = await self.caller.ask("GET", "/distribution/devices", self.staff)
            for device in devices if outcome == "ok" else ():
                if device["status"] == "allotted" and device["device_id"] not in self.selling:
                    self.selling.add(device["device_id"])
                    self._spawn(self._hand_on(UUID(device["device_id"]), device["structure"]))
            await asyncio.sleep(1)

    async def _hand_on(self, device: UUID, structure: str) -> None:
        """To the structure, and for some of them over its counter; sometimes with a voucher that was spent just now."""
        chance = random.Random(f"{self.seed} {device}")  # noqa: S311 repeatable, no secret
        for step, event in (("shipment", "distribution.device_shipped.v1"), ("delivery", "distribution.device_delivered.v1")):
            command = self.ledger.open("shipment" if step == "shipment" else "delivery", str(device), item_id(device), event)
            path = f"/distribution/devices/{device}/{step}"
            await self._until_ok(command, partial(self._put, path, None))
        if chance.random() < 0.5:
            return
        request = f"bon-{device}"
        code = vouchers.make_code(self.stack.secrets["session"], structure, request)
        voucher = self.ledger.open("voucher", request, vouchers.voucher_id(code), "distribution.voucher_issued.v1")
        wanted = {"device_type": "smartphone", "structure": structure}
        await self._until_ok(voucher, lambda: self._put(f"/distribution/vouchers/{request}", wanted))
        for name in ("first", "again") if chance.random() < 0.3 else ("first",):
            sale_id = uuid5(device, name)
            sale = self.ledger.open("sale", str(sale_id), sale_stream(sale_id), "distribution.device_sold.v1")
            asked = {"voucher": code, "device": str(device)}

            async def sell(sale_id: UUID = sale_id, asked: object = asked) -> Outcome:
                return await self._put(f"/distribution/sales/{sale_id}", asked)

            if name == "first":
                await self._until_ok(sale, sell)
            else:
                self.ledger.heard(sale, await sell())

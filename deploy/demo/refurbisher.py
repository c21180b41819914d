"""A simulated refurbisher: a program of its own, with its own user at the broker.

It knows of maillon only the partner contract and the client of `docs/partners`.

    python -m deploy.demo.refurbisher --dock FOLDER [--data FOLDER]

It reads which consignments are assigned to it. What comes to its door is a file in the dock, named by the consignment, as a lorry
would be: `{"counted": 12, "at": "2026-11-23T10:00:00+01:00"}`. Then it reports as workshops do, with slips: one message goes out twice,
one erasure before its audit, one message is cut in the middle. It reads the answers and mends: what was cut is sent again under a new
id, and a device whose erasure is not proven is scrapped. Ids follow from the consignment, so that a second start repeats nothing.
"""

import argparse
import asyncio
import importlib.util
import json
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, cast
from uuid import UUID, uuid5

from deploy.demo.bench import DATA, Machine, machines
from deploy.local.jars import ROOT

ANSWER_S = 180.0
"""An answer comes within seconds, or two and a half minutes where a message waits for another."""
ACCEPTED = "refurb.report_accepted.v1"
SAID = "> "
"""Begins each line of the log that is for people; the others are the client's own."""


class Client(Protocol):
    """What the client of `docs/partners` offers."""

    async def tell(self, kind: str, value: Mapping[str, Any] | bytes, *, key: str | None = None, id: str = "") -> str: ...  # noqa: A002

    def read(self, family: str, *, group: bool = False) -> AsyncIterator[tuple[str, dict[str, Any]]]: ...


def connect(refurbisher: str, bootstrap: str, password: str, *, user: str = "") -> AbstractAsyncContextManager[Client]:
    """The partners' own client, as they would run it: a file, not a package of ours."""
    spec = importlib.util.spec_from_file_location("client", ROOT / "docs" / "partners" / "client.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError("docs/partners/client.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return cast("AbstractAsyncContextManager[Client]", module.Client(refurbisher, bootstrap, password, user=user))


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A message to send; `times` is how often the slip sends it."""

    id: str
    kind: str
    value: Mapping[str, Any] | bytes
    key: str
    times: int = 1


@dataclass(slots=True)
class Workshop:
    """Takes consignments in, one after the other."""

    client: Client
    dock: Path
    data: Path
    assigned: dict[str, dict[str, Any]] = field(default_factory=dict)
    answers: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    """Id of a message -> type of its receipt, and the receipt."""
    doubled: int = 0
    """Receipts that came again: the same one, since what was sent may be sent again after a crash."""
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def read_consignments(self) -> None:
        async for kind, value in self.client.read("routing.consignments"):
            if kind == "routing.consignment_assigned.v1":
                self.assigned[value["consignment_id"]] = value
                say(f"assigned {value['reference']}: {value['declared']}")

    async def read_receipts(self) -> None:
        async for kind, receipt in self.client.read("refurb.receipts"):
            async with self.news:
                name = str(receipt["report_id"])
                self.doubled += name in self.answers and self.answers[name][1] == receipt
                self.answers[name] = (kind, receipt)
                self.news.notify_all()

    async def watch_the_dock(self) -> None:
        while True:
            for arrival in sorted(self.dock.glob("*.json")):
                if arrival.stem in self.assigned:
                    told = json.loads(arrival.read_text(encoding="utf-8"))
                    await self.take_in(UUID(arrival.stem), told["counted"], datetime.fromisoformat(told["at"]))
                    arrival.rename(arrival.with_suffix(".done"))
            await asyncio.sleep(0.1)

    async def take_in(self, consignment: UUID, counted: int, at: datetime) -> None:
        """Report a consignment from its arrival to its last device."""
        say(f"{self.assigned[str(consignment)]['reference']} is here, {counted} devices counted")
        found = list(machines(consignment, at, counted, self.data))
        sent = list(opening(consignment, counted, found))
        await self.tell(sent)
        again = [mended(consignment, report) for report in sent if await self.cut(report)]
        await self.tell(again)
        sent += again
        done = [report(consignment, machine, "device_finished", {}) for machine in found]
        await self.tell(done)
        sent += done
        for machine, finished in zip(found, done, strict=True):
            if (await self.answer(finished))[0] != ACCEPTED:
                scrapped = report(consignment, machine, "device_scrapped", {"reason": "erasure_failed"})
                await self.tell([scrapped])
                sent.append(scrapped)
        kinds = [(await self.answer(each))[0] for each in sent]
        accepted = kinds.count(ACCEPTED)
        say(
            f"{sum(each.times for each in sent)} messages sent, {len(sent)} different; receipts: {accepted} accepted, "
            f"{len(kinds) - accepted} rejected, {self.doubled} came again"
        )

    async def tell(self, reports: list[Report]) -> None:
        """Send what has no answer yet, then wait for the answers and show those that refuse."""
        for each in reports:
            if each.id not in self.answers:
                for _ in range(each.times):
                    await self.client.tell(each.kind, each.value, key=each.key, id=each.id)
                if each.times > 1:
                    say(f"{each.key}: {each.kind} went out {each.times} times under one id")
        for each in reports:
            kind, receipt = await self.answer(each)
            if kind != ACCEPTED:
                for fault in receipt["faults"]:
                    evidence = f" ({fault['evidence']})" if fault.get("evidence") else ""
                    say(f"{each.key}: {each.kind} rejected, {fault['code']}: {fault['hint']}{evidence}")

    async def answer(self, report: Report) -> tuple[str, dict[str, Any]]:
        """The receipt of a message."""
        async with asyncio.timeout(ANSWER_S), self.news:
            await self.news.wait_for(lambda: report.id in self.answers)
            return self.answers[report.id]

    async def cut(self, report: Report) -> bool:
        """Whether a message was rejected because it was no JSON: then it was cut on its way."""
        kind, receipt = await self.answer(report)
        return kind != ACCEPTED and any(fault["code"] == "malformed_json" for fault in receipt["faults"])


def report(consignment: UUID, machine: Machine, kind: str, value: Mapping[str, Any], *, times: int = 1) -> Report:
    """A message about a device."""
    whole = {"consignment_id": str(consignment), "device_ref": machine.device_ref, **value}
    name = str(uuid5(consignment, f"{machine.device_ref} {kind}"))
    return Report(id=name, kind=kind, value=whole, key=machine.device_ref, times=times)


def opening(consignment: UUID, counted: int, found: list[Machine]) -> Iterator[Report]:
    """All that can be said before the devices are finished, slips included."""
    told = {"consignment_id": str(consignment), "counted": counted}
    yield Report(id=str(uuid5(consignment, "received")), kind="consignment_received", value=told, key=str(consignment))
    for number, machine in enumerate(found, 1):
        identity = {"device_type": machine.device_type, "maker": machine.maker, "model": machine.model}
        reading = {"snapshot": machine.snapshot, "cpu_mark": machine.cpu_mark, "ram_gb": machine.ram_gb}
        received = report(consignment, machine, "device_received", identity)
        audited = report(consignment, machine, "device_audited", reading, times=2 if number == 2 else 1)
        erased = report(consignment, machine, "medium_erased", {"log": machine.log})
        yield from (received, erased, audited) if number == 3 else (received, audited, erased)
        if number == 4:
            yield broken(report(consignment, machine, "device_repaired", {"parts": ["battery"]}))


def broken(whole: Report) -> Report:
    """The message as a line that went dead leaves it."""
    cut = json.dumps(whole.value).encode()[:-20]
    return Report(id=str(uuid5(UUID(whole.id), "cut")), kind=whole.kind, value=cut, key=whole.key)


def mended(consignment: UUID, cut: Report) -> Report:
    """What was cut, sent again whole, under a new id."""
    value = {"consignment_id": str(consignment), "device_ref": cut.key, "parts": ["battery"]}
    return Report(id=str(uuid5(UUID(cut.id), "mended")), kind=cut.kind, value=value, key=cut.key)


def say(line: str) -> None:
    print(f"{SAID}{line}", flush=True)


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m deploy.demo.refurbisher", description="A simulated refurbisher.")
    parser.add_argument("--dock", type=Path, required=True, help="folder where consignments arrive")
    parser.add_argument("--data", type=Path, default=DATA, help="captures and logs of the bench")
    options = parser.parse_args()
    env = os.environ
    async with connect(env["MAILLON_REFURBISHER"], env["MAILLON_BOOTSTRAP"], env["MAILLON_PASSWORD"]) as client:
        workshop = Workshop(client, options.dock, options.data)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(workshop.read_consignments())
            tasks.create_task(workshop.read_receipts())
            tasks.create_task(workshop.watch_the_dock())


if __name__ == "__main__":
    asyncio.run(main())

"""`make faults MINUTES=5 SEED=7 BROKERS=1`: the whole chain under fire, and a ledger that is counted afterwards.

The last line is one JSON object. Status 0: every invariant held; 1: one did not, and the lines above name it with the first event
that shows it; 2: none is seen to be broken, but all did not come to rest in time (`--patience`). The same seed breaks the same things
in the same order; the moments are the machine's.
"""

import argparse
import asyncio
import json
import logging
import sys
import time
from dataclasses import asdict
from typing import Any

from tests.faults import proxy
from tests.faults.judge import Judge, first_of_each
from tests.faults.ledger import Ledger
from tests.faults.machinery import Machinery, own_mounts
from tests.faults.nemesis import Nemesis
from tests.faults.traffic import ENVIRONMENT, Traffic
from tests.support.platform import sweep


def say(line: str) -> None:
    print(f"{time.monotonic() - BEGAN:6.1f} s  {line}", flush=True)  # noqa: T201 the report


BEGAN = time.monotonic()


async def faults(told: argparse.Namespace) -> int:
    mounting = not told.no_mount and own_mounts()
    through = proxy.build() if told.proxy == "build" else told.proxy == "built" and proxy.binary().exists()
    say(f"seed {told.seed}, {told.seconds:.0f} s, {told.brokers} broker(s)")
    say(
        "through Toxiproxy"
        if through
        else "without a proxy (`make faults` builds it): nothing is cut, slowed or stalled in this run"
    )
    say(
        "small file systems that can be full"
        if mounting
        else "mounting is refused here: files that may not grow instead (RLIMIT_FSIZE)"
    )
    sweep()
    async with Machinery(brokers=told.brokers, through_proxy=through, mounting=mounting, env=ENVIRONMENT, say=say) as machinery:
        await machinery.stack.ready(120)
        say(f"all answers at {machinery.stack.origin}")
        ledger = Ledger.at(machinery.folder / "ledger.jsonl")
        judge, nemesis = Judge(machinery, ledger), Nemesis(machinery, told.seed, longest_s=told.longest)
        async with Traffic(machinery.stack, ledger, told.seed, told.rate, told.worked) as traffic:
            await traffic.begin()
            asyncio.get_running_loop().call_later(told.seconds, traffic.stop)
            await nemesis.run(told.seconds)
            say(f"heals: {json.dumps(nemesis.done)}, not now {sum(nemesis.skipped.values())}, crashed {nemesis.crashed}")
            await nemesis.heal()
            finished = await traffic.finish(told.patience)
            say(f"told all: {finished}, {len(ledger)} commands, {len(traffic.done)} consignments done {traffic.trouble[:3]}")
            settled = await judge.settled(len(traffic.done), told.patience)
            say(f"settled: {settled}")
            found = await judge.verdict(traffic.done, traffic.counted)
        for late in judge.unsettled[:10]:
            say(f"not at rest: {late}")
        for invariant, (first, count) in first_of_each(found).items():
            say(f"BROKEN ({count} times) {invariant}\n            first: {first}")
        answer: dict[str, Any] = {
            "ok": finished and settled and not found,
            "seed": told.seed,
            "brokers": told.brokers,
            "proxy": through,
            "small_disks": mounting,
            "commands": ledger.counted(),
            "acts": dict(nemesis.done),
            "figures": asdict(judge.figures) if judge.figures else None,
            "at_rest": finished and settled,
            "broken": sorted({broken.invariant for broken in found}),
            "seconds": round(time.monotonic() - BEGAN, 1),
        }
        ledger.close()
        if not answer["ok"] and told.keep:
            say(f"kept for a look: {machinery.folder}, Ctrl-C ends it")
            await asyncio.Event().wait()
    print(json.dumps(answer), flush=True)  # noqa: T201 the report
    return 0 if answer["ok"] else 1 if found else 2


def main() -> int:
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it tells of every connection that is refused: they are, here
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="The whole chain under fire, counted afterwards.")
    parser.add_argument("--seconds", type=float, default=120, help="how long things are broken")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000)
    parser.add_argument("--brokers", type=int, choices=(1, 3), default=1)
    parser.add_argument("--rate", type=float, default=6, help="donations a second")
    parser.add_argument("--worked", type=float, default=0.15, help="share of the consignments that are carried to the till")
    parser.add_argument("--longest", type=float, default=8, help="seconds that something stays frozen, cut or full, at most")
    parser.add_argument("--patience", type=float, default=240, help="seconds in which all must come to rest")
    parser.add_argument("--proxy", choices=("build", "built", "none"), default="built")
    parser.add_argument(
        "--no-mount", action="store_true", help="no small file systems: RLIMIT_FSIZE, as where mounting is refused"
    )
    parser.add_argument("--keep", action="store_true", help="leave everything up when something is broken")
    return asyncio.run(faults(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())

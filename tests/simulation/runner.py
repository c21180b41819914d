"""Many histories, in as many processes as there are cores; each child has a fixed hash seed, so that the order of sets is no chance."""

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

FIXED = {"PYTHONHASHSEED": "0"}
ROOT = Path(__file__).parents[2]


@dataclass(slots=True, kw_only=True)
class Report:
    """What many histories came to."""

    histories: int = 0
    cpu_s: float = 0.0
    virtual_s: float = 0.0
    failed: list[tuple[int, str, str]] = field(default_factory=list)
    """Seed, the promise that broke, and the first thing that shows it."""
    strange: list[str] = field(default_factory=list)
    """What the stand-ins did not understand: then nothing is shown."""

    def add(self, line: str) -> None:
        told = json.loads(line)
        self.histories += told["histories"]
        self.cpu_s += told["cpu_s"]
        self.virtual_s += told["virtual_s"]
        self.failed += [(seed, invariant, what) for seed, invariant, what in told["failed"]]
        self.strange += told["strange"]

    def merge(self, other: "Report") -> None:
        self.histories += other.histories
        self.cpu_s += other.cpu_s
        self.virtual_s += other.virtual_s
        self.failed += other.failed
        self.strange += other.strange

    def __str__(self) -> str:
        rate = self.histories / self.cpu_s if self.cpu_s else 0.0
        lines = [
            (
                f"{self.histories} histories, {self.virtual_s / 3600:.1f} h of virtual time, {self.cpu_s:.0f} s of one core, "
                f"{rate:.0f} histories a second and core, {len(self.failed)} broke a promise"
            )
        ]
        lines += [f"not understood: {what}" for what in sorted(set(self.strange))]
        lines += [f"{count} x {name}" for name, count in Counter(name for _, name, _ in self.failed).most_common()]
        lines += [f'seed {seed}: "{name}": {what}' for seed, name, what in sorted(self.failed)[:10]]
        if self.failed:
            lines.append(f"see one with its trace: python -m tests.simulation {min(self.failed)[0]}")
        return "\n".join(lines)


async def child(folder: Path, first: int, last: int, step: int, until: int) -> str:
    """Play every `step`-th seed in a process of its own. Ends early after `until` broken promises."""
    command = [sys.executable, "-m", "tests.simulation", "--play", *(str(n) for n in (first, last, step, until))]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env={**os.environ, **FIXED, "PYTHONPATH": str(folder)}, stdout=asyncio.subprocess.PIPE
    )
    try:
        out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise ChildProcessError(f"a player ended with {process.returncode}: {out.decode()[-500:]}")
    return out.decode().splitlines()[-1]


async def played(count: int, *, first: int = 0, players: int | None = None, folder: Path = ROOT, until: int = 20) -> Report:
    """Play `count` histories from seed `first` on."""
    players = players or os.cpu_count() or 1
    report = Report()
    for line in await asyncio.gather(*(child(folder, first + n, first + count, players, until) for n in range(players))):
        report.add(line)
    return report


def play_here(first: int, last: int, step: int, until: int) -> str:
    """Play seeds in this process. Gives the line that `Report.add` reads."""
    import gc
    import time

    from tests.simulation.expressions import Unknown
    from tests.simulation.world import play

    failed: list[tuple[int, str, str]] = []
    strange: list[str] = []
    histories, virtual_s, began = 0, 0.0, time.process_time()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    for seed in range(first, last, step):
        histories += 1
        try:
            outcome = play(seed)
        except Unknown as error:
            strange.append(str(error))
            break
        virtual_s += outcome.virtual_s
        if outcome.violations:
            failed.append((seed, outcome.violations[0].invariant, outcome.violations[0].what))
            if len(failed) >= until:
                break
    return json.dumps(
        {
            "histories": histories,
            "cpu_s": time.process_time() - began,
            "virtual_s": virtual_s,
            "failed": failed,
            "strange": strange,
        }
    )


def fixed(arguments: Sequence[str]) -> None:
    """Begin again with a fixed hash seed, unless it is."""
    if os.environ.get("PYTHONHASHSEED") != FIXED["PYTHONHASHSEED"]:
        os.execve(sys.executable, [sys.executable, "-m", "tests.simulation", *arguments], {**os.environ, **FIXED})  # noqa: S606 ourselves

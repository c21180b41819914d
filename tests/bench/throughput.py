"""Events a second through the kernel, in and out, against other ways to do the same work, in turns within one run."""

from collections.abc import AsyncIterator
from pathlib import Path
from statistics import median

from deploy.local.platform import Platform
from tests.bench.load import backlog, line
from tests.bench.runs import Run, filled_ground, fresh_database, measured


async def measure(platform: Platform, folder: Path, count: int = 60_000, rounds: int = 3) -> AsyncIterator[str]:
    """Against the same by hand, a Faust agent, and the kernel with a transaction for each message. Gives the lines of the report."""
    runs = {"kernel": await turns(platform, folder, ("kernel", "bare"), count, rounds)}
    rates = {kind: [count / run.seconds for run in found] for kind, found in runs["kernel"].items()}
    ours, bare = median(rates["kernel"]), median(rates["bare"])
    spread = f"kernel {rounded(rates['kernel'])}, bare {rounded(rates['bare'])} events/s"
    cpu = {kind: round(median(run.cpu_s for run in found) / count * 1e6) for kind, found in runs["kernel"].items()}
    note = f"{count} messages, {rounds} rounds in turns: {spread}; CPU of the process alone, µs an event: {cpu}"
    yield line("kernel_vs_bare", ours / bare, "ratio", ">= 0.8", ours / bare >= 0.8, note)
    yield line("kernel_events_per_s", ours, "events/s in and out", "", None, note)
    for kind, goal, name in (("agent", 3, "kernel_vs_faust"), ("single", 5, "kernel_vs_single")):
        fewer = count // 6
        found = await turns(platform, folder, ("kernel", kind), fewer, 2)
        both = {k: median(fewer / run.seconds for run in f) for k, f in found.items()}
        ratio = both["kernel"] / both[kind]
        note = f"{fewer} messages, 2 rounds in turns: kernel {both['kernel']:.0f}, {kind} {both[kind]:.0f} events/s"
        yield line(name, ratio, "ratio", f">= {goal}", ratio >= goal, note)


async def turns(platform: Platform, folder: Path, kinds: tuple[str, ...], count: int, rounds: int) -> dict[str, list[Run]]:
    """Run each kind in turn, as often as there are rounds, each in a fresh database and on topics of its own."""
    messages, found = backlog(count), {kind: list[Run]() for kind in kinds}
    for _ in range(rounds):
        for kind, runs in found.items():
            ground = await filled_ground(platform, folder, messages)
            async with fresh_database(platform) as url:
                runs.append(await measured(ground, url, kind, count))
    return found


async def processes(platform: Platform, folder: Path, count: int = 60_000) -> AsyncIterator[str]:
    """One, two and four processes of one cell, on four partitions. Two cores hold broker, database and all of them."""
    messages, rates = backlog(count), dict[int, float]()
    for number in (1, 2, 4):
        ground = await filled_ground(platform, folder, messages, partitions=4)
        async with fresh_database(platform) as url:
            rates[number] = count / (await measured(ground, url, "kernel", count, number)).seconds
    note = f"{count} messages on 4 partitions: " + ", ".join(f"{n}: {rate:.0f}/s" for n, rate in rates.items())
    for number in (2, 4):
        yield line(f"processes_{number}_vs_1", rates[number] / rates[1], "ratio", "", None, note)


def rounded(rates: list[float]) -> list[int]:
    return [round(rate) for rate in rates]

"""`python -m tests.simulation SEED` replays one history with its trace; `--count N [FIRST]` plays many and says what broke."""

import asyncio
import os
import sys

from tests.simulation.runner import fixed, play_here, played

GIVES_WAY = 10


def replay(seed: int) -> int:
    """Play one history and print what happened in it, and its fingerprint: the same, each time."""
    from tests.simulation.plan import Draft
    from tests.simulation.world import play

    plan = Draft(seed).drawn()
    cells, restores = " ".join(plan.cells), "with" if plan.restores else "without"
    print(f"seed {seed}: {plan.processes} processes, cells {cells}, {plan.partitions} partitions, {restores} a restore")  # noqa: T201
    for at, topic, (_, value, headers) in plan.told:
        said = dict(headers)
        stream, number = (said.get(name, b"-").decode() for name in ("ce_subject", "ce_streamversion"))
        print(f"{0.15 + at:9.4f} {topic:14} {stream[:8]} {number} {value.decode()}")  # noqa: T201 a report
    outcome = play(seed)
    for at, who, what, about in outcome.trace:
        print(f"{at:9.4f} {who:6} {what} {about}")  # noqa: T201 a report
    for violation in outcome.violations:
        print(f'BROKEN "{violation.invariant}": {violation.what}')  # noqa: T201 a report
    print(f"{outcome.steps} steps, {outcome.virtual_s:.3f} s of virtual time, fingerprint {outcome.fingerprint}")  # noqa: T201
    return 1 if outcome.violations else 0


def main(arguments: list[str]) -> int:
    match arguments:
        case ["--play", first, last, step, until]:
            os.nice(GIVES_WAY)  # tests that keep time may run beside us
            print(play_here(int(first), int(last), int(step), int(until)))  # noqa: T201 read by the runner
            return 0
        case ["--count", count, *rest]:
            report = asyncio.run(played(int(count), first=int(rest[0]) if rest else 0))
            print(report)  # noqa: T201 a report
            return 1 if report.failed or report.strange else 0
        case [seed]:
            fixed(arguments)
            return replay(int(seed))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

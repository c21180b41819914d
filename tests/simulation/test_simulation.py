"""The kernel's promises hold in every history that a seed can think of, and a seed is a history: the same, each time."""

import os
import shutil
from pathlib import Path

import pytest

from tests.simulation.runner import ROOT, played
from tests.simulation.world import play

HISTORIES = int(os.environ.get("MAILLON_HISTORIES", "10000"))


@pytest.mark.timeout(900)
async def test_every_promise_holds_in_each_of_many_histories() -> None:
    report = await played(HISTORIES)
    assert report.histories == HISTORIES
    assert not report.failed, str(report)
    assert not report.strange, str(report)
    print(report)  # noqa: T201 shown with -s: how many a second


@pytest.mark.parametrize("seed", [3, 23, 31])
def test_a_seed_is_a_history(seed: int) -> None:
    first, again = play(seed), play(seed)
    assert first.trace == again.trace
    assert (first.steps, first.virtual_s, first.fingerprint) == (again.steps, again.virtual_s, again.fingerprint)


def test_seeds_differ() -> None:
    assert len({play(seed).fingerprint for seed in range(20)}) == 20


async def test_a_broken_kernel_is_seen(tmp_path: Path) -> None:
    """One mutation here, so that the judge itself is seen to speak; all of them in `make mutants`."""
    for name in ("shared", "tests/shared", "tests/simulation"):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / "tests/__init__.py").touch()
    inbox = tmp_path / "shared/inbox.py"
    text = inbox.read_text()
    guard = 'if message.version <= at.version:\n            return "repeat"'
    assert text.count(guard) == 1
    inbox.write_text(text.replace(guard, guard.replace('"repeat"', '"next"')))
    report = await played(100, folder=tmp_path, until=1)
    assert report.failed
    assert not report.strange

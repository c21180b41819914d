"""The real toy service, for holding the stand-ins against it; and the many histories, played behind all other tests.

They need no clock and nobody waits for them: begun with the run, at the lowest priority, they take what the others leave of the cores.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import pytest

from tests.shared.conftest import ground, settings

__all__ = ["ground", "settings"]

ROOT = Path(__file__).parents[2]
HISTORIES = int(os.environ.get("MAILLON_HISTORIES", "10000"))
PLAYING = pytest.StashKey[tuple[subprocess.Popen[bytes], IO[bytes]]]()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Begin to play, where the test that asks for it was chosen."""
    if session.config.option.collectonly or not any("histories" in item.fixturenames for item in wanted(session)):
        return
    report = TemporaryFile()  # noqa: SIM115 closed at the end of the session
    players = subprocess.Popen(
        [sys.executable, "-m", "tests.simulation", "--count", str(HISTORIES)],
        cwd=ROOT,
        stdout=report,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=least_urgent,  # noqa: PLW1509 nothing runs beside the tests yet
    )
    session.config.stash[PLAYING] = (players, report)


def wanted(session: pytest.Session) -> list[pytest.Function]:
    return [item for item in session.items if isinstance(item, pytest.Function)]


def least_urgent() -> None:
    os.nice(19)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Leave no player behind, however the run ended."""
    players, report = session.config.stash.get(PLAYING, (None, None))
    if players is not None and report is not None:
        if players.poll() is None:
            os.killpg(players.pid, signal.SIGKILL)
            players.wait()
        report.close()


@pytest.fixture
def histories(request: pytest.FixtureRequest) -> tuple[int, str]:
    """The status of the players, and what they report of the histories. Waits for their end."""
    players, report = request.config.stash[PLAYING]
    status = players.wait()
    report.seek(0)
    return status, report.read().decode()

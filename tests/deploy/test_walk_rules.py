"""What the demo takes for right at the end of a walk."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deploy.demo.stage import Stage


@pytest.mark.parametrize(
    "received,holds",
    [
        ({"A", "B"}, True),
        ({"A", "X"}, True),  # X is another donation's, B stays for the next who asks
        ({"A"}, False),
        ({"A", "B", "X"}, False),
        ({"A", "S"}, False),  # S is scrapped
    ],
)
def test_devices_of_other_donations_are_not_held_against_the_walk(tmp_path: Path, received: set[str], holds: bool) -> None:
    walk: Any = SimpleNamespace(story=SimpleNamespace(received=dict.fromkeys(received, "laptop")))
    lines: list[Any] = [{"device_ref": ref} for ref in ("A", "B", "S")]
    assert Stage(tmp_path)._has_what_is_ready(walk, lines, {"A", "B"}) is holds

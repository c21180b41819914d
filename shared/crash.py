"""Named moments at which a test may kill this process: where a crash would hurt, if it could.

`MAILLON_CRASH_AT=after_commit:3:/some/file` kills it at the third passage, once: the file says that it has happened. Unset
(always, outside tests), `point` does nothing.
"""

import os
import signal
from pathlib import Path

POINTS = ("before_commit", "after_commit", "before_send", "after_ack", "after_sent", "before_offsets")
_NAME, _, _REST = os.environ.get("MAILLON_CRASH_AT", "").partition(":")
_COUNT, _, _FLAG = _REST.partition(":")
_LEFT = [int(_COUNT or 0)]


def point(name: str) -> None:
    """Die here when it is this moment's turn."""
    if name != _NAME or Path(_FLAG).exists():
        return
    _LEFT[0] -= 1
    if _LEFT[0] <= 0:
        Path(_FLAG).touch()
        os.kill(os.getpid(), signal.SIGKILL)

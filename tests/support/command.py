"""`maillon`, the command of operations, as a test says it."""

import asyncio
from dataclasses import dataclass

from typer.testing import CliRunner

from deploy.maillon import app


@dataclass(frozen=True, slots=True)
class Said:
    """What a command answered."""

    code: int
    lines: list[str]

    @property
    def last(self) -> str:
        return self.lines[-1]


async def maillon(*words: object) -> Said:
    """Run a command as `maillon` does, beside the loop of the tests."""
    result = await asyncio.to_thread(CliRunner().invoke, app, [str(word) for word in words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return Said(result.exit_code, result.output.splitlines())

"""A short run of what `make faults` does for minutes, in a process of its own.

`MAILLON_FAULTS_SEED` chooses the seed, so that a red run can be made again.
"""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, STDOUT

import pytest

from deploy.local.jars import ROOT

OPTIONS = ("--seconds", "12", "--rate", "3", "--worked", "0.15", "--longest", "3", "--patience", "120")


@pytest.mark.timeout(420)
async def test_everything_is_there_once_after_some_seconds_under_fire(capsys: pytest.CaptureFixture[str]) -> None:
    argv = (sys.executable, "-m", "tests.faults", *OPTIONS, "--seed", os.environ.get("MAILLON_FAULTS_SEED", "7"))
    process = await asyncio.create_subprocess_exec(*argv, cwd=ROOT, stdout=PIPE, stderr=STDOUT)
    try:
        async with asyncio.timeout(400):
            said = (await process.communicate())[0].decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    with capsys.disabled():
        print(f"\nfaults: {said.splitlines()[1].split('s  ', 1)[1]}")  # noqa: T201 whether there was a proxy belongs in every report
    assert process.returncode == 0, said
    told = json.loads(said.splitlines()[-1])
    assert told["ok"], said
    assert told["commands"]["donation"]["ok"] > 10, said
    assert sum(told["acts"].values()) >= 4, said

"""From the contract page to a first accepted message, by the page's own commands and nothing else."""

import asyncio
import os
import re
import shutil
import sys
import time
from pathlib import Path

from deploy.demo.stage import REFURBISHER, Stage
from deploy.topology import partner_user

PARTNERS = Path(__file__).parents[2] / "docs" / "partners"
PYTHON = """#!/bin/sh
# `python3 -m venv .venv`, with the libraries that the tests run on: no test fetches any
mkdir -p .venv/bin
printf '#!/bin/sh\\nexec {python} "$@"\\n' >.venv/bin/python
printf '#!/bin/sh\\ntest "$*" = "install aiokafka"\\n' >.venv/bin/pip
chmod +x .venv/bin/python .venv/bin/pip
"""


def commands(heading: str) -> str:
    """The shell commands below a heading of the page."""
    page = (PARTNERS / "README.md").read_text("utf-8")
    section = page.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    (block,) = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return str(block)


async def test_the_pages_commands_end_in_an_accepted_message(stage: Stage, tmp_path: Path) -> None:
    """What the page says is given is given: the slug, the address, the password; the test broker has no TLS."""
    shutil.copy(PARTNERS / "client.py", tmp_path)
    shim = tmp_path / "shim" / "python3"
    shim.parent.mkdir()
    shim.write_text(PYTHON.format(python=sys.executable))
    shim.chmod(0o755)
    said = commands("A first accepted message")
    password = stage.stack.secrets[f"kafka.{partner_user(REFURBISHER)}"]
    for given, here in (
        ("MAILLON_REFURBISHER=trira", f"MAILLON_REFURBISHER={REFURBISHER}"),
        ("kafka.example:9093", stage.stack.kafka_bootstrap),
        ("MAILLON_PASSWORD=…", f"MAILLON_PASSWORD={password}"),
        ("export MAILLON_CA_FILE=ca.pem    # leave it out on a test broker without TLS\n", ""),
    ):
        assert given in said, given
        said = said.replace(given, here)
    began = time.monotonic()
    env = {"PATH": f"{shim.parent}:{os.environ['PATH']}"}
    shell = await asyncio.create_subprocess_exec(
        "sh", "-eu", "-c", said, cwd=tmp_path, env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(90):
        told, wrong = await shell.communicate()
    assert (shell.returncode, wrong) == (0, b"")
    assert b"refurb.report_accepted.v1" in told
    assert time.monotonic() - began < 60, "of ten minutes, the rest is for reading"

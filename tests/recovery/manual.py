"""The commands of docs/ops/recovery.md, run as they stand there."""

import asyncio
import os
import re
import shlex
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from urllib.parse import unquote, urlsplit, urlunsplit

from deploy.local import postgres
from deploy.local.jars import ROOT
from tests.support.command import Said, maillon

Act = Callable[[], Awaitable[object]]
PAGE = ROOT / "docs" / "ops" / "recovery.md"


def blocks() -> dict[str, list[str]]:
    """Heading -> the lines of its first block of commands."""
    found = {}
    for section in re.split(r"^##+ ", PAGE.read_text("utf-8"), flags=re.MULTILINE)[1:]:
        if block := re.search(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL):
            found[section.partition("\n")[0].strip()] = block[1].splitlines()
    return found


async def program(*words: str) -> Said:
    """Run one of Postgres' programs. Passwords go by the environment, as in life."""
    parts = [urlsplit(word) if word.startswith("postgresql://") else None for word in words]
    password = next((unquote(p.password or "") for p in parts if p), "")
    bare = [
        urlunsplit(p._replace(netloc=f"{p.username}@{p.hostname}:{p.port}")) if p else word
        for p, word in zip(parts, words, strict=True)
    ]
    child = await asyncio.create_subprocess_exec(
        str(postgres.binaries() / bare[0]),
        *bare[1:],
        env={**os.environ, "PGPASSWORD": password},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await child.communicate()
    return Said(child.returncode or 0, out.decode().splitlines())


@dataclass(frozen=True, slots=True)
class Manual:
    """Runs the block under a heading. `# …` lines are the operator's own doing: `acts` says how it is done here."""

    stack: Path
    acts: Mapping[str, Act]

    async def follow(
        self,
        heading: str,
        names: Mapping[str, str] | None = None,
        *,
        expected: Mapping[str, Sequence[int]] | None = None,
        acts: Mapping[str, Act] | None = None,
    ) -> dict[str, Said]:
        """Carry out every line, in order; each must end with 0, or each time as `expected` says. Returns what each said last."""
        said: dict[str, Said] = {}
        left = {line: list(codes) for line, codes in (expected or {}).items()}
        for line in blocks()[heading]:
            if line.startswith("# "):
                await {**self.acts, **(acts or {})}[line[2:]]()
                continue
            words = shlex.split(Template(line).substitute(names or {}))
            if words[0] == "maillon":
                said[line] = await maillon(*words[1:], *self.where(words[1:3]))
            else:
                said[line] = await program(*words)
            assert said[line].code == (left[line].pop(0) if left.get(line) else 0), (line, said[line])
        return said

    def where(self, command: list[str]) -> list[str]:
        """On this machine a stack's folder says where things are, and a topic has three partitions."""
        match command:
            case ["topics", "apply"]:
                return ["--local"]
            case ["users", "apply"]:
                return ["--secrets", str(self.stack / "secrets.json")]
            case _:
                return ["--stack", str(self.stack)]

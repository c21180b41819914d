"""Reads what hardware tools print, as the partner contract carries it: smartctl JSON, dmidecode and lscpu texts.

What a tool could not tell is null, never a guess.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from services.refurb.domain.readers import dmidecode, smartctl
from services.refurb.domain.readers.facts import Hardware


def read(disks: Sequence[Mapping[str, Any]], dmi: str | None = None, lscpu: str | None = None) -> Hardware:
    """One machine, of what the tools said of it. Raises Unusable when they speak of two."""
    found = dmidecode.machine(dmi or "")
    return replace(found, media=tuple(smartctl.medium(disk) for disk in disks), cpu=cpu(lscpu or "") or found.cpu)


def cpu(lscpu: str) -> str | None:
    match = re.search(r"^Model name:[ \t]*(\S.*)$", lscpu, re.MULTILINE)
    return " ".join(match[1].split())[:200] if match else None

"""`python -m deploy.demo [--exit] [--folder FOLDER]`: the whole chain on this machine, one donation walked through it.

Stays up until Ctrl-C. With `--exit`: stops everything after the walk, ends with 0 when all is as it must be, else with 1, and the last
line of its output is one JSON object.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from deploy.demo.stage import REFURBISHER, Stage
from deploy.local.jars import ROOT
from deploy.local.state import FolderTaken

ENDS = (signal.SIGINT, signal.SIGTERM)


def tell(line: str) -> None:
    print(line, flush=True)


async def demo(folder: Path, *, leave: bool) -> int:
    began = time.monotonic()
    earlier = (folder / "applied").exists()
    tell(f"maillon in {folder}: {'earlier data found, it goes on' if earlier else 'first start, everything is made'}")
    async with Stage(folder, say=tell) as stage:
        await stage.ready()
        seconds = {"setup": float(os.environ.get("MAILLON_SETUP_SECONDS") or 0), "start": round(time.monotonic() - began, 1)}
        tell(f"the site answers: {stage.stack.origin}/intake/")
        began = time.monotonic()
        found: dict[str, Any] = {}
        try:
            found = await stage.walk()
        except Exception:  # noqa: BLE001 shown to the person, who may look at what stands
            traceback.print_exc()
        seconds["chain"] = round(time.monotonic() - began, 1)
        answer = {"ok": False, **found, "seconds": seconds, "rss_mb": stage.memory_mb()}
        if not leave:
            welcome(stage, answer)
            await asyncio.Event().wait()
    if leave:
        tell(json.dumps(answer, ensure_ascii=False))
    return 0 if answer["ok"] or not leave else 1


def welcome(stage: Stage, answer: dict[str, Any]) -> None:
    """Where everything is."""
    tell("")
    tell(
        f"  the walk          {'is as it must be' if answer['ok'] else 'FAILED, see above and the logs'} ({answer['seconds']['chain']} s)"
    )
    tell(f"  the site          {stage.stack.origin}/intake/")
    tell(f"  tracking link     {stage.stack.origin}{stage.tracking}")
    tell(f"  the staff         {stage.stack.origin}/routing/  (and /refurb/, /certs/, /distribution/)")
    tell(f"  staff code        {stage.stack.secrets['staff_code']}")
    tell(f"  a workshop        {stage.stack.origin}/refurb/partenaires")
    tell(
        f"  workshop's key    {stage.stack.secrets[f'partner.{REFURBISHER}']}  (of {REFURBISHER}; for the console, and over HTTP)"
    )
    tell(f"  a structure       {stage.stack.origin}{stage.structure_link}")
    tell(f"  certificate       {answer.get('certificate_pdf', 'none')}")
    tell(f"  logs              {stage.stack.folder / 'logs'}")
    tell("  Code, key and links are this folder's own, and answer on this machine alone. Ctrl-C stops all of it; the data stay.")


async def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.demo", description="The whole chain on this machine.")
    parser.add_argument("--exit", action="store_true", help="walk once, stop everything, print the figures")
    parser.add_argument("--folder", type=Path, default=ROOT / ".local" / "demo", help="where everything is kept")
    options = parser.parse_args(arguments)
    work = asyncio.create_task(demo(options.folder.resolve(), leave=options.exit))

    def end() -> None:
        """Ctrl-C, once: what runs is stopped in order. A second one changes nothing."""
        for number in ENDS:
            asyncio.get_running_loop().add_signal_handler(number, lambda: None)
        tell("stopping …")
        work.cancel()

    for number in ENDS:
        asyncio.get_running_loop().add_signal_handler(number, end)
    try:
        return await work
    except FolderTaken as taken:
        print(f"{taken}. Stop it first (Ctrl-C where it runs), or use its site.", file=sys.stderr)
        return 2
    except asyncio.CancelledError:
        return 1 if options.exit else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))

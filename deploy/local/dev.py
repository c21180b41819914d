"""Only broker and database, for work on one service: `python -m deploy.local.dev [folder]`, then `source .local/dev/env`.

Stays up until Ctrl-C or SIGTERM. What was there is found again at the next start.
"""

import asyncio
import signal
import sys
from pathlib import Path

from deploy.local.jars import ROOT
from deploy.local.platform import choose
from deploy.local.state import Folder


async def main(folder: Path) -> None:
    with Folder(folder) as state:
        async with choose(state) as platform:
            lines = [f"export {key}={value}\n" for key, value in platform.as_environment().items()]
            state.write_private("env", "".join(lines))
            print(f"ready: source {folder / 'env'}", flush=True)
            ended = asyncio.Event()
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, ended.set)
            await ended.wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT / ".local" / "dev"))

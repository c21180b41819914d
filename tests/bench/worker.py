"""One measured run in a process of its own: `python -m tests.bench.worker kernel|bare`; prints the seconds it took."""

import json
import os
import sys

import uvloop

from shared import log
from shared.kafka.wire import Access
from tests.bench import bare, kernel


async def main(kind: str) -> None:
    told = json.loads(os.environ["MAILLON_BENCH"])
    access = Access(told["bootstrap"], told["user"], told["password"], prefix=told["prefix"])
    if kind == "bare":
        seconds = await bare.run(told["url"], access, told["topic"], "test.sums.ara", told["count"])
    else:
        seconds = await kernel.run(told["url"], access, told["topic"], told["count"])
    sys.stdout.write(f"{seconds}\n")


if __name__ == "__main__":
    log.configure("json")
    uvloop.run(main(sys.argv[1]))

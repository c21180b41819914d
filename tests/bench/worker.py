"""One measured run in a process of its own: `python -m tests.bench.worker kernel|bare`; prints its seconds and those of its CPU."""

import json
import os
import resource
import sys

import uvloop

from shared import log
from shared.kafka.wire import Access
from tests.bench import bare, kernel


async def main(kind: str) -> None:
    told = json.loads(os.environ["MAILLON_BENCH"])
    before = resource.getrusage(resource.RUSAGE_SELF)
    access = Access(told["bootstrap"], told["user"], told["password"], prefix=told["prefix"])
    if kind == "bare":
        seconds = await bare.run(told["url"], access, told["topic"], "test.sums.ara", told["count"])
    else:
        seconds = await kernel.run(told["url"], access, told["topic"], told["count"])
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    sys.stdout.write(json.dumps({"seconds": seconds, "cpu_s": cpu_s}) + "\n")


if __name__ == "__main__":
    log.configure("json")
    uvloop.run(main(sys.argv[1]))

"""One measured run in a process of its own: `python -m tests.bench.worker kernel|bare|single|agent`; prints its seconds, wall and CPU."""

import importlib
import json
import os
import resource
import sys

import uvloop

from shared import log
from shared.kafka import reader
from shared.kafka.wire import Access
from tests.bench import bare, kernel


async def main(kind: str) -> None:
    told = json.loads(os.environ["MAILLON_BENCH"])
    before = resource.getrusage(resource.RUSAGE_SELF)
    access = Access(told["bootstrap"], told["user"], told["password"], prefix=told["prefix"])
    topic, count = told["topic"], told["count"]
    match kind:
        case "bare":
            seconds = await bare.run(told["url"], access, topic, "test.sums.ara", count)
        case "agent":
            seconds = await importlib.import_module("tests.bench.agent").run(access, topic, "test.sums.ara", count)
        case "single":
            reader.BATCH_MESSAGES = 1  # the kernel as it is, with a transaction for each message
            seconds = await kernel.run(told["url"], access, topic, count)
        case _:
            seconds = await kernel.run(told["url"], access, topic, count, told["replica"])
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    sys.stdout.write(json.dumps({"seconds": seconds, "cpu_s": cpu_s}) + "\n")


if __name__ == "__main__":
    log.configure("json")
    uvloop.run(main(sys.argv[1]))

"""The counter service as a process of its own, so that it can be killed: `python -m tests.shared`."""

from shared.run import run
from shared.settings import Settings
from tests.shared.counter import build

if __name__ == "__main__":
    run(build, Settings)

"""`python -m services.distribution`."""

from services.distribution.app import build
from shared.run import run
from shared.settings import Settings

if __name__ == "__main__":
    run(build, Settings)

"""`python -m services.intake`."""

from services.intake.app import build
from services.intake.settings import IntakeSettings
from shared.run import run

if __name__ == "__main__":
    run(build, IntakeSettings)

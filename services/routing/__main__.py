"""python -m services.routing: the service, until SIGTERM."""

from services.routing.app import build
from services.routing.settings import RoutingSettings
from shared.run import run

if __name__ == "__main__":
    run(build, RoutingSettings)

import json

import pytest

from services.routing.domain.geography import Projection
from tests.routing.samples import DATA


@pytest.fixture(scope="session")
def france() -> Projection:
    """The map's projection."""
    return Projection(json.loads((DATA / "projection.json").read_text("utf-8")))

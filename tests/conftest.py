"""What every test may ask for: a real broker, a real database, names of its own."""

from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from deploy.local import postgres
from deploy.local.platform import Platform
from tests.support.platform import started_platform, unique

_SOURCES: list[str] = []
REPORTED = "maillon_sources"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker tells the run that started it which broker it had."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput[REPORTED] = _SOURCES


def pytest_testnodedown(node: object) -> None:
    """Keep what a worker told."""
    _SOURCES.extend(getattr(node, "workeroutput", {}).get(REPORTED, []))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which broker ran: a green run on nothing must not look like one on the real thing."""
    for source in sorted(_SOURCES):
        terminalreporter.write_line(f"broker and database: {source}")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def platform() -> AsyncIterator[Platform]:
    """A broker and a database that answer, once a run, without services."""
    async with started_platform() as found:
        _SOURCES.append(f"{found.source} ({found.kafka_bootstrap})")
        yield found


@pytest.fixture
def kafka(platform: Platform) -> Platform:
    """The same, under the name of what a test needs of it: bootstrap address, admin's name and password."""
    return platform


@pytest_asyncio.fixture(loop_scope="session")
async def database(platform: Platform) -> AsyncIterator[str]:
    """The URL of a fresh database that belongs to a fresh role; both are dropped afterwards."""
    name, role, password = await postgres.fresh_database(platform.postgres_url)
    yield postgres.with_role(platform.postgres_url, role, password, name)
    await postgres.drop_database(platform.postgres_url, name, role)


@pytest.fixture
def topic_name() -> Callable[[str], str]:
    """Makes names that no other test has: `topic_name("refurb.devices")` -> `refurb.devices.t-3f…`."""
    return lambda family: f"{family}.{unique('t')}"

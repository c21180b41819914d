"""`schema.sql` is what Postgres has after all migrations."""

import pytest

from deploy.generate import tables
from deploy.topology import SERVICES


@pytest.mark.parametrize("service", tables.services())
async def test_the_committed_tables_are_those_of_the_migrations(service: str, database: str) -> None:
    now = await tables.tables(database, service)
    assert tables.file(service).read_text("utf-8") == now, "renew it: python -m deploy.generate"


def test_every_service_has_one() -> None:
    assert tables.services() == list(SERVICES)
    for service in SERVICES:
        text = tables.file(service).read_text("utf-8")
        assert "CREATE TABLE events" in text
        assert "CREATE TABLE parked" in text

"""`schema.sql` is what Postgres has after all migrations, and a service lists every event that its rules can make."""

from importlib import import_module
from typing import get_args, get_type_hints

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


@pytest.mark.parametrize("service", SERVICES)
def test_every_event_that_a_rule_can_make_is_one_that_its_aggregate_folds(service: str) -> None:
    """One left out of the list would be refused when it first happens, and its stream would stand still."""
    for aggregate in set(import_module(f"services.{service}.app").AGGREGATES.values()):
        hints = get_type_hints(aggregate.evolve)
        taken = [hint for name, hint in hints.items() if name != "return"][1]
        assert set(get_args(taken) or (taken,)) == set(aggregate.events), aggregate.name

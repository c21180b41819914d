"""The map of who owns and hears what, against the map as it is written down: a table by hand, not the code's own words."""

from dataclasses import replace
from pathlib import Path

import pytest

from deploy.topology import SERVICES, Topology

TELLS = {
    "intake": {"intake.donations"},
    "routing": {"routing.consignments"},
    "refurb": {"refurb.devices", "refurb.receipts", "refurb.inbound"},
    "certs": {"certs.certificates"},
    "distribution": {"distribution.stock", "distribution.orders", "distribution.vouchers", "distribution.sales"},
}
HEARS = {
    "intake": {"routing.consignments", "refurb.devices", "certs.certificates", "distribution.sales"},
    "routing": {"intake.donations", "refurb.devices"},
    "refurb": {"routing.consignments", "refurb.inbound", "distribution.stock", "distribution.sales"},
    "certs": {"intake.donations", "routing.consignments", "refurb.devices", "distribution.stock", "distribution.sales"},
    "distribution": {"refurb.devices"},
}


@pytest.fixture(scope="module")
def topology() -> Topology:
    return Topology.read()


def _names(topology: Topology, user: str, operation: str, kind: str) -> set[str]:
    return {acl.name for acl in topology.acls() if (acl.user, acl.operation, acl.kind) == (user, operation, kind)}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_may_do_what_the_map_says(topology: Topology, service: str) -> None:
    views = {"routing-views-"} if service == "routing" else set()
    assert _names(topology, service, "WRITE", "topic") == {f"{family}." for family in TELLS[service]} | views
    assert _names(topology, service, "READ", "topic") == {f"{family}." for family in TELLS[service] | HEARS[service]} | views
    assert _names(topology, service, "READ", "group") == {f"{service}."} | ({"routing-views"} if views else set())


def test_a_partner_may_use_three_topics_and_one_group_by_their_whole_names(topology: Topology) -> None:
    rights = {acl for acl in topology.acls() if acl.user == "partner-ares"}
    assert not any(acl.prefixed for acl in rights)
    assert {(acl.operation, acl.kind, acl.name) for acl in rights} == {
        ("WRITE", "topic", "refurb.inbound.ares"),
        ("READ", "topic", "refurb.receipts.ares"),
        ("READ", "topic", "routing.consignments.ares"),
        ("READ", "group", "partner-ares"),
    }


def test_prefixes_end_where_a_name_ends(topology: Topology) -> None:
    assert all(acl.name.endswith((".", "routing-views-")) for acl in topology.acls() if acl.prefixed)


def test_topics(topology: Topology) -> None:
    made = {topic.name: topic for topic in topology.topics(local=False)}
    assert len(made) == 18 + 5 * 3 + 4 * 18 + 1
    assert made["refurb.inbound.trira"].partitions == made["refurb.devices.ares"].partitions == 12
    assert made["intake.donations.idf"].partitions == made["distribution.sales.cor"].partitions == 3
    assert {topic.partitions for topic in topology.topics(local=True)} == {3}
    inbound = made["refurb.inbound.trira"].config
    assert inbound["retention.ms"] == str(30 * 24 * 3600 * 1000)
    assert inbound["compression.type"] == "uncompressed"
    assert {
        made[name].config["retention.ms"] for name in ("refurb.devices.ares", "refurb.receipts.ares", "intake.donations.gua")
    } == {"-1"}
    assert made["routing-views-load-changelog"].config["cleanup.policy"] == "compact"


def test_each_partner_has_a_quota(topology: Topology) -> None:
    assert set(topology.quotas()) == {"partner-trira", "partner-bocage", "partner-ares"}


def test_a_map_with_a_slip_is_refused(topology: Topology, tmp_path: Path) -> None:
    family = replace(topology.families[0], heard_by=("intakes",))
    with pytest.raises(ValueError, match="do not exist: intakes"):
        replace(topology, families=(family,)).check()
    cells = tmp_path / "cells.yaml"
    cells.write_text("regions: [idf, ara]\nrefurbishers: [ares, idf]\n", encoding="utf-8")
    with pytest.raises(ValueError, match="names twice: idf"):
        Topology.read(cells)

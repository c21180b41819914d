"""The map as data: from `cells.yaml` and `topics.yaml` to topics, users, rights and quotas.

Services get rights by prefix, always ending in a dot, so that a new cell needs no new right. Partners get rights on whole names only:
the user of `ares` must not reach into `ares-sud`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import yaml

from shared.kafka.admin import Acl, NewTopic

HERE = Path(__file__).parent
CELLS_FILE = HERE / "cells.yaml"
TOPICS_FILE = HERE / "topics.yaml"
SERVICES = ("intake", "routing", "refurb", "certs", "distribution")
WITH_PERSONAL_DATA = ("intake", "distribution")
PARTNER_PREFIX = "partner-"


def partner_user(refurbisher: str) -> str:
    return f"{PARTNER_PREFIX}{refurbisher}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One topic for each cell of a kind."""

    name: str
    cell: Literal["region", "refurbisher"]
    owner: str
    heard_by: tuple[str, ...]
    partners: Literal["read", "write"] | None
    partitions: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A Faust application and the changelogs of its tables."""

    app: str
    owner: str
    tables: tuple[str, ...]
    partitions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """What there shall be in the broker."""

    regions: tuple[str, ...]
    refurbishers: tuple[str, ...]
    families: tuple[Family, ...]
    views: tuple[View, ...]
    partner_quotas: Mapping[str, float]
    local_partitions: int

    @classmethod
    def read(cls, cells: Path = CELLS_FILE, topics: Path = TOPICS_FILE) -> Self:
        known = yaml.safe_load(cells.read_text(encoding="utf-8"))
        data = yaml.safe_load(topics.read_text(encoding="utf-8"))
        defaults = data["defaults"]
        topology = cls(
            regions=tuple(known["regions"]),
            refurbishers=tuple(known["refurbishers"]),
            families=tuple(_family(row, defaults) for row in data["families"]),
            views=tuple(View(**{**row, "tables": tuple(row["tables"])}) for row in data["views"]),
            partner_quotas={name: float(value) for name, value in data["partners"]["quotas"].items()},
            local_partitions=defaults["local_partitions"],
        )
        topology.check()
        return topology

    def check(self) -> None:
        """Refuses a map with an unknown service or a cell named twice, before anything is applied."""
        named = {name for family in self.families for name in (family.owner, *family.heard_by)} | {
            view.owner for view in self.views
        }
        if unknown := named - set(SERVICES):
            raise ValueError(f"topics.yaml names services that do not exist: {', '.join(sorted(unknown))}")
        cells = [*self.regions, *self.refurbishers]
        if doubled := {cell for cell in cells if cells.count(cell) > 1}:
            raise ValueError(f"cells.yaml names twice: {', '.join(sorted(doubled))}")

    def cells(self, kind: Literal["region", "refurbisher"]) -> tuple[str, ...]:
        return self.regions if kind == "region" else self.refurbishers

    def topics(self, *, local: bool) -> list[NewTopic]:
        """Every topic; `local` sets the partitions of one machine."""
        made = []
        for family in self.families:
            partitions = self.local_partitions if local else family.partitions
            made += [
                NewTopic(name=f"{family.name}.{cell}", partitions=partitions, config=family.config)
                for cell in self.cells(family.cell)
            ]
        for view in self.views:
            partitions = self.local_partitions if local else view.partitions
            config = {"cleanup.policy": "compact"}
            made += [
                NewTopic(name=f"{view.app}-{table}-changelog", partitions=partitions, config=config) for table in view.tables
            ]
        return made

    def users(self) -> list[str]:
        return [*SERVICES, *(partner_user(refurbisher) for refurbisher in self.refurbishers)]

    def acls(self) -> set[Acl]:
        """Every right of every user of `users`; there is no other."""
        rights: set[Acl] = set()
        for service in SERVICES:
            rights.add(Acl(user=service, operation="READ", kind="group", name=f"{service}.", prefixed=True))
        for family in self.families:
            prefix = f"{family.name}."
            rights.add(Acl(user=family.owner, operation="WRITE", kind="topic", name=prefix, prefixed=True))
            for service in (family.owner, *family.heard_by):
                rights.add(Acl(user=service, operation="READ", kind="topic", name=prefix, prefixed=True))
        for view in self.views:
            rights.add(Acl(user=view.owner, operation="READ", kind="group", name=view.app))
            rights |= {
                Acl(user=view.owner, operation=operation, kind="topic", name=f"{view.app}-", prefixed=True)
                for operation in ("READ", "WRITE")
            }
        for refurbisher in self.refurbishers:
            rights |= self._partner_acls(refurbisher)
        return rights

    def _partner_acls(self, refurbisher: str) -> set[Acl]:
        user = partner_user(refurbisher)
        rights = {Acl(user=user, operation="READ", kind="group", name=user)}
        for family in self.families:
            if family.partners is not None and family.cell == "refurbisher":
                operation: Literal["READ", "WRITE"] = "WRITE" if family.partners == "write" else "READ"
                rights.add(Acl(user=user, operation=operation, kind="topic", name=f"{family.name}.{refurbisher}"))
        return rights

    def quotas(self) -> dict[str, Mapping[str, float]]:
        return {partner_user(refurbisher): self.partner_quotas for refurbisher in self.refurbishers}


def _family(row: Mapping[str, Any], defaults: Mapping[str, Any]) -> Family:
    return Family(
        name=row["name"],
        cell=row["cell"],
        owner=row["owner"],
        heard_by=tuple(row["heard_by"]),
        partners=row.get("partners"),
        partitions=row.get("partitions", defaults["partitions"]),
        config={**defaults["config"], **row.get("config", {})},
    )

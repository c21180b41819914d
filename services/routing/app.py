"""How routing is put together. Read downwards; nothing happens at import."""

import csv
import json
from functools import partial
from pathlib import Path
from typing import get_args

import yaml

from services.routing import jobs, web
from services.routing.domain import consignments, refurbishers, wishes
from services.routing.domain.consignments import Consignment
from services.routing.domain.geography import PostalCodes, Projection
from services.routing.domain.network import Network, Rules
from services.routing.domain.planning import Country
from services.routing.domain.refurbishers import Refurbisher
from services.routing.domain.standing import View
from services.routing.domain.wishes import Wish
from services.routing.pages.board import outlines
from services.routing.pages.routes import router
from services.routing.pages.words import MESSAGES
from services.routing.reactions import REACTIONS
from services.routing.settings import DATA, RoutingSettings
from services.routing.store import CONSIGNMENTS, REFURBISHERS, WISHES
from services.routing.streams import LoadView
from shared.aggregate import Aggregate, Aggregates
from shared.desk import Desk
from shared.events.routing import RoutingEvent
from shared.jobs import Job
from shared.run import Service
from shared.settings import read_cells
from shared.ui import Access, Pages


def own(_: object) -> None:
    """What only routing needs is not published."""


WISH = Aggregate(
    name="wish",
    events=get_args(wishes.WishEvent),
    new=Wish(),
    decide=wishes.decide,
    evolve=wishes.evolve,
    topic=own,
    rows=WISHES,
)
REFURBISHER = Aggregate(
    name="refurbisher",
    events=get_args(refurbishers.RefurbisherEvent),
    new=Refurbisher(),
    decide=refurbishers.decide,
    evolve=refurbishers.evolve,
    topic=own,
    rows=REFURBISHERS,
)
CONSIGNMENT = Aggregate(
    name="consignment",
    events=get_args(RoutingEvent),
    new=Consignment(),
    decide=consignments.decide,
    evolve=consignments.evolve,
    topic=lambda state: f"routing.consignments.{state.refurbisher}",
    rows=CONSIGNMENTS,
)
AGGREGATES: Aggregates = {
    **dict.fromkeys(get_args(wishes.WishCommand), WISH),
    **dict.fromkeys(get_args(refurbishers.RefurbisherCommand), REFURBISHER),
    **dict.fromkeys(get_args(consignments.ConsignmentCommand), CONSIGNMENT),
}


def country(rules: Path = DATA / "rules-2026-01.yaml") -> Country:
    """Read the data that decisions rest on. A file that does not hold what it should is an error at start, not a guess later."""
    with (DATA / "postal_codes.csv").open(encoding="utf-8", newline="") as rows:
        postal_codes = PostalCodes.of(csv.DictReader(rows))
    return Country(
        network=Network.model_validate(yaml.safe_load((DATA / "network.yaml").read_text("utf-8"))),
        postal_codes=postal_codes,
        rules=Rules.model_validate(yaml.safe_load(rules.read_text("utf-8"))),
    )


def build(settings: RoutingSettings) -> Service:
    """Wire the service."""
    known = country(settings.routing_rules)
    site = Pages("routing", Path(__file__).with_name("templates"), messages=MESSAGES)
    doors = Access(
        site,
        secret=settings.session_secret.get_secret_value(),
        staff_code=settings.staff_code.get_secret_value(),
        public_url=settings.public_url,
    )
    names = read_cells(settings.cells_file)["refurbishers"]
    view = View()
    load = LoadView(
        settings=settings,
        view=view,
        app_id=f"{settings.topic_prefix}routing-views",
        topics=[
            f"{settings.topic_prefix}{family}.{name}" for family in ("routing.consignments", "refurb.devices") for name in names
        ],
        delivered_within_days=known.rules.delivered_within_days,
    )

    async def count(_: Desk) -> None:
        await load.run()

    return Service(
        settings=settings,
        aggregates=AGGREGATES,
        reactions=REACTIONS,
        hears={"intake.donations": "regions", "refurb.devices": "refurbishers"},
        tells={"routing.consignments": "refurbishers"},
        routers=(web.router, router(site, doors)),
        jobs=(
            Job("planner", 0.4, partial(jobs.turn, country=known)),
            Job("planner again", 3.0, partial(jobs.try_again, country=known)),
        ),
        migrations=Path(__file__).with_name("migrations"),
        pages=site,
        doors=doors,
        state={
            "country": known,
            "doors": doors,
            "view": view,
            "france": Projection(json.loads((DATA / "projection.json").read_text("utf-8"))),
            "outlines": outlines((DATA / "france.svg").read_text("utf-8")),
        },
        background=(count,) if settings.routing_views else (),
    )

"""The wiring of distribution: data, aggregates, reactions, jobs, pages. Nothing happens at import."""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from services.distribution import jobs, pages, reactions, store, web
from services.distribution.domain import needs, offers, price, sales, stock, vouchers
from services.distribution.domain.book import Book
from services.distribution.domain.places import Atlas
from shared.aggregate import Aggregate, Aggregates
from shared.events.distribution import (
    DeviceDelivered,
    DeviceShipped,
    DeviceSold,
    LotAllocated,
    LotReleased,
    NeedAsked,
    NeedExpressed,
    NeedMet,
    NeedReminded,
    NeedReopened,
    StockLeft,
    StockReceived,
    StockRegraded,
    StockWithdrawn,
    TrainingBooked,
    VoucherIssued,
    VoucherRevoked,
    VoucherSpent,
)
from shared.jobs import Job
from shared.run import Service
from shared.settings import Settings
from shared.ui import Access, Pages

HERE = Path(__file__).parent

STOCK = Aggregate(
    name="stock",
    events=(
        StockReceived,
        StockRegraded,
        LotAllocated,
        LotReleased,
        DeviceShipped,
        DeviceDelivered,
        StockLeft,
        StockWithdrawn,
    ),
    new=stock.Item(),
    decide=stock.decide,
    evolve=stock.evolve,
    topic=lambda item: f"distribution.stock.{item.region}",
    rows=store.STOCK,
)
NEED = Aggregate(
    name="need",
    events=(NeedAsked, NeedExpressed, NeedReminded, NeedMet, NeedReopened),
    new=needs.Need(),
    decide=needs.decide,
    evolve=needs.evolve,
    topic=lambda need: f"distribution.orders.{need.region}",
    rows=store.NEEDS,
)
VOUCHER = Aggregate(
    name="voucher",
    events=(VoucherIssued, VoucherSpent, VoucherRevoked),
    new=vouchers.Voucher(),
    decide=vouchers.decide,
    evolve=vouchers.evolve,
    topic=lambda voucher: f"distribution.vouchers.{voucher.region}",
    rows=store.VOUCHERS,
)
SALE = Aggregate(
    name="sale",
    events=(DeviceSold, TrainingBooked),
    new=sales.Sale(),
    decide=sales.decide,
    evolve=sales.evolve,
    topic=lambda sale: f"distribution.sales.{sale.region}",
    rows=store.SALES,
)
AGGREGATES: Aggregates = {
    **dict.fromkeys(
        (
            stock.ReceiveStock,
            stock.Allot,
            stock.ReleaseLot,
            stock.Ship,
            stock.Deliver,
            stock.LeaveStock,
            stock.WithdrawStock,
        ),
        STOCK,
    ),
    **dict.fromkeys((needs.AskNeed, needs.RemindNeed, needs.ExpressNeed, needs.MeetNeed, needs.ReopenNeed), NEED),
    **dict.fromkeys((vouchers.IssueVoucher, vouchers.SpendVoucher, vouchers.RevokeVoucher), VOUCHER),
    **dict.fromkeys((sales.SellDevice, sales.BookTraining), SALE),
}


def build(settings: Settings) -> Service:
    """Put the service together. Read it downwards."""
    book = read_book()
    site = Pages("distribution", HERE / "templates", messages=document(HERE / "data" / "messages.yaml"))
    doors = Access(
        site,
        secret=settings.session_secret.get_secret_value(),
        staff_code=settings.staff_code.get_secret_value(),
        public_url=settings.public_url,
    )
    return Service(
        settings=settings,
        aggregates=AGGREGATES,
        reactions=reactions.REACTIONS,
        hears={"refurb.devices": "refurbishers"},
        tells={f"distribution.{family}": "regions" for family in ("stock", "orders", "vouchers", "sales")},
        routers=(web.router, pages.router),
        jobs=(Job("planner", every_s=0.4, run=jobs.planner(book.atlas)),),
        migrations=HERE / "migrations",
        pages=site,
        doors=doors,
        state={"book": book, "pages": site, "doors": doors},
    )


def read_book(folder: Path = HERE / "data") -> Book:
    """Read prices, places, warranty and training. A file that cannot be read stops the start: nobody sells by half a price list."""
    return Book(
        atlas=Atlas.read(rows(folder / "structures.csv"), rows(folder / "refurbishers.csv"), rows(folder / "regions.csv")),
        prices=tuple(price.read(document(file)) for file in sorted(folder.glob("price*.yaml"))),
        warranty=offers.read_warranty(document(folder / "warranty.yaml")),
        trainings=offers.read_trainings(document(folder / "training.yaml")),
    )


def rows(file: Path) -> Iterable[Mapping[str, str]]:
    """Read a table with a head line."""
    return csv.DictReader(file.read_text(encoding="utf-8").splitlines())


def document(file: Path) -> Mapping[str, Any]:
    """Read a YAML mapping."""
    loaded: Mapping[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return loaded

"""The view of load and lateness: Faust counts what the topics say, in windows of a day, and can count it again from them.

Its store is memory plus a changelog topic, `<app>-load-changelog`. Where the changelog is empty (first start, or thrown away), the
topics are read again from their beginning. Nothing here decides anything or holds the service back: a view that does not
come up is reported, shown as such on its page, and tried again.

Keys are `<topic>|<partition>`: a changelog partition is then written from one partition of each topic only, so keys never meet.
A window remembers the number of the last event of each stream that it counted: a repeat on the topic counts once.
"""

import asyncio
import importlib
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from time import monotonic
from typing import Any

from services.routing.domain.standing import CONTRACTS, FIGURES, View, adds
from services.routing.settings import RoutingSettings
from shared.log import log

DAY = timedelta(days=1)
KEPT = timedelta(days=70)
REPORTED_AFTER_S = 20.0


@dataclass(slots=True)
class LoadView:
    """Runs the Faust app for the life of the process."""

    settings: RoutingSettings
    view: View
    topics: Sequence[str]
    delivered_within_days: int
    app_id: str = "routing-views"

    async def run(self) -> None:
        """Count until cancelled. Raises when Faust gives up: the caller starts it again."""
        faust = await asyncio.to_thread(importlib.import_module, "faust")  # half a second that start-up should not pay for
        await asyncio.to_thread((self.settings.data_dir / self.app_id).mkdir, parents=True, exist_ok=True)
        app, table = self.build(faust)
        starting = asyncio.create_task(app.start(), name=f"{self.app_id} start")
        try:
            await self.watch(app, table, starting)
        finally:
            self.view.state = "rebuilding"
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            await app.stop()

    def build(self, faust: Any) -> tuple[Any, Any]:
        """Make the app: one agent a topic, one window a day, a changelog that exists already."""
        settings = self.settings
        app = faust.App(
            self.app_id,
            broker=[f"kafka://{address}" for address in settings.kafka_bootstrap.split(",")],
            broker_credentials=self.credentials(faust),
            broker_session_timeout=6.0,
            broker_heartbeat_interval=2.0,
            broker_commit_interval=1.0,
            broker_rebalance_timeout=6.0,
            broker_request_timeout=8.0,  # also how long leaving takes where joining never came to an end
            consumer_auto_offset_reset="earliest",
            producer_acks=-1,
            store="memory://",
            datadir=str(settings.data_dir / self.app_id),
            key_serializer="raw",
            value_serializer="raw",
            web_enabled=False,
            topic_allow_declare=False,
            topic_disable_leader=True,
            topic_partitions=settings.routing_views_partitions,
            table_standby_replicas=0,
            autodiscover=False,
            stream_recovery_delay=0.0,
            loop=asyncio.get_running_loop(),
        )
        table = app.Table("load", default=dict)
        windows = table.tumbling(DAY, expires=KEPT).relative_to(lambda event: told_at(event.message).timestamp())
        table.on_recover(lambda: self.recovered(app, table, faust.types.TP))
        for name in self.topics:
            topic = app.topic(name, key_serializer="raw", value_serializer="raw", internal=False)
            app.agent(topic, name=f"{self.app_id}.{name}", concurrency=1)(self.counting(windows))
        return app, table

    def credentials(self, faust: Any) -> Any:
        """As whom it comes: the service's own user, over TLS where the settings say so."""
        trusted = self.settings.kafka_ca_file
        return faust.SASLCredentials(
            username=self.settings.kafka_user,
            password=self.settings.kafka_password.get_secret_value(),
            mechanism="SCRAM-SHA-512",
            ssl_context=ssl.create_default_context(cafile=str(trusted)) if trusted else None,
        )

    def counting(self, windows: Any) -> Any:
        """Make the agent of one topic. It outlives whatever a message holds: an exception here would lose the message and more."""

        async def count(stream: Any) -> AsyncIterator[None]:
            async for event in stream.events():
                try:
                    self.take(windows, event.message)
                except Exception as error:  # noqa: BLE001 one bad message must not stop the view
                    self.view.skipped += 1
                    message = event.message
                    where = {"topic": message.topic, "partition": message.partition, "offset": message.offset}
                    log.warning("view_skipped", error=repr(error)[:300], **where)
                yield

        return count

    def take(self, windows: Any, message: Any) -> None:
        """Add one message to its day. Raises when it cannot be read."""
        headers = texts(message)
        contract = CONTRACTS.get(headers["ce_type"])
        if contract is None:
            return
        event = contract.model_validate_json(message.value)
        stream, version = headers["ce_subject"], int(headers["ce_streamversion"])
        key = f"{message.topic}|{message.partition}"
        window = dict(windows[key].value())
        if window.get("seen", {}).get(stream, 0) >= version:
            return
        for name, number in adds(event, told_at(message), self.delivered_within_days).items():
            window[name] = window.get(name, 0) + number
        window["seen"] = {**window.get("seen", {}), stream: version}
        windows[key] = window

    async def recovered(self, app: Any, table: Any, partition: Any) -> None:
        """Read everything again when there is nothing to go on from: then what was already read belongs to a view that is gone."""
        if len(table):
            return
        places = [place for place in app.consumer.assignment() if place.topic in self.topics]
        log.info("view_from_the_beginning", app=self.app_id, partitions=len(places))
        for place in places:
            await app.consumer.seek(partition(place.topic, place.partition), 0)
        # Faust goes to what is committed next, unless that is nothing; it has no public way to say so
        await app.consumer._commit({partition(place.topic, place.partition): 0 for place in places})  # noqa: SLF001

    async def watch(self, app: Any, table: Any, starting: "asyncio.Task[None]") -> None:
        """Copy the figures for the page every second, and say when they are right; report a view that does not come up."""
        began, reported = monotonic(), False
        while True:
            await asyncio.sleep(0.5)
            if starting.done() and starting.exception() is not None:
                raise starting.exception() or RuntimeError("stopped")
            if app.crashed:
                raise RuntimeError("the view crashed") from app.crash_reason
            if await caught_up(app, self.topics):
                self.view.days = figures(table)
                self.view.last_right, self.view.state = datetime.now(UTC), "ready"
            elif not reported and self.view.state == "rebuilding" and monotonic() - began > REPORTED_AFTER_S:
                reported, self.view.state = True, "late"
                log.error(
                    "view_not_ready", app=self.app_id, after_s=REPORTED_AFTER_S, decisions="not affected", look="rights, topics"
                )


def texts(message: Any) -> dict[str, str]:
    """The headers of a message as text."""
    pairs = message.headers.items() if isinstance(message.headers, Mapping) else message.headers or ()
    return {name: value.decode() for name, value in pairs}


def told_at(message: Any) -> datetime:
    """When it happened, as its publisher says: the window it belongs to."""
    return datetime.fromisoformat(texts(message)["ce_time"]).astimezone(UTC)


async def caught_up(app: Any, topics: Sequence[str]) -> bool:
    """Tell whether all that is on the topics was counted. When that cannot be known (still starting, broker away) it is not so."""
    try:
        if app.in_recovery or app.rebalancing or app.consumer is None:
            return False
        places = [place for place in app.consumer.assignment() if place.topic in topics]
        if not places:
            return False
        ends = await app.consumer.highwaters(*places)
        done = [await at(app, place) for place in places]
    except Exception:  # noqa: BLE001 Faust says by itself when it gives up (`crashed`); a question that fails stops nothing
        return False
    return all(here >= (ends.get(place) or 0) for here, place in zip(done, places, strict=True))


async def at(app: Any, place: Any) -> int:
    """The next message that the view counts in this partition."""
    done = app.consumer._committed_offset.get(place)  # noqa: SLF001 what is acknowledged is counted
    return int(done or await app.consumer.position(place) or 0)


def figures(table: Any) -> dict[tuple[str, date], dict[str, int]]:
    """Add up the windows of all partitions and both topics: refurbisher and day -> figures."""
    days: dict[tuple[str, date], dict[str, int]] = {}
    for (key, (start, _)), window in table.items():
        refurbisher = key.partition("|")[0].rpartition(".")[2]
        day = days.setdefault((refurbisher, datetime.fromtimestamp(start, UTC).date()), dict.fromkeys(FIGURES, 0))
        for name in FIGURES:
            day[name] += window.get(name, 0)
    return days

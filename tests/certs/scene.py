"""What tests of the running service do again and again: tell a story, run the steps of issuing by hand, look at what is there."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from services.certs import reactions
from services.certs.jobs import Issuer
from services.certs.store import files, tables
from services.certs.store.files import Documents
from services.certs.store.press import Press
from shared.desk import Desk
from shared.events.base import Event
from shared.message import Message
from tests.certs.samples import AT, Story
from tests.support.service import Publisher, Site


async def tell(publisher: Publisher, story: Story, *, erased: Sequence[str], failed: Sequence[str] = ()) -> None:
    """A consignment from assignment to the last device, over Kafka."""
    routing, refurb = f"routing.consignments.{story.refurbisher}", f"refurb.devices.{story.refurbisher}"
    await publisher.tell(routing, story.consignment, story.assigned())
    for ref in erased:
        await publisher.tell(refurb, story.device(ref), *story.erased(ref))
    for ref in failed:
        await publisher.tell(refurb, story.device(ref), *story.failed(ref))
    await publisher.tell(refurb, story.arrival, story.received(len(erased) + len(failed)))


async def note(desk: Desk, story: Story, *, erased: Sequence[str], failed: Sequence[str] = ()) -> None:
    """The same without Kafka: what the reactions make of it, carried out at once."""
    facts: list[tuple[UUID, Event]] = [(story.consignment, story.assigned())]
    facts += [(story.device(ref), event) for ref in erased for event in story.erased(ref)]
    facts += [(story.device(ref), event) for ref in failed for event in story.failed(ref)]
    facts += [(story.arrival, story.received(len(erased) + len(failed)))]
    for stream, event in facts:
        await hear(desk, stream, event)


async def hear(desk: Desk, stream: UUID, event: Event) -> None:
    """What the reaction to one event makes of it."""
    message = Message("refurb.devices.trira", 0, 0, stream, 1, event.type, AT, {}, b"")
    await desk.carry_out(reactions.REACTIONS[type(event)](message, event))


def issuer(site: Site, press: Press) -> Issuer:
    """An issuer of one's own on the service's database, as another replica would run it."""
    settings: Any = site.service.settings
    kept = files.keys(settings.keys_folder)
    from services.certs.domain.verification import Trust

    origin = Trust.read(files.trust(settings.keys_folder)).log.name
    documents = Documents(settings.documents_folder)
    return Issuer(settings=settings, press=press, keys=kept, origin=origin, documents=documents)


def without_jobs(build: Any) -> Any:
    """The service with nothing done by the clock: a test takes the steps itself."""
    return lambda settings: replace(build(settings), jobs=())


async def counts(site: Site) -> dict[str, Any]:
    async with site.desk.read() as tx:
        return await tables.figures(tx)


async def certified(site: Site, number: int) -> bool:
    return bool((await counts(site))["certificates"] == number)

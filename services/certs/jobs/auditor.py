"""The audit of custody, continuous from the topics: a donation is judged again when something was said of it, or waited for too long."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from services.certs.domain.account import AccountNoted
from services.certs.store import custody
from shared.db import AWAY, Tx
from shared.desk import Desk
from shared.errors import Outage
from shared.log import log

AT_ONCE = 100
LOOK_AGAIN = timedelta(hours=6)
"""What stalls is found by the clock alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Auditor:
    """Judges donations and keeps what it finds. A breach is logged once, when nothing under way can explain it any more."""

    patience: timedelta

    async def run(self, desk: Desk) -> None:
        """Judge what moved since, and what is to be looked at again by now."""
        async with desk.read() as tx:
            moved = await custody.moved(tx, desk.now(), AT_ONCE)
        trouble: Exception | None = None
        for donation in moved:
            try:
                await self.judge(desk, donation)
            except (Outage, *AWAY):
                raise
            except Exception as error:  # noqa: BLE001 one donation's trouble is not the others'; it is told at the end
                trouble = error
        if trouble is not None:
            raise trouble

    async def judge(self, desk: Desk, donation: UUID) -> None:
        """Keep what is found of a donation now, and log what is broken since the last time."""
        now = desk.now()
        async with desk.read() as tx:
            word = await custody.facts(tx, donation)
            before, command = await custody.judged(tx, donation, self.patience, now)
        again = now + (min(self.patience, LOOK_AGAIN) if command.verdict.breaches else LOOK_AGAIN)

        async def also(tx: Tx) -> None:
            await custody.keep_judged(tx, donation, word, again)

        recorded = await desk.carry_out([command], also=also)
        known = {noted.breach.key for noted in before.broken}
        new = [n.breach for r in recorded if isinstance(r.event, AccountNoted) for n in r.event.noted if n.broken]
        new = [breach for breach in new if breach.key not in known]
        if new:
            codes, first = sorted({breach.code for breach in new}), new[0].step
            place = {"topic": first.topic, "stream": str(first.stream), "number": first.number}
            log.warning("custody_broken", donation=command.verdict.reference, codes=codes, **place)

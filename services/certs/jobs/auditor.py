"""The audit of custody, continuous from the topics: a donation is judged again when something was said of it, or waited for too long."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from services.certs.domain.account import Account, NoteAccount, account_id, decide_account, evolve_account
from services.certs.domain.ledger import judge
from services.certs.store import custody
from shared.db import Tx
from shared.desk import Desk
from shared.log import log

AT_ONCE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Auditor:
    """Judges donations and keeps what it finds. A breach is logged once, when nothing under way can explain it any more."""

    patience: timedelta

    async def run(self, desk: Desk) -> None:
        """Judge what moved since, and what is to be looked at again by now."""
        async with desk.read() as tx:
            moved = await custody.moved(tx, desk.now(), AT_ONCE)
        for donation in moved:
            await self.judge(desk, donation)

    async def judge(self, desk: Desk, donation: UUID) -> None:
        now = desk.now()
        async with desk.read() as tx:
            word = await custody.facts(tx, donation)
            before, command = await judged(tx, donation, self.patience, now)

        async def also(tx: Tx) -> None:
            again = now + min(self.patience, LOOK_AGAIN) if command.verdict.breaches else now + LOOK_AGAIN
            await custody.keep_judged(tx, donation, word, again)

        known = {noted.breach.key for noted in before.broken}
        for recorded in await desk.carry_out([command], also=also):
            new = [n.breach for n in recorded.event.noted if n.broken and n.breach.key not in known]  # type: ignore[attr-defined]
            if new:
                log.warning(
                    "custody_broken",
                    donation=command.verdict.reference,
                    codes=sorted({breach.code for breach in new}),
                    first=f"{new[0].step.topic} {new[0].step.stream} {new[0].step.number}",
                )


LOOK_AGAIN = timedelta(hours=6)
"""What stalls is found by the clock alone."""


async def judged(tx: Tx, donation: UUID, patience: timedelta, now: datetime) -> tuple[Account, NoteAccount]:
    """The account of a donation as it was kept, and what is found of it now."""
    before, trails = await custody.account(tx, donation), await custody.trails(tx, donation)
    verdict = judge(trails, await custody.twins(tx, trails), now)
    return before, NoteAccount(id=account_id(donation), donation_id=donation, verdict=verdict, patience=patience, noted_at=now)


async def account_now(tx: Tx, donation: UUID, patience: timedelta, now: datetime) -> Account:
    """How a donation stands now, whether that was kept already or not."""
    before, command = await judged(tx, donation, patience, now)
    events = decide_account(before, command)
    return evolve_account(before, events[0]) if events else before

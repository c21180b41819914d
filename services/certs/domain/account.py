"""What the audit last found of a donation, kept by local events: the sums, and what breaks them, each since it was first seen.

A breach that another stream may still explain is only waited for until it has stood for the patience that the settings say, from the
moment when it was seen here: a service that reads years of events again accuses nobody of what it has not read yet.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import ClassVar, Literal
from uuid import UUID

from services.certs.domain.ledger import Sum, Verdict
from services.certs.domain.passage import Breach
from services.certs.domain.trail import NOBODY
from shared.events.base import Event, Fact, stream_id

State = Literal["holds", "open", "waiting", "broken"]
MOST = 200
"""Breaches that are kept of one donation: more have one cause, and an event has a limit."""


class Noted(Fact):
    """A breach, and since when it stands. `broken`: nothing that is under way can explain it any more."""

    breach: Breach
    since: datetime
    broken: bool


class AccountNoted(Event):
    """The audit of a donation says this now."""

    type: ClassVar[str] = "certs.account_noted.v1"

    donation_id: UUID
    reference: str
    state: State
    sums: tuple[Sum, ...]
    noted: tuple[Noted, ...]
    noted_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteAccount:
    """Keep what was found."""

    id: UUID
    donation_id: UUID
    verdict: Verdict
    patience: timedelta
    noted_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """How a donation stands."""

    donation_id: UUID = NOBODY
    reference: str = ""
    state: State = "open"
    sums: tuple[Sum, ...] = ()
    noted: tuple[Noted, ...] = ()
    noted_at: datetime | None = None

    @property
    def broken(self) -> Sequence[Noted]:
        return [noted for noted in self.noted if noted.broken]


def account_id(donation: UUID) -> UUID:
    return stream_id("account", donation)


def decide_account(account: Account, command: NoteAccount) -> list[AccountNoted]:
    """Note what is new. The same again is no news, whenever it is found."""
    found = noted(account, command)
    event = AccountNoted(
        donation_id=command.donation_id,
        reference=command.verdict.reference,
        state=standing(command.verdict, found),
        sums=tuple(so_far(each, found) for each in command.verdict.sums),
        noted=found,
        noted_at=command.noted_at,
    )
    return [] if replace(evolve_account(account, event), noted_at=account.noted_at) == account else [event]


def evolve_account(_: Account, event: AccountNoted) -> Account:
    """The account after the event."""
    return Account(**{name: getattr(event, name) for name in AccountNoted.model_fields})


def noted(account: Account, command: NoteAccount) -> tuple[Noted, ...]:
    """The breaches of today, each since it was first seen."""
    since = {n.breach.key: n.since for n in account.noted}
    found = []
    for breach in command.verdict.breaches[:MOST]:
        first = since.get(breach.key, command.noted_at)
        found.append(Noted(breach=breach, since=first, broken=breach.sure or command.noted_at - first >= command.patience))
    return tuple(found)


def standing(verdict: Verdict, found: Sequence[Noted]) -> State:
    if any(n.broken for n in found):
        return "broken"
    if found:
        return "waiting"
    return "open" if any(each.state == "open" for each in verdict.sums) else "holds"


def so_far(each: Sum, found: Sequence[Noted]) -> Sum:
    """A sum that is off is open as long as what breaks it may still be explained."""
    if each.state == "broken" and not any(n.broken for n in found):
        return each.model_copy(update={"state": "open"})
    return each

"""`maillon audit`: who had what, and whether the sums of each donation add up, judged anew from what certs keeps of the topics."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.operate import Stack, opened, run
from deploy.places import Place
from shared.db import transaction

if TYPE_CHECKING:
    from services.certs.domain.account import Account, Noted
    from services.certs.domain.ledger import Sum

PATIENCE = "MAILLON_CERTS_AUDIT_PATIENCE_S"
LONGEST_S = 366 * 86_400


def audit(
    *,
    donation: Annotated[str | None, typer.Option("--donation", help="Only this one, such as DON-7K3M-24PQ.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, for each donation.")] = False,
    patience_s: Annotated[
        int | None,
        typer.Option(
            "--patience", min=0, max=LONGEST_S, help="Seconds that a word from another topic may take. By default as certs."
        ),
    ] = None,
    stack: Stack = None,
) -> None:
    """Audit the chain of custody: per donation the sums, and what breaks them. Status 1 when one is broken."""
    run(stack, ["certs"], lambda found: _audit(found, donation, patience_s, as_json=as_json))


async def _audit(found: Sequence[Place], donation: str | None, patience_s: int | None, *, as_json: bool) -> int:
    from services.certs.settings import CertsSettings
    from services.certs.store import custody

    told = found[0].told.get(PATIENCE) or CertsSettings.model_fields["certs_audit_patience_s"].default
    patience, states = timedelta(seconds=float(told) if patience_s is None else patience_s), []
    async with opened(found) as pools:
        async with transaction(pools["certs"], readonly=True) as tx:
            wanted = await custody.donations(tx, donation)
        for each in wanted:
            async with transaction(pools["certs"], readonly=True) as tx:
                account = await custody.account_now(tx, each, patience, datetime.now(UTC))
            states.append(account.state)
            for line in [json.dumps(as_object(account))] if as_json else as_lines(account):
                typer.echo(line)
    if donation and not wanted:
        typer.echo(f"{donation}: no publisher has told of it, as far as certs has heard", err=True)
        return 1
    if not as_json:
        counts = ", ".join(f"{states.count(state)} {state}" for state in ("holds", "open", "waiting", "broken"))
        typer.echo(f"{len(states)} donations audited: {counts}")
    return 1 if "broken" in states else 0


def as_lines(account: "Account") -> list[str]:
    lines = [f"{account.reference or account.donation_id}  {account.state}", *(f"  {spelled(each)}" for each in account.sums)]
    return lines + [f"  {'BROKEN' if noted.broken else 'waiting'}  {told(noted)}" for noted in account.noted]


def spelled(each: "Sum") -> str:
    """Write a sum out: `received 4 = 0 open + 1 stock + …`; parts that are nothing are left out."""
    parts = [f"{count} {name.replace('_', ' ')}" for name, count in each.spelled.items() if count and name != each.name]
    return f"{each.name} {each.whole} = {' + '.join(parts) or '0'}{'' if each.state == 'holds' else f'  ({each.state})'}"


def told(noted: "Noted") -> str:
    breach, step = noted.breach, noted.breach.step
    about = f"{breach.code} {breach.reference or breach.subject}{f' and {breach.other}' if breach.other else ''}"
    said = f"{step.what} {step.at:%Y-%m-%d %H:%M:%SZ} ({step.topic} {step.stream} number {step.number})"
    return f"{about}: {said}, held by {breach.holder.role} {breach.holder.name}".rstrip()


def as_object(account: "Account") -> dict[str, object]:
    return {
        "donation": account.reference,
        "donation_id": str(account.donation_id),
        "state": account.state,
        "sums": {each.name: {**each.spelled, "state": each.state} for each in account.sums},
        "breaches": [
            {**noted.breach.model_dump(mode="json", exclude={"sure"}), "since": noted.since.isoformat(), "broken": noted.broken}
            for noted in account.noted
        ],
    }

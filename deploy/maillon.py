"""The command for operations: `maillon topics apply`, `maillon users apply` and those of COMMANDS.

The broker is named by MAILLON_KAFKA_BOOTSTRAP, MAILLON_KAFKA_ADMIN_USER and MAILLON_KAFKA_ADMIN_PASSWORD. More commands are
functions, or typer apps, of other modules.
"""

import asyncio
import importlib
import json
import os
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from deploy.apply import TopicsPlan, UsersPlan, plan_topics, plan_users
from deploy.topology import Topology
from shared.kafka.admin import Admin, AdminError

# Name of the sub-command -> "module:function or typer app". Each imports little at its top: all are loaded for any of them.
COMMANDS: dict[str, str] = {
    "parked": "deploy.parked:parked",
    "resend": "deploy.operate:resend",
    "lag": "deploy.operate:lag",
    "tally": "deploy.operate:tally",
    "fold": "deploy.operate:fold",
    "audit": "deploy.audit:audit",
    "cursors": "deploy.cursors:cursors",
    "rebuild": "deploy.rebuild:rebuild",
    "vault": "deploy.vault:vault",
}

app = typer.Typer(no_args_is_help=True, help="Operations on a running maillon.")
topics = typer.Typer(no_args_is_help=True, help="The topics of deploy/topics.yaml and deploy/cells.yaml.")
users = typer.Typer(no_args_is_help=True, help="The users, rights and quotas that follow from them.")
app.add_typer(topics, name="topics")
app.add_typer(users, name="users")
for _name, _target in COMMANDS.items():
    _module, _, _attribute = _target.partition(":")
    _found = getattr(importlib.import_module(_module), _attribute)
    if isinstance(_found, typer.Typer):
        app.add_typer(_found, name=_name)
    else:
        app.command(_name)(_found)

DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would change and change nothing.")]


def admin_address(environ: Mapping[str, str] = os.environ) -> tuple[str, str, str]:
    """Bootstrap, user and password of the broker's admin. Ends the command with what is missing."""
    names = ("MAILLON_KAFKA_BOOTSTRAP", "MAILLON_KAFKA_ADMIN_USER", "MAILLON_KAFKA_ADMIN_PASSWORD")
    missing = [name for name in names if not environ.get(name)]
    if missing:
        typer.echo(f"set {', '.join(missing)}", err=True)
        raise typer.Exit(2)
    bootstrap, user, password = (environ[name] for name in names)
    return bootstrap, user, password


def find_passwords(wanted: list[str], secrets: Path | None, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Each user's password: MAILLON_PASSWORD_<USER> (`-` as `_`), else `kafka.<user>` in the secrets file."""
    filed: dict[str, str] = json.loads(secrets.read_text(encoding="utf-8")) if secrets is not None else {}
    found = {}
    for name in wanted:
        password = environ.get(f"MAILLON_PASSWORD_{name.upper().replace('-', '_')}") or filed.get(f"kafka.{name}")
        if password:
            found[name] = password
    return found


def _tell(plan: TopicsPlan | UsersPlan, *, dry_run: bool) -> None:
    for line in plan.lines():
        typer.echo(f"{'would ' if dry_run else ''}{line}")
    if not plan.lines():
        typer.echo("nothing to change")


async def _apply_topics(*, dry_run: bool, local: bool) -> None:
    async with Admin(*admin_address()) as admin:
        plan = await plan_topics(admin, Topology.read(), local=local)
        for warning in plan.warnings:
            typer.echo(f"note: {warning}")
        _tell(plan, dry_run=dry_run)
        if not dry_run:
            await plan.carry_out(admin)


async def _apply_users(*, dry_run: bool, secrets: Path | None) -> None:
    topology = Topology.read()
    bootstrap, user, password = admin_address()
    async with Admin(bootstrap, user, password) as admin:
        plan = await plan_users(admin, topology, find_passwords(topology.users(), secrets), bootstrap=bootstrap)
        _tell(plan, dry_run=dry_run)
        if not dry_run:
            await plan.carry_out(admin, bootstrap=bootstrap)


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Runs to its end; what the broker refuses is one line, not a traceback."""
    try:
        asyncio.run(work)
    except (AdminError, ValueError, OSError) as error:
        typer.echo(f"{type(error).__name__}: {error}", err=True)
        raise typer.Exit(2) from None


@topics.command("apply")
def apply_topics(
    *,
    dry_run: DryRun = False,
    local: Annotated[bool, typer.Option("--local", help="Partitions of one machine: 3 everywhere.")] = False,
) -> None:
    """Create what is missing, change settings that differ; partitions and topics are never taken away."""
    _run(_apply_topics(dry_run=dry_run, local=local))


@users.command("apply")
def apply_users(
    *,
    dry_run: DryRun = False,
    secrets: Annotated[Path | None, typer.Option("--secrets", help="JSON file with kafka.<user>: password.")] = None,
) -> None:
    """Create users, set their passwords, grant and withdraw rights, set quotas. Passwords are never printed."""
    _run(_apply_users(dry_run=dry_run, secrets=secrets))


@app.callback()
def main() -> None:
    """Operations on a running maillon."""


if __name__ == "__main__":
    app()

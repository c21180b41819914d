"""What was asked for, and what was heard back: ok, refused or unknown. Kept in memory and, line by line, in a file."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal
from uuid import UUID

Kind = Literal["donation", "collection", "report", "need", "shipment", "delivery", "voucher", "sale"]
Outcome = Literal["ok", "refused", "unknown"]


@dataclass(slots=True, kw_only=True)
class Command:
    """One thing that somebody wants done once, however often it has to be asked for. `stream` is where its effect must stand."""

    kind: Kind
    name: str
    stream: UUID
    event: str
    """Type of the event that is its effect."""
    tries: int = 0
    outcome: Outcome = "unknown"


@dataclass(slots=True)
class Ledger:
    """`heard` after each try. An answer that is ok stays; what was once unknown is no refusal later: it may have been done."""

    file: IO[str]
    commands: dict[tuple[Kind, str], Command] = field(default_factory=dict)
    doubtful: set[tuple[Kind, str]] = field(default_factory=set)

    @classmethod
    def at(cls, path: Path) -> "Ledger":
        return cls(path.open("w", encoding="utf-8"))

    def open(self, kind: Kind, name: str, stream: UUID, event: str) -> Command:
        """The command of that name: new, or as it stands."""
        return self.commands.setdefault((kind, name), Command(kind=kind, name=name, stream=stream, event=event))

    def heard(self, command: Command, outcome: Outcome) -> Outcome:
        """Note what a try came to. Answers what is known of the command now."""
        key = (command.kind, command.name)
        command.tries += 1
        if outcome == "unknown":
            self.doubtful.add(key)
        if outcome == "ok" or (outcome == "refused" and command.outcome != "ok" and key not in self.doubtful):
            command.outcome = outcome
        self.file.write(json.dumps([command.kind, command.name, str(command.stream), command.tries, outcome]) + "\n")
        self.file.flush()
        return command.outcome

    def __iter__(self) -> Iterator[Command]:
        return iter(self.commands.values())

    def __len__(self) -> int:
        return len(self.commands)

    def counted(self) -> dict[str, dict[str, int]]:
        """Kind -> outcome -> how many."""
        found: dict[str, Counter[str]] = {}
        for command in self:
            found.setdefault(command.kind, Counter())[command.outcome] += 1
        return {kind: dict(sorted(count.items())) for kind, count in sorted(found.items())}

    def close(self) -> None:
        self.file.close()

"""Given these events, when this command, then these events: rules tested on whole values, without any I/O."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from shared.aggregate import Aggregate
from shared.errors import Coded
from shared.events.base import Event


@dataclass(frozen=True)
class Scene:
    """An aggregate after some events, and what a command does to it."""

    aggregate: Aggregate
    state: Any
    command: Any = None

    def when(self, command: Any) -> "Scene":
        return replace(self, command=command)

    def then(self, *events: Event) -> "Scene":
        """The command yields exactly `events`; the scene goes on after them."""
        happened = self.decided()
        assert happened == list(events)
        return replace(self, state=folded(self.aggregate, self.state, happened), command=None)

    def refuses(self, code: str, **detail: object) -> None:
        """The command is refused with `code`, and with `detail` where it is given."""
        with pytest.raises(Coded) as caught:
            self.decided()
        assert caught.value.code == code
        if detail:
            assert caught.value.detail == detail

    def leaves(self, **fields: object) -> "Scene":
        """The state, after what was given, has these values."""
        assert {name: getattr(self.state, name) for name in fields} == fields
        return self

    def decided(self) -> list[Event]:
        return list(self.aggregate.decide(self.state, self.command))


def folded(aggregate: Aggregate, state: Any, events: Sequence[Event]) -> Any:
    for event in events:
        assert type(event) in aggregate.events, f"{type(event).__name__} is not among the events of {aggregate.name}"
        state = aggregate.evolve(state, event)
    return state


def given(aggregate: Aggregate, *events: Event) -> Scene:
    """The aggregate after `events`."""
    return Scene(aggregate, folded(aggregate, aggregate.new, events))

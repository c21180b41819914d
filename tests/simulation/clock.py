"""Virtual time: an event loop whose clock jumps to the next thing to do, and processes in it that can be killed and frozen.

One thread, no sockets, no selector. What a process does runs in a context of its own, so the loop knows whose each step is: a
frozen one's steps are kept until it thaws, a killed one's coroutines are unwound without touching anything outside it.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
MOST_STEPS = 400_000
"""No short history takes as many: one that does has come into a ring."""


class Killed(BaseException):  # no Exception: code that survives its errors must not survive this
    """The process that met this is dead: nothing it does reaches the world any more."""


class Endless(Exception):
    """A history that does not come to its end."""


@dataclass(slots=True, eq=False)
class Actor:
    """A simulated process."""

    name: str
    loop: "Loop"
    steps: int = 0
    doomed_at: int = -1
    """Killed before this step: any await may be the last."""
    frozen: bool = False
    dead: bool = False
    held: list["Handle"] = field(default_factory=list)
    tasks: list["asyncio.Task[Any]"] = field(default_factory=list)
    buried: Callable[[], None] = lambda: None
    """Told at the moment of death: what the rest of the world notices of it."""

    def kill(self) -> None:
        """End it between two steps. Its coroutines are unwound; everything outside refuses to hear them."""
        if self.dead:
            return
        self.dead = True
        self.loop.thaw(self)
        self.buried()
        for task in self.tasks:
            if not task.done():
                task.cancel()


ACTOR: ContextVar[Actor | None] = ContextVar("actor", default=None)


def alive() -> Actor | None:
    """Give whose code this is; raises Killed for the dead: each door of the world asks here."""
    actor = ACTOR.get()
    if actor is not None and actor.dead:
        raise Killed(actor.name)
    return actor


class Handle:
    """A step to take."""

    __slots__ = ("args", "callback", "context", "off")

    def __init__(self, callback: Callable[..., object], args: tuple[Any, ...], context: Context) -> None:
        self.callback: Callable[..., object] | None = callback
        self.args = args
        self.context = context
        self.off = False

    def cancel(self) -> None:
        self.off = True
        self.callback = None
        self.args = ()

    def cancelled(self) -> bool:
        return self.off


class Loop(asyncio.AbstractEventLoop):
    """Runs steps in the order of their virtual times, those of one time in the order in which they were asked for."""

    def __init__(self) -> None:
        self.now = 0.0
        self.ready: deque[Handle] = deque()
        self.timers: list[tuple[float, int, Handle]] = []
        self.order = count()
        self.steps = 0
        self.outside = copy_context()
        """The context of what belongs to no process: broker, database, nemesis."""

    def time(self) -> float:
        return self.now

    def moment(self) -> datetime:
        """Give the date of this time."""
        return EPOCH + timedelta(seconds=self.now)

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> Handle:  # type: ignore[override]
        handle = Handle(callback, args, context or copy_context())
        self.ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_at(self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None) -> Handle:  # type: ignore[override]
        handle = Handle(callback, args, context or copy_context())
        heapq.heappush(self.timers, (when, next(self.order), handle))
        return handle

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None) -> Handle:  # type: ignore[override]
        return self.call_at(self.now + delay, callback, *args, context=context)

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]
        self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, context: Context | None = None
    ) -> "asyncio.Task[Any]":
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        actor = context.get(ACTOR) if context is not None else ACTOR.get()
        if actor is not None:
            actor.tasks.append(task)
            if actor.dead:
                task.cancel()
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Say nothing: what a killed process leaves behind is no news, and what counts is judged by its effects."""

    def run_until_complete(self, future: Coroutine[Any, Any, Any]) -> Any:  # type: ignore[override]
        asyncio.events._set_running_loop(self)
        try:
            task = self.create_task(future)
            self.run(task)
            return task.result()
        finally:
            asyncio.events._set_running_loop(None)

    def run(self, task: "asyncio.Task[Any]") -> None:
        """Take steps until `task` is done."""
        ready, timers, pop = self.ready, self.timers, heapq.heappop
        while not task.done():
            if ready:
                handle = ready.popleft()
            elif timers:
                when, _, handle = pop(timers)
                if handle.off:
                    continue
                if when > self.now:  # noqa: PLR1730 the hottest line of all
                    self.now = when
            else:
                raise Endless("nothing is left to happen")
            callback = handle.callback
            if callback is None:
                continue
            actor = handle.context.get(ACTOR)
            if actor is not None and not actor.dead:
                if actor.frozen:
                    actor.held.append(handle)
                    continue
                actor.steps += 1
                if actor.steps == actor.doomed_at:
                    actor.kill()
            self.steps += 1
            if self.steps > MOST_STEPS:
                raise Endless(f"{MOST_STEPS} steps by {self.now:.3f} s")
            handle.context.run(callback, *handle.args)

    def freeze(self, actor: Actor) -> None:
        actor.frozen = True

    def thaw(self, actor: Actor) -> None:
        """Let it go on: all that came due meanwhile comes at once."""
        actor.frozen = False
        held, actor.held = actor.held, []
        self.ready.extend(held)

    def spawn(self, actor: Actor, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Begin the main task of a process."""
        context = self.outside.copy()
        context.run(ACTOR.set, actor)
        return self.create_task(work, context=context)

    def after(self, delay: float, callback: Callable[..., object], *args: Any) -> Handle:
        """Let something happen in the world, whoever is dead or frozen by then."""
        return self.call_at(self.now + delay, callback, *args, context=self.outside)

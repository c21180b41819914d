"""Structured logs, one line of JSON each (or readable ones on a terminal). An error is logged once, where it is handled."""

import logging
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

import structlog
from structlog.tracebacks import ExceptionDictTransformer

log: structlog.stdlib.BoundLogger = structlog.get_logger()
MOST_THINGS = 1_000
"""Remembered as said; a logger that words each line anew does not fill the memory."""


class Printer(structlog.PrintLogger):
    """Where a line cannot be written (a full disk), the line is lost and the work that it tells of goes on."""

    def msg(self, message: str) -> None:
        with suppress(OSError):
            super().msg(message)

    log = debug = info = warn = warning = fatal = failure = err = error = critical = exception = msg


class Once(logging.Filter):
    """Lets a foreign logger say the same thing once in `every_s`, and then how often it was left out.

    In an outage the broker's clients repeat themselves hundreds of times a second, each cell's for itself. What carries a traceback
    is never left out.
    """

    def __init__(self, every_s: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.every_s, self.clock = every_s, clock
        self.said: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info:
            return True
        thing, now = (record.name, str(record.msg)), self.clock()
        until, left_out = self.said.get(thing, (now, 0))
        if now < until:
            self.said[thing] = until, left_out + 1
            return False
        if len(self.said) >= MOST_THINGS:
            self.said.clear()
        self.said[thing] = now + self.every_s, 0
        if left_out:
            record.msg, record.args = f"{record.getMessage()} ({left_out} times more since)", ()
        return True


def configure(style: Literal["json", "console"], **always: str) -> None:
    """Set up logging for a process; `always` (service, replica) stands on each line. Foreign loggers go the same way, from WARNING up.

    Tracebacks never show local variables: they hold passwords and people's data.
    """
    tracebacks = structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False))
    before: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        *([tracebacks] if style == "json" else []),
    ]
    last: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if style == "json"
        else structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    )
    structlog.configure(
        processors=[*before, last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: Printer(sys.stdout),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(**always)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=before, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last]
        )
    )
    handler.addFilter(Once())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)

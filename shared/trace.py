"""W3C trace context, carried from a request through outbox and Kafka to the next service: one id tells the whole story in the logs."""

import secrets
from contextvars import ContextVar

from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.trace.span import INVALID_SPAN

CURRENT: ContextVar[str | None] = ContextVar("traceparent", default=None)
_W3C = TraceContextTextMapPropagator()


def get_span(traceparent: str | None) -> SpanContext | None:
    """Read a `traceparent`; None when it is none."""
    context = _W3C.extract({"traceparent": traceparent} if traceparent else {})
    span = get_current_span(context)
    return None if span is INVALID_SPAN else span.get_span_context()


def child(traceparent: str | None) -> str:
    """Give a new step of the same trace, or of a new one where the header is missing or unreadable."""
    parent = get_span(traceparent)
    trace_id = parent.trace_id if parent else secrets.randbits(128) or 1
    span = SpanContext(trace_id, secrets.randbits(64) or 1, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    carrier: dict[str, str] = {}
    _W3C.inject(carrier, set_span_in_context(NonRecordingSpan(span)))
    return carrier["traceparent"]


def trace_id(traceparent: str | None) -> str:
    """Give the id that logs show."""
    span = get_span(traceparent)
    return f"{span.trace_id:032x}" if span else ""

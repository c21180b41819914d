"""The names of streams: anyone who knows what they are about can compute them."""

from uuid import UUID

from shared.events.base import stream_id


def expected_stream(consignment_id: UUID) -> UUID:
    """Name what is kept here of a consignment."""
    return stream_id("expected_consignment", consignment_id)


def device_stream(refurbisher: str, device_ref: str) -> UUID:
    """Name a device. Case does not tell two apart."""
    return stream_id("device", refurbisher, device_ref.strip().upper())

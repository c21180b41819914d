"""The real toy service, for holding the stand-ins against it."""

from tests.shared.conftest import ground, settings

__all__ = ["ground", "settings"]

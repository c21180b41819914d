"""The kernel: what every service stands on. It knows no service and no business word (`events` apart, which are types only)."""

import sys

# structlog.dev takes rich where it finds it (typer brings it for `maillon`): 6 MB a service, for tracebacks that are drawn another way.
_rich = sys.modules.get("rich")
sys.modules["rich"] = None  # type: ignore[assignment]
import structlog  # noqa: E402, F401

del sys.modules["rich"]
if _rich is not None:
    sys.modules["rich"] = _rich

"""Programs of the system that some tests need: skipped where they are missing, unless MAILLON_REQUIRE names them.

CI sets MAILLON_REQUIRE=chromium,pdfsig: there a missing one fails the test, so that no test is skipped unseen.
"""

import os
import shutil

import pytest


def chromium() -> str:
    """Path of the system's Chromium or Chrome."""
    return _program("chromium", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def pdfsig() -> str:
    """Path of poppler's pdfsig, which checks the signatures of a PDF with code that is not ours."""
    return _program("pdfsig", "pdfsig")


def _program(need: str, *names: str) -> str:
    for name in names:
        if path := shutil.which(name):
            return path
    missing = f"{need} is not installed (looked for {', '.join(names)})"
    if need in os.environ.get("MAILLON_REQUIRE", "").split(","):
        pytest.fail(f"{missing}, and MAILLON_REQUIRE names it")
    pytest.skip(missing)

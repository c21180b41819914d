"""Where the template of the document and its fonts are, and the name of the layout: part of the code, as the rules are."""

from importlib.metadata import version
from pathlib import Path

TEMPLATES = Path(__file__).parent.parent / "templates"


def layout() -> str:
    """What, with the statement, decides the bytes of the document: our layout's number and typst's version."""
    return f"certificate/1 typst/{version('typst')}"

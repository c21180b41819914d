"""What is particular to refurb."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

from shared.settings import Settings

DATA = Path(__file__).with_name("data")


def document(file: Path) -> dict[str, Any]:
    """Read a YAML mapping of ours."""
    loaded: dict[str, Any] = yaml.safe_load(file.read_text("utf-8"))
    return loaded


class RefurbSettings(Settings):
    """Settings of refurb."""

    refurb_api_keys: dict[str, list[str]] = Field(default_factory=dict)
    """Refurbisher -> SHA-256 (hexadecimal) of each of its API keys, as JSON. A key is at least 24 random characters."""
    refurb_evidence_url: str = ""
    """An archive for originals of evidence, such as `s3://bucket/path`; credentials and endpoint as `AWS_…`. Empty: the folder alone."""
    refurb_rules: str = "2026"
    """The version of the grading rules in force."""
    refurb_draft_rules: str = ""
    """A version that runs in shadow: its effect on the stock is shown first (`/refurb/regles`). Empty: none."""
    refurb_policy: str = "evidence-1"
    """The version of the evidence policy in force."""

    @property
    def evidence_dir(self) -> Path:
        """Where the originals are kept."""
        return self.data_dir / "evidence"

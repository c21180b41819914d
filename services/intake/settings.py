"""What is particular to intake. Everything else is in `shared.settings`."""

import re

from pydantic import Field, SecretStr, field_validator

from shared.settings import Settings


class IntakeSettings(Settings):
    """Settings of intake, from the environment (`MAILLON_INTAKE_…`)."""

    keys_database_url: SecretStr
    """Needed here: intake meets people."""
    vault_key: SecretStr
    """Master key of the vault; the fingerprints of answers and the secrets of tracking links are derived from it too."""
    intake_api_keys: str = ""
    """Programs that may offer donations: `client:sha256-of-its-key`, separated by commas."""
    intake_questions: str = Field("questions-2026-01", pattern=r"^questions-[0-9]{4}-[0-9]{2}$")
    """Which version of the questions is asked."""
    intake_triage: str = Field("triage-2026-01", pattern=r"^triage-[0-9]{4}-[0-9]{2}$")
    """Which version of the rules decides."""
    intake_promises: str = Field("promises-2026-01", pattern=r"^promises-[0-9]{4}-[0-9]{2}$")
    """Which version of the delays is told."""
    intake_draft_days: int = Field(30, ge=1, le=365)
    """How long a form that was begun waits for its donor."""

    @field_validator("intake_api_keys")
    @classmethod
    def keys_are_hashed(cls, value: str) -> str:
        """Refuse what could only be a slip: a key in clear, a name that would not fit in an event."""
        for entry in filter(None, value.split(",")):
            if not re.fullmatch(r"[a-z0-9-]{1,40}:[0-9a-f]{64}", entry.strip()):
                raise ValueError("intake_api_keys: write client:sha256, for example acme:9f86d081…, separated by commas")
        return value

    @property
    def clients(self) -> dict[str, str]:
        """SHA-256 of a key -> the client that holds it."""
        pairs = (entry.strip().split(":") for entry in filter(None, self.intake_api_keys.split(",")))
        return {mark: client for client, mark in pairs}

"""What a process is told from outside: environment -> frozen Settings, built once in `__main__` and passed down."""

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal, TypeVar

import yaml
from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

REACHED = r"(\+?[0-9][0-9 ]{5,20}|[^@\s,]+@[^@\s,]+)"


class Settings(BaseSettings):
    """What every service needs. No default for an address or a secret."""

    model_config = SettingsConfigDict(env_prefix="MAILLON_", frozen=True, extra="ignore")

    service: str
    database_url: SecretStr
    """Postgres, with this service's own role: its schema is the role's search path."""
    keys_database_url: SecretStr | None = None
    """Where the keys of people's data live; needed by services that keep such data."""
    vault_key: SecretStr | None = None
    """Master key of the vault, 32 bytes in base64."""
    kafka_bootstrap: str
    kafka_user: str
    kafka_password: SecretStr
    kafka_ca_file: Path | None = None
    """Certificate authority of the brokers: with it the way to them is TLS."""
    topic_prefix: str = Field("", pattern=r"^([a-z0-9-]+\.)?$")
    """Sets this installation apart from others on the same broker, such as `staging.`."""
    cells: str = "*"
    """Which cells this process serves: `*`, `trira`, or `*,!trira`."""
    replica: str = Field("0", pattern=r"^[a-zA-Z0-9_-]{1,32}$")
    """Tells processes of the same cells apart; a restarted one keeps its own."""
    nice: int = Field(0, ge=0, le=19)
    """How far this process stands back where the machine is busy, as nice(1): for a flooded cell that was split off."""
    cells_file: Path
    http_host: str = "127.0.0.1"
    http_port: int
    public_url: str
    """Where people reach the gateway; links in pages and mails start with it."""
    contact: str = Field(pattern=rf"^{REACHED}(, {REACHED})?$")
    """How people reach whoever runs this site: a telephone number, a mail address, or both with a comma between."""
    session_secret: SecretStr
    staff_code: SecretStr
    data_dir: Path
    log_format: Literal["json", "console"] = "json"

    @field_validator("cells")
    @classmethod
    def readable(cls, value: str) -> str:
        """Refuse a pattern that could only be a slip."""
        for part in value.split(","):
            if not re.fullmatch(r"!?[a-z0-9*?-]+", part.strip()):
                raise ValueError(f"cells: {part!r} is no pattern; write for example '*', 'trira' or '*,!trira'")
        return value


S = TypeVar("S", bound=Settings)


def chosen(patterns: str, cells: Sequence[str]) -> list[str]:
    """Pick the cells that `patterns` asks for: `!` takes out, whatever the order."""
    parts = [part.strip() for part in patterns.split(",")]
    return [
        cell
        for cell in cells
        if any(fnmatchcase(cell, p) for p in parts if not p.startswith("!"))
        and not any(fnmatchcase(cell, p[1:]) for p in parts if p.startswith("!"))
    ]


def served(patterns: str, cells: Sequence[str]) -> list[str]:
    """Pick the cells that `patterns` asks for. Raises ValueError when none is left."""
    found = chosen(patterns, cells)
    if not found:
        raise ValueError(f"MAILLON_CELLS={patterns!r} names none of {', '.join(cells)}")
    return found


def read_cells(file: Path) -> dict[str, list[str]]:
    """Read the kinds of cell and their names, such as `{"regions": ["ara", …], "refurbishers": ["trira", …]}`."""
    loaded = yaml.safe_load(file.read_text("utf-8"))
    return {kind: [str(name) for name in names] for kind, names in loaded.items() if isinstance(names, list)}

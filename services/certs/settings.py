"""What is particular to certs. Everything else is in `shared.settings`."""

from datetime import timedelta
from pathlib import Path

from pydantic import Field

from shared.settings import Settings


class CertsSettings(Settings):
    """Settings of certs, from the environment (`MAILLON_CERTS_…`)."""

    certs_issuer: str = Field("Emmaüs Connect (démonstration)", min_length=1, max_length=64)
    """Who signs, as it stands on certificates. Read when the keys are made, and on each certificate."""
    certs_log_origin: str = Field("maillon/certificats", pattern=r"^[^\s+]{1,100}$")
    """Name of the public log, which no other log has. Read when the keys are made."""
    certs_press: int = Field(1, ge=1, le=64)
    """How many processes lay out and sign."""

    certs_correction_after_s: float = Field(3600, ge=0)
    """How long facts must have parted from a certificate before it is corrected: a slip that is set right at once makes no correction."""

    certs_audit_patience_s: float = Field(600, ge=0)
    """How long the audit of custody waits for a word from another topic before it calls what lacks it broken."""

    certs_witnesses: str = ""
    """Witnesses of the log, separated by commas: `name+id+key url`, as `witness.py serve` prints it."""

    @property
    def audit_patience(self) -> timedelta:
        return timedelta(seconds=self.certs_audit_patience_s)

    @property
    def log_folder(self) -> Path:
        return self.data_dir / "log"

    @property
    def keys_folder(self) -> Path:
        return self.data_dir / "certs"

    @property
    def documents_folder(self) -> Path:
        return self.data_dir / "documents"

    @property
    def verify_url(self) -> str:
        return f"{self.public_url.rstrip('/')}/certs/verifier"

"""Reads the two signed statements that people write where no tool leaves a log: reset of a telephone or tablet, and destruction.

Both are JSON objects with a `form` and a `version`. They name two people; the names stay in the evidence store, facts do not carry them.
"""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from stdnum import imei

from shared.events.refurb import ErasureRun

Name = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)]
Serial = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]


class Statement(BaseModel):
    """What both forms ask for."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, strict=True)

    version: Literal[1]
    started_at: AwareDatetime
    ended_at: AwareDatetime
    operator: Name = ""
    verifier: Name = ""

    @property
    def seen_by_two(self) -> bool:
        """Signed by two different persons."""
        names = {" ".join(name.casefold().split()) for name in (self.operator, self.verifier)}
        return len(names) == 2 and "" not in names


class Reset(Statement):
    """A telephone or tablet was set back to its first state."""

    form: Literal["attestation-remise-a-zero"]
    imei: Serial
    model: Name = ""
    method: Literal["factory reset"]
    storage_encrypted: bool
    account_removed: bool
    first_screen_checked: bool


class Destroyed(BaseModel):
    """A medium that was destroyed."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    serial: Serial | None = None


class Destruction(Statement):
    """Media were destroyed."""

    form: Literal["attestation-destruction"]
    method: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60)]
    media: Annotated[list[Destroyed], Field(min_length=1, max_length=200)]


FORMS: dict[str, type[Reset] | type[Destruction]] = {
    "attestation-remise-a-zero": Reset,
    "attestation-destruction": Destruction,
}


def read(text: str, form: str) -> list[ErasureRun]:
    """The facts of a statement. Raises ValueError when it does not say what its form asks for."""
    try:
        statement = FORMS[form].model_validate_json(text)
    except ValidationError as error:
        raise ValueError("unreadable") from error
    return [reset(statement)] if isinstance(statement, Reset) else destruction(statement)


def reset(statement: Reset) -> ErasureRun:
    """Clear when the storage was encrypted: then the reset throws the key away. Else it proves nothing."""
    outcome = "ok"
    if not imei.is_valid(statement.imei):
        outcome = "invalid_imei"
    elif not statement.account_removed:
        outcome = "account_locked"
    elif not statement.first_screen_checked:
        outcome = "failed"
    return ErasureRun(
        serial=statement.imei,
        model=statement.model or None,
        outcome=outcome,
        verified=statement.seen_by_two,
        method_class="Clear" if statement.storage_encrypted else None,
        technique=statement.method,
        tool=statement.form,
        tool_version=str(statement.version),
        started_at=utc(statement.started_at),
        ended_at=utc(statement.ended_at),
    )


def destruction(statement: Destruction) -> list[ErasureRun]:
    return [
        ErasureRun(
            serial=medium.serial,
            outcome="ok",
            verified=statement.seen_by_two,
            method_class="Destroy",
            technique=statement.method,
            tool=statement.form,
            tool_version=str(statement.version),
            started_at=utc(statement.started_at),
            ended_at=utc(statement.ended_at),
        )
        for medium in statement.media
    ]


def utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)

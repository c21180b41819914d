"""Reads the two signed statements that people write where no tool leaves a log: reset of a telephone or tablet, and destruction.

Both are forms of this project: JSON objects with a `form` and a `version`. They name two people; the names stay in the evidence store,
facts do not carry them. An IMEI is checked by its last digit (Luhn); a tablet without one gives its serial number.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError
from stdnum import imei

from services.refurb.domain.readers.facts import Facts, Unusable, identifier, moment
from shared.events.refurb import ErasureRun


def _at(given: object) -> datetime:
    found = moment(given)
    if found is None:
        raise ValueError("no date and time")
    return found


Name = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)]
Serial = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
When = Annotated[datetime, BeforeValidator(_at)]


class Statement(BaseModel):
    """What both forms ask for."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, strict=True)

    version: Literal[1]
    started_at: When
    ended_at: When
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
    type: Literal["smartphone", "tablet"] = "smartphone"
    imei: Serial | None = None
    serial: Serial | None = None
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


def looks_like(content: Any) -> bool:
    """Tell whether JSON is one of the forms."""
    return isinstance(content, dict) and isinstance(content.get("form"), str) and content["form"] in FORMS


def facts(content: dict[str, Any]) -> Facts:
    """The facts of a statement. Raises Unusable when it does not say what its form asks for."""
    form = content["form"]
    try:
        statement = FORMS[form].model_validate(content)
    except ValidationError as error:
        raise Unusable("unreadable") from error
    return Facts(tool=form, runs=tuple([reset(statement)] if isinstance(statement, Reset) else destruction(statement)))


def reset(statement: Reset) -> ErasureRun:
    """Clear when the storage was encrypted: then the reset throws the key away. Else it proves nothing."""
    named = statement.imei if statement.imei is not None or statement.type == "smartphone" else statement.serial
    outcome = "ok"
    if statement.imei is not None and not imei.is_valid(statement.imei):
        outcome = "invalid_imei"
    elif not statement.account_removed:
        outcome = "account_locked"
    elif not statement.first_screen_checked:
        outcome = "failed"
    return ErasureRun(
        serial=identifier(named),
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
            serial=identifier(medium.serial),
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


def utc(moment_: datetime) -> datetime:
    return moment_.astimezone(UTC)

"""The six questions as data: wording, order, answers and bounds. Which fields exist is code (`answers.PATHS`), the rest is not."""

from collections.abc import Mapping
from functools import cached_property
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

Kind = Literal["count", "choice", "choices", "line", "text", "date", "postal_code", "company_number", "mail", "phone"]


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Choice(_Data):
    """One of the answers offered."""

    code: str
    label: str
    hint: str = ""


class Asked(_Data):
    """One field of a question. `label` is also its name in the summary of errors."""

    name: str
    kind: Kind
    label: str
    hint: str = ""
    icon: str = ""
    optional: bool = False
    largest: int | None = None
    """Most of a count, most characters of a text, most days ahead of a date."""
    choices: tuple[Choice, ...] = Field((), strict=False)
    complete: str = ""
    """What the browser may fill in (`autocomplete`)."""

    @cached_property
    def codes(self) -> Mapping[str, str]:
        """Code of each answer -> its label."""
        return {choice.code: choice.label for choice in self.choices}

    @cached_property
    def options(self) -> tuple[tuple[str, str, str], ...]:
        """Code, label and hint of each answer, in order."""
        return tuple((choice.code, choice.label, choice.hint) for choice in self.choices)


class Question(_Data):
    """One page."""

    key: str
    """Name of the page in its address."""
    short: str
    """Name of the ring that shows how far one is."""
    title: str
    hint: str = ""
    fields: tuple[Asked, ...] = Field(strict=False)


class Questions(_Data):
    """One version of all of them, in order."""

    version: str
    certainty: Literal["known", "likely", "assumed"]
    questions: tuple[Question, ...] = Field(strict=False)

    @cached_property
    def fields(self) -> Mapping[str, Asked]:
        """Every field by its name."""
        return {field.name: field for question in self.questions for field in question.fields}

    def position(self, key: str) -> int | None:
        """The place of a question, from 0; null when there is no such question."""
        return next((at for at, question in enumerate(self.questions) if question.key == key), None)


def read(text: str) -> Questions:
    """Read one version of the questions. Raises ValueError when it is not whole."""
    return Questions.model_validate(yaml.safe_load(text))

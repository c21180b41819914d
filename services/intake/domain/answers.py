"""From what was typed (a form) or sent (a program) to answers as codes, or a list of what to correct. One set of checks for both.

What arrives is text by field name; a program's JSON is laid out flat first (`flat`), so that both meet the same rule. A problem
names its field and a stable code; words are found for it elsewhere.
"""

import dataclasses
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from stdnum.exceptions import InvalidChecksum, ValidationError
from stdnum.fr import siren as siren_rules
from stdnum.fr import siret as siret_rules

from services.intake.domain.questions import Asked, Question, Questions

Raw = str | tuple[str, ...]
"""What was typed in one field; a tuple where several may be ticked."""
Value = str | int | date | tuple[str, ...] | None

DEVICE_FIELDS = ("laptop", "desktop", "screen", "tablet", "smartphone", "printer", "other")
PATHS: Mapping[str, tuple[str, ...]] = {
    **{name: ("declared", name) for name in DEVICE_FIELDS},
    "condition": ("condition",),
    "age": ("age",),
    "media": ("media",),
    "sensitivity": ("sensitivity",),
    "required_class": ("required_class",),
    "address": ("pickup", "address"),
    "postal_code": ("pickup", "postal_code"),
    "city": ("pickup", "city"),
    "access": ("pickup", "access"),
    "pallets": ("pickup", "pallets"),
    "available_from": ("pickup", "available_from"),
    "remarks": ("pickup", "remarks"),
    "donor_status": ("donor", "status"),
    "donor_name": ("donor", "name"),
    "company_number": ("donor", "company_number"),
    "contact_name": ("contact", "name"),
    "mail": ("contact", "mail"),
    "phone": ("contact", "phone"),
    "owner": ("owner",),
}
"""Where each field stands in a program's JSON."""

LONGEST = 20_000
"""Characters of one field that are looked at at all."""
BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Signs that make a text read otherwise than it is written."""
MAIL = re.compile(r"[^@\s,;<>\"]{1,64}@(?:[^@\s,;<>\".]{1,63}\.)+[^@\s,;<>\".]{2,63}")
DATES = (
    re.compile(r"(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})"),
    re.compile(r"(?P<d>\d{1,2})[/. -](?P<m>\d{1,2})[/. -](?P<y>\d{4})"),
)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to correct."""

    field: str
    code: str
    detail: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def pointer(self) -> str:
        """Where it stands in a program's JSON (RFC 6901)."""
        return "/" + "/".join(PATHS[self.field]) if self.field in PATHS else self.field


@dataclass(frozen=True, slots=True)
class Known:
    """What the checks lean on: the region of each postal code, and the day."""

    regions: Mapping[str, str]
    today: date


def check(questions: Questions, raw: Mapping[str, Raw], known: Known) -> tuple[dict[str, Value], list[Problem]]:
    """Check all the questions: the answers by field, and what to correct, in the order of the questions."""
    values: dict[str, Value] = {}
    problems: list[Problem] = []
    for question in questions.questions:
        some, wrong = check_question(question, raw, known)
        values |= some
        problems += wrong
    return values, problems


def check_question(question: Question, raw: Mapping[str, Raw], known: Known) -> tuple[dict[str, Value], list[Problem]]:
    """Check one question: each field by itself, then those that belong together."""
    values: dict[str, Value] = {}
    problems: list[Problem] = []
    for asked in question.fields:
        try:
            values[asked.name] = read(asked, raw.get(asked.name, ""), known)
        except _Wrong as wrong:
            problems.append(Problem(asked.name, wrong.code, wrong.detail))
    wrong_fields = {problem.field for problem in problems}
    counts = [name for name in DEVICE_FIELDS if name in values]
    if counts and not wrong_fields and not any(values[name] for name in counts):
        problems.append(Problem(counts[0], "nothing_offered"))
    if (
        "company_number" in values
        and "company_number" not in wrong_fields
        and values["company_number"] is None
        and values.get("donor_status") != "association"  # not yet chosen: told with the rest, not after it
    ):
        problems.append(Problem("company_number", "company_number_missing"))
    order = [asked.name for asked in question.fields]
    return values, sorted(problems, key=lambda problem: order.index(problem.field))


class _Wrong(Exception):
    """One field cannot be read."""

    def __init__(self, code: str, **detail: object) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail


def read(asked: Asked, raw: Raw, known: Known) -> Value:
    """Read one field as its kind says. Raises _Wrong with the code of what to correct."""
    if asked.kind == "choices":
        return _choices(asked, (raw,) if isinstance(raw, str) else raw)
    typed = raw if isinstance(raw, str) else (raw[0] if len(raw) == 1 else "\n".join(raw))
    text = _clean(typed, lines=asked.kind == "text")
    if not text:
        if asked.optional or asked.kind == "company_number":  # whether that one is needed depends on the status
            return 0 if asked.name in DEVICE_FIELDS else None
        raise _Wrong("choose_one" if asked.kind == "choice" else "missing")
    match asked.kind:
        case "count":
            return _count(text, asked.largest or 5000)
        case "choice":
            if text not in asked.codes:
                raise _Wrong("unknown_choice", known=sorted(asked.codes))
            return text
        case "date":
            return _date(text, known.today, asked.largest or 365)
        case "postal_code":
            return _postal_code(text, known.regions)
        case "company_number":
            return company_number(text)
        case "phone":
            return _phone(text)
        case _:
            largest = asked.largest or 200
            if len(text) > largest:
                raise _Wrong("too_long", largest=largest, written=len(text))
            if asked.kind == "mail" and not MAIL.fullmatch(text):
                raise _Wrong("mail_malformed")
            return text


def _clean(text: str, *, lines: bool) -> str:
    """Trim, and refuse what cannot be stored or would show otherwise than it is."""
    if len(text) > LONGEST:
        raise _Wrong("too_long", largest=LONGEST, written=len(text))
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")).strip()
    allowed = "\n\t" if lines else ""
    if any((unicodedata.category(c) in {"Cc", "Cs"} and c not in allowed) or c in BIDI for c in text):
        raise _Wrong("control_characters")
    return text


def _digits(text: str) -> str:
    """Without what people put between digits."""
    return re.sub(r"[\s.\u00a0\u202f-]", "", text)


def _count(text: str, largest: int) -> int:
    digits = re.sub(r"[\s\u00a0\u202f]", "", text)
    if not re.fullmatch(r"[0-9]{1,9}", digits):
        raise _Wrong("not_a_count")
    if int(digits) > largest:
        raise _Wrong("too_many", largest=largest)
    return int(digits)


def _choices(asked: Asked, raw: Iterable[str]) -> tuple[str, ...]:
    chosen = {text.strip() for text in raw} - {""}
    if not chosen <= set(asked.codes):
        raise _Wrong("unknown_choice", known=sorted(asked.codes))
    return tuple(code for code in asked.codes if code in chosen)


def _date(text: str, today: date, days_ahead: int) -> date:
    for pattern in DATES:
        if found := pattern.fullmatch(text):
            try:
                day = date(int(found["y"]), int(found["m"]), int(found["d"]))
            except ValueError:
                break
            if day < today:
                raise _Wrong("date_past", today=today.isoformat())
            if day > today + timedelta(days=days_ahead):
                raise _Wrong("date_too_far", largest=days_ahead)
            return day
    raise _Wrong("not_a_date")


def _postal_code(text: str, regions: Mapping[str, str]) -> str:
    digits = _digits(text)
    if not re.fullmatch(r"[0-9]{5}", digits):
        raise _Wrong("postal_code_malformed")
    if digits not in regions:
        raise _Wrong("postal_code_unknown")
    return digits


def company_number(text: str) -> str:
    """Check a SIREN (9 digits) or a SIRET (14) by its key, La Poste's own included. Raises _Wrong."""
    digits = _digits(text)
    if not re.fullmatch(r"[0-9]+", digits):
        raise _Wrong("company_number_malformed")
    if len(digits) not in {9, 14}:
        raise _Wrong("company_number_length", written=len(digits))
    try:
        return str((siren_rules if len(digits) == 9 else siret_rules).validate(digits))
    except InvalidChecksum:
        raise _Wrong("company_number_checksum") from None
    except ValidationError:
        raise _Wrong("company_number_malformed") from None


def _phone(text: str) -> str:
    digits = re.sub(r"[\s.()/\u00a0\u202f-]", "", text)
    digits = re.sub(r"^(?:\+33|0033)0?", "0", digits)
    if not re.fullmatch(r"0[1-9][0-9]{8}|\+[1-9][0-9]{7,14}", digits):
        raise _Wrong("phone_malformed")
    return digits


def flat(body: object) -> tuple[dict[str, Raw], list[Problem]]:
    """Lay a program's JSON out by field name, as a form would have sent it. What has no place or the wrong type is a problem."""
    if not isinstance(body, dict):
        return {}, [Problem("", "not_an_object")]
    raw: dict[str, Raw] = {}
    problems: list[Problem] = []
    places = {path: name for name, path in PATHS.items()}
    for path, value in _leaves(body):
        name = places.get(path)
        pointer = "/" + "/".join(part.replace("~", "~0").replace("/", "~1") for part in path)
        if name is None:
            problems.append(Problem(pointer[:200], "unknown_field"))
        elif value is None:
            continue
        elif name == "owner":
            raw[name] = "yes" if value is True else ""
        elif isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
            raw[name] = str(value)
        elif name == "access" and isinstance(value, list) and all(isinstance(item, str) for item in value):
            raw[name] = tuple(value)
        else:
            problems.append(Problem(name, "wrong_type"))
    return raw, problems


def _leaves(body: Mapping[str, Any]) -> list[tuple[tuple[str, ...], Any]]:
    """Every value with its path, two levels deep, as the contract is."""
    inner = {path[0] for path in PATHS.values() if len(path) > 1}
    found: list[tuple[tuple[str, ...], Any]] = []
    for key, value in body.items():
        if key in inner and isinstance(value, dict):
            found += [((key, name), item) for name, item in value.items()]
        else:
            found.append(((key,), value))
    return found

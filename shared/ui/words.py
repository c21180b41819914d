"""The words for people, read from words.yaml: names of device types, statuses, and what each refusal says."""

import datetime as dt
import functools
import re
import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from shared.ui.formats import date_fr, fr, moment_fr, number_fr, plural

_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


@functools.cache
def _words() -> dict[str, Any]:
    with Path(__file__).with_name("words.yaml").open(encoding="utf-8") as file:
        words: dict[str, Any] = yaml.safe_load(file)
    return words


def device_types() -> list[str]:
    """Give the device types in the order in which pages list them."""
    return list(_words()["devices"])


def device(kind: str, count: int | None = None, *, short: bool = False) -> str:
    """Name a device type: `ordinateur portable`; with a count `7 ordinateurs portables`; in short `7 portables`."""
    names = _words()["devices"].get(kind) or _words()["devices"]["other"]
    one, many = ("short", "shorts") if short else ("one", "many")
    return str(names[one]) if count is None else plural(count, names[one], names[many])


def devices(kind: str, *, short: bool = False) -> str:
    """Name a device type in the plural, for a heading or a label: `Ordinateurs portables`."""
    names = _words()["devices"].get(kind) or _words()["devices"]["other"]
    return str(names["shorts" if short else "many"]).capitalize()


def device_icon(kind: str) -> str:
    """Give the name of the icon for a device type."""
    return str((_words()["devices"].get(kind) or _words()["devices"]["other"])["icon"])


def status(of: str, name: str) -> tuple[str, str]:
    """Give colour and word of a status, `("ok", "Accepté")` for `donation`, `accepted`; an unknown one shows its name."""
    colour, word = _words()["statuses"].get(of, {}).get(name) or ("wait", name)
    return colour, fr(word)


def how_many(count: int) -> str:
    """Write a small number in letters, before a feminine noun: `Deux` (réponses); a larger one in figures."""
    letters: Sequence[str] = _words()["numbers"]
    return letters[count].capitalize() if 0 <= count < len(letters) else number_fr(count)


class _Details(dict[str, str]):
    """The words that fill a message; one that the refusal did not give is left open, the sentence still stands."""

    def __missing__(self, key: str) -> str:
        return "…"


def _written(value: object) -> str:
    match value:
        case dt.datetime():
            return moment_fr(value)
        case dt.date():
            return date_fr(value)
        case bool():
            return "oui" if value else "non"
        case int() | float():
            return number_fr(value)
        case _:
            return _dated(str(value))


def _dated(text: str) -> str:
    """Write in French what is the ISO text of a date or of an aware time (details are plain JSON values)."""
    try:
        if "T" in text:
            when = dt.datetime.fromisoformat(text)
            return moment_fr(when) if when.tzinfo else text
        return date_fr(dt.date.fromisoformat(text)) if _ISO_DATE.fullmatch(text) else text
    except ValueError:
        return text


def message(code: str, own: Mapping[str, str] | None = None, /, **detail: object) -> str:
    """Say a refusal in French: the service's own message first, then the common one, else one that shows the code."""
    text = (own or {}).get(code) or _words()["messages"].get(code) or _words()["messages"]["unknown_code"]
    filled = _Details({"code": code} | {name: _written(value) for name, value in detail.items()})
    return fr(string.Formatter().vformat(text, (), filled))


def is_known(code: str, own: Mapping[str, str] | None = None) -> bool:
    """Tell whether that code has a message."""
    return code in (own or {}) or code in _words()["messages"]


def code_for(http_status: int) -> str:
    """Give the code of the message for an answer that has none of its own."""
    return str(_words()["problems"].get(http_status, "unknown_code"))


def title_and_rest(text: str) -> tuple[str, str]:
    """Split a message after its first sentence: what happened, and what did not happen and what to do."""
    title, _, rest = text.partition(". ")
    return title.rstrip("."), rest

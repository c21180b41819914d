"""SQL expressions as the kernel writes them, made into Python: comparisons, arithmetic, a few functions. What is not known is said."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

Args = Sequence[Any]
Sets = Sequence[Any]
Compiled = Callable[[Mapping[str, Any], Mapping[str, Any], Args, Sets], Any]
"""From (the row, the row that would be inserted, the arguments, the sets that the statement names) to a value."""

TOKEN = re.compile(
    r"""
    (?P<interval>interval\ '\d+\ (?:ms|s|minutes)')
  | (?P<text>'(?:[^']|'')*')
  | (?P<argument>\$\d+)
  | (?P<cast>::[a-z0-9]+(?:\[\])?)
  | (?P<set>\x00\d+\x00)
  | (?P<name>"?[A-Za-z_]\w*"?(?:\."?[A-Za-z_]\w*"?)?)
  | (?P<number>\d+)
  | (?P<operator><>|<=|>=|[=<>+\-*/(),])
  | (?P<space>\s+)
    """,
    re.VERBOSE,
)
WORDS = {"and": "and", "or": "or", "not": "not", "is": "is", "null": "None", "true": "True", "false": "False", "in": "in"}
OPERATORS = {"=": "==", "<>": "!="}
SECONDS = {"ms": 0.001, "s": 1.0, "minutes": 60.0}
MOMENT = [datetime.min.replace(tzinfo=UTC)]
"""When the transaction began whose statement is carried out."""
FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "greatest": lambda *values: max(v for v in values if v is not None),
    "least": lambda *values: min(v for v in values if v is not None),
    "power": pow,
    "coalesce": lambda *values: next((v for v in values if v is not None), None),
    "now": lambda: MOMENT[0],
    "span": lambda seconds: timedelta(seconds=seconds),
}


class Unknown(Exception):
    """SQL that the stand-in does not understand: teach it, and check it against the real database."""


def name_of(token: str, columns: Iterable[str], names: Iterable[str]) -> str:
    """Make Python of a name: a word of SQL, a function, or a column (of the row, or of the one that would be inserted)."""
    word = token.lower()
    if word in WORDS:
        return WORDS[word]
    if word in FUNCTIONS:
        return word
    owner, _, column = token.replace('"', "").rpartition(".")
    if owner == "excluded":
        return f"new[{column!r}]"
    if column in columns and owner in {"", *names}:
        return f"row[{column!r}]"
    raise Unknown(token)


def python(text: str, columns: Iterable[str], names: Iterable[str]) -> str:
    """Make a Python expression of an SQL one over `columns` of a table that goes by `names`."""
    text = re.sub(r"(\S+) = ANY \((\$\d+)(?:::\w+\[\])?\)", r"\1 in \2", text)
    text = re.sub(r"(\S+) <> ALL \((\$\d+)(?:::\w+\[\])?\)", r"\1 not in \2", text)
    done, at = [], 0
    while at < len(text):
        match = TOKEN.match(text, at)
        if match is None:
            raise Unknown(text[at:])
        kind, token = match.lastgroup, match[0]
        at = match.end()
        if kind == "interval":
            amount, unit = token.split("'")[1].split()
            done.append(f"span({int(amount) * SECONDS[unit]})")
        elif kind == "argument":
            done.append(f"args[{int(token[1:]) - 1}]")
        elif kind == "set":
            done.append(f"sets[{int(token.strip(chr(0)))}]")
        elif kind == "name":
            done.append(name_of(token, columns, names))
        elif kind == "operator":
            done.append(OPERATORS.get(token, token))
        elif kind == "text":
            done.append(repr(token[1:-1].replace("''", "'")))
        elif kind != "cast":
            done.append(token)
    return "".join(done)


def compiled(text: str, columns: Iterable[str], *names: str) -> Compiled:
    """Make a function of an SQL expression."""
    source = python(text, list(columns), names)
    made: Compiled = eval(f"lambda row, new, args, sets: ({source})", dict(FUNCTIONS))  # noqa: S307 made of tokens that are known
    return made

"""Every version of every event that was ever published, as it stood on the wire, is read by today's code.

`golden/<type>/<n>.json` was written by hand, and never changes: a new one is added when a field is (with its line in SHA256SUMS).
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from deploy.generate.contracts import event_types
from shared.events.base import Event
from shared.events.partner import MESSAGES

GOLDEN = Path(__file__).parent / "golden"
SUMS = GOLDEN / "SHA256SUMS"
TYPES = event_types()
FILES = sorted(GOLDEN.glob("*/*.json"))


def name(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def kind(path: Path) -> type[Event]:
    return TYPES[path.parent.name]


def sums() -> dict[str, str]:
    return {line.split("  ")[1]: line.split("  ")[0] for line in SUMS.read_text("utf-8").splitlines()}


def unlike(where: str, old: Any, new: Any) -> list[str]:
    """Where `new` does not hold all that `old` says. What `old` did not know may be there."""
    match old, new:
        case dict(), dict():
            lost = [f"{where}/{key} is not read any more" for key in old.keys() - new.keys()]
            return lost + [line for key in old.keys() & new.keys() for line in unlike(f"{where}/{key}", old[key], new[key])]
        case list(), list() if len(old) == len(new):
            return [line for n, pair in enumerate(zip(old, new, strict=True)) for line in unlike(f"{where}/{n}", *pair)]
        case _:
            return [] if old == new and type(old) is type(new) else [f"{where}: {old!r} is read as {new!r}"]


@pytest.mark.parametrize("path", FILES, ids=name)
def test_what_was_published_is_read_field_by_field(path: Path) -> None:
    event = kind(path).model_validate_json(path.read_bytes())
    assert unlike("", json.loads(path.read_bytes()), json.loads(event.model_dump_json())) == []
    assert kind(path).model_validate_json(event.model_dump_json()) == event


def test_every_event_has_one() -> None:
    assert {path.parent.name for path in FILES} == set(TYPES)


def test_every_field_was_published_once() -> None:
    """A field that no golden file holds could be renamed unseen."""
    held: dict[str, set[str]] = {}
    for path in FILES:
        held.setdefault(path.parent.name, set()).update(json.loads(path.read_bytes()))
    assert {t: sorted(set(k.model_fields) - held[t]) for t, k in TYPES.items() if set(k.model_fields) - held[t]} == {}


def test_none_was_changed() -> None:
    assert {name(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in FILES} == sums()


def test_versions_are_numbered_without_a_gap() -> None:
    for folder in sorted({path.parent for path in FILES}):
        numbers = sorted(int(path.stem) for path in folder.iterdir())
        assert numbers == list(range(1, len(numbers) + 1)), folder.name


def with_more(value: Any) -> Any:
    """The same with fields of tomorrow in each part. Not in mappings whose keys are values, such as counts by type of device."""
    match value:
        case dict() if value and not all(isinstance(v, int) for v in value.values()):
            return {"of_tomorrow": {"deep": [1]}, **{k: with_more(v) for k, v in value.items()}}
        case list():
            return [with_more(v) for v in value]
        case _:
            return value


@pytest.mark.parametrize("path", FILES, ids=name)
def test_fields_of_tomorrow_are_ignored(path: Path) -> None:
    told = json.loads(path.read_bytes())
    if "snapshot" in told:
        told["snapshot"] = None if told["snapshot"] is None else {**told["snapshot"], "of_tomorrow": True}
        more = {**told, "of_tomorrow": {"deep": [1]}}
        told = {**told, "snapshot": json.loads(path.read_bytes())["snapshot"]}
    else:
        more = {"of_tomorrow": {"deep": [1]}, **with_more(told)}
    assert kind(path).model_validate(more, strict=False) == kind(path).model_validate(told, strict=False)
    assert kind(path).model_validate_json(json.dumps(more)) == kind(path).model_validate_json(path.read_bytes())


def numbers(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where the numbers of a value are."""
    match value:
        case dict():
            return [found for key, part in value.items() for found in numbers(part, (*at, key))]
        case list():
            return [found for n, part in enumerate(value) for found in numbers(part, (*at, n))]
        case bool():
            return []
        case int() | float():
            return [at]
        case _:
            return []


def put(value: Any, at: tuple[Any, ...], new: float) -> Any:
    if not at:
        return new
    if isinstance(value, list):
        return [put(part, at[1:], new) if n == at[0] else part for n, part in enumerate(value)]
    return {key: put(part, at[1:], new) if key == at[0] else part for key, part in value.items()}


@pytest.mark.parametrize("path", [p for p in FILES if numbers(json.loads(p.read_bytes()))], ids=name)
@pytest.mark.parametrize("odd", ["nan", "inf", "-inf"])
def test_what_is_no_number_is_refused(path: Path, odd: str) -> None:
    """B9: NaN was accepted, published as null, and unreadable ever after."""
    told = json.loads(path.read_bytes())
    for at in numbers(told):
        if at[:2] == ("snapshot", "smartctl"):
            continue  # what a tool printed: kept as it came, see below
        with pytest.raises(ValidationError):
            kind(path).model_validate_json(json.dumps(put(told, at, float(odd))))


def test_what_is_no_number_in_a_tools_own_words_never_gets_into_an_event_of_ours() -> None:
    """The snapshot is free JSON of a partner: it is read, and only what it says of media goes on."""
    free = [t for t, k in TYPES.items() if "snapshot" in k.model_fields]
    assert free == ["partner.device_audited.v1"]
    assert all(k in MESSAGES for t, k in TYPES.items() if t in free)

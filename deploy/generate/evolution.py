"""What may change in a contract that was released: fields are added, with a default. Anything else is a new type of event."""

from typing import Any

Schema = dict[str, Any]
WORDS = ("description", "title", "$id", "$schema", "$defs", "properties", "required", "examples")


def broken(old: Schema, new: Schema) -> list[str]:
    """Say what makes `new` another contract than `old`: each line one change that needs a new type. Empty: only additions."""
    return _compare("", old, new, old, new)


def _compare(where: str, old: Any, new: Any, before: Schema, now: Schema) -> list[str]:
    if not isinstance(old, dict) or not isinstance(new, dict):
        if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
            pairs = enumerate(zip(old, new, strict=True))
            return [line for n, (a, b) in pairs for line in _compare(f"{where}[{n}]", a, b, before, now)]
        return [] if old == new else [f"{where}: {old!r} became {new!r}"]
    old, new = _resolved(old, before), _resolved(new, now)
    found = [
        line
        for word in sorted({*old, *new} - set(WORDS))
        for line in (
            _compare(f"{where}.{word}", old[word], new[word], before, now)
            if word in old and word in new
            else [f"{where}.{word}: {'was added' if word in new else 'is gone'}"]
        )
    ]
    had, has = old.get("properties", {}), new.get("properties", {})
    needed, needs = set(old.get("required", ())), set(new.get("required", ()))
    for name in sorted({*had, *has}):
        at = f"{where}/{name}"
        if name not in has:
            found.append(f"{at}: is gone")
        elif name not in had:
            found += [f"{at}: was added without a default"] if name in needs else []
        else:
            if (name in needed) != (name in needs):
                found.append(f"{at}: {'must be given now' if name in needs else 'may be absent now'}")
            found += _compare(at, had[name], has[name], before, now)
    return found


def _resolved(part: Schema, whole: Schema) -> Schema:
    """Follow a reference within the document; what stands beside it stays."""
    if "$ref" not in part:
        return part
    target = whole["$defs"][part["$ref"].rpartition("/")[2]]
    return {**target, **{word: value for word, value in part.items() if word != "$ref"}}

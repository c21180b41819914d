"""`docs/kernel-under-attack.md` is whole: every attack is there, and what is said to show it exists."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "kernel-under-attack.md").read_text("utf-8")
ATTACKS = [*(f"A{n}" for n in range(1, 9)), *(f"B{n}" for n in range(1, 13)), *(f"C{n}" for n in range(1, 17))]
ROWS = re.findall(r"^\| ([A-Z]\d+) \| ([^|]+) \| ([^|]+) \|(.*)\|$", PAGE, re.MULTILINE)


def exists(named: str) -> bool:
    """Tell whether a test (`file::function`), a decision or a benchmark of that name is in the tree."""
    path, _, name = named.partition("::")
    if not name:
        return named.startswith(("docs/adr/0", "tests/bench/")) and (ROOT / named).is_file()
    if not (ROOT / path).is_file():
        return False
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name for node in tree.body)


def test_every_attack_has_its_row_in_order() -> None:
    assert [number for number, *_ in ROWS] == ATTACKS


@pytest.mark.parametrize(("number", "shown"), [(number, shown) for number, _, _, shown in ROWS], ids=[row[0] for row in ROWS])
def test_what_shows_it_exists(number: str, shown: str) -> None:
    named = re.findall(r"`([^`]+)`", shown)
    missing = re.search(rf"^Not shown yet: .*\b{number}\b", PAGE, re.MULTILINE)
    assert bool(named) != bool(missing), "either something shows it, or the page says that nothing does"
    assert [name for name in named if not exists(name)] == []


def test_every_test_that_is_named_anywhere_on_the_page_exists() -> None:
    assert [name for name in re.findall(r"`(tests/[^`]+::[^`]+)`", PAGE) if not exists(name)] == []


def test_what_does_not_exist_is_found() -> None:
    assert not exists("tests/shared/test_hostile.py::test_nothing")
    assert not exists("tests/shared/test_nowhere.py::test_a_batch_ends_at_eight_mebibytes")
    assert not exists("docs/adr/0099-nothing.md")
    assert exists("tests/shared/test_hostile.py::test_a_batch_ends_at_eight_mebibytes")

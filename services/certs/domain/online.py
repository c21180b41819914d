"""What only the issuer can tell of a certificate that holds: whether it is the last word, and whether the log only grew since.

Asked at the address that stands in the file, which its signature covers. An issuer that does not answer, or with what is no answer, takes
nothing from the verdict; one whose log does not continue the log of then has rewritten it, and the certificate is proof of that.
"""

from collections.abc import Callable
from typing import Any

from services.certs.domain import merkle, note
from services.certs.domain.certificate import NUMBER
from services.certs.domain.verification import Check, RefusedFileError, Trust, Verdict

Ask = Callable[[str], object]
"""Gets an address: JSON as what it says, other text as text. Raises OSError, ValueError, or RecursionError at JSON nested too deep."""

SAID = 200
LONGEST_PATH = 128
"""Hashes: twice the bits of a size."""


def ask(verdict: Verdict, trust: Trust, get: Ask | None) -> None:
    """Add to `verdict` what the issuer tells; without `get`, that nobody asked."""
    statement = verdict.statement
    if statement is None or verdict.checkpoint is None:
        raise ValueError("nothing vouches for the address to ask")
    site = statement.verify_url.removesuffix("/verifier")
    for name, question in (("consistency", consistency), ("superseded", superseded)):
        try:
            if get is None:
                raise OSError("not asked")
            verdict.checks.append(question(verdict, site, trust, get))
        except RefusedFileError as refused:
            verdict.code, verdict.reason = refused.code, refused.reason
            verdict.checks.append(Check(name=refused.check, ok=False, detail=refused.reason))
            return
        except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
            verdict.checks.append(Check(name=name, ok=None, detail=plain(str(error) or type(error).__name__)))


def plain(text: str) -> str:
    """On a line, whatever an issuer put into it."""
    return "".join(c if c.isprintable() else "?" for c in text)[:SAID]


def consistency(verdict: Verdict, site: str, trust: Trust, get: Ask) -> Check:
    """The log that is published now begins with the log that the certificate carries."""
    then = verdict.checkpoint
    assert then is not None  # noqa: S101 asked above
    published = get(f"{site}/log/checkpoint")
    if not isinstance(published, str):
        raise TypeError("no state of the log")
    now = note.opened(published, trust.log)
    if now.size < then.size:
        raise RefusedFileError("log_rewritten", "consistency", f"the log had {then.size} entries, it has {now.size}")
    path: list[bytes] = []
    if now.size > then.size:
        told: Any = get(f"{site}/log/consistency?old={then.size}&new={now.size}")
        path = [bytes.fromhex(node) for node in told["path"][:LONGEST_PATH]]
        if len(told["path"]) > LONGEST_PATH or any(len(node) != 32 for node in path):
            raise ValueError("no path of hashes")
    try:
        merkle.check_consistency(then.size, now.size, then.root, now.root, path)
    except merkle.BadProofError as error:
        raise RefusedFileError("log_rewritten", "consistency", str(error)) from error
    return Check(name="consistency", ok=True, detail=f"{then.size} / {now.size}")


def superseded(verdict: Verdict, site: str, _: Trust, get: Ask) -> Check:
    """No later certificate took its place, and no correction is on its way."""
    assert verdict.statement is not None  # noqa: S101 asked above
    told: Any = get(f"{site}/status/{verdict.statement.number}")
    by, doubted = told["superseded_by"], told["under_correction"]
    if not isinstance(doubted, bool) or not (by is None or NUMBER.fullmatch(by)):
        raise ValueError("no status of a certificate")
    if by is not None:
        raise RefusedFileError("superseded", "superseded", by)
    if doubted:
        raise RefusedFileError("superseded", "superseded", "a correction is on its way")
    return Check(name="superseded", ok=True)

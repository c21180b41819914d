"""`python -m services.certs` serves. `python -m services.certs verify FILE [--trust FILE] [--offline] [--json]` judges a certificate.

`verify` needs the file and the issuer's public keys. When these vouch for the file, it asks the issuer, at the address that stands in the
file, what no file can tell: whether another certificate has superseded it, and whether the public log of today continues the one of
then. With `--offline`, or when the issuer does not answer in a form, a length and a time that can be used, both stay open, and the verdict
is that of the file.

The keys come from `--trust FILE` (what `/certs/issuer.pem` gives) or, where the service itself runs, from its data folder
(`MAILLON_DATA_DIR`). Exit status 0: valid; 1: it is not, it has been superseded, or nobody vouches for the signer; 2: the command cannot
be carried out.

Nothing is imported before it is known which of the two: a press worker imports this module too, and stays small.
"""

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.certs.domain.verification import Verdict


ANSWER_S = 10.0
MOST = 1_000_000
"""Bytes of an answer: a path of hashes has at most some thousands."""


def main() -> int:
    if sys.argv[1:2] == ["verify"]:
        return verify(sys.argv[2:])
    from services.certs.app import build
    from services.certs.settings import CertsSettings
    from shared.run import run

    run(build, CertsSettings)
    return 0


def verify(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m services.certs verify", description="Vérifier un certificat.")
    parser.add_argument("file", type=Path, help="le fichier PDF reçu")
    parser.add_argument("--trust", type=Path, help="clés publiques de l'émetteur (ce que donne /certs/issuer.pem)")
    parser.add_argument("--offline", action="store_true", help="ne rien demander à l'émetteur")
    parser.add_argument("--json", action="store_true", help="le verdict en JSON, sur une ligne")
    options = parser.parse_args(arguments)
    from services.certs.domain import document, note, verification
    from services.certs.domain.assets import layout

    pinned = options.trust or pinned_keys()
    if pinned is None:
        parser.error(
            "sans les clés de l'émetteur, rien ne dit qui a signé : donnez --trust FICHIER (celui de SITE/certs/issuer.pem)"
        )
    try:
        trust = verification.Trust.read(pinned.read_text("utf-8"))
    except (OSError, ValueError, note.BadNoteError) as error:
        parser.error(f"{pinned} : ce ne sont pas les clés d'un émetteur ({error})")
    try:
        data = options.file.read_bytes()
    except OSError as error:
        parser.error(f"{options.file} : ne se lit pas ({error.strerror})")
    verdict = verification.verify(data, trust, layout(), document.render)
    if verdict.ok:
        from services.certs.domain import online

        online.ask(verdict, trust, None if options.offline else asked)
    print(as_json(verdict) if options.json else as_text(verdict))
    return 0 if verdict.ok else 1


def asked(address: str) -> object:
    """What the issuer answers, as JSON or as text. Raises what `online.Ask` may, also for too much and for too slow."""
    import asyncio

    import httpx

    async def whole() -> tuple[str, bytes]:
        body, packed = bytearray(), {"Accept-Encoding": "identity"}
        async with (
            asyncio.timeout(ANSWER_S),  # of the whole: a timeout of httpx begins again with each byte
            httpx.AsyncClient(timeout=ANSWER_S, headers=packed) as client,
            client.stream("GET", address) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                raise OSError(f"{address} : {answer.status_code}")
            async for piece in answer.aiter_raw():
                body += piece
                if len(body) > MOST:
                    raise OSError(f"{address} : plus de {MOST} octets")
            return answer.headers.get("content-type", ""), bytes(body)

    try:
        kind, body = asyncio.run(whole())
    except TimeoutError:
        raise OSError(f"{address} : pas de réponse entière en {ANSWER_S:g} s") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise OSError(f"{address} : {type(error).__name__}") from error
    return json.loads(body) if "json" in kind else body.decode()


def pinned_keys() -> Path | None:
    """The keys of the service on this machine, if there is one."""
    folder = os.environ.get("MAILLON_DATA_DIR")
    path = Path(folder) / "certs" / "issuer.pem" if folder else None
    return path if path and path.is_file() else None


def as_json(verdict: "Verdict") -> str:
    held = {check.name: check.ok for check in verdict.checks}
    found = {
        "ok": verdict.ok,
        "code": verdict.code,
        "reason": verdict.reason,
        "signer": verdict.signer,
        "signature_valid": held.get("signature") is True and held.get("signer") is True,
        "log_inclusion_valid": held.get("log_inclusion") is True,
        "document_equals_data": held.get("document"),
        "leaf_index": verdict.leaf_index,
        "log_size": verdict.log_size,
        "checks": [asdict(check) for check in verdict.checks],
        "statement": verdict.statement.model_dump(mode="json") if verdict.statement else None,
    }
    return json.dumps(found, ensure_ascii=False, sort_keys=True)


def as_text(verdict: "Verdict") -> str:
    from services.certs.domain.verdicts import ADVICE, CHECKS, TITLES, attested

    marks = {True: "oui", False: "NON", None: "non vérifié"}
    lines = [TITLES[verdict.code], *([ADVICE[verdict.code]] if verdict.code in ADVICE else []), ""]
    lines += [f"  {CHECKS[c.name]} : {marks[c.ok]}{f' ({c.detail})' if c.detail else ''}" for c in verdict.checks]
    if verdict.statement is not None:
        lines += ["", *attested(verdict.statement)]
    return "\n".join(lines).replace("\u00a0", " ")


if __name__ == "__main__":
    sys.exit(main())

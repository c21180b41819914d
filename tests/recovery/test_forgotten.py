"""Who was forgotten stays so when the keys come back from a back-up, and everybody's key can be wrapped in another one."""

import secrets
from base64 import b64encode
from pathlib import Path

import pytest

from deploy.local import postgres
from tests.recovery.conftest import Chain
from tests.recovery.manual import program
from tests.support.command import maillon

KEYS = "The keys' database is put back from a back-up"
REKEY = "The vault's master key is to be another"


async def wrap_anew(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it, and back to the old key; the service is stopped afterwards."""
    where = ("--service", "intake", "--stack", chain.stack.folder)
    file = chain.stack.folder / "env" / "intake.env"
    told, old, new = file.read_text("utf-8"), chain.stack.secrets["vault"], b64encode(secrets.token_bytes(32)).decode()
    assert (await maillon("vault", "rekey", *where)).lines == ["MAILLON_VAULT_KEY_NEW must be 32 bytes in base64"]
    monkeypatch.setenv("MAILLON_VAULT_KEY_NEW", new)
    said = await chain.manual.follow(REKEY)
    keys = said["maillon vault rekey --service intake"].last.split()[1]
    assert said["maillon vault rekey --service intake"].last.startswith(f"intake: {keys} of {keys} keys were wrapped anew")
    assert (await maillon("vault", "check", *where)).lines[0] == f"intake: {keys} keys do not open with this MAILLON_VAULT_KEY"
    assert (await maillon("vault", "rekey", *where)).last.startswith(f"intake: 0 of {keys} keys were"), "done twice, done once"
    try:
        file.write_text(told.replace(old, new), "utf-8")
        assert (await maillon("vault", "check", *where)).code == 0
        monkeypatch.setenv("MAILLON_VAULT_KEY_NEW", old)
        assert (await maillon("vault", "rekey", *where)).code == 0
    finally:
        file.write_text(told, "utf-8")
    assert (await maillon("vault", "check", *where)).code == 0


async def test_keys_are_wrapped_anew_and_the_forgotten_do_not_return_with_old_ones(
    chain: Chain, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    await wrap_anew(chain, monkeypatch)
    where = ("--service", "intake", "--stack", chain.stack.folder)
    backup, apart = str(tmp_path / "keys.dump"), tmp_path / "forgotten.txt"
    dumped = await program(
        "pg_dump", "--format=custom", "--schema=intake", f"--file={backup}", chain.stack.database_url("intake", keys=True)
    )
    assert dumped.code == 0, dumped
    gone = (await maillon("vault", "forgotten", *where)).lines
    person, other = [
        row["person"]
        for row in await chain.pools["intake"].fetch(
            "SELECT person FROM vault WHERE person NOT IN (SELECT person FROM forgotten) ORDER BY at DESC LIMIT 2"
        )
    ]
    said = await maillon("vault", "forget", person, *where)
    assert said.lines == ["intake: forgotten; keep the list apart: `maillon vault forgotten --service intake`"]
    listed = (await maillon("vault", "forgotten", *where)).lines
    assert [line.split()[0] for line in listed if line not in gone] == [str(person)]

    check = "maillon vault check --service intake"
    said_then = await chain.manual.follow(
        KEYS, {"SUPERUSER_URL": chain.superuser(postgres.KEYS_DATABASE), "BACKUP": backup}, expected={check: (1, 0)}
    )
    assert said_then["maillon vault replay --service intake"].lines == [f"intake: 1 of {len(listed)} were forgotten again"]

    apart.write_text("\n".join([*listed, f"{other} 2026-11-25T09:00:00+00:00"]), "utf-8")
    told = [await maillon("vault", "replay", "--from", apart, *more, *where) for more in (("--dry-run",), (), ())]
    assert [answer.lines for answer in told] == [
        [f"intake: {count} of {len(listed) + 1} {verb} forgotten again"]
        for count, verb in ((1, "would be"), (1, "were"), (0, "were"))
    ]
    assert str(other) in (await maillon("vault", "forgotten", *where)).lines[0], (
        "the list says when, also where it came from a file"
    )
    unusable = {
        b"somebody\n": "line 1 is not `<person> <moment>`",
        b"\xff\xfe": "is not text; give the list as `maillon vault forgotten` prints it",
        None: "cannot be read (No such file or directory)",
    }
    for content, why in unusable.items():
        apart.unlink()
        if content is not None:
            apart.write_bytes(content)
        wrong = await maillon("vault", "replay", "--from", apart, *where)
        assert (wrong.code, wrong.lines) == (2, [f"{apart}: {why}"])

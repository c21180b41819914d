# ruff: noqa: INP001, T201 - a program for others to copy, not a part of ours
"""A workshop's client for a poor connection: takes files and messages, keeps them in one SQLite file, sends them when it can.

    python bench.py add report.log --consignment ID --device PE-11790    an erasure report, as the tool wrote it
    python bench.py say messages.jsonl                                   other messages: {"type": "device_received", "data": {…}} a line
    python bench.py watch FOLDER      goes on: takes FOLDER/<consignment>/<device>/<file>, sends, fetches the answers
    python bench.py send              the same, once, without a folder
    python bench.py status            what waits, what was refused and how to mend it

MAILLON_URL and MAILLON_KEY say where and with which key; MAILLON_REFURBISHER is your slug; MAILLON_SPOOL names the file (bench.sqlite).
Nothing but Python 3.9 is needed. What is in the spool survives a power cut; each message has its id from the moment it is taken, so
however often it is sent it counts once.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sqlite3
import sys
import time
import urllib.error
import urllib.request
import uuid
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

LARGEST = 16 * 1024 * 1024
MOST_LINES = 200
MOST_BYTES = 4 * 1024 * 1024
"""Of one sending, unless it is one message. Less where something on the way takes less."""
ASK_AGAIN_S = 600
"""A message without an answer for so long is sent again, under its own id."""
SETTLED_S = 2
"""A file that changed less than so long ago may still be written."""
TABLES = """
CREATE TABLE IF NOT EXISTS files (sha256 TEXT PRIMARY KEY, data BLOB NOT NULL, stored INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS messages (
    n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, type TEXT NOT NULL, time TEXT NOT NULL, data TEXT NOT NULL,
    sha256 TEXT REFERENCES files, device TEXT NOT NULL DEFAULT '', name TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL DEFAULT 'waiting', sent_at REAL, faults TEXT NOT NULL DEFAULT '[]');
CREATE UNIQUE INDEX IF NOT EXISTS once ON messages (sha256, device) WHERE sha256 IS NOT NULL AND state NOT IN ('rejected', 'refused');
CREATE TABLE IF NOT EXISTS place (one INTEGER PRIMARY KEY CHECK (one = 1), next INTEGER NOT NULL);
INSERT OR IGNORE INTO place VALUES (1, 0);
"""


class Away(Exception):
    """Nothing could be sent now; nothing is lost."""


class Wrong(Exception):
    """What was given cannot be taken as it is."""


class Refused(Exception):
    """The answer says that this will never go as it is."""

    def __init__(self, status: int, answer: dict[str, Any]) -> None:
        super().__init__(status)
        self.status, self.answer = status, answer


class Spool:
    """What was taken and what became of it. Every change is on the disk before it is told."""

    def __init__(self, path: str) -> None:
        self.db = sqlite3.connect(path, timeout=30, isolation_level=None)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = FULL")
        self.db.executescript(TABLES)

    def take(self, kind: str, data: dict[str, Any], *, content: bytes | None = None, name: str = "") -> bool:
        """Keep a message, with the file that it is about. Returns False when the same file was taken for this device before."""
        device = str(data.get("device_ref", ""))
        sha256 = hashlib.sha256(content).hexdigest() if content is not None else None
        if sha256:
            data = {**data, "evidence_sha256": sha256}
        moment = datetime.now(timezone.utc).isoformat()  # noqa: UP017 Python 3.9
        self.db.execute("BEGIN IMMEDIATE")
        try:
            if sha256:
                self.db.execute("INSERT OR IGNORE INTO files (sha256, data) VALUES (?, ?)", (sha256, content))
            added = self.db.execute(
                "INSERT OR IGNORE INTO messages (id, type, time, data, sha256, device, name) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (str(uuid.uuid4()), f"partner.{kind}.v1", moment, json.dumps(data), sha256, device, name),
            ).rowcount
            self.db.execute("COMMIT")
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        return added == 1

    def waiting(self) -> list[tuple[Any, ...]]:
        late = time.time() - ASK_AGAIN_S
        return self.db.execute(
            "SELECT n, id, type, time, data, sha256 FROM messages WHERE state = 'waiting' OR (state = 'sent' AND sent_at < ?) "
            "ORDER BY n LIMIT ?",
            (late, MOST_LINES),
        ).fetchall()

    def set(self, id_: str, state: str, faults: Iterable[dict[str, Any]] = ()) -> None:
        self.db.execute(
            "UPDATE messages SET state = ?, sent_at = ?, faults = ? WHERE id = ? AND state NOT IN ('accepted', 'rejected')",
            (state, time.time(), json.dumps(list(faults)), id_),
        )

    def counts(self) -> dict[str, int]:
        return dict(self.db.execute("SELECT state, count(*) FROM messages GROUP BY state"))


class Client:
    """Brings the spool to maillon and its answers back."""

    def __init__(self, spool: Spool, url: str, key: str, source: str) -> None:
        self.spool, self.url, self.key, self.source = spool, url.rstrip("/"), key, source

    def ask(self, method: str, path: str, body: bytes | None = None) -> Any:
        request = urllib.request.Request(self.url + path, body, {"Authorization": f"Bearer {self.key}"}, method=method)  # noqa: S310 the address is the user's own
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            text = error.read()
            if error.code in (401, 403):
                raise Away("La clé est refusée. Vérifiez MAILLON_KEY.") from error
            if error.code >= 500 or error.code in (408, 425, 429):
                raise Away(f"Le service répond {error.code} : nouvel essai plus tard.") from error
            try:
                told = json.loads(text)
            except ValueError:
                told = {}
            raise Refused(error.code, told if isinstance(told, dict) else {}) from error
        except (OSError, ValueError) as error:  # no network, an answer cut short or not ours
            raise Away(f"Pas de réponse ({error}) : nouvel essai plus tard.") from error

    def bring(self) -> None:
        """Send what waits, in order. Files go first, so that no message speaks of what is not there."""
        most = MOST_BYTES
        while rows := self.spool.waiting():
            lines: list[bytes] = []
            sent, size = [], 0
            for _, id_, kind, moment, data, sha256 in rows:
                event = {"specversion": "1.0", "id": id_, "source": self.source, "type": kind, "time": moment}
                line = json.dumps({**event, "data": json.loads(data)}).encode()
                if lines and size + len(line) > most:
                    break
                if sha256 and not self.store(id_, sha256):
                    continue
                lines.append(line)
                sent.append(id_)
                size += len(line) + 1
            if not lines:
                continue
            try:
                if size > LARGEST:  # one message alone: it is not even tried, for a line that is cut off says nothing
                    raise Refused(413, {})
                told = self.ask("POST", "/refurb/reports", b"\n".join(lines))["lines"]
            except Refused as refusal:
                if refusal.status != 413:
                    raise Away(f"Réponse inattendue ({refusal!r}) : nouvel essai plus tard.") from refusal
                if len(lines) > 1:
                    most = size // 2
                    continue
                hint = f"Message trop grand ({size / 1e6:.1f} Mo) : il reste ici. Donnez le rapport en fichier (add), ou par appareil."
                self.spool.set(sent[0], "refused", [{"code": "too_large", "hint": hint}])
                continue
            except (KeyError, TypeError) as error:
                raise Away(f"Réponse inattendue ({error!r}) : nouvel essai plus tard.") from error
            for id_, verdict in zip(sent, told):  # noqa: B905 Python 3.9
                self.spool.set(id_, "sent" if verdict["accepted"] else "refused", verdict.get("faults", ()))

    def store(self, id_: str, sha256: str) -> bool:
        """Put a file in the evidence store. Returns False when it will never be taken."""
        data, stored = self.spool.db.execute("SELECT data, stored FROM files WHERE sha256 = ?", (sha256,)).fetchone()
        if stored:
            return True
        try:
            self.ask("PUT", f"/refurb/evidence/{sha256}", data)
        except Refused as refusal:
            told = {"code": refusal.answer.get("code", str(refusal.status)), "hint": refusal.answer.get("title", "")}
            self.spool.set(id_, "refused", [told])
            return False
        self.spool.db.execute("UPDATE files SET stored = 1 WHERE sha256 = ?", (sha256,))
        return True

    def fetch(self) -> None:
        """Read the answers from where we were."""
        while True:
            (after,) = self.spool.db.execute("SELECT next FROM place").fetchone()
            try:
                told = self.ask("GET", f"/refurb/receipts?after={after}")
                receipts, place = told["receipts"], int(told["next"])
            except (Refused, KeyError, TypeError) as error:
                raise Away(f"Réponse inattendue ({error!r}) : nouvel essai plus tard.") from error
            self.spool.db.execute("BEGIN IMMEDIATE")
            for receipt in receipts:
                self.spool.set(receipt["report_id"], "accepted" if receipt["accepted"] else "rejected", receipt.get("faults", ()))
            self.spool.db.execute("UPDATE place SET next = ?", (place,))
            self.spool.db.execute("COMMIT")
            if place == after:
                return


def take_file(spool: Spool, path: Path, consignment: str, device: str) -> None:
    """Take one report. Says what it did."""
    if not path.is_file():
        raise Wrong(f"{path} : ce n'est pas un fichier.")
    if path.stat().st_size > LARGEST:
        print(f"{path.name} : trop grand, {LARGEST // 1024 // 1024} Mo au plus. Envoyez un rapport par appareil.")
        return
    data = {"consignment_id": consignment, "device_ref": device}
    new = spool.take("medium_erased", data, content=path.read_bytes(), name=path.name)
    print(f"{path.name} : {'pris, il partira dès que possible' if new else 'déjà pris pour ' + device}.")


def take_folder(spool: Spool, folder: Path, seen: set[tuple[str, int, int]]) -> None:
    """Take what is new in <consignment>/<device>/<file>; what may still be written waits for the next look."""
    for path in sorted(folder.glob("*/*/*")):
        try:
            at = path.stat()
        except OSError as error:  # a link to nothing, or taken away meanwhile: the others go on
            print(f"{path} ne se lit pas ({error.strerror}). Laissé de côté.")
            continue
        place = (str(path), at.st_mtime_ns, at.st_size)
        if path.is_file() and place not in seen and time.time() - at.st_mtime > SETTLED_S:
            take_file(spool, path, path.parent.parent.name, path.parent.name)
            seen.add(place)


def messages(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """Read a file of messages, all of it before any is taken. Raises Wrong, with the line."""
    found = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            said = json.loads(line)
        except ValueError as error:
            raise Wrong(f"{path}, ligne {number} : ce n'est pas du JSON ({error}). Rien n'a été pris.") from error
        if not isinstance(said, dict) or not isinstance(said.get("type"), str) or not isinstance(said.get("data"), dict):
            raise Wrong(f'{path}, ligne {number} : il faut {{"type": "…", "data": {{…}}}}. Rien n\'a été pris.')
        found.append((said["type"], said["data"]))
    return found


def status(spool: Spool) -> None:
    """Print what waits and what was refused."""
    words = {"waiting": "à envoyer", "sent": "envoyés, sans réponse", "accepted": "acceptés", "rejected": "refusés"}
    words["refused"] = "refusés à l'entrée"
    counts = spool.counts()
    print(", ".join(f"{counts.get(state, 0)} {word}" for state, word in words.items()))
    query = "SELECT device, name, type, faults FROM messages WHERE state IN ('rejected', 'refused') ORDER BY n"
    for device, name, kind, faults in spool.db.execute(query):
        for fault in json.loads(faults):
            print(f"{device or '-'} {name or kind} : {fault.get('hint') or fault.get('code')}")


def main(arguments: list[str]) -> int:
    """Run one command. Returns its exit status: 0, or 2 when something still waits for the network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    add = commands.add_parser("add")
    add.add_argument("files", nargs="+", type=Path)
    add.add_argument("--consignment", required=True)
    add.add_argument("--device", required=True)
    commands.add_parser("say").add_argument("file", type=Path)
    commands.add_parser("watch").add_argument("folder", type=Path)
    commands.add_parser("send")
    commands.add_parser("status")
    asked = parser.parse_args(arguments)
    env = os.environ
    try:
        spool = Spool(env.get("MAILLON_SPOOL", "bench.sqlite"))
        if asked.command == "add":
            for path in asked.files:
                take_file(spool, path, asked.consignment, asked.device)
        elif asked.command == "say":
            for kind, data in messages(asked.file):
                spool.take(kind, data)
        elif asked.command == "status":
            status(spool)
        else:
            client = Client(spool, env["MAILLON_URL"], env["MAILLON_KEY"], f"/{env.get('MAILLON_REFURBISHER', 'workshop')}/bench")
            return once(client) if asked.command == "send" else watch(client, asked.folder)
    except sqlite3.OperationalError as error:
        print(f"Le fichier des envois ne peut pas être écrit ({error}). Libérez de la place sur le disque, puis recommencez.")
        return 1
    except KeyError as error:
        print(f"Donnez {error.args[0]} dans l'environnement.")
        return 1
    except sqlite3.DatabaseError as error:
        print(
            f"{env.get('MAILLON_SPOOL', 'bench.sqlite')} n'est pas un fichier d'envois ({error}). Nommez-en un autre (MAILLON_SPOOL)."
        )
        return 1
    except RecursionError:
        print("Ce fichier est imbriqué trop profondément pour être un message. Rien n'a été pris.")
        return 1
    except UnicodeError as error:
        print(
            f"Ce texte n'est pas de l'UTF-8 ({error.reason if isinstance(error, UnicodeDecodeError | UnicodeEncodeError) else error})."
        )
        return 1
    except (Wrong, OSError, ValueError) as error:
        print(error)
        return 1
    return 0


def once(client: Client) -> int:
    """Send and fetch. What could not go stays in the spool."""
    try:
        client.bring()
        client.fetch()
    except Away as away:
        print(away)
        return 2
    status(client.spool)
    return 0


def watch(client: Client, folder: Path) -> int:
    """Go on until Ctrl-C; after a failure wait twice as long each time, five minutes at most."""
    seen: set[tuple[str, int, int]] = set()
    pause = 5
    while True:
        take_folder(client.spool, folder, seen)
        pause = 5 if once(client) == 0 else min(pause * 2, 300)
        try:
            time.sleep(pause)
        except KeyboardInterrupt:
            return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Where each original is, and which of them the archive does not have yet: an SQLite file, which several processes of a machine share.

It says nothing that the files do not say: where it is missing, it is made from them, with all of them to be brought to the archive (what
is there already is the same there). It must be on a disk of this machine: SQLite's shared memory does not reach over a network.
"""

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from services.refurb.store.packs import Place

VERSION = 1
WAIT_S = 5.0
"""How long one process waits for another's writing."""
SCHEMA = """
DROP TABLE IF EXISTS originals;
CREATE TABLE originals (
    sha256 BLOB PRIMARY KEY, pack TEXT NOT NULL, start INTEGER NOT NULL, length INTEGER NOT NULL, waits INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX waiting ON originals (sha256) WHERE waits;
"""
"""`waits`: the archive does not have it yet."""
ADD = """
INSERT INTO originals VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET pack = excluded.pack, start = excluded.start, length = excluded.length
"""


@dataclass(slots=True)
class Index:
    """The index at a path. For several threads; what SQLite raises is `sqlite3.Error`."""

    path: Path
    archives: bool
    """Whether there is an archive to bring originals to."""
    opened: sqlite3.Connection | None = field(default=None, init=False)
    guard: threading.Lock = field(default_factory=threading.Lock, init=False)

    def open(self, found: Iterable[tuple[str, Place]]) -> bool:
        """Connect; where there is no index, or one of another version, make it of what was `found`, and say so. Later calls do nothing."""
        made = False
        with self.guard:
            if self.opened is not None:
                return made
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self.path, timeout=WAIT_S, isolation_level=None, check_same_thread=False)
            try:
                self.path.chmod(0o600)
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("BEGIN IMMEDIATE")
                if made := connection.execute("PRAGMA user_version").fetchone() != (VERSION,):
                    for statement in SCHEMA.split(";"):
                        connection.execute(statement)
                    connection.executemany(ADD, self.rows(found))
                    connection.execute(f"PRAGMA user_version = {VERSION}")
                connection.execute("COMMIT")
            except BaseException:
                connection.close()
                raise
            self.opened = connection
        return made

    def close(self) -> None:
        with self.guard:
            if self.opened is not None:
                self.opened.close()
                self.opened = None

    @property
    def connection(self) -> sqlite3.Connection:
        if self.opened is None:
            raise sqlite3.OperationalError("the index is closed")
        return self.opened

    def rows(self, places: Iterable[tuple[str, Place]], *, waits: bool = True) -> Iterator[tuple[bytes, str, int, int, bool]]:
        for sha256, place in places:
            yield bytes.fromhex(sha256), *place, waits and self.archives

    def add(self, places: Mapping[str, Place], *, waits: bool = True) -> None:
        """Note where they are, durably, all or none; `waits`: the archive does not have them yet."""
        with self.guard:
            connection = self.connection
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.executemany(ADD, self.rows(places.items(), waits=waits))
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def find(self, sha256: str) -> Place | None:
        """Tell where an original is."""
        with self.guard:
            asked = "SELECT pack, start, length FROM originals WHERE sha256 = ?"
            found = self.connection.execute(asked, (bytes.fromhex(sha256),)).fetchone()
            return None if found is None else Place(*found)

    def archived(self, sha256: str) -> None:
        """Note that the archive has one."""
        with self.guard:
            self.connection.execute("UPDATE originals SET waits = FALSE WHERE sha256 = ?", (bytes.fromhex(sha256),))

    def every(self, *, waiting: bool = False) -> Iterator[str]:
        """All of them, or those that the archive does not have yet, in the order of their hashes."""
        asked = f"SELECT sha256 FROM originals WHERE sha256 > ?{' AND waits' if waiting else ''} ORDER BY sha256 LIMIT 1000"  # noqa: S608 ours
        after = b""
        while True:
            with self.guard:
                found = self.connection.execute(asked, (after,)).fetchall()
            if not found:
                return
            yield from (sha256.hex() for (sha256,) in found)
            after = found[-1][0]

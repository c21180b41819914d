"""Looks at a folder of originals, one that a service keeps or a copy, and leaves it as it is: it may lie where nothing can be written.

The folder's index is taken into one of our own; where there is none, that is made of the files. It says which originals there should
be. The packs are read from end to end as well: an index that was made after they were damaged knows nothing of what was lost.
"""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

from services.refurb.store.evidence import Evidence
from services.refurb.store.packs import Unread
from shared.errors import Coded

INDEX = "index.sqlite"


class Unusable(Coded):
    """What cannot be looked at: `why` is for people, and says what to do."""

    def __init__(self, why: str) -> None:
        super().__init__("evidence_unusable", why=why)
        self.why = why


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found in a folder."""

    well: int
    damaged: list[str]
    """Originals that should be there, and are not, or not as they came."""
    unread: list[Unread]
    """Stretches of packs that hold nothing, unless what they should hold is well elsewhere: its sender sent it again."""


def checked(folder: Path) -> Checked:
    """Read every original against its hash. Raises Unusable."""
    with looked_at(folder) as store:
        unread = list[Unread]()
        indexed = not store.index.open(store.found(unread.append))
        if indexed:
            for _ in store.found(unread.append):
                pass  # the index says where these are
        well, damaged = 0, list[str]()
        for sha256, wrong in store.damaged():
            well += not wrong
            damaged += [sha256] if wrong else []
        return Checked(well, damaged, [each for each in unread if is_missed(store, each, indexed=indexed)])


def is_missed(store: Evidence, unread: Unread, *, indexed: bool) -> bool:
    """Tell whether something may be lost with a stretch of a pack. What a process died over is in no index; a copy may have been cut."""
    return not ((indexed and unread.unfinished) or (len(unread.sha256) == 64 and store.here(unread.sha256)[1] is not None))


def fetched(folder: Path, sha256: str) -> bytes | None:
    """Give one original; None when there is none. Raises Unusable, and Outage when it is damaged."""
    with looked_at(folder) as store:
        store.index.open(store.found(lambda _: None))
        return store.fetch(sha256)


@contextmanager
def looked_at(folder: Path) -> Iterator[Evidence]:
    """Give a store whose index is a copy beside it. Raises Unusable."""
    if not any(folder.glob("packs/*.pack")) and not (folder / INDEX).exists() and not any(folder.glob("[0-9a-f][0-9a-f]/*")):
        raise Unusable("there are no originals; it is `evidence` in the service's MAILLON_DATA_DIR, or a copy of that")
    with TemporaryDirectory(prefix="maillon-") as beside:
        copy = Path(beside) / INDEX
        store = Evidence(folder, index_at=copy)
        try:
            if (folder / INDEX).exists():
                take(folder / INDEX, copy)
            yield store
        except OSError as error:
            cause = error.__cause__ or error
            raise Unusable(of_index(cause) if isinstance(cause, sqlite3.Error) else f"cannot be read: {cause}") from error
        except sqlite3.Error as error:
            raise Unusable(of_index(error)) from error
        finally:
            store.close()


def take(index: Path, copy: Path) -> None:
    """Copy an index: through SQLite where a service may have it open, which shows in its shared memory, else the files of it."""
    if Path(f"{index}-shm").exists():
        with (
            closing(sqlite3.connect(f"file:{quote(str(index))}?mode=ro", uri=True)) as there,
            closing(sqlite3.connect(copy)) as here,
        ):
            there.backup(here)
        return
    for end in ("", "-wal"):
        if Path(f"{index}{end}").exists():
            shutil.copyfile(f"{index}{end}", f"{copy}{end}")


def of_index(error: BaseException) -> str:
    return f"{INDEX} cannot be read ({error}): remove {INDEX}* from it, of a running service after stopping that, and check again"

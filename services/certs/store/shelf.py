"""The public log as files: tiles, then the checkpoint that they lead to. A web server or an object store may carry all of it."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.certs.domain import merkle, note
from services.certs.domain.tiles import Tile
from services.certs.store.files import write


@dataclass(frozen=True, slots=True)
class Shelf:
    """A folder: `checkpoint`, `tile/…`. What is there is whole, and tiles never change."""

    folder: Path

    @property
    def published(self) -> str:
        """The checkpoint as it stands there, with the cosignatures that it has; empty before the first."""
        try:
            return (self.folder / "checkpoint").read_text("utf-8")
        except FileNotFoundError:
            return ""

    @property
    def size(self) -> int:
        """How many entries are published."""
        return size_of(self.published)

    def read(self, tile: Tile) -> bytes | None:
        """A tile; of one that has grown since, its beginning."""
        whole = Tile(tile.level, tile.place)
        for path in (tile.path, whole.path):
            try:
                return (self.folder / path).read_bytes()[: 32 * tile.width]
            except FileNotFoundError:
                continue
        return None

    def put(self, tiles: Mapping[Tile, Mapping[merkle.Node, bytes]]) -> None:
        for tile, nodes in tiles.items():
            self.write(self.folder / tile.path, b"".join(nodes[node] for node in tile.nodes))

    def sign(self, checkpoint: str) -> None:
        """Publish a state, after the tiles that it needs."""
        self.write(self.folder / "checkpoint", checkpoint.encode())

    def write(self, path: Path, content: bytes) -> None:
        """Whole or not at all, for all to read."""
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
        write(part, content, 0o666)
        part.replace(path)


def size_of(checkpoint: str) -> int:
    """How many entries a checkpoint speaks of; none where there is none yet."""
    return note.unchecked(checkpoint).size if checkpoint else 0

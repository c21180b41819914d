"""The public log as files that any web server can carry: C2SP tlog-tiles (<https://c2sp.org/tlog-tiles>), 256 hashes a tile.

`tile/<level>/<place>` holds the hashes of `merkle` nodes `(8 * level, place * 256 …)`; while a tile is not full, `….p/<width>` holds its
beginning. What is published never changes. Entries themselves are commitments of which only the certificate tells the content, so they
are not published: the leaves' hashes (level 0) are all that there is to see.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from services.certs.domain.merkle import Node

WIDTH = 256
PLACE = re.compile(r"((?:x\d{3}/)*\d{3})(?:\.p/([1-9]\d{0,2}))?")


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """`width` hashes from `place * 256` on, of the nodes of `8 * level`."""

    level: int
    place: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        """Where it lies, under the log's address."""
        digits = f"{self.place:03}"
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        groups = [digits[n : n + 3] for n in range(0, len(digits), 3)]
        place = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
        return f"tile/{self.level}/{place}" + ("" if self.width == WIDTH else f".p/{self.width}")

    @property
    def nodes(self) -> list[Node]:
        return [(8 * self.level, self.place * WIDTH + n) for n in range(self.width)]


def parsed(level: str, path: str) -> Tile | None:
    """The tile of a path; None for one that there cannot be."""
    match = PLACE.fullmatch(path)
    if match is None or not re.fullmatch(r"[0-9]|[1-5][0-9]|6[0-3]", level):
        return None
    tile = Tile(int(level), int(match[1].replace("x", "").replace("/", "")), int(match[2] or WIDTH))
    return tile if tile.width <= WIDTH and tile.path == f"tile/{level}/{path}" else None


def new_tiles(old: int, size: int) -> Iterator[Tile]:
    """The tiles that a log of `size` entries has and one of `old` did not, each whole as it now is."""
    level = 0
    while size >> (8 * level):
        before, now = old >> (8 * level), size >> (8 * level)
        for place in range(before // WIDTH, -(-now // WIDTH)):
            width = min(WIDTH, now - place * WIDTH)
            if before < place * WIDTH + width:
                yield Tile(level, place, width)
        level += 1

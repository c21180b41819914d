"""The consignments in memory, for reactions: what routing said of one never changes, so a look-up is the same at each try.

One that is not here is asked of the table by `refresh`, a moment later; the message that needed it waits meanwhile, as any early one.
"""

from collections.abc import Iterable
from uuid import UUID

from services.refurb.domain.consignment import Consignment, ConsignmentExpected, evolve
from services.refurb.store.rows import CONSIGNMENTS
from shared.aggregate import Versioned
from shared.desk import Desk


class Book:
    """Consignments by their ids."""

    def __init__(self) -> None:
        self.known: dict[UUID, Consignment] = {}
        self.asked: set[UUID] = set()

    def get(self, consignment_id: UUID) -> Consignment | None:
        """Look one up; what is missing is asked for."""
        found = self.known.get(consignment_id)
        if found is None and len(self.asked) < 10_000:
            self.asked.add(consignment_id)
        return found

    def note(self, expected: ConsignmentExpected) -> None:
        """Note what routing just said."""
        self.known.setdefault(expected.consignment_id, evolve(Consignment(), expected))

    async def load(self, desk: Desk) -> None:
        """Fetch what goes on, once at the start."""
        async with desk.read() as tx:
            self.take((await CONSIGNMENTS.find(tx, "status = 'expected'")).values())

    async def refresh(self, desk: Desk) -> None:
        """Fetch what was asked for: another process of the service may have noted it."""
        if not self.asked:
            return
        wanted, self.asked = self.asked, set()
        async with desk.read() as tx:
            self.take((await CONSIGNMENTS.find(tx, "consignment_id = ANY ($1::uuid[])", sorted(wanted))).values())

    def take(self, rows: Iterable[Versioned]) -> None:
        """Keep what was read."""
        for row in rows:
            self.known[row.state.consignment_id] = row.state

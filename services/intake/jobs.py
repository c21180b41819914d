"""Work by the clock."""

from services.intake import store
from shared.db import Tx
from shared.desk import Desk
from shared.jobs import Job


async def drop_drafts(desk: Desk) -> None:
    """Delete the forms that nobody came back for."""

    async def drop(tx: Tx) -> None:
        await store.drop_expired_drafts(tx)

    await desk.carry_out([], also=drop)


JOBS = (Job("drafts", every_s=600, run=drop_drafts),)

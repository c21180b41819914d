"""A service's database is lost: it comes back from an older back-up, or from the topics alone, and no number is given twice."""

from pathlib import Path

from tests.recovery.conftest import CONSIGNMENTS, DONATIONS, Chain
from tests.support.command import maillon
from tests.support.platform import until


async def test_an_older_back_up_catches_up_in_both_directions_before_it_serves(chain: Chain, tmp_path: Path) -> None:
    """Two donations were told, and four events of consignments heard, after the back-up."""
    backup = str(tmp_path / "intake.dump")
    names = {"SERVICE": "intake", "BACKUP": backup, "DATABASE_URL": chain.stack.database_url("intake")}
    await chain.manual.follow("Back-ups", names)
    at_backup = await chain.events("intake")
    await chain.give(2)
    await chain.settled()
    rows, stood = await chain.rows("intake"), await chain.wire()
    told = await chain.events("intake") - at_backup
    assert told == 4, "offered and accepted, twice"

    heading = "A service's database is lost, there is a back-up"
    assert chain.logged("intake", "took_in") == []
    lag = f"intake  {CONSIGNMENTS}  4 of {len(stood[CONSIGNMENTS])} not yet read"
    lagging: list[str] = []

    async def start() -> None:
        assert await chain.events("intake") == at_backup, "the back-up is older"
        lagging.extend((await maillon("lag", "--stack", chain.stack.folder, "--service", "intake")).lines)
        await chain.act("start", "intake")()

    said = await chain.manual.follow(
        heading,
        {**names, "SUPERUSER_URL": chain.superuser()},
        expected={"maillon cursors forget --all": (1,)},
        acts={"start intake": start},
    )
    assert lag in lagging, "consumed since the back-up, to be consumed again"
    assert [entry["events"] for entry in chain.logged("intake", "took_in")] == [told], "told since the back-up, taken in again"
    assert said["maillon tally --wait 60"].last.endswith("0 differ")
    await chain.settled()
    assert await chain.rows("intake") == rows
    assert {topic: len(messages) for topic, messages in (await chain.wire()).items()} == {
        topic: len(messages) for topic, messages in stood.items()
    }, "nothing was told again"
    await chain.give(1)
    await chain.settled()
    assert len((await chain.wire())[DONATIONS]) == len(stood[DONATIONS]) + 2


async def test_without_a_back_up_the_topics_bring_back_what_was_told(chain: Chain) -> None:
    """Consignments by routing's own topic; wishes and places, which it told nobody, by the donations and the planner."""
    before, stood = await chain.rows("routing"), await chain.wire()
    told = await chain.events("routing")
    took_in = len(chain.logged("routing", "took_in"))
    await chain.manual.follow(
        "A service's database is lost, there is no back-up", {"SERVICE": "routing", "SUPERUSER_URL": chain.superuser()}
    )
    await chain.settled()
    assert [entry["events"] for entry in chain.logged("routing", "took_in")][took_in:] == [told]
    after = await chain.rows("routing")
    assert after["consignments"] == before["consignments"]
    assert len(after["wishes"]) == len(before["wishes"])
    placed = "SELECT NOT EXISTS (SELECT FROM wishes WHERE open OR jsonb_array_length(parts) <> 1)"
    await until(
        lambda: chain.pools["routing"].fetchval(placed)
    )  # each wish has its one consignment again: the planner's next turn
    assert {topic: len(messages) for topic, messages in (await chain.wire()).items()} == {
        topic: len(messages) for topic, messages in stood.items()
    }, "nothing was told again"

"""Kafka is lost entirely: topics are made again from `events`, and readers drop what they know."""

import httpx

from tests.recovery.conftest import CONSIGNMENTS, DONATIONS, Chain
from tests.support.command import maillon

HEADING = "Kafka is lost"


async def repeats(chain: Chain, service: str) -> int:
    """How many repeats a service has dropped since its start."""
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"http://127.0.0.1:{chain.stack.port(service)}/metrics")).text
    return int(sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith("maillon_repeats_total{")))


async def test_topics_are_made_again_and_nothing_has_a_second_effect(chain: Chain) -> None:
    before = {service: await chain.rows(service) for service in ("intake", "routing")}
    told = {service: await chain.events(service) for service in ("intake", "routing")}
    await chain.machine.lose_broker()
    await chain.give(1)  # people are served meanwhile
    said = await chain.manual.follow(HEADING, acts={"stop every service": lambda: chain.kill("intake", "routing")})
    await chain.settled()
    would, did = (said[f"maillon cursors forget --all{more}"].lines for more in (" --dry-run", ""))
    assert [line.replace("would be ", "") for line in would] == did
    assert {tuple(line.split()[:3]) for line in did} == {
        (service, topic + ":", "forgotten") for service in ("intake", "routing") for topic in (DONATIONS, CONSIGNMENTS)
    }
    assert said["maillon resend --all"].lines == [f"{service}: {told[service]} events will be sent again" for service in told]
    assert said["maillon tally --wait 60"].last.endswith("2 readings compared, 0 differ")

    assert await repeats(chain, "routing") == told["intake"]
    assert await repeats(chain, "intake") == told["routing"]
    wire = await chain.wire()
    for service, topic in (("intake", DONATIONS), ("routing", CONSIGNMENTS)):
        assert len({(m.stream, m.version) for m in wire[topic]}) == await chain.events(service)
        after = await chain.rows(service)
        assert [
            row for table, rows in before[service].items() for row in rows if row not in after[table] and table != "refurbishers"
        ] == []

    stack = ("--stack", chain.stack.folder)
    assert (await maillon("cursors", "forget", "--all", *stack)).code == 1, "nothing is left to forget"
    kept = await maillon("cursors", "forget", "--topic", DONATIONS, "--service", "routing", *stack)
    assert (kept.code, kept.lines) == (
        1,
        [f"routing  {DONATIONS}: it still has what was dealt with: left (--read-again reads all of it again)"],
    )

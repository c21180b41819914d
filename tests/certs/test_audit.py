"""The audit at work: from the topics to what the command says, with a loss, a repeat and a swap seeded among sound donations."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from services.certs import reactions
from services.certs.app import build
from services.certs.domain.account import Account
from services.certs.settings import CertsSettings
from services.certs.store import custody
from shared.events.routing import ConsignmentAssigned
from tests.certs.chain import SHOP, Chain, Told, messages
from tests.certs.scene import without_jobs
from tests.certs.test_ledger import ADDED_UP
from tests.support.command import Said, maillon
from tests.support.service import Publisher, Site, running


async def tell(publisher: Publisher, told: Sequence[Told]) -> None:
    """Over Kafka, topic by topic in the order given."""
    for topic, stream, event in told:
        await publisher.tell(topic, stream, event)


async def account(site: Site, donation: UUID) -> Account:
    async with site.desk.read() as tx:
        return await custody.account(tx, donation)


async def stands(site: Site, chain: Chain, state: str) -> Account:
    """Wait until the audit of that donation says `state`."""

    async def so() -> bool:
        return (await account(site, chain.donation)).state == state

    await site.until(so, 30)
    return await account(site, chain.donation)


@pytest.fixture
def command(certs_settings: CertsSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """`maillon` in the environment of certs."""
    monkeypatch.setenv("MAILLON_SERVICE", "certs")
    monkeypatch.setenv("MAILLON_DATABASE_URL", certs_settings.database_url.get_secret_value())


async def audit(*words: object) -> tuple[Said, list[Any]]:
    said = await maillon("audit", "--json", *words)
    return said, [json.loads(line) for line in said.lines]


def places(account: Account) -> list[tuple[str, str, UUID, int, str]]:
    """Code, topic, stream and number of the first event that broke it, and who had the device."""
    return [
        (
            n.breach.code,
            n.breach.step.topic,
            n.breach.step.stream,
            n.breach.step.number,
            f"{n.breach.holder.role} {n.breach.holder.name}",
        )
        for n in account.broken
    ]


@pytest.mark.usefixtures("command")
async def test_a_sound_donation_is_followed_from_the_topics(certs: Site, publisher: Publisher) -> None:
    chain = Chain()
    await tell(publisher, chain.whole())
    kept = await stands(certs, chain, "holds")
    assert (kept.reference, kept.sums, kept.noted) == (chain.reference[:-2], ADDED_UP, ())
    said, [found] = await audit("--donation", chain.reference[:-2])
    assert (said.code, found["state"], found["breaches"]) == (0, "holds", [])
    assert found["sums"]["received"] == {**ADDED_UP[2].spelled, "state": "holds"}
    said = await maillon("audit", "--donation", chain.reference[:-2])
    assert said.lines == [
        f"{chain.reference[:-2]}  holds",
        "  offered 4 = 4 collected",
        "  collected 4 = 4 received",
        "  received 4 = 1 stock + 1 sold + 1 given + 1 scrapped",
        "1 donations audited: 1 holds, 0 open, 0 waiting, 0 broken",
    ]


@pytest.mark.usefixtures("command")
async def test_a_loss_a_repeat_and_a_swap_are_found_with_their_first_event(certs: Site, publisher: Publisher) -> None:
    loss, repeat, swap, sound = Chain(), Chain(), Chain(), Chain()
    with capture_logs() as lines:
        await tell(publisher, [loss.offered(4), *loss.sent(4), loss.arrived_all(3)])
        await tell(publisher, [*repeat.whole(), *repeat.sold("1", mark="again")])
        other = swap.arrived("4").model_copy(update={"consignment_id": uuid4()})
        await tell(publisher, [*swap.whole(), *swap.at_work("4", other)])
        await tell(publisher, sound.whole())
        await stands(certs, sound, "holds")
        found = [places(await stands(certs, chain, "broken")) for chain in (loss, repeat, swap)]
    [twice] = repeat.sold("1", mark="again")
    assert found == [
        [("lost_in_transit", loss.refurb, loss.arrival, 1, "carrier ")],
        [("sold_twice", repeat.sold("1")[0][0], twice[1], 1, "beneficiary ")],
        [("two_consignments", swap.refurb, swap.device("4"), 4, "refurbisher trira")],
    ]
    assert sorted(line["codes"] for line in lines if line["event"] == "custody_broken") == [
        ["lost_in_transit"],
        ["sold_twice"],
        ["two_consignments"],
    ]
    said, all_of_them = await audit()
    assert said.code == 1
    assert sorted(each["state"] for each in all_of_them) == ["broken", "broken", "broken", "holds"]
    said = await maillon("audit", "--donation", loss.reference[:-2])
    assert (said.code, said.lines[2]) == (1, "  collected 4 = 3 received + 1 lost in transit  (broken)")
    assert f"BROKEN  lost_in_transit {loss.reference}: counted" in said.lines[4]
    assert f"({loss.refurb} {loss.arrival} number 1), held by carrier" in said.lines[4]


@pytest.mark.usefixtures("command")
async def test_a_word_that_is_missing_is_waited_for_then_called_broken(certs: Site, publisher: Publisher) -> None:
    chain = Chain()
    await tell(publisher, chain.whole()[:-1])  # the last device is ready, and the stock has not said that it has it
    kept = await stands(certs, chain, "waiting")
    assert ([n.breach.code for n in kept.noted], kept.broken) == (["ready_unstocked"], [])
    assert {each.name: each.state for each in kept.sums} == {"offered": "holds", "collected": "holds", "received": "open"}
    said, [found] = await audit("--donation", chain.reference[:-2])
    assert (said.code, found["state"]) == (0, "waiting")
    said, [found] = await audit("--donation", chain.reference[:-2], "--patience", 0)
    assert (said.code, found["state"], found["breaches"][0]["broken"]) == (1, "broken", True)


@pytest.mark.usefixtures("command")
async def test_a_donation_that_nobody_told_of_is_said_to_be_unknown(certs: Site) -> None:
    said = await maillon("audit", "--donation", "DON-0000-0000")
    assert (said.code, said.last) == (1, "DON-0000-0000: no publisher has told of it, as far as certs has heard")
    assert (await maillon("audit")).lines == ["0 donations audited: 0 holds, 0 open, 0 waiting, 0 broken"]
    assert certs.url


@pytest_asyncio.fixture(loop_scope="session")
async def impatient(certs_settings: CertsSettings) -> AsyncIterator[Site]:
    settings = certs_settings.model_copy(update={"certs_audit_patience_s": 0.5})
    async with running(build, settings) as site:
        yield site


async def test_patience_ends_by_the_clock_alone_and_a_late_word_ends_the_breach(impatient: Site, publisher: Publisher) -> None:
    chain = Chain()
    *rest, last = chain.whole()
    await tell(publisher, rest)
    kept = await stands(impatient, chain, "broken")
    assert [n.breach.code for n in kept.broken] == ["ready_unstocked"]
    await tell(publisher, [last])
    assert (await stands(impatient, chain, "holds")).noted == ()


async def test_a_donation_of_before_the_audit_is_not_accused_of_what_was_not_kept(impatient: Site, publisher: Publisher) -> None:
    chain = Chain()
    whole = chain.whole()
    [assigned, *_] = messages([(chain.routing, chain.consignment, chain.assigned())])
    await impatient.desk.carry_out(reactions.NOTED[ConsignmentAssigned](assigned, chain.assigned()))
    await tell(publisher, [told for told in whole if told[0] != chain.routing])

    async def heard() -> bool:
        return bool(await impatient.desk.pool.fetchval("SELECT count(*) FROM judged WHERE donation_id = $1", chain.donation))

    await impatient.until(heard, 30)
    await asyncio.sleep(3)
    assert (await account(impatient, chain.donation)).noted == ()


async def test_nothing_of_a_person_is_kept(certs_settings: CertsSettings, publisher: Publisher) -> None:
    chain = Chain()
    async with running(without_jobs(build), certs_settings) as site:
        await tell(publisher, chain.whole())

        async def heard() -> bool:
            return bool(await site.desk.pool.fetchval("SELECT count(*) FROM trails WHERE steps::text LIKE '%\"sold\"%'"))

        await site.until(heard, 30)
        kept = await site.desk.pool.fetchval("SELECT string_agg(data::text, ' ') FROM events WHERE type LIKE 'certs.step_noted%'")
    (_, _, offered), (_, _, sold) = chain.offered(4), chain.sold("1")[0]
    for secret in ("Mercerie", "732829320", str(offered.contact), str(sold.voucher_id), "voucher", "38200"):  # type: ignore[attr-defined]
        assert secret not in kept, secret
    assert SHOP in kept


@pytest.mark.parametrize("patience", ["inf", "nan", "1e300", "-1", "99999999999"])
async def test_a_patience_that_is_no_length_of_time_is_refused(patience: str) -> None:
    assert (await maillon("audit", "--patience", patience)).code == 2

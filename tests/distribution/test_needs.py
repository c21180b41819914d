from datetime import date
from uuid import UUID

import pytest

from services.distribution.app import NEED as NEEDS
from services.distribution.domain.needs import AskNeed, ExpressNeed, MeetNeed, Need, RemindNeed, ReopenNeed, campaign_name
from shared.errors import Malformed
from shared.events.base import DeviceType
from shared.events.distribution import NeedExpressed, NeedMet, NeedReminded, NeedReopened
from tests.distribution.samples import ASKED, CAMPAIGN, DEVICE, EXPRESSED, HERE, NEED, OTHER_DEVICE
from tests.support.given import given

MET = NeedMet(structure=HERE, device_id=DEVICE, device_type="laptop")
ASK = AskNeed(id=NEED, structure=HERE, campaign=CAMPAIGN, region="idf", answer_by=date(2026, 12, 1))


def express(wanted: dict[DeviceType, int]) -> ExpressNeed:
    return ExpressNeed(id=NEED, structure=HERE, campaign=CAMPAIGN, region="idf", wanted=wanted)


def told(wanted: dict[DeviceType, int]) -> NeedExpressed:
    return NeedExpressed(structure=HERE, campaign=CAMPAIGN, wanted=wanted, region="idf")


def test_a_structure_is_asked_once() -> None:
    given(NEEDS).when(ASK).then(ASKED)
    given(NEEDS, ASKED).when(ASK).then()
    given(NEEDS, EXPRESSED).when(ASK).then()


def test_it_is_reminded_until_it_answers() -> None:
    given(NEEDS).when(RemindNeed(id=NEED)).refuses("need_unknown")
    given(NEEDS, ASKED).when(RemindNeed(id=NEED)).then(NeedReminded(structure=HERE, campaign=CAMPAIGN))
    given(NEEDS, ASKED, EXPRESSED).when(RemindNeed(id=NEED)).refuses("need_already_expressed")


def test_an_answer_can_be_changed() -> None:
    given(NEEDS, ASKED).when(express({"laptop": 2, "smartphone": 1, "tablet": 0})).then(EXPRESSED)
    given(NEEDS, ASKED, EXPRESSED).when(express({"smartphone": 1, "laptop": 2})).then()
    given(NEEDS, ASKED, EXPRESSED).when(express({"laptop": 5})).then(told({"laptop": 5}))
    given(NEEDS).when(express({"laptop": 5})).then(told({"laptop": 5}))


def test_nothing_is_an_answer_too() -> None:
    given(NEEDS, ASKED).when(express({})).then(told({}))


def test_an_answer_stays_above_what_was_given() -> None:
    given(NEEDS, ASKED, EXPRESSED, MET).when(express({"laptop": 0})).refuses("need_below_given")
    given(NEEDS, ASKED, EXPRESSED, MET).when(express({"laptop": 1})).then(told({"laptop": 1}))


@pytest.mark.parametrize("count", [-1, 1_000])
def test_an_answer_has_bounds(count: int) -> None:
    with pytest.raises(Malformed, match="need_out_of_bounds"):
        NEEDS.decide(Need(), express({"laptop": count}))


def test_it_is_met_one_device_at_a_time_and_never_more() -> None:
    meet = MeetNeed(id=NEED, device_id=OTHER_DEVICE, device_type="laptop")
    other = NeedMet(structure=HERE, device_id=OTHER_DEVICE, device_type="laptop")
    third = MeetNeed(id=NEED, device_id=UUID(int=9), device_type="laptop")
    given(NEEDS, ASKED).when(meet).refuses("need_already_met")
    given(NEEDS, ASKED, EXPRESSED, MET).when(meet).then(other)
    given(NEEDS, ASKED, EXPRESSED, MET, other).when(meet).then()
    given(NEEDS, ASKED, EXPRESSED, MET, other).when(third).refuses("need_already_met")


def test_it_is_open_again_when_the_device_does_not_come() -> None:
    reopened = NeedReopened(structure=HERE, device_id=DEVICE, device_type="laptop")
    given(NEEDS, EXPRESSED, MET).when(ReopenNeed(id=NEED, device_id=DEVICE)).then(reopened)
    given(NEEDS, EXPRESSED, MET, reopened).when(ReopenNeed(id=NEED, device_id=DEVICE)).then()


def test_what_is_unmet_follows() -> None:
    need = NEEDS.evolve(NEEDS.evolve(NEEDS.evolve(Need(), ASKED), EXPRESSED), MET)
    assert need == Need(
        status="expressed",
        structure=HERE,
        campaign=CAMPAIGN,
        region="idf",
        answer_by=date(2026, 12, 1),
        wanted={"laptop": 2, "smartphone": 1},
        met={DEVICE: "laptop"},
        unmet=2,
    )


def test_a_campaign_is_named_as_people_write() -> None:
    assert campaign_name("  Été 2026, rentrée ! ") == "ete-2026-rentree"

from dataclasses import replace
from datetime import date

import pytest

from services.intake.app import DONATION
from services.intake.domain.donation import AcceptDonation, DeclineDonation, OfferDonation, WithdrawDonation
from services.intake.domain.offer import donation_id, reference
from services.intake.domain.triage import Verdict
from shared.events.base import Donor, stream_id
from shared.events.intake import DonationAccepted, DonationDeclined, DonationOffered, DonationWithdrawn
from tests.intake.samples import NOW, PRIVATE, offered
from tests.support.given import given

COMMAND = offered().command
OFFERED = DonationOffered(
    reference=COMMAND.reference,
    donor=Donor(status="company", name="Mercerie Brindille SAS", siren="732829320", siret="73282932000074"),
    contact=stream_id("person", COMMAND.id, "contact"),
    region="ara",
    postal_code="69007",
    declared={"laptop": 24, "desktop": 10, "smartphone": 8},
    condition="mixed",
    age="3_to_5_years",
    media="inside",
    sensitivity="ordinary",
    required_class="Clear",
    access=("loading_dock",),
    pallets=2,
    available_from=date(2026, 12, 14),
    form="questions-2026-01",
    source="api:acme",
    content_sha256=COMMAND.fingerprint,
    offered_at=NOW,
)
ACCEPTED = DonationAccepted(
    outcome="accepted_with_conditions",
    reasons=("wanted_first",),
    conditions=("swollen_batteries_apart",),
    rules="triage-2026-01",
    decided_at=NOW,
    decided_by="rules",
)
REFUSED_BY_HAND = DonationDeclined(
    outcome="refused", reasons=("no_workshop",), rules="triage-2026-01", decided_at=NOW, decided_by="person"
)
WITHDRAWN = DonationWithdrawn(reason="donor", withdrawn_at=NOW)


def test_an_offer_is_decided_upon_at_once() -> None:
    given(DONATION).when(COMMAND).then(OFFERED, ACCEPTED).leaves(status="accepted", region="ara", fingerprint=COMMAND.fingerprint)


def test_the_same_offer_again_is_no_event() -> None:
    given(DONATION, OFFERED, ACCEPTED).when(offered().command).then()
    given(DONATION, OFFERED, ACCEPTED, WITHDRAWN).when(offered().command).then()


def test_the_same_offer_typed_otherwise_is_the_same() -> None:
    again = offered(laptop=" 24 ", company_number="73282932000074", phone="+33 1 99 00 12 34", available_from="2026-12-14")
    given(DONATION, OFFERED, ACCEPTED).when(again.command).then()


def test_other_answers_under_the_same_id_are_refused_with_both_told() -> None:
    told = offered(laptop="25", postal_code="75002").command
    scene = given(DONATION, OFFERED, ACCEPTED).when(told)
    with pytest.raises(Exception, match="donation_differs") as caught:
        scene.decided()
    detail = caught.value.detail  # type: ignore[attr-defined]
    assert detail["known"]["declared"] == {"laptop": 24, "desktop": 10, "smartphone": 8}
    assert detail["told"]["declared"] == {"laptop": 25, "desktop": 10, "smartphone": 8}
    assert detail["differs"] == ["declared", "region", "postal_code"]


def test_another_phone_under_the_same_id_is_refused_without_telling_either() -> None:
    scene = given(DONATION, OFFERED, ACCEPTED).when(offered(phone="0199009999").command)
    with pytest.raises(Exception, match="donation_differs") as caught:
        scene.decided()
    detail = caught.value.detail  # type: ignore[attr-defined]
    assert detail["differs"] == ["contact_or_address"]
    assert "0199" not in str(detail)


def test_a_no_of_the_rules() -> None:
    verdict = Verdict(outcome="recycling", reasons=("old_and_broken",), conditions=(), rules="triage-2026-01")
    declined = DonationDeclined(
        outcome="recycling", reasons=("old_and_broken",), rules="triage-2026-01", decided_at=NOW, decided_by="rules"
    )
    given(DONATION).when(replace(COMMAND, verdict=verdict)).then(OFFERED, declined).leaves(status="declined", outcome="recycling")


def test_a_person_overrules_both_ways() -> None:
    yes = DonationAccepted(
        outcome="accepted", reasons=("settled_by_phone",), rules="triage-2026-01", decided_at=NOW, decided_by="person"
    )
    (
        given(DONATION, OFFERED, ACCEPTED)
        .when(DeclineDonation(id=COMMAND.id, at=NOW, reason="no_workshop", collected=False))
        .then(REFUSED_BY_HAND)
        .when(DeclineDonation(id=COMMAND.id, at=NOW, reason="no_workshop", collected=False))
        .then()
        .when(AcceptDonation(id=COMMAND.id, at=NOW, reason="settled_by_phone"))
        .then(yes)
        .when(AcceptDonation(id=COMMAND.id, at=NOW, reason="settled_by_phone"))
        .then()
        .leaves(status="accepted", decided_by="person", conditions=())
    )


def test_a_withdrawal_happens_once_and_ends_the_matter() -> None:
    withdraw = WithdrawDonation(id=COMMAND.id, at=NOW, reason="donor", collected=False)
    gone = given(DONATION, OFFERED, ACCEPTED).when(withdraw).then(WITHDRAWN).leaves(status="withdrawn", withdrawn_at=NOW)
    gone.when(withdraw).then()
    gone.when(AcceptDonation(id=COMMAND.id, at=NOW, reason="settled_by_phone")).refuses("donation_withdrawn")
    gone.when(DeclineDonation(id=COMMAND.id, at=NOW, reason="no_workshop", collected=False)).refuses("donation_withdrawn")


@pytest.mark.parametrize("kind", [WithdrawDonation, DeclineDonation])
def test_what_a_driver_took_away_stays(kind: type[WithdrawDonation] | type[DeclineDonation]) -> None:
    command = kind(id=COMMAND.id, at=NOW, reason="no_workshop", collected=True)
    given(DONATION, OFFERED, ACCEPTED).when(command).refuses("already_collected", reference=COMMAND.reference)


def test_there_is_nothing_to_withdraw_after_a_no() -> None:
    withdraw = WithdrawDonation(id=COMMAND.id, at=NOW, reason="donor", collected=False)
    given(DONATION, OFFERED, REFUSED_BY_HAND).when(withdraw).refuses("donation_declined")


@pytest.mark.parametrize(
    "command",
    [
        AcceptDonation(id=COMMAND.id, at=NOW, reason="settled_by_phone"),
        DeclineDonation(id=COMMAND.id, at=NOW, reason="no_workshop", collected=False),
        WithdrawDonation(id=COMMAND.id, at=NOW, reason="donor", collected=False),
    ],
)
def test_nothing_happens_to_an_unknown_donation(command: object) -> None:
    given(DONATION).when(command).refuses("donation_unknown")


def test_a_sole_trader_is_a_person() -> None:
    offer = offered(donor_status="person", donor_name="Camille Durand")
    person = stream_id("person", offer.command.id, "donor")
    assert offer.command.donor == Donor(status="person", person=person)
    assert offer.people[person] == {"name": "Camille Durand", "company_number": "73282932000074"}
    events = "".join(event.model_dump_json() for event in given(DONATION).when(offer.command).decided())
    assert not [word for word in (*PRIVATE, "73282932") if word.lower() in events.lower()]


def test_contact_and_place_are_for_the_vault_alone() -> None:
    offer = offered()
    assert offer.people == {
        offer.command.contact: {
            "name": "Camille Durand",
            "mail": "camille.durand@brindille.example",
            "phone": "0199001234",
            "address": "12 rue de l’Aiguille",
            "city": "Lyon",
            "remarks": "De 8 h à 16 h.\nSonner deux fois.",
        }
    }
    events = "".join(event.model_dump_json() for event in given(DONATION).when(offer.command).decided())
    assert not [word for word in PRIVATE if word.lower() in events.lower()]


def test_the_fingerprint_is_keyed() -> None:
    assert isinstance(COMMAND, OfferDonation)
    assert offered(phone="0199009999").command.fingerprint != COMMAND.fingerprint
    assert offered("D-2").command.fingerprint == COMMAND.fingerprint  # over the answers, not over the id


def test_names_of_donations() -> None:
    assert donation_id(" acme", "d-1") == donation_id("ACME", "D-1") == stream_id("donation", "ACME", "D-1")
    assert donation_id("acme", "D-1") != donation_id("form", "D-1")
    assert reference(stream_id("donation", "ACME", "D-1")) == COMMAND.reference
    assert COMMAND.reference == "DON-" + COMMAND.reference[4:8] + "-" + COMMAND.reference[9:]
    assert len(COMMAND.reference) == 13

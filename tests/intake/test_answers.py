import json
import re

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from services.intake.app import DATA
from services.intake.domain.answers import DEVICE_FIELDS, PATHS, Problem, Raw, check, flat
from services.intake.domain.offer import make
from tests.intake.samples import KNOWN, NOW, QUESTIONS, RIGHT, TERMS, TODAY, body

ALL_FIELDS = set(PATHS) - {"owner"}


def problems(**changes: Raw) -> list[Problem]:
    """What is wrong with the right answers, so changed."""
    return check(QUESTIONS, {**RIGHT, **changes}, KNOWN)[1]


def test_the_right_answers_are_right() -> None:
    values, wrong = check(QUESTIONS, RIGHT, KNOWN)
    assert wrong == []
    assert values["laptop"] == 24
    assert values["tablet"] == 0
    assert values["company_number"] == "73282932000074"
    assert values["phone"] == "0199001234"
    assert values["access"] == ("loading_dock",)
    assert values["remarks"] == "De 8 h à 16 h.\nSonner deux fois."


def test_the_questions_ask_for_every_field_and_no_other() -> None:
    assert set(QUESTIONS.fields) == ALL_FIELDS
    assert len(QUESTIONS.questions) == 6


def test_every_code_has_words() -> None:
    words = yaml.safe_load((DATA / "words.yaml").read_text("utf-8"))["messages"]
    source = "".join(path.read_text("utf-8") for path in (DATA.parent / "domain").glob("*.py"))
    for code in words:
        assert words[code].endswith((".", "là."))
    for code in set(re.findall(r'_Wrong\(\s*"([a-z_]+)"', source)) | {"choose_one", "missing", "nothing_offered"}:
        assert code in words, code


@pytest.mark.parametrize(
    "field, typed, code",
    [
        ("laptop", "24 environ", "not_a_count"),
        ("laptop", "-3", "not_a_count"),
        ("laptop", "1,5", "not_a_count"),
        ("laptop", "٣", "not_a_count"),  # digits of another script
        ("laptop", "8000", "too_many"),
        ("laptop", "9" * 300, "not_a_count"),
        ("condition", "", "choose_one"),
        ("condition", "superb", "unknown_choice"),
        ("age", "<script>alert(1)</script>", "unknown_choice"),
        ("access", ("loading_dock", "helicopter"), "unknown_choice"),
        ("address", "", "missing"),
        ("address", "   ", "missing"),
        ("address", "x" * 201, "too_long"),
        ("address", "12 rue\x00 de l'Aiguille", "control_characters"),
        ("address", "12 rue\x1b[31m", "control_characters"),
        ("address", "12 rue \u202elyoN", "control_characters"),
        ("address", "12 rue \ud800", "control_characters"),
        ("address", "12 rue\nde l'Aiguille", "control_characters"),
        ("remarks", "x" * 1_000_000, "too_long"),
        ("remarks", "a\x07b", "control_characters"),
        ("postal_code", "6900", "postal_code_malformed"),
        ("postal_code", "69ABC", "postal_code_malformed"),
        ("postal_code", "99999", "postal_code_unknown"),
        ("pallets", "deux", "not_a_count"),
        ("pallets", "201", "too_many"),
        ("available_from", "", "missing"),
        ("available_from", "bientôt", "not_a_date"),
        ("available_from", "31/02/2027", "not_a_date"),
        ("available_from", "12/2026", "not_a_date"),
        ("available_from", "22/11/2026", "date_past"),
        ("available_from", "2028-01-01", "date_too_far"),
        ("donor_status", "", "choose_one"),
        ("donor_name", "", "missing"),
        ("company_number", "", "company_number_missing"),
        ("company_number", "123 456 78", "company_number_length"),
        ("company_number", "123456789", "company_number_checksum"),
        ("company_number", "732 829 320 00075", "company_number_checksum"),
        ("company_number", "FR73282932", "company_number_malformed"),
        ("mail", "camille.durand", "mail_malformed"),
        ("mail", "a@b", "mail_malformed"),
        ("mail", "a b@c.fr", "mail_malformed"),
        ("mail", "x" * 250 + "@brindille.example", "too_long"),
        ("phone", "12 34", "phone_malformed"),
        ("phone", "", "missing"),
    ],
)
def test_a_wrong_answer_has_its_code(field: str, typed: Raw, code: str) -> None:
    assert [(problem.field, problem.code) for problem in problems(**{field: typed})] == [(field, code)]


@pytest.mark.parametrize(
    "field, typed, value",
    [
        ("laptop", "1 200", 1200),
        ("laptop", "1\u202f200", 1200),
        ("postal_code", " 69 007 ", "69007"),
        ("available_from", "23/11/2026", TODAY),
        ("available_from", "2026-11-23", TODAY),
        ("available_from", "23.11.2026", TODAY),
        ("company_number", "732829320", "732829320"),
        ("company_number", "356 000 000 09075", "35600000009075"),  # La Poste has a key of its own
        ("phone", "+33 (0)1 99 00 12 34", "0199001234"),
        ("phone", "+32 2 555 12 12", "+3225551212"),
        ("donor_name", "Café & fils « Zoé »", "Café & fils « Zoé »"),
        ("donor_name", "Cafe\u0301", "Café"),
        ("address", "<b>12</b> rue", "<b>12</b> rue"),  # kept as it was typed, escaped where it shows
    ],
)
def test_people_write_as_they_do(field: str, typed: str, value: object) -> None:
    values, wrong = check(QUESTIONS, {**RIGHT, field: typed}, KNOWN)
    assert wrong == []
    assert values[field] == value


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(ALL_FIELDS)), st.text(max_size=60), max_size=5))
def test_whatever_is_typed_has_an_answer(typed: dict[str, str]) -> None:
    values, wrong = check(QUESTIONS, {**RIGHT, **typed}, KNOWN)
    assert {problem.field for problem in wrong} <= ALL_FIELDS
    for value in values.values():
        assert "\0" not in str(value)
        json.dumps(str(value)).encode()


def test_nothing_at_all_is_no_donation() -> None:
    assert problems(**dict.fromkeys(DEVICE_FIELDS, "")) == [Problem("laptop", "nothing_offered")]
    assert problems(**dict.fromkeys(DEVICE_FIELDS, "0")) == [Problem("laptop", "nothing_offered")]


def test_only_an_association_may_have_no_number() -> None:
    assert problems(donor_status="association", company_number="") == []
    for status in ("company", "public", "person"):
        assert [p.code for p in problems(donor_status=status, company_number="")] == ["company_number_missing"]


def test_every_wrong_field_is_told_at_once() -> None:
    wrong = problems(laptop="beaucoup", postal_code="1", mail="x")
    assert [problem.field for problem in wrong] == ["laptop", "postal_code", "mail"]


def test_who_does_not_own_it_cannot_give_it() -> None:
    made = make(TERMS, {**RIGHT, "owner": ""}, client="acme", client_id="1", source="api:acme", now=NOW, today=TODAY)
    assert made == [Problem("owner", "owner_not_confirmed")]


def test_a_program_and_a_form_say_the_same() -> None:
    raw, wrong = flat(json.loads(json.dumps(body())))
    assert wrong == []
    values, problems_ = check(QUESTIONS, raw, KNOWN)
    assert problems_ == []
    assert {name: values[name] for name in ("laptop", "desktop", "tablet")} == {"laptop": 24, "desktop": 10, "tablet": 0}


@pytest.mark.parametrize(
    "sent, pointer, code",
    [
        (body(declared={"laptop": "douze"}), None, None),
        (body(declared={"laptop": 1.5}), "/declared/laptop", "wrong_type"),
        (body(declared={"laptop": True}), "/declared/laptop", "wrong_type"),
        (body(declared=[1, 2]), "/declared", "unknown_field"),
        (body(declared={"toaster": 1}), "/declared/toaster", "unknown_field"),
        (body(**{"a/b~c": 1}), "/a~1b~0c", "unknown_field"),
        (body(condition={"deep": {"er": 1}}), "/condition", "wrong_type"),
        ([1, 2], "", "not_an_object"),
        (None, "", "not_an_object"),
    ],
)
def test_json_of_the_wrong_shape_is_told_where(sent: object, pointer: str | None, code: str | None) -> None:
    found = [(problem.pointer, problem.code) for problem in flat(sent)[1]]
    assert found == ([] if pointer is None else [(pointer, code)])

from shared.ui import words
from shared.ui.formats import fr
from tests.ui.site import PAGES


def test_every_device_type_has_its_words() -> None:
    assert words.device_types() == ["laptop", "desktop", "smartphone", "tablet", "screen", "printer", "multifunction", "other"]
    assert words.device("laptop") == "ordinateur portable"
    assert words.device("laptop", 7) == fr("7 ordinateurs portables")
    assert words.device("laptop", 1, short=True) == fr("1 portable")
    assert words.devices("screen") == "Écrans"
    assert words.device("hoverboard", 2) == fr("2 autres appareils")


def test_every_icon_of_the_words_is_in_the_sprite() -> None:
    sprite = PAGES.html("story.html", request=None)
    assert [k for k in words.device_types() if f'id="i-{words.device_icon(k)}"' not in sprite] == []


def test_statuses() -> None:
    assert words.status("donation", "accepted") == ("ok", "Accepté")
    assert words.status("donation", "lost_in_space") == ("wait", "lost_in_space")


def test_a_service_says_its_own_refusals_first() -> None:
    said = PAGES.message("voucher_spent", on="2026-11-21T14:12:00+00:00")
    assert said == fr("Ce bon a déjà servi samedi 21 novembre 2026 à 15 h 12. Rien n'a été encaissé ici. Scannez un autre bon.")


def test_details_are_written_in_french() -> None:
    own = {"x": "{day}, {count} places, {yes}, {time}, {word}"}
    said = words.message("x", own, day="2026-12-01", count=1200, yes=True, time="2026-12-01T10:00:00", word="A1")
    assert said == fr("mardi 1er décembre 2026, 1 200 places, oui, 2026-12-01T10:00:00, A1")


def test_a_detail_that_was_not_given_does_not_break_the_sentence() -> None:
    assert PAGES.message("voucher_spent").startswith(fr("Ce bon a déjà servi …. Rien n'a été encaissé"))


def test_an_unknown_code_is_shown() -> None:
    said = words.message("something_new")
    assert "something_new" in said
    assert said.startswith("La demande est refusée")


def test_a_status_without_a_code_has_a_message() -> None:
    assert [words.code_for(s) for s in (404, 422, 503, 418)] == ["not_found", "malformed", "outage", "unknown_code"]
    said = words._words()["messages"]
    assert [code for code in words._words()["problems"].values() if code not in said] == []


def test_small_numbers_are_written_in_letters() -> None:
    assert [words.how_many(n) for n in (1, 2, 10, 11)] == ["Une", "Deux", "Dix", "11"]

import datetime as dt
import re
from decimal import Decimal

import pytest
from markupsafe import Markup

from shared.settings import Settings
from shared.ui import formats
from shared.ui.formats import fr

LATE = dt.datetime(2026, 11, 22, 23, 30, tzinfo=dt.UTC)  # already Monday in Paris


def printed(text: str) -> str:
    """Write with ~ what is a no-break space, so that a test shows which space is which."""
    return text.replace("\N{NO-BREAK SPACE}", "~").replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").replace("\N{MINUS SIGN}", "-")


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("Qu'est-ce ? C'est prêt : oui !", "Qu'est-ce~? C'est prêt~: oui~!"),
        ("« Reçu » le 23 novembre 2026", "«~Reçu~» le 23~novembre 2026"),
        ("1 200 € sur 18 240 000, 71 %", "1~200~€ sur 18~240~000, 71~%"),
        ("le 1er décembre ; de 9 h à 16 h", "le 1er~décembre~; de 9~h à 16~h"),
        ("à 15 h 12", "à 15~h~12"),
        ("TRI-7K3M, 12 345", "TRI-7K3M, 12~345"),
        ("123 4567", "123 4567"),
    ],
)
def test_typed_french_is_set_as_printed(typed: str, shown: str) -> None:
    assert printed(fr(typed)) == shown
    assert "'" not in fr(typed)
    assert fr(fr(typed)) == fr(typed)


def test_a_contact_is_called_or_written_to() -> None:
    assert formats.reach("+33 199 00 00 00, a@b.example") == (
        '<a class="num" href="tel:+33199000000">+33\u00a0199\u00a000\u00a000\u00a000</a>, '
        '<a class="num" href="mailto:a@b.example">a@b.example</a>'
    )


@pytest.mark.parametrize(
    ("contact", "right"),
    [
        ("01 99 00 00 00", True),
        ("a@b.example", True),
        ("01 99 00 00 00, a@b.example", True),
        ("", False),
        ("demain", False),
        ("a@b.example,", False),
        ("a b@c.example", False),
    ],
)
def test_a_contact_is_a_number_or_an_address(contact: str, *, right: bool) -> None:
    assert bool(re.fullmatch(Settings.model_fields["contact"].metadata[0].pattern, contact)) is right


def test_markup_is_left_alone() -> None:
    tag = Markup('<a href="/a b" title="l\'eau : 2 km">')
    assert fr(tag) is tag


@pytest.mark.parametrize(
    ("when", "shown"),
    [
        (dt.date(2026, 11, 23), "lundi 23~novembre 2026"),
        (dt.date(2026, 12, 1), "mardi 1er~décembre 2026"),
        (LATE, "lundi 23~novembre 2026"),
    ],
)
def test_dates(when: dt.date, shown: str) -> None:
    assert printed(formats.date_fr(when)) == shown


def test_short_dates_and_hours() -> None:
    assert printed(formats.short_date_fr(dt.date(2026, 12, 2))) == "2~déc."
    assert printed(formats.short_date_fr(dt.date(2026, 5, 1))) == "1er~mai"
    assert printed(formats.hour_fr(dt.datetime(2026, 11, 23, 9, 42, tzinfo=dt.UTC))) == "10~h~42"
    assert printed(formats.hour_fr(dt.datetime(2026, 7, 1, 7, 0, tzinfo=dt.UTC))) == "9~h"
    assert printed(formats.hour_fr(LATE)) == "0~h~30"
    assert printed(formats.moment_fr(LATE)) == "lundi 23~novembre 2026 à 0~h~30"


def test_a_time_without_a_zone_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="without a zone"):
        formats.date_fr(dt.datetime(2026, 11, 23))  # noqa: DTZ001 - that is the mistake


def test_time_elements() -> None:
    assert (
        printed(formats.time_fr(dt.date(2026, 12, 1))) == '<time datetime="2026-12-01">mardi 1<sup>er</sup>~décembre 2026</time>'
    )
    assert printed(formats.time_fr(LATE, hour=True)) == (
        '<time datetime="2026-11-23T00:30+01:00">lundi 23~novembre 2026 à 0~h~30</time>'
    )
    assert formats.time_fr("Aujourd'hui") == fr("Aujourd'hui")


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (formats.number_fr(1200), "1~200"),
        (formats.number_fr(4.9), "4,9"),
        (formats.number_fr(-5), "-5"),
        (formats.number_fr(Decimal("1234567.891")), "1~234~567,891"),
        (formats.number_fr(2.0), "2"),
        (formats.euros(120_000), "1~200~€"),
        (formats.euros(1250), "12,50~€"),
        (formats.euros(-505), "-5,05~€"),
        (formats.euros(0), "0~€"),
        (formats.percent(0.714), "71~%"),
        (formats.kg(133), "133~kg"),
        (formats.kg(1.44), "1,4~kg"),
        (formats.size_fr(1), "1~octet"),
        (formats.size_fr(312_400), "312~Ko"),
        (formats.size_fr(2_100_000), "2,1~Mo"),
        (formats.digits_fr("732829320"), "732~829~320"),
        (formats.digits_fr("73282932000074"), "732~829~320~00074"),
        (formats.digits_fr("0199001234"), "01~99~00~12~34"),
        (formats.digits_fr("+33199001234"), "+33199001234"),
        (formats.digits_fr(12), "12"),
        (formats.size_fr(500_107_862_016), "500,1~Go"),
        (formats.size_fr(1_000_204_886_016), "1~To"),
        (formats.plural(0, "appareil"), "0~appareil"),
        (formats.plural(1, "appareil"), "1~appareil"),
        (formats.plural(7, "appareil"), "7~appareils"),
        (formats.plural(1200, "bureau", "bureaux"), "1~200~bureaux"),
    ],
)
def test_figures(shown: str, expected: str) -> None:
    assert printed(shown) == expected


def test_first_letters_and_lines() -> None:
    assert [formats.lower_first(t) for t in ("Il manque", "SIREN faux", "")] == ["il manque", "SIREN faux", ""]
    assert formats.spark([0, 10]) == "0.0,26.0 120.0,2.0"
    assert formats.spark([3]) == "0.0,26.0"
    assert formats.spark([]) == ""

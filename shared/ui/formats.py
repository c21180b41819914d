"""How figures, dates and French words are written: one form for each thing, the same on every page.

Spaces inside a figure, before its unit and inside a date are no-break spaces (U+00A0): tests that look for
such a text write it with `fr("lundi 23 novembre 2026")`. Times are aware and shown as the clock of Paris shows them.
"""

import datetime as dt
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from zoneinfo import ZoneInfo

from babel.dates import format_date
from babel.numbers import format_decimal
from markupsafe import Markup

PARIS = ZoneInfo("Europe/Paris")
SPACE = "\N{NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"
_LETTERED = 2  # French says "0 appareil", "1,5 tonne": the plural begins at two
_TYPOGRAPHY = (
    (re.compile(r"(?<=\w)'(?=\w)"), "\N{RIGHT SINGLE QUOTATION MARK}"),
    (re.compile(r" (?=[:;?!%€\u00bb])"), SPACE),
    (re.compile(r"(?<=\u00ab) "), SPACE),
    (re.compile(r"(?<=\d) (?=\d{3}(?!\d))"), SPACE),
    (re.compile(r"(?<=\d) (?=[^\W\d_])"), SPACE),
    (re.compile(r"(?<=\b1er) (?=[^\W\d_])"), SPACE),
    (re.compile(r"(?<=\d\u00a0h) (?=\d\d)"), SPACE),
)


def fr(text: str) -> str:
    """Set plainly typed French as it is printed: curved apostrophes, no-break spaces. Markup is left as it is."""
    if hasattr(text, "__html__"):
        return text
    for pattern, printed in _TYPOGRAPHY:
        text = pattern.sub(printed, text)
    return text


def local(when: dt.datetime) -> dt.datetime:
    """Give that moment on the clock of Paris; a time without a zone is a mistake of the caller."""
    if when.tzinfo is None:
        message = f"a time without a zone: {when}"
        raise ValueError(message)
    return when.astimezone(PARIS)


def _day(when: dt.date) -> dt.date:
    return local(when).date() if isinstance(when, dt.datetime) else when


def _first(day: int) -> str:
    return "1er" if day == 1 else str(day)


def date_fr(when: dt.date) -> str:
    """Write a date, or the date in Paris of an aware time: `lundi 23 novembre 2026`, `mardi 1er décembre 2026`."""
    day = _day(when)
    return f"{format_date(day, 'EEEE', 'fr')} {_first(day.day)}{SPACE}{format_date(day, 'MMMM y', 'fr')}"


def short_date_fr(when: dt.date) -> str:
    """Write a date for a narrow table: `2 déc.`."""
    day = _day(when)
    return f"{_first(day.day)}{SPACE}{format_date(day, 'MMM', 'fr')}"


def hour_fr(when: dt.datetime) -> str:
    """Write the hour in Paris: `10 h 42`, and `9 h` on the hour."""
    clock = local(when)
    hour = f"{clock.hour}{SPACE}h"
    return f"{hour}{SPACE}{clock.minute:02}" if clock.minute else hour


def moment_fr(when: dt.datetime) -> str:
    """Write date and hour: `samedi 21 novembre 2026 à 15 h 12`."""
    return f"{date_fr(when)} à {hour_fr(when)}"


def time_fr(when: dt.date | str, *, hour: bool = False) -> Markup | str:
    """Write a date as a `<time>` element, with the hour on demand; a text is a date already written."""
    if isinstance(when, str):
        return fr(when)
    words = date_fr(when)
    stamp = _day(when).isoformat()
    if hour and isinstance(when, dt.datetime):
        words, stamp = moment_fr(when), local(when).isoformat(timespec="minutes")
    shown = Markup.escape(words).replace("1er" + SPACE, Markup("1<sup>er</sup>") + SPACE)
    return Markup('<time datetime="{}">{}</time>').format(stamp, shown)


def number_fr(value: float | Decimal, digits: int = 3) -> str:
    """Write a number, rounded to that many decimals at most: `1 200`, `4,9`, `−5`."""
    written = format_decimal(round(Decimal(str(value)), digits), format="#,##0.###", locale="fr")
    return written.replace("\N{NARROW NO-BREAK SPACE}", SPACE).replace("-", MINUS)


def euros(cents: int) -> str:
    """Write an amount given in cents; whole euros without decimals: `1 200 €`, `12,50 €`."""
    sign = MINUS if cents < 0 else ""
    whole, rest = divmod(abs(cents), 100)
    decimals = f",{rest:02}" if rest else ""
    return f"{sign}{number_fr(whole)}{decimals}{SPACE}€"


def percent(share: float, digits: int = 0) -> str:
    """Write a share of one: 0.71 is `71 %`."""
    return f"{number_fr(share * 100, digits)}{SPACE}%"


def digits_fr(number: str | int) -> str:
    """Write a number that names something in groups: SIREN `732 829 320`, SIRET `732 829 320 00074`, telephone `01 99 00 12 34`."""
    text = str(number)
    shapes = {9: (3, 6), 14: (3, 6, 9), 10: (2, 4, 6, 8)}
    if not (text.isascii() and text.isdigit() and len(text) in shapes):
        return text
    cuts = shapes[len(text)]
    return SPACE.join(text[a:b] for a, b in zip((0, *cuts), (*cuts, len(text)), strict=True))


def reach(contact: str) -> Markup:
    """Write telephone numbers and mail addresses, with commas between, as links that call and write."""
    kinds = [("mailto:" if "@" in each else "tel:", each) for each in contact.split(", ")]
    links = [
        Markup('<a class="num" href="{}{}">{}</a>').format(way, "".join(each.split()), each.replace(" ", SPACE))
        for way, each in kinds
    ]
    return Markup(", ").join(links)


def kg(weight_kg: float | Decimal) -> str:
    """Write a weight: `133 kg`, `1,4 kg`."""
    return f"{number_fr(weight_kg, 1)}{SPACE}kg"


def size_fr(size_bytes: int) -> str:
    """Write the size of a file or of a disk, in powers of ten: `312 Ko`, `2,1 Mo`, `500,1 Go`, `1 To`."""
    kilo, mega = 1000, 1_000_000
    if size_bytes < kilo:
        return plural(size_bytes, "octet")
    if size_bytes < mega:
        return f"{number_fr(size_bytes / kilo, 0)}{SPACE}Ko"
    unit, name = next(((size, name) for size, name in ((10**12, "To"), (10**9, "Go")) if size_bytes >= size), (mega, "Mo"))
    return f"{number_fr(size_bytes / unit, 1)}{SPACE}{name}"


def choose(count: float, one: str, many: str = "") -> str:
    """Choose the form of a word for that many things; without a plural, an s is added."""
    return one if abs(count) < _LETTERED else many or f"{one}s"


def plural(count: float, one: str, many: str = "") -> str:
    """Write how many of a thing there are: `1 appareil`, `1 200 appareils`."""
    return f"{number_fr(count)}{SPACE}{choose(count, one, many)}"


def lower_first(text: str) -> str:
    """Begin with a small letter, so that the text can follow a colon; words in capitals stay (`SIREN`)."""
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def spark(values: Sequence[float], width: int = 120, height: int = 28) -> str:
    """Give the points of a line through the values, from left to right, the highest value on top."""
    top, low = max(values, default=0), min(values, default=0)
    span = (top - low) or 1
    step = width / max(len(values) - 1, 1)
    return " ".join(f"{i * step:.1f},{height - 2 - (v - low) / span * (height - 4):.1f}" for i, v in enumerate(values))


_WRITERS: tuple[Callable[..., object], ...] = (
    fr, date_fr, short_date_fr, hour_fr, moment_fr, time_fr, number_fr, euros, percent, kg, digits_fr, size_fr,
    choose, plural, lower_first, spark, reach,
)  # fmt: skip
FILTERS = {writer.__name__: writer for writer in _WRITERS}

"""Days on which people work in France, and the first one on which a collection can be proposed."""

from datetime import date, timedelta

ONE_DAY = timedelta(days=1)
FIXED = {(1, 1), (5, 1), (5, 8), (7, 14), (8, 15), (11, 1), (11, 11), (12, 25)}
"""Month and day of the holidays of the Code du travail, L.3133-1, that stand still (Alsace-Moselle has two more)."""


def easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar (the anonymous algorithm, as in Meeus, Astronomical Algorithms, ch. 8)."""
    a, b, c = year % 19, year // 100, year % 100
    d = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    e = (32 + 2 * (b % 4) + 2 * (c // 4) - d - c % 4) % 7
    f = d + e - 7 * ((a + 11 * d + 22 * e) // 451) + 114
    return date(year, f // 31, f % 31 + 1)


def is_workday(day: date) -> bool:
    """Monday to Friday, without the holidays: the fixed ones, Easter Monday, Ascension, Whit Monday."""
    since_easter = (day - easter(day.year)).days
    return day.weekday() < 5 and (day.month, day.day) not in FIXED and since_easter not in {1, 39, 50}


def first_collection(*, decided: date, available_from: date, lead_days: int) -> date:
    """The first working day that leaves `lead_days` after the decision and is not before the donor is ready."""
    day = max(available_from, decided + lead_days * ONE_DAY)
    while not is_workday(day):
        day += ONE_DAY
    return day

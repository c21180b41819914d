"""The look and the manners of every page: templates and their parts, words, formats, files, forms, doors.

README.md says how a service uses it. `Pages` renders, `mount_static` serves style and fonts, `show_problems` turns
errors into pages, `same_origin` guards forms, `Access` guards pages of the staff.
"""

from shared.ui.access import COOKIE, Access
from shared.ui.assets import mount_static, static_path
from shared.ui.formats import date_fr, euros, fr, hour_fr, kg, moment_fr, number_fr, percent, plural, short_date_fr
from shared.ui.origin import is_same_origin, same_origin
from shared.ui.pages import CSP, Pages, show_problems, wants_html
from shared.ui.scans import scanned
from shared.ui.words import device, devices, message, status

__all__ = [
    "COOKIE",
    "CSP",
    "Access",
    "Pages",
    "date_fr",
    "device",
    "devices",
    "euros",
    "fr",
    "hour_fr",
    "is_same_origin",
    "kg",
    "message",
    "moment_fr",
    "mount_static",
    "number_fr",
    "percent",
    "plural",
    "same_origin",
    "scanned",
    "short_date_fr",
    "show_problems",
    "static_path",
    "status",
    "wants_html",
]

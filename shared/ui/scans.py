"""What a bar-code reader types into a field."""

from urllib.parse import parse_qs, urlsplit


def scanned(typed: str) -> str:
    """What was typed or scanned. A reader types the whole address that a label's code holds: `…/refurb/appareils?q=TRI-7K3M`."""
    try:
        query = urlsplit(typed.strip()).query
    except ValueError:  # such as a bracket that stays open
        query = ""
    return (parse_qs(query).get("q") or [typed])[0].strip()

"""A short-lived right to one thing, signed: how one service lets a person that it knows reach a page of another."""

from itsdangerous import BadSignature, URLSafeTimedSerializer


def issue(secret: str, subject: str) -> str:
    """Make a pass for `subject`, such as `certificate:MC-7K3M-24PQ-1`."""
    return URLSafeTimedSerializer(secret, salt="pass").dumps(subject)


def holds(secret: str, subject: str, token: str, max_age_s: int) -> bool:
    """Tell whether `token` is an unexpired pass for exactly `subject`."""
    try:
        return bool(URLSafeTimedSerializer(secret, salt="pass").loads(token, max_age=max_age_s) == subject)
    except BadSignature:
        return False

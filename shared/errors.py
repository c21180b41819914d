"""The ways things go wrong, and what happens then.

    Refused      a rule says no                  HTTP 409    from Kafka: parked, for people
    NotYet       what it needs is not here yet   HTTP 404    from Kafka: parked, tried again by itself, alarm after 10 minutes
    Malformed    cannot be read as its contract  HTTP 422    from Kafka: parked, for people
    Outage       Postgres or Kafka is away       HTTP 503    from Kafka: tried again without end
    any other    a bug                           HTTP 500    from Kafka: parked at once (rules are pure: a second try ends the same)

From a topic of outsiders (partners) nothing is parked for people: the answer is a receipt that says what was wrong. What is
early there waits a bounded time, then gets its receipt too.

`code` is a stable slug that callers and translations rely on; `detail` holds plain JSON values.
"""


class Coded(Exception):
    """What the four kinds below share. Never raised itself."""

    def __init__(self, code: str, **detail: object) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail


class Refused(Coded):
    """A rule says no."""


class NotYet(Refused):
    """It may be right later: what it builds on comes from another stream, and streams do not wait for each other."""


class Malformed(Coded):
    """It cannot be read as what it claims to be."""


class Outage(Coded):
    """Something that we need is away. Nothing was done; the same again later is right."""

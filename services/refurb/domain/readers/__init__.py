"""From the bytes of a report to facts, one module a format. Typed facts or a reason; what a report does not say is not guessed."""

"""The archive of originals: any S3-compatible store, or a folder."""

import os
from dataclasses import dataclass
from typing import Any, Protocol

from shared.errors import Outage

LIMITS = {"timeout": "20s", "connect_timeout": "5s"}
RETRY = {"max_retries": 2}


class StoreAway(Outage, OSError):
    """The archive does not answer, or the disk takes nothing: whoever keeps or needs an original waits; it is no message's fault."""


class Archive(Protocol):
    """Where originals are kept for years. Raises StoreAway while it is away."""

    def put(self, sha256: str, data: bytes) -> None: ...

    def get(self, sha256: str) -> bytes | None: ...


@dataclass(slots=True)
class ObjectStore:
    """A bucket: `s3://bucket/path`, with the settings of the environment that its library reads (`AWS_…`)."""

    url: str
    store: Any = None

    def opened(self) -> Any:
        """Connect at the first use: the library is not needed where no archive is set."""
        if self.store is None:
            from obstore.store import from_url

            # what is given here takes the place of all that the environment says of the client, so its word on plain HTTP is repeated
            client = {**LIMITS, "allow_http": os.environ.get("AWS_ALLOW_HTTP", "").lower() == "true"}
            limits: Any = {} if self.url.startswith("file:") else {"client_options": client, "retry_config": RETRY}
            self.store = from_url(self.url, **limits)
        return self.store

    def put(self, sha256: str, data: bytes) -> None:
        """Keep an original. Under its hash there can be no other, so putting it twice changes nothing."""
        import obstore

        try:
            obstore.put(self.opened(), place(sha256), data)
        except (OSError, obstore.exceptions.BaseError) as error:
            raise StoreAway("evidence_archive_away", cause=type(error).__name__) from error

    def get(self, sha256: str) -> bytes | None:
        import obstore

        try:
            return bytes(obstore.get(self.opened(), place(sha256)).bytes())
        except FileNotFoundError:
            return None
        except (OSError, obstore.exceptions.BaseError) as error:
            raise StoreAway("evidence_archive_away", cause=type(error).__name__) from error


def place(sha256: str) -> str:
    return f"{sha256[:2]}/{sha256}"

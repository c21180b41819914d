"""Where the services are, for operations: a folder with `env/<service>.env` (a local stack writes them), or one service's environment.

What keeps a command from its work is `Unreachable`: one line that says what is wrong and what to do. No address with a password in
it is ever printed.
"""

import importlib
import secrets
from base64 import b64encode
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, get_type_hints
from urllib.parse import urlsplit

import asyncpg

from deploy.topology import CELLS_FILE, SERVICES
from shared.db import AWAY
from shared.kafka.admin import AdminError, check_login
from shared.kafka.ends import Reach, reach
from shared.kafka.wire import AWAY as BROKER_AWAY
from shared.kafka.wire import Access
from shared.settings import read_cells

if TYPE_CHECKING:
    from shared.run import Service

ROOT = Path(__file__).parents[1]
DEMO = ROOT / ".local" / "demo"


class Unreachable(Exception):
    """What keeps the command from its work, and what to do about it, in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One service as an operator reaches it: by what the service itself is told."""

    service: str
    told: Mapping[str, str]
    source: str

    def value(self, name: str) -> str:
        if not self.told.get(name):
            raise Unreachable(f"{self.service}: {self.source} does not set {name}; give what the service itself is given")
        return self.told[name]

    @property
    def cells(self) -> dict[str, list[str]]:
        return read_cells(Path(self.value("MAILLON_CELLS_FILE")))

    @asynccontextmanager
    async def database(self) -> AsyncIterator["asyncpg.Pool[asyncpg.Record]"]:
        """Open the service's database as the service itself. Never waits for one that is away."""
        url = self.value("MAILLON_DATABASE_URL")
        try:
            pool = await asyncpg.create_pool(
                url, min_size=1, max_size=2, timeout=5, server_settings={"application_name": "maillon", "timezone": "UTC"}
            )
        except (*AWAY, asyncpg.PostgresError, ValueError) as error:
            raise Unreachable(f"{self.service}: {self._why(url, error)}") from None
        try:
            yield pool
        except asyncpg.UndefinedTableError as error:
            raise Unreachable(f"{self.service}: {error}: start the service once, it makes its tables") from None
        except asyncpg.InsufficientPrivilegeError as error:
            raise Unreachable(f"{self.service}: {error}: use the service's own role") from None
        except asyncpg.ReadOnlySQLTransactionError:
            raise Unreachable(f"{self.service}: this database only reads: it is a standby, name the primary") from None
        except BrokenPipeError:
            raise  # whoever read what the command says has gone (`| head`): that is not the database
        except (OSError, asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError) as error:
            raise Unreachable(f"{self.service}: lost the database ({type(error).__name__}): do the same again") from None
        finally:
            with suppress(Exception):
                pool.terminate()

    def _why(self, url: str, error: Exception) -> str:
        """Put into words why a database cannot be entered, without the address's password."""
        parts = urlsplit(url)
        where = f"{parts.hostname}:{parts.port or 5432}"
        match error:
            case asyncpg.InvalidAuthorizationSpecificationError():
                return f"Postgres at {where} refuses {parts.username!r} with this password: see MAILLON_DATABASE_URL in {self.source}"
            case asyncpg.InvalidCatalogNameError():
                return f"Postgres at {where} has no database {parts.path[1:]!r}: see MAILLON_DATABASE_URL in {self.source}"
            case asyncpg.PostgresError():
                return f"Postgres at {where} says: {error}"
            case ValueError():
                return f"MAILLON_DATABASE_URL in {self.source} is no address of a database"
            case _:
                return f"no database answers at {where}: start it (`make demo` on this machine), or mend the address in {self.source}"

    async def reach(self, topics: list[str]) -> Reach:
        """Ask the broker, as the service itself, how far `topics` reach."""
        access = Access(
            self.value("MAILLON_KAFKA_BOOTSTRAP"),
            self.value("MAILLON_KAFKA_USER"),
            self.value("MAILLON_KAFKA_PASSWORD"),
            Path(ca) if (ca := self.told.get("MAILLON_KAFKA_CA_FILE")) else None,
            self.told.get("MAILLON_TOPIC_PREFIX", ""),
        )
        try:
            if access.ca_file is None:
                await check_login(access.bootstrap, access.user, access.password)
            return await reach(access, topics)
        except (AdminError, *BROKER_AWAY) as error:
            raise Unreachable(
                f"{self.service}: the broker cannot be asked ({error}): see MAILLON_KAFKA_… in {self.source}"
            ) from None


def find(stack: Path | None, services: Iterable[str], environ: Mapping[str, str]) -> list[Place]:
    """The services to look at: those of `stack`, else the one of the environment, else those of the demo on this machine."""
    wanted = list(dict.fromkeys(services))
    if stack is None and environ.get("MAILLON_DATABASE_URL"):
        told = {name: value for name, value in environ.items() if name.startswith("MAILLON_")}
        if not told.get("MAILLON_SERVICE"):
            raise Unreachable("the environment sets MAILLON_DATABASE_URL but not MAILLON_SERVICE: set it, or give --stack FOLDER")
        found = {told["MAILLON_SERVICE"]: Place(service=told["MAILLON_SERVICE"], told=told, source="the environment")}
    else:
        folder = (stack or DEMO) / "env"
        files = sorted(folder.glob("*.env"))
        if not files:
            raise Unreachable(
                f"{folder} holds no <service>.env: start that stack (`make demo`), name another folder with --stack, "
                "or set MAILLON_SERVICE, MAILLON_DATABASE_URL … as one service has them"
            )
        found = {file.stem: Place(service=file.stem, told=read(file), source=str(file)) for file in files}
    if unknown := [name for name in wanted if name not in found]:
        raise Unreachable(f"no service {', '.join(unknown)} here; there is: {', '.join(found)}")
    order = {name: n for n, name in enumerate(SERVICES)}
    return [found[name] for name in wanted or sorted(found, key=lambda name: order.get(name, len(order)))]


def read(file: Path) -> dict[str, str]:
    """Read `NAME=value` lines, as Docker's --env-file does: nothing is quoted."""
    lines = (line.partition("=") for line in file.read_text("utf-8").splitlines() if line and not line.startswith("#"))
    return {name.strip(): value for name, _, value in lines}


@cache
def built(name: str) -> "Service":
    """A service's own wiring, on settings that lead nowhere and in a folder that goes away: for what it hears, tells and keeps."""
    app = importlib.import_module(f"services.{name}.app")
    kind = get_type_hints(app.build)["settings"]
    with TemporaryDirectory() as folder:
        settings = kind(
            service=name,
            database_url="postgresql://nobody@127.0.0.1:1/nothing",
            keys_database_url="postgresql://nobody@127.0.0.1:1/nothing",
            vault_key=b64encode(secrets.token_bytes(32)).decode(),
            kafka_bootstrap="127.0.0.1:1",
            kafka_user=name,
            kafka_password="",
            cells_file=CELLS_FILE,
            http_port=1,
            public_url="http://127.0.0.1:1",
            contact="nobody@maillon.example",
            session_secret=secrets.token_urlsafe(24),
            staff_code=secrets.token_urlsafe(24),
            data_dir=folder,
        )
        found: Service = app.build(settings)
    return found

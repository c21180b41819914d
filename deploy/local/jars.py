"""The broker's jars: which, with which SHA-256, and where they lie.

`kafka.lock` beside this file holds `group:artifact:version sha256`, a jar a line. The downloader takes a damaged file without a
word, so nothing it brings is used before this module has compared the bytes itself.

    python -m deploy.local.jars          fetch what is missing, verify everything
    python -m deploy.local.jars --lock   resolve again and write kafka.lock
"""

import hashlib
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
LOCK = HERE / "kafka.lock"
JARS = ROOT / ".local" / "jars"
ENDPOINT = "org.apache.kafka:kafka_2.13:4.3.1+org.slf4j:slf4j-simple:2.0.17"


class DamagedJar(Exception):
    """The bytes are not those of the lock: never run them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Jar:
    """One line of the lock."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"


def read_lock(lock: Path = LOCK) -> list[Jar]:
    jars = []
    for line in lock.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            coordinate, sha256 = line.split()
            group, artifact, version = coordinate.split(":")
            jars.append(Jar(group=group, artifact=artifact, version=version, sha256=sha256))
    return jars


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(jar: Jar, path: Path) -> None:
    """Raises DamagedJar unless the file is the one that was locked."""
    found = _sha256(path)
    if found != jar.sha256:
        raise DamagedJar(f"{path.name}: SHA-256 is {found}, the lock says {jar.sha256}. Delete the file and start again.")


def fetch(folder: Path, lock: Path) -> None:
    """Brings what is missing, each verified before it gets its place."""
    from jgo.maven import MavenContext  # only for a machine that lacks a jar

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as cache:
        context = MavenContext(repo_cache=Path(cache))
        for jar in read_lock(lock):
            if (folder / jar.file_name).exists():
                continue
            fetched = context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()
            verify(jar, fetched)
            fetched.replace(folder / jar.file_name)  # whole or not at all, also beside another process that fetches


def ensure(folder: Path = JARS, lock: Path = LOCK) -> list[Path]:
    """The class path, in the lock's order: each jar present and equal to its SHA-256. Fetches the missing ones."""
    jars = read_lock(lock)
    missing = [jar for jar in jars if not (folder / jar.file_name).exists()]
    if missing:
        print(f"{lock.stem}: {len(missing)} jars to fetch", flush=True)
        command = (sys.executable, "-m", "deploy.local.jars", "--fetch", str(folder), str(lock))
        subprocess.run(command, cwd=ROOT, check=True)  # apart: a test process may not leave this machine, and jgo is heavy
    for jar in jars:
        verify(jar, folder / jar.file_name)
    return [folder / jar.file_name for jar in jars]


def lock_digest(lock: Path = LOCK) -> str:
    return _sha256(lock)[:16]


def resolve(lock: Path = LOCK, endpoint: str = ENDPOINT, command: str = "deploy.local.jars") -> int:
    """Resolves the jars of an endpoint afresh and writes the lock; answers how many there are."""
    from jgo.env import EnvironmentBuilder
    from jgo.maven import MavenContext

    with tempfile.TemporaryDirectory() as scratch:
        cache = Path(scratch) / "repository"
        context = MavenContext(repo_cache=cache)
        environment = EnvironmentBuilder(context=context, cache_dir=Path(scratch) / "environment").from_endpoint(endpoint)
        wanted = {path.name for path in Path(environment.path).rglob("*.jar")}
        lines = []
        for path in cache.rglob("*.jar"):
            if path.name in wanted:
                artifact, version = path.parent.parent.name, path.parent.name
                group = ".".join(path.parent.parent.parent.relative_to(cache).parts)
                lines.append(f"{group}:{artifact}:{version} {_sha256(path)}")
        if len(lines) != len(wanted):
            raise RuntimeError(f"{len(wanted)} jars resolved, {len(lines)} found")
    head = f"# {endpoint}\n# Written by: python -m {command} --lock\n"
    lock.write_text(head + "\n".join(sorted(lines)) + "\n", encoding="utf-8")
    return len(lines)


if __name__ == "__main__":
    if "--lock" in sys.argv:
        print(f"kafka.lock: {resolve()} jars")
    elif "--fetch" in sys.argv:
        fetch(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        print(f"kafka: {len(ensure())} jars verified")

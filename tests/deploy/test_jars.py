import hashlib
import re
from pathlib import Path

import pytest

from deploy.local.jars import LOCK, DamagedJar, Jar, ensure, read_lock


def _locked(folder: Path, content: bytes) -> Path:
    lock = folder / "kafka.lock"
    lock.write_text(f"# a comment\norg.example:thing:1.0 {hashlib.sha256(content).hexdigest()}\n", encoding="utf-8")
    return lock


def test_the_lock_pins_each_jar_by_its_bytes() -> None:
    jars = read_lock()
    assert len(jars) == 46
    assert all(re.fullmatch(r"[0-9a-f]{64}", jar.sha256) for jar in jars)
    assert len({jar.file_name for jar in jars}) == len(jars)
    assert {"kafka_2.13-4.3.1.jar", "slf4j-simple-2.0.17.jar"} <= {jar.file_name for jar in jars}


def test_the_lock_names_no_address() -> None:
    assert "://" not in LOCK.read_text(encoding="utf-8")


def test_a_sound_jar_is_used(tmp_path: Path) -> None:
    (tmp_path / "thing-1.0.jar").write_bytes(b"bytes")
    assert ensure(tmp_path, _locked(tmp_path, b"bytes")) == [tmp_path / "thing-1.0.jar"]


def test_a_damaged_jar_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thing-1.0.jar").write_bytes(b"bytez")
    with pytest.raises(DamagedJar, match=r"thing-1\.0\.jar"):
        ensure(tmp_path, _locked(tmp_path, b"bytes"))


def test_a_line_of_the_lock() -> None:
    assert read_lock()[0] == Jar(
        group="at.yawk.lz4",
        artifact="lz4-java",
        version="1.10.2",
        sha256="252dabd586d22149a31661a8afc1a50747714eb1a298bd4a6e780c8c91a13866",
    )

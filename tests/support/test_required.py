from pathlib import Path

import pytest

from tests.support import required


def test_a_program_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "pdfsig"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert required.pdfsig() == str(program)


def test_a_missing_program_skips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("MAILLON_REQUIRE", raising=False)
    with pytest.raises(pytest.skip.Exception, match="pdfsig is not installed"):
        required.pdfsig()


def test_a_missing_program_that_is_required_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("MAILLON_REQUIRE", "chromium,pdfsig")
    with pytest.raises(pytest.fail.Exception, match="chromium is not installed"):
        required.chromium()

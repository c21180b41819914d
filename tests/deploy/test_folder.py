import json
import socket
import stat
from pathlib import Path

import pytest

from deploy.local.ports import HIGHEST, LOWEST, free_ports, is_free, kept_ports
from deploy.local.state import Folder, FolderTaken
from tests.support.platform import sweep


def test_a_folder_belongs_to_one_at_a_time(tmp_path: Path) -> None:
    with Folder(tmp_path), pytest.raises(FolderTaken, match=r"another stack runs here \(process \d+\)"), Folder(tmp_path):
        pass
    with Folder(tmp_path):
        pass


def test_secrets_are_made_once_and_read_by_nobody_else(tmp_path: Path) -> None:
    with Folder(tmp_path) as state:
        first = state.secrets(words=("kafka.intake",), keys=("vault",))
    with Folder(tmp_path) as state:
        second = state.secrets(words=("kafka.intake", "kafka.certs"), keys=("vault",))
    assert second | first == second
    assert len(set(second.values())) == 3
    assert all(len(value) >= 24 for value in second.values())
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600


def test_ports_are_kept_while_they_are_free(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"
    with kept_ports(file, "a", "b") as ports:
        first = ports.as_dict()
    with kept_ports(file, "a", "b") as ports:
        assert ports.as_dict() == first
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", first["a"]))
        taken.listen()
        assert not is_free(first["a"])
        with kept_ports(file, "a", "b") as ports:
            assert ports["a"] != first["a"]
            assert ports["b"] == first["b"]
            assert json.loads(file.read_text()) == ports.as_dict()


def test_two_stacks_never_hold_the_same_port() -> None:
    with free_ports("a", "b") as one, free_ports("a", "b", wanted=one.as_dict()) as other:
        assert not set(one.as_dict().values()) & set(other.as_dict().values())


def test_ports_lie_below_those_of_client_connections() -> None:
    first = (
        int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0]) if Path("/proc/sys/net").exists() else HIGHEST
    )
    assert LOWEST < HIGHEST <= first


def test_folders_of_killed_runs_are_swept(tmp_path: Path) -> None:
    for name in ("test-dead", "test-alive", "demo"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "lock").touch()
    with Folder(tmp_path / "test-alive"):
        assert sweep(tmp_path, older_than_s=0) == ["test-dead"]
        assert sorted(path.name for path in tmp_path.iterdir()) == ["demo", "test-alive"]

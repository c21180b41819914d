"""How the platform is chosen: the engine itself is asked, and addresses of the environment come first."""

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from deploy.local.containers import engine_answers
from deploy.local.platform import ADMIN_PASSWORD, ADMIN_USER, BOOTSTRAP, POSTGRES_URL, choose, from_environment
from deploy.local.state import Folder
from tests.support.platform import new_folder


@contextmanager
def _engine(answer: bytes | None) -> Iterator[str]:
    """Something that listens as a Docker engine would, and answers so, or says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        done = threading.Event()

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                if answer is None:
                    done.wait(5)
                else:
                    connection.recv(1000)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
        done.set()
        thread.join()


def test_an_engine_that_answers_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with _engine(b"HTTP/1.0 200 OK\r\n\r\nOK") as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        assert engine_answers()


def test_a_broken_engine_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with _engine(b"HTTP/1.0 500 Oh\r\n\r\n") as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        assert not engine_answers()


def test_a_silent_engine_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with _engine(None) as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        began = time.monotonic()
        assert not engine_answers(0.2)
        assert time.monotonic() - began < 2


@pytest.mark.parametrize("address", ["unix:///nowhere/docker.sock", "tcp://127.0.0.1:1", "ssh://somewhere"])
def test_no_engine(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", address)
    assert not engine_answers()


async def test_addresses_of_the_environment_come_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {BOOTSTRAP: "127.0.0.1:1", ADMIN_USER: "a", ADMIN_PASSWORD: "b", POSTGRES_URL: "postgresql://c"}.items():
        monkeypatch.setenv(name, value)
    with Folder(new_folder("given-")) as state:
        async with choose(state, wait=False) as platform:
            assert platform == from_environment()
            assert platform.as_environment()[POSTGRES_URL] == "postgresql://c"
        assert [path.name for path in state.path.iterdir()] == ["lock"]
    assert capsys.readouterr().out == "platform: addresses from the environment (127.0.0.1:1)\n"
    shutil.rmtree(state.path)

"""The workshop's client for a poor connection: killed, cut off and lied to, it loses nothing and repeats nothing."""

import asyncio
import hashlib
import json
import os
import random
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from services.refurb.reactions.names import device_stream
from tests.refurb.conftest import KEYS, Scene
from tests.refurb.test_service import AUDIT, disk, relabelled

CLIENT = Path(__file__).parents[2] / "docs" / "partners" / "bench.py"


def environment(tmp_path: Path, url: str, **more: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "MAILLON_URL": url,
        "MAILLON_KEY": KEYS["trira"],
        "MAILLON_REFURBISHER": "trira",
        "MAILLON_SPOOL": str(tmp_path / "bench.sqlite"),
        **more,
    }


def run(env: dict[str, str], *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, str(CLIENT), *arguments], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


@dataclass
class Service:
    """The doors of maillon as the client sees them, on a line that fails. What it took it holds, even when the answer was lost."""

    seed: int
    trouble: float = 0.5
    files: dict[str, bytes] = field(default_factory=dict)
    messages: dict[str, dict[str, Any]] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    most_bytes: int = 20 * 1024 * 1024
    """Of one body; more is answered 413, as the service and the gateway before it do."""

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311 a seed, no secret
        self.lock = threading.Lock()

    def answer(self, method: str, path: str, body: bytes) -> dict[str, Any]:
        with self.lock:
            if method == "PUT":
                sha256 = path.rsplit("/", 1)[1]
                assert hashlib.sha256(body).hexdigest() == sha256
                self.files[sha256] = body
                return {"sha256": sha256}
            if method == "POST":
                lines = [json.loads(line) for line in body.splitlines()]
                for line in lines:
                    assert line["data"].get("evidence_sha256") in {None, *self.files}, "a file goes before its message"
                    if line["id"] not in self.messages:
                        self.messages[line["id"]] = line
                        self.order.append(line["id"])
                return {"lines": [{"id": line["id"], "accepted": True} for line in lines]}
            after = int(path.rpartition("=")[2])
            new = self.order[after : after + 3]
            return {"receipts": [{"report_id": id_, "accepted": True} for id_ in new], "next": after + len(new)}

    def fate(self) -> str:
        with self.lock:
            if self.random.random() > self.trouble:
                return "well"
            return self.random.choice(["cut before", "cut after", "half", "500", "503", "not ours"])


@pytest.fixture
def line(request: pytest.FixtureRequest) -> Iterator[tuple[Service, str]]:
    service = Service(request.param)

    class Door(BaseHTTPRequestHandler):
        def serve(self) -> None:
            body, fate = self.rfile.read(int(self.headers.get("content-length") or 0)), service.fate()
            if fate == "cut before":
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            if fate in {"500", "503"}:
                self.tell(int(fate), b"{}")
                return
            if len(body) > service.most_bytes:
                self.tell(413, b"<html>Request Entity Too Large</html>")
                return
            said = json.dumps(service.answer(self.command, self.path, body)).encode()
            if fate == "cut after":
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            if fate == "half":
                self.tell(200, said[: len(said) // 2], length=len(said))
                return
            self.tell(200, b"<html>hotel wifi</html>" if fate == "not ours" else said)

        def tell(self, status: int, said: bytes, length: int | None = None) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(length or len(said)))
            self.end_headers()
            self.wfile.write(said)

        do_GET = do_PUT = do_POST = serve  # noqa: N815 the names of the library

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield service, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("line", [1, 2, 3], indirect=True)
def test_killed_and_cut_off_it_loses_nothing_and_repeats_nothing(line: tuple[Service, str], tmp_path: Path) -> None:
    service, url = line
    env, seeded = environment(tmp_path, url), random.Random(service.seed)  # noqa: S311 a seed, no secret
    reports = {}
    for number in range(6):
        path = tmp_path / f"r{number}.log"
        path.write_bytes(seeded.randbytes(2_000))
        reports[hashlib.sha256(path.read_bytes()).hexdigest()] = path.read_bytes()
        assert run(env, "add", str(path), "--consignment", str(uuid4()), "--device", f"PE-{number}")[0] == 0
    said = tmp_path / "said.jsonl"
    said.write_text("\n".join(json.dumps({"type": "device_finished", "data": {"device_ref": f"PE-{n}"}}) for n in range(6)))
    assert run(env, "say", str(said))[0] == 0
    for _ in range(12):
        child = subprocess.Popen([sys.executable, str(CLIENT), "send"], env=env, stdout=subprocess.DEVNULL)
        time.sleep(seeded.uniform(0.05, 0.4))
        child.kill()
        child.wait()
    service.trouble = 0.0
    with sqlite3.connect(env["MAILLON_SPOOL"]) as db:
        db.execute("UPDATE messages SET sent_at = 0 WHERE state = 'sent'")  # as if ten minutes had passed
    code, shown = run(env, "send")
    assert (code, shown.splitlines()[0]) == (
        0,
        "0 à envoyer, 0 envoyés, sans réponse, 12 acceptés, 0 refusés, 0 refusés à l'entrée",
    )
    assert service.files == reports
    assert sorted(message["data"]["device_ref"] for message in service.messages.values()) == sorted(
        [f"PE-{n}" for n in range(6)] * 2
    )


@pytest.mark.parametrize("line", [4], indirect=True)
@pytest.mark.parametrize("most_bytes", [20 * 1024 * 1024, 1024 * 1024])
def test_a_spool_larger_than_one_body_goes_in_parts_and_one_message_too_large_blocks_nothing(
    line: tuple[Service, str], tmp_path: Path, most_bytes: int
) -> None:
    """The second limit is that of a proxy on the way, of which the program knows nothing."""
    service, url = line
    service.trouble, service.most_bytes = 0.0, most_bytes
    env = environment(tmp_path, url)
    sizes = [*(300_000 for _ in range(80)), 21 * 1024 * 1024, *(300_000 for _ in range(3))]
    said = tmp_path / "said.jsonl"
    said.write_text(
        "\n".join(json.dumps({"type": "medium_erased", "data": {"n": n, "log": "x" * s}}) for n, s in enumerate(sizes))
    )
    assert run(env, "say", str(said))[0] == 0
    code, shown = run(env, "send")
    hint = "Message trop grand (22.0 Mo) : il reste ici. Donnez le rapport en fichier (add), ou par appareil."
    assert (code, shown.splitlines()) == (
        0,
        [
            "0 à envoyer, 0 envoyés, sans réponse, 83 acceptés, 0 refusés, 1 refusés à l'entrée",
            f"- partner.medium_erased.v1 : {hint}",
        ],
    )
    assert [service.messages[id_]["data"]["n"] for id_ in service.order] == [n for n in range(len(sizes)) if n != 80]
    with sqlite3.connect(env["MAILLON_SPOOL"]) as db:
        assert len(json.loads(db.execute("SELECT data FROM messages WHERE state = 'refused'").fetchone()[0])["log"]) == sizes[80]


def test_without_a_network_everything_waits_and_the_same_file_is_taken_once(tmp_path: Path) -> None:
    env = environment(tmp_path, "http://127.0.0.1:9")
    report = tmp_path / "a.log"
    report.write_text("x")
    about = ("--consignment", str(uuid4()), "--device", "PE-1")
    assert run(env, "add", str(report), *about) == (0, "a.log : pris, il partira dès que possible.\n")
    assert run(env, "add", str(report), *about) == (0, "a.log : déjà pris pour PE-1.\n")
    code, said = run(env, "send")
    assert (code, said.startswith("Pas de réponse")) == (2, True)
    assert run(env, "status")[1].startswith("1 à envoyer")
    large = tmp_path / "b.log"
    with large.open("wb") as file:
        file.truncate(17 * 1024 * 1024)
    assert "trop grand, 16 Mo au plus" in run(env, "add", str(large), *about)[1]
    assert run({"PATH": env["PATH"], "MAILLON_SPOOL": env["MAILLON_SPOOL"]}, "send") == (
        1,
        "Donnez MAILLON_URL dans l'environnement.\n",
    )


async def test_a_day_of_a_workshop_ends_in_a_ready_device(scene: Scene, tmp_path: Path) -> None:
    env, serial = environment(tmp_path, scene.site.url), uuid4().hex[:12].upper()
    consignment = await scene.assigned()
    about = {"consignment_id": str(consignment), "device_ref": "BANC-1"}
    told = [
        {"type": "device_received", "data": {**about, "device_type": "laptop"}},
        {"type": "device_audited", "data": {**about, "media": [disk(serial)], **AUDIT}},
    ]
    said = tmp_path / "said.jsonl"
    said.write_text("\n".join(map(json.dumps, told)))
    report = tmp_path / "watched" / str(consignment) / "BANC-1" / "nwipe.log"
    report.parent.mkdir(parents=True)
    report.write_text(relabelled("d01", serial))
    os.utime(report, (time.time() - 60, time.time() - 60))
    assert (await asyncio.to_thread(run, env, "say", str(said)))[0] == 0
    watching = await asyncio.create_subprocess_exec(
        sys.executable, str(CLIENT), "watch", str(tmp_path / "watched"), env=env, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        device = device_stream("trira", "BANC-1")
        await scene.site.until(lambda: scene.count("devices", "id = $1 AND jsonb_array_length(findings) = 1", device))
    finally:
        watching.kill()
        await watching.wait()
    said.write_text(json.dumps({"type": "device_finished", "data": about}) + "\n" + json.dumps({"type": "nonsense", "data": {}}))
    assert (await asyncio.to_thread(run, env, "say", str(said)))[0] == 0
    await scene.site.until(lambda: _all_answered(env))
    assert (await scene.events(device))[-1] == "device_ready"
    code, shown = await asyncio.to_thread(run, env, "status")
    assert (code, shown.splitlines()[0]) == (
        0,
        "0 à envoyer, 0 envoyés, sans réponse, 4 acceptés, 0 refusés, 1 refusés à l'entrée",
    )
    assert "Ce type de message n'est pas au contrat." in shown
    code, shown = await asyncio.to_thread(run, environment(tmp_path, scene.site.url, MAILLON_KEY="wrong"), "send")
    assert (code, shown) == (2, "La clé est refusée. Vérifiez MAILLON_KEY.\n")


async def _all_answered(env: dict[str, str]) -> bool:
    code, shown = await asyncio.to_thread(run, env, "send")
    return code == 0 and shown.startswith("0 à envoyer, 0 envoyés")


@pytest.mark.parametrize(
    "content,told",
    [
        (
            '{"type": "device_found", "data": {}}\n{"type": ',
            ", ligne 2 : ce n'est pas du JSON (Expecting value: line 1 column 10 (char 9)).",
        ),
        ("[1]", ', ligne 1 : il faut {"type": "…", "data": {…}}.'),
        ('{"data": {}}', ', ligne 1 : il faut {"type": "…", "data": {…}}.'),
    ],
)
def test_of_a_file_that_is_no_file_of_messages_nothing_is_taken(tmp_path: Path, content: str, told: str) -> None:
    env, file = environment(tmp_path, "http://127.0.0.1:9"), tmp_path / "said.jsonl"
    file.write_text(content)
    assert run(env, "say", str(file)) == (1, f"{file}{told} Rien n'a été pris.\n")
    assert run(env, "status")[1].startswith("0 à envoyer")
    assert run(env, "add", str(tmp_path), "--consignment", "x", "--device", "y") == (
        1,
        f"{tmp_path} : ce n'est pas un fichier.\n",
    )
    missing = tmp_path / "missing"
    assert run(env, "say", str(missing)) == (1, f"[Errno 2] No such file or directory: '{missing}'\n")


def test_what_cannot_be_read_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    env = environment(tmp_path, "http://127.0.0.1:1")
    folder = tmp_path / "in" / "c" / "d"
    folder.mkdir(parents=True)
    (folder / "gone.log").symlink_to(tmp_path / "nothing")
    (folder / "good.log").write_text("nwipe", "utf-8")
    os.utime(folder / "good.log", (0, 0))
    code = "import sys; sys.path.insert(0, sys.argv[1]); import bench, pathlib; spool = bench.Spool(sys.argv[2]); seen = set()"
    code += "\nbench.take_folder(spool, pathlib.Path(sys.argv[3]), seen); print(len(seen), spool.counts())"
    arguments = [str(CLIENT.parent), env["MAILLON_SPOOL"], str(tmp_path / "in")]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True, timeout=60)
    assert "gone.log ne se lit pas (No such file or directory). Laissé de côté." in done.stdout
    assert done.stdout.splitlines()[-1] == "1 {'waiting': 1}"


@pytest.mark.parametrize(
    "name,content,said",
    [
        ("deep.jsonl", b'{"type": "x", "data": ' + b"[" * 100_000, "imbriqu\u00e9 trop profond\u00e9ment"),
        ("odd.jsonl", b'{"type": "device_received", "data": {"device_ref": "\\ud800"}}', "UTF-8"),
        ("latin.jsonl", b"\xe9", "UTF-8"),
    ],
)
def test_a_hostile_file_is_a_sentence(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    code, told = run(environment(tmp_path, "http://127.0.0.1:1"), "say", str(tmp_path / name))
    assert (code, said in told, len(told.splitlines())) == (1, True, 1), told


def test_a_spool_that_is_none_and_an_address_that_is_none_are_sentences(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("this is no database, but it is long enough to be looked at as one" * 100, "utf-8")
    code, told = run(environment(tmp_path, "http://127.0.0.1:1", MAILLON_SPOOL=str(tmp_path / "text")), "status")
    assert (code, "n'est pas un fichier d'envois" in told) == (1, True), told
    for address in ("nonsense", "http://["):
        code, told = run(environment(tmp_path, address), "send")
        assert (code, "Traceback" in told) in {(1, False), (2, False)}, told

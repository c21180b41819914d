"""Lines that programs read and lines that people read: neither shows what a program held in its hands when it failed."""

import json
import logging
import resource
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest

from shared.log import Once

PROGRAM = """
import logging
import sys
from shared.log import configure, log

configure(sys.argv[1], service="intake", replica="0")


def enter(password):
    name = "Camille " + "Exemple"
    raise ValueError("the door is closed")


log.info("begun", cells=["ara"], word="été")
log.debug("too_much")
try:
    enter("hunter" + "2")
except ValueError:
    log.exception("failed")
    logging.getLogger("somebody").exception("foreign")
logging.getLogger("somebody").info("chatter")
"""


def told(style: Literal["json", "console"]) -> str:
    """What a process of its own prints: logging is set up once in a process."""
    return subprocess.run([sys.executable, "-c", PROGRAM, style], check=True, capture_output=True, text=True).stdout


def test_json_is_one_object_a_line() -> None:
    lines = [json.loads(line) for line in told("json").splitlines()]
    assert [(line["event"], line["level"]) for line in lines] == [("begun", "info"), ("failed", "error"), ("foreign", "error")]
    assert all((line["service"], line["replica"]) == ("intake", "0") for line in lines)
    assert (lines[0]["cells"], lines[0]["word"]) == (["ara"], "été")
    for line in lines[1:]:
        (error,) = line["exception"]
        assert (error["exc_type"], error["exc_value"]) == ("ValueError", "the door is closed")
        assert [frame["name"] for frame in error["frames"]] == ["<module>", "enter"]


@pytest.mark.parametrize("style", ["json", "console"])
def test_no_local_variable_is_told(style: Literal["json", "console"]) -> None:
    text = told(style)
    assert text.count("ValueError") == 2
    assert text.count("the door is closed") == 2
    assert "hunter2" not in text
    assert "Camille Exemple" not in text
    assert "locals" not in text


def test_a_person_reads_the_traceback_below_its_line() -> None:
    lines = told("console").splitlines()
    failed = next(n for n, line in enumerate(lines) if "failed" in line)
    assert lines[failed + 1] == "Traceback (most recent call last):"
    assert not any("too_much" in line or "chatter" in line for line in lines)


def test_nothing_is_set_up_by_an_import() -> None:
    assert not [h for h in logging.getLogger().handlers if h.__class__.__module__.startswith("shared")]


def test_a_line_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    program = f"import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (0, {resource.RLIM_INFINITY}))\n{PROGRAM}\nexit(7)"
    with (tmp_path / "log").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-u", "-c", program, "json"], check=False, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert (done.returncode, (tmp_path / "log").read_text()) == (7, "")


def test_what_a_foreign_logger_repeats_is_told_once_and_counted() -> None:
    now = 0.0
    once = Once(every_s=10, clock=lambda: now)
    out: list[str] = []

    def says(text: str, *args: object, failed: bool = False) -> None:
        record = logging.LogRecord(
            "aiokafka", logging.ERROR, "", 0, text, args, (ValueError, ValueError(), None) if failed else None
        )
        if once.filter(record):
            out.append(record.getMessage())

    for node in range(500):
        says("no node %d", node)
    says("no topic")
    says("a task died", failed=True)
    says("a task died", failed=True)
    now = 10.0
    says("no node %d, 100 %%", 7)
    says("no node %d", 8)
    assert out == ["no node 0", "no topic", "a task died", "a task died", "no node 7, 100 %", "no node 8 (499 times more since)"]


def test_logging_is_set_up_so() -> None:
    asked = (
        "import logging, shared.log as l; l.configure('json'); [logging.getLogger('x').warning('away %d', n) for n in range(9)]"
    )
    told = subprocess.run([sys.executable, "-c", asked], check=True, capture_output=True, text=True).stdout
    assert [json.loads(line)["event"] for line in told.splitlines()] == ["away 0"]

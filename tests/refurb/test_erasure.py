"""Labelled reports are judged right, and no mutation of an accepted one is accepted."""

import json
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from services.refurb.domain.readers import nwipe
from services.refurb.domain.readers.facts import LARGEST, LARGEST_JSON, Unreadable
from services.refurb.domain.readers.recognise import read
from tests.refurb.samples import ERASURE, case, evidence, judged, log

LABELLED = sorted(folder.name[:3] for folder in ERASURE.glob("d*"))


SDA = b"[2026/11/23 09:36:59]  notice: Found /dev/sda,  ATA, WDC WD5000AZLX-08K2TA0,  67 MB, S/N=WD-WCAYU1220417"
ABORTED = b"Nwipe was aborted by the user. Check the summary table for the drive status."


@pytest.mark.parametrize("name", LABELLED)
def test_a_labelled_case_is_judged_as_its_label_says(name: str) -> None:
    labelled, files = case(name)
    found = judged(labelled, files)
    expected = labelled["expect"]
    assert found["device_accepted"] == expected["device_accepted"]
    assert [m["accepted"] for m in found["media"]] == [m["accepted"] for m in expected["media"]]
    for said, right in zip(found["media"], expected["media"], strict=True):
        assert said["reason"] in [right["reason"], *right.get("reason_also_ok", [])]
        if right["accepted"]:
            assert (said["method_class"], said["verified"]) == (right["method_class"], right["verified"])


GENUINE = {
    "g01": [("ok", True)],
    "g02": [("ok", False)],
    "g03": [("ok", True)],
    "g04": [("ok", True)],
    "g05": [("ok", True)],
    "g06": [("ok", True)],
    "g07": [("ok", True)],
    "g08": [("ok", True)],
    "g09": [("not_an_erasure", False)],
    "g10": [("failed", False)],
    "g11": [("ok", True)],
    "g12": [("ok", True), ("ok", True)],
    "g13": [("failed", False)],
    "g14": [("failed", False)],
    "g15": [("ok", True)],
    "g16-interrupted-SIGINT": [("aborted", False)],
    "g16-interrupted-SIGKILL": [("truncated", False)],
    "g16-interrupted-SIGTERM": [("aborted", False)],
    "g17": [("failed", False)],
    "g18": [("failed", False)],
    "g19": [("ok", True), ("failed", False)],
    "g20": [("failed", False), ("ok", True)],
}


@pytest.mark.parametrize("name", sorted(GENUINE))
def test_a_genuine_log_is_read_medium_by_medium(name: str) -> None:
    (file,) = (ERASURE / "genuine-nwipe").glob(f"{name}*.log")
    runs = nwipe.read(file.read_text("utf-8"))
    assert [(run.outcome, run.verified) for run in runs] == GENUINE[name]
    assert all(run.serial is None for run in runs), "a loop device has no serial number"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_encoding_and_line_ends_change_nothing(encoding: str, ends: str) -> None:
    text = log("d01").decode().replace("\n", ends)
    labelled, _ = case("d01")
    assert judged(labelled, {"nwipe.log": text.encode(encoding)})["device_accepted"]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "unreadable"),
        (b"\n \n", "unreadable"),
        (b"\xff\xfe\x00", "unreadable"),
        (b"<?xml version='1.0'?><root/>", "unsupported_format"),
        (b'{"sanitize": {}}', "unsupported_format"),
        (b'{"form": "attestation-remise-a-zero"}', "unreadable"),
        (b'{"form": ', "unreadable"),
        (b'{"a":' + b"[" * 70 + b"]" * 70 + b"}", "hostile_input"),
        (b"Found /dev/sda\x00", "hostile_input"),
        (b"just some words", "unsupported_format"),
        (b"x" * (LARGEST + 1), "too_large"),
    ],
)
def test_what_cannot_be_read_says_why(data: bytes, code: str) -> None:
    found = read(data)
    assert isinstance(found, Unreadable)
    assert found.reason == code


SIZE = 16 * 1024 * 1024
FOUND = b"[2026/11/23 09:36:59]  notice: Found /dev/l%d, VIRT, Loopback device,  67 MB, S/N=\n"
HOSTILE: dict[str, Callable[[], bytes]] = {
    "one line": lambda: b"x" * SIZE,
    "many lines": lambda: b"[2026/10/05 08:12:45]  notice: 5 bytes written to /dev/sda\n" * (SIZE // 61),
    "many drives, many errors": lambda: many_drives() + b"[2026/11/23 09:36:54]   error: something /dev/zz\n" * 9_000,
    "many drives touched": lambda: many_drives() + b"[2026/11/23 09:36:54]  error: something /dev/l1 /dev/l2\n" * 9_000,
    "quotes": lambda: b'{"a":"' + b'\\"' * (SIZE // 2 - 10) + b'"}',
    "quotes, as many as are read": lambda: b'{"a":"' + b'\\"' * (LARGEST_JSON // 2 - 10) + b'"}',
    "brackets": lambda: b"{" * SIZE,
    "lists": lambda: b"[" + b"[]," * (LARGEST_JSON // 3 - 10) + b"[]]",
    "blanks": lambda: b" " * (SIZE - 1) + b"{",
    "long options": lambda: b"[2026/10/05 08:12:45]  notice:   method   = " + b"/dev/" * (SIZE // 5 - 20),
}
"""Files made to keep a reader busy."""


def many_drives() -> bytes:
    return b"".join(FOUND % n for n in range(9_000))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_before_it_costs_much(name: str) -> None:
    data = HOSTILE[name]()
    started = time.process_time()
    assert isinstance(read(data[:LARGEST]), Unreadable)
    assert time.process_time() - started < 5, "a bound, not a measure: it takes about a second"


def test_the_last_run_decides_even_when_the_first_was_good() -> None:
    labelled, files = case("d01")
    good, (_, failed) = files["nwipe.log"], ("", log("d03").replace(b"5VJ1CTQM", b"WD-WCAYU1220417").replace(b"11/23", b"11/24"))
    assert judged(labelled, {"nwipe.log": good})["device_accepted"]
    assert judged(labelled, {"nwipe.log": good + b"\n" + failed})["media"][0]["reason"] == "failed"
    two = {**labelled, "files": ["later.log", "nwipe.log"]}
    assert judged(two, {"nwipe.log": good, "later.log": failed})["media"][0]["reason"] == "failed"
    earlier = failed.replace(b"11/24", b"11/22")
    assert judged(two, {"nwipe.log": good, "later.log": earlier})["device_accepted"]


def test_a_run_that_just_stops_after_a_good_one_is_a_failure() -> None:
    labelled, files = case("d01")
    again = b"\n".join(files["nwipe.log"].split(b"\n")[:25]).replace(b"11/23", b"11/24")
    assert judged(labelled, {"nwipe.log": files["nwipe.log"] + b"\n" + again})["media"][0]["reason"] == "truncated"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"       sda |           0 |", b"       sda |           7 |", "write_errors"),
        (
            b"|                    0 |                    0",
            b"|                    9 |                    0",
            "verification_errors",
        ),
        (b"|                    0 |                    0", b"|                    0 |                    9", "write_errors"),
        (b"/WD-WCAYU1220417", b"/???????????????", "contradictory"),
        (b"S/N=WD-WCAYU1220417", b"S/N=", "contradictory"),
        (b"/WD-WCAYU1220417", b"/WD-WCAYU1220418", "contradictory"),
        (b"notice: Opened", b" error: read failed", "contradictory"),
        (b"warning: modprobe command not found.", b"warning: *** HIDDEN SECTORS DETECTED ! *** on /dev/sda", "capacity_short"),
        (b"Nwipe successfully completed. See", b"Nwipe completed. See", "truncated"),
        (b"[2026/11/23 09:37:01]  notice: Verifying", b"[2026/11/23 09:36:01]  notice: Verifying", "contradictory"),
        (b"| 00:00:02 |", b"| 02:33:20 |", "contradictory"),
        (b"for details.", b"for details.\n[2026/11/23 09:37:03]   error: Unable to write to /dev/sda", "contradictory"),
        (b"for details.", b"for details.\n[2026/11/23 09:37:03]   fatal: Write error", "contradictory"),
        (b"for details.", b"for details.\n[2026/11/23 09:37:03] warning: [FAILURE] of something", "contradictory"),
        (b"for details.", b"for details.\n[2026/11/23 09:37:03]    info: a word more", "ok"),
        (b"for details.", b"for details.\n[2026/11/23 09:37:03]    info: " + ABORTED, "contradictory"),
        (SDA, SDA + b"\n" + SDA.replace(b"sda", b"sdb"), "contradictory"),
        (SDA, SDA + b"\n" + SDA.replace(b"sda", b"sdb").replace(b"S/N=WD", b"S/N=XX"), "ok"),
    ],
)
def test_what_a_report_says_against_itself_counts(old: bytes, new: bytes, reason: str) -> None:
    labelled, files = case("d01")
    assert files["nwipe.log"].count(old) >= 1
    assert judged(labelled, {"nwipe.log": files["nwipe.log"].replace(old, new)})["media"][0]["reason"] == reason


def test_a_medium_larger_than_what_was_covered_is_not_proven() -> None:
    labelled, files = case("d01")
    for size, accepted in [(67108864, True), (67108863, True), (67108865, False), (None, False), (0, False)]:
        media = [{**labelled["device"]["media"][0], "bytes": size}]
        found = judged({**labelled, "device": {**labelled["device"], "media": media}}, files)["media"][0]
        assert (found["accepted"], found["reason"]) == (accepted, "ok" if accepted else "capacity_short")


def test_within_a_file_the_last_run_counts_whatever_its_date() -> None:
    labelled, files = case("d01")
    failed = log("d03").replace(b"5VJ1CTQM", b"WD-WCAYU1220417").replace(b"2026/11/23", b"2025/11/23")
    assert judged(labelled, {"nwipe.log": files["nwipe.log"] + b"\n" + failed})["media"][0]["reason"] == "failed"


@pytest.mark.parametrize(("late", "reason"), [(-1, "ok"), (0, "ok"), (1, "before_receipt"), (86400 * 365, "before_receipt")])
def test_an_erasure_from_before_the_consignment_is_of_another_life_of_the_drive(late: int, reason: str) -> None:
    """A bench may be a day off, as with an end that is still to come; no more."""
    labelled, files = case("d01")
    ended = evidence("d01").runs[0].ended_at
    assert ended
    assigned = ended + timedelta(days=1, seconds=late)
    (found,) = judged({**labelled, "assigned_at": assigned}, files)["media"]
    assert (found["reason"], found["accepted"]) == (reason, reason == "ok")


def test_two_media_under_one_number_prove_nothing() -> None:
    labelled, files = case("d01")
    media = labelled["device"]["media"] * 2
    found = judged({**labelled, "device": {**labelled["device"], "media": media}}, files)
    assert [m["reason"] for m in found["media"]] == ["contradictory", "contradictory"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"imei": "356938035643808"}, "serial_mismatch"),
        ({"verifier": " opératrice 04 (FICTIVE) "}, "verification_missing"),
        ({"operator": ""}, "verification_missing"),
        ({"storage_encrypted": False}, "class_insufficient"),
        ({"first_screen_checked": False}, "failed"),
        ({"account_removed": "true"}, "unreadable"),
        ({"version": 2}, "unreadable"),
        ({"ended_at": "2026-10-12T13:00:00+02:00"}, "time_inverted"),
        ({"ended_at": "2026-10-16T13:00:00+02:00"}, "after_transfer"),
        ({"method": "quick format"}, "unreadable"),
    ],
)
def test_a_reset_statement_must_say_all_of_it(change: dict[str, object], reason: str) -> None:
    labelled, files = case("d22")
    said = json.dumps({**json.loads(files["reset.json"]), **change}).encode()
    assert judged(labelled, {"reset.json": said})["media"][0]["reason"] == reason


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("phone", "ok"), ("emmc", "ok"), *((kind, "class_insufficient") for kind in ("hdd", "ssd", "nvme", "unknown"))],
)
def test_a_reset_proves_nothing_of_a_medium_that_may_be_a_disk(kind: str, reason: str) -> None:
    labelled, files = case("d22")
    media = [{**labelled["device"]["media"][0], "type": kind}]
    found = judged({**labelled, "device": {**labelled["device"], "media": media}}, files)
    assert found["media"][0]["reason"] == reason


def test_an_imei_with_a_wrong_digit_is_refused_even_when_the_audit_has_it_too() -> None:
    labelled, files = case("d22")
    media = [{**labelled["device"]["media"][0], "serial": "356938035643808"}]
    said = files["reset.json"].replace(b"356938035643809", b"356938035643808")
    found = judged({**labelled, "device": {**labelled["device"], "media": media}}, {"reset.json": said})
    assert found["media"][0]["reason"] == "invalid_imei"


def test_exchanged_drives_are_not_taken_for_each_other() -> None:
    labelled, files = case("d04")
    swapped = (
        files["nwipe.log"]
        .replace(b"S0V3J9CPB02271", b"#")
        .replace(b"S0V3J9CPB08813", b"S0V3J9CPB02271")
        .replace(b"#", b"S0V3J9CPB08813")
    )
    found = judged(labelled, {"nwipe.log": swapped})["media"]
    assert [m["reason"] for m in found] == ["failed", "ok"]
    for first, second in [(b"Found /dev/sda,", b"Found /dev/sdb,"), (b"     sda | Erased", b"     sdb | Erased")]:
        crossed = files["nwipe.log"].replace(first, b"#").replace(second, first).replace(b"#", second)
        assert not any(m["accepted"] for m in judged(labelled, {"nwipe.log": crossed})["media"][:1])


def test_every_prefix_of_a_report_is_a_failure() -> None:
    labelled, files = case("d07")
    data = files["nwipe.log"].rstrip(b"\n")
    for end in range(0, len(data), 7):
        assert not judged(labelled, {"nwipe.log": data[:end]})["device_accepted"], Path(str(end))

"""What each reader makes of its format, and of what only looks like it. Reports of erasures are in `test_erasure`."""

import io
import json
import re
import zipfile
from collections.abc import Mapping
from typing import Any

import pytest

from services.refurb.domain.readers.facts import LARGEST, Facts, Hardware, Unreadable
from services.refurb.domain.readers.recognise import read
from services.refurb.domain.readers.records import COMPUTER, FIELDS, TELEPHONE
from shared.events.base import Medium
from tests.refurb.samples import CAPTURES, case, judged

DISKS = (CAPTURES / "m05-desktop-hdd-nvme" / "smartctl.json").read_bytes()
MEDIA = (
    Medium(serial="WD-WCYHX3685310", model="WDC WD5000AZLX-08K2TA0", kind="hdd", bytes=500107862016),
    Medium(serial="4299JVMU2653YSV", model="WDC WDS100T2B0C-00PXH0", kind="nvme", bytes=1000204886016),
)
DMI = (
    "# dmidecode 3.3\nSMBIOS 2.8 present.\n\nHandle 0x0001, DMI type 1, 27 bytes\nSystem Information\n\tManufacturer: LENOVO\n"
    "\tProduct Name: 20L6S0\n\tSerial Number: PF-1\n\nHandle 0x0004, DMI type 4, 48 bytes\nProcessor Information\n"
    "\tVersion: Intel(R) Core(TM) i5-8250U CPU\n\nHandle 0x0005, DMI type 17, 40 bytes\nMemory Device\n\tSize: 8 GB\n\n"
    "Handle 0x0006, DMI type 17, 40 bytes\nMemory Device\n\tSize: No Module Installed\n"
)
LAPTOP = Hardware(maker="LENOVO", model="20L6S0", serial="PF-1", cpu="Intel(R) Core(TM) i5-8250U CPU", ram_gb=8)
LSHW: dict[str, Any] = {
    "id": "bench",
    "class": "system",
    "product": "20L6S0",
    "vendor": "LENOVO",
    "serial": "PF-1",
    "children": [
        {
            "id": "core",
            "class": "bus",
            "children": [
                {"id": "memory", "class": "memory", "units": "bytes", "size": 8589934592},
                {"id": "cpu", "class": "processor", "product": "Intel(R) Core(TM) i5-8250U CPU"},
                {
                    "id": "nvme",
                    "class": "storage",
                    "product": "SAMSUNG MZVLB256",
                    "serial": "S444NX0K",
                    "logicalname": "/dev/nvme0",
                    "children": [
                        {"id": "namespace:0", "class": "disk", "logicalname": "hwmon1"},
                        {
                            "id": "namespace:2",
                            "class": "disk",
                            "logicalname": "/dev/nvme0n1",
                            "size": 256060514304,
                            "units": "bytes",
                        },
                    ],
                },
                {
                    "id": "disk",
                    "class": "disk",
                    "product": "ST500LM000",
                    "serial": "W0A1",
                    "size": 500107862016,
                    "units": "bytes",
                    "capabilities": {"5400rpm": "5400 rotations per minute"},
                },
                {"id": "disk:1", "class": "disk", "product": "Stick", "capabilities": {"removable": "support is removable"}},
                {"id": "cdrom", "class": "disk", "product": "DVD"},
            ],
        }
    ],
}
IN_LSHW = (
    Medium(serial="S444NX0K", model="SAMSUNG MZVLB256", kind="nvme", bytes=256060514304),
    Medium(serial="W0A1", model="ST500LM000", kind="hdd", bytes=500107862016),
)


def hardware(data: object) -> tuple[str, tuple[Hardware, ...]]:
    found = read(data if isinstance(data, bytes) else json.dumps(data).encode())
    assert isinstance(found, Facts), found
    return found.tool, found.hardware


def test_smartctl_alone_and_in_a_list() -> None:
    assert hardware(DISKS) == ("smartctl", (Hardware(media=MEDIA),))
    assert hardware(json.loads(DISKS)[1]) == ("smartctl", (Hardware(media=MEDIA[1:]),))


def test_dmidecode() -> None:
    assert hardware(DMI.encode()) == ("dmidecode", (LAPTOP,))
    assert read((DMI + "\n" + DMI).encode()) == Unreadable(reason="several_devices")


def test_lshw_as_an_object_and_in_a_list() -> None:
    right = Hardware(media=IN_LSHW, maker="LENOVO", model="20L6S0", serial="PF-1", cpu=LAPTOP.cpu, ram_gb=8)
    assert hardware(LSHW) == hardware([LSHW]) == ("lshw", (right,))
    assert read(json.dumps([LSHW, LSHW]).encode()) == Unreadable(reason="several_devices")


def test_snapshots_of_tools_outputs() -> None:
    right = Hardware(media=MEDIA, maker="LENOVO", model="20L6S0", serial="PF-1", cpu=LAPTOP.cpu, ram_gb=8)
    disks = json.loads(DISKS)
    script = {"software": "workbench-script", "data": {"smartctl": json.dumps(disks), "dmidecode": DMI}, "erase": []}
    texts = {"software": "workbench-script", "data": {"smartctl": [json.dumps(disk) for disk in disks], "dmidecode": DMI}}
    lite = {"schema_api": "1.0.0", "sid": "X", "data": {"smart": disks, "dmidecode": DMI, "lshw": LSHW, "lspci": ""}}
    assert hardware(script) == hardware(texts) == hardware(lite) == ("workbench", (right,))


WORKBENCH: dict[str, Any] = {
    "type": "Snapshot",
    "software": "Workbench",
    "version": "11.0b9",
    "device": {"type": "Laptop", "manufacturer": "LENOVO", "model": "20L6S0", "serialNumber": "PF-1"},
    "components": [
        {"type": "Processor", "model": "Intel(R) Core(TM) i5-8250U CPU"},
        {"type": "RamModule", "size": 4096},
        {"type": "RamModule", "size": 4096},
        {
            "type": "HardDrive",
            "model": "ST500LM000",
            "serialNumber": "W0A1",
            "size": 476940,
            "actions": [
                {
                    "type": "EraseSectors",
                    "startTime": "2026-10-01T10:00:00+02:00",
                    "endTime": "2026-10-01T12:00:00+02:00",
                    "severity": "Info",
                    "steps": [{"type": "StepZero", "severity": "Info"}],
                }
            ],
        },
    ],
}


def test_a_workbench_snapshot_tells_the_machine_and_its_erasures_prove_nothing() -> None:
    found = read(json.dumps(WORKBENCH).encode())
    assert isinstance(found, Facts)
    disk = Medium(serial="W0A1", model="ST500LM000", kind="hdd")
    assert found.hardware == (Hardware(media=(disk,), maker="LENOVO", model="20L6S0", serial="PF-1", cpu=LAPTOP.cpu, ram_gb=8),)
    assert [(r.serial, r.outcome, r.verified, r.covered_bytes) for r in found.runs] == [("W0A1", "ok", True, 0)]
    labelled, _ = case("d07")
    media = [{"serial": "W0A1", "type": "hdd", "bytes": 500107862016}]
    asked = {**labelled, "device": {**labelled["device"], "media": media}}
    assert judged(asked, {"nwipe.log": json.dumps(WORKBENCH).encode()})["media"][0]["reason"] == "capacity_short"


@pytest.mark.parametrize("severity", ["Notice", "Warning", "Error", 1, None])
def test_a_workbench_erasure_with_a_warning_failed(severity: object) -> None:
    said = json.loads(json.dumps(WORKBENCH))
    said["components"][3]["actions"][0]["steps"][0]["severity"] = severity
    found = read(json.dumps(said).encode())
    assert isinstance(found, Facts)
    assert [run.outcome for run in found.runs] == ["failed"]


RECORD: dict[str, str | int | None] = {
    **dict.fromkeys(FIELDS),
    "typeMateriel": "ORDINATEUR_PORTABLE",
    "idMaterielReconditionneur": "PE-1",
    "statut": "A_TRAITER",
    "idStock": "S-0094",
    "numeroSerie": "PF-1",
    "idLot": "L-0048",
    "RAM": 8,
    "commentaire": "écran rayé",
}


def csv_of(record: Mapping[str, object], delimiter: str = ",") -> bytes:
    cells = ["" if value is None else str(value) for value in record.values()]
    return "\r\n".join([delimiter.join(record), delimiter.join(cells)]).encode("cp1252")


def workbook(rows: list[list[object]]) -> bytes:
    """A small XLSX of texts and numbers."""
    out = io.BytesIO()
    sheet = "".join(
        f'<row r="{r}">'
        + "".join(
            f'<c r="{letters(c)}{r}"><v>{cell}</v></c>'
            if isinstance(cell, int)
            else f'<c r="{letters(c)}{r}" t="inlineStr"><is><t>{cell}</t></is></c>'
            for c, cell in enumerate(row, 1)
            if cell is not None
        )
        + "</row>"
        for r, row in enumerate(rows, 1)
    )
    return packed(f'<worksheet xmlns="{MAIN}"><sheetData>{sheet}</sheetData></worksheet>', out)


MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"


def packed(sheet: str, out: io.BytesIO) -> bytes:
    book = f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets><sheet name="a" sheetId="1" r:id="rId1"/></sheets></workbook>'
    links = f'<Relationship Id="rId1" Type="{OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
    root = f'<Relationship Id="rId1" Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/>'
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("[Content_Types].xml", f'<Types xmlns="{PACKAGE}/content-types"/>')
        file.writestr("_rels/.rels", f'<Relationships xmlns="{PACKAGE}/relationships">{root}</Relationships>')
        file.writestr("xl/workbook.xml", book)
        file.writestr("xl/_rels/workbook.xml.rels", f'<Relationships xmlns="{PACKAGE}/relationships">{links}</Relationships>')
        file.writestr("xl/worksheets/sheet1.xml", sheet)
    return out.getvalue()


def letters(column: int) -> str:
    return chr(64 + column) if column <= 26 else f"A{chr(64 + column - 26)}"


@pytest.mark.parametrize(
    "data",
    [
        json.dumps(RECORD).encode(),
        json.dumps([RECORD], ensure_ascii=False).encode("utf-16"),
        csv_of(RECORD),
        csv_of(RECORD, ";"),
        workbook([list(RECORD), list(RECORD.values())]),
    ],
)
def test_a_device_record_is_the_same_in_each_of_its_forms(data: bytes) -> None:
    assert read(data) == Facts(tool="device-record", records=(RECORD,))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"typeMateriel": "TOASTER"}, "unreadable"),
        ({"numeroSerie": " "}, "unreadable"),
        ({"RAM": "8 Go"}, "unreadable"),
        ({"RAM": True}, "unreadable"),
        ({"webcam": "oui"}, "unreadable"),
        ({"couleur": "bleu"}, "unreadable"),
        ({"IMEI1": "356938035643808"}, "invalid_imei"),
        ({"model": "A\x00B"}, "hostile_input"),
        ({"model": {"a": 1}}, "unreadable"),
    ],
)
def test_a_device_record_must_be_in_its_lists(change: dict[str, object], code: str) -> None:
    assert read(json.dumps(RECORD | change).encode()) == Unreadable(reason=code)


def test_the_two_forms_are_read_where_their_header_stands() -> None:
    phone = dict.fromkeys(TELEPHONE) | {"Identifiant unique": "T1", "IMEI": "356938035643809", "RAM": "4"}
    computer = dict.fromkeys(COMPUTER) | {"Identifiant unique": "P1", "N° Serie": "PF-1", "Taille disque 1": "256"}
    above: list[list[object]] = [["Don", "DON-1"]]
    for columns, head, row, tool in (
        (TELEPHONE, above, phone, "form-telephones"),
        (COMPUTER, [*above, ["Reconditionneur"], [None]], computer, "form-computers"),
    ):
        sheet = workbook([*head, list(columns), list(row.values()), [None] * 3])
        assert read(sheet) == Facts(tool=tool, records=(row,))
    wrong = phone | {"IMEI": "356938035643808"}
    assert read(workbook([*above, list(TELEPHONE), list(wrong.values())])) == Unreadable(reason="invalid_imei")


BOMB = "<worksheet><sheetData><row><c r='{}'><v>1</v></c></row></sheetData></worksheet>"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (packed(BOMB.format("XFD1048576"), io.BytesIO()), "too_large"),
        (packed("<a>" + " " * 30_000_000 + "</a>", io.BytesIO()), "too_large"),
        (packed("<!DOCTYPE a><a/>", io.BytesIO()), "hostile_input"),
        (packed("<worksheet><sheetData>", io.BytesIO()), "unreadable"),
        (b"PK\x03\x04" + b"x" * 100, "unreadable"),
        (workbook([["Nom", "Prénom"], ["a", "b"]]), "unsupported_format"),
        (b"%PDF-1.7\n\x00", "unsupported_format"),
        (b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><root>&b;</root>', "hostile_input"),
        (b'<?xml version="1.0"?><!doctype a SYSTEM "file:///etc/hostname"><root/>', "hostile_input"),
        (b"<a>" * 70 + b"</a>" * 70, "hostile_input"),
        (b"<root>&#7;</root>", "hostile_input"),
        (b"<root><a></root>", "unreadable"),
        (b"<r>" + b"<a/>" * 250_000 + b"</r>", "too_large"),
        (b"[" * 100_000, "hostile_input"),
        (b'{"a": NaN}', "unreadable"),
        (b'{"a": 1, "a": 2}', "unreadable"),
        (b'{"a": ' + b"9" * 6000 + b"}", "unreadable"),
        (b"[" + b"{}," * 2_000_000 + b"{}]", "too_large"),
        (b'[["typeMateriel"]]', "unsupported_format"),
        (b"[]", "unsupported_format"),
        (b"# hdparm -I /dev/sda\n", "not_an_erasure"),
    ],
)
def test_what_is_hostile_or_no_report_is_refused(data: bytes, code: str) -> None:
    found = read(data)
    assert isinstance(found, Unreadable)
    assert found.reason == code


CHANGES = [
    ("d13", rb">976773168<", b">976773160<", "capacity_short"),
    ("d13", rb"\"failed_sectors\" type=\"uint\">0<", b'"failed_sectors" type="uint">4<', "write_errors"),
    ("d13", rb">100</entry>", b">0</entry>", "verification_missing"),
    ("d13", rb" *<entry name=\"verification_percentage\".*\n", b"", "verification_missing"),
    ("d13", rb"Successful", b"Canceled", "aborted"),
    ("d13", rb"Successful", b"In progress", "in_progress"),
    ("d13", rb"Successful", b"Fine", "failed"),
    ("d13", rb"<integrity>Ok", b"<integrity>Broken", "contradictory"),
    ("d13", rb"S3Z1NB0K512233L", b"S3Z1NB0K512234L", "serial_mismatch"),
    ("d13", rb"serial\" type=\"string\">S3Z1NB0K512233L", b'serial" type="string">', "serial_missing"),
    ("d13", rb"09:14:00", b"08:14:00", "time_inverted"),
    ("d13", rb"2026-10-08T09:1", b"2026-10-18T09:1", "after_transfer"),
    ("d13", rb"<root>", b"<!DOCTYPE root><root>", "hostile_input"),
    ("d13", rb"(?s)<blancco_erasure_report>.*</blancco_erasure_report>", b"", "not_an_erasure"),
    ("d17", rb"\(1\) .*Successfully\.", b"(2) Sanitize in Progress.", "in_progress"),
    ("d17", rb"\(1\) .*Successfully\.", b"(3) Most Recent Sanitize Command Failed.", "failed"),
    ("d17", rb"\(1\) .*Successfully\.", b"(0) NVM Subsystem has never been sanitized.", "not_an_erasure"),
    ("d17", rb"\(1\) Most", b"(4) Most", "contradictory"),
    ("d17", rb"\"global_erased\": 1", b'"global_erased": 0', "verification_missing"),
    ("d17", rb"65535", b"32768", "contradictory"),
    ("d17", rb"\"sanicap\": 3", b'"sanicap": 1', "contradictory"),
    ("d17", rb"1000204886016", b"1000204886015", "capacity_short"),
    ("d17", rb"\"21291B800127        \"", b'"                    "', "serial_missing"),
    ("d17", rb"\"21291B800127        \"", b'"21291B800127\\u0000"', "hostile_input"),
    ("d20", rb"# cmp(.*\n)*", b"", "verification_missing"),
    ("d20", rb"cmp: EOF.*", b"/dev/zero /dev/sda differ: byte 4097, line 1", "verification_errors"),
    ("d20", rb"500107862016, in", b"500107861504, in", "verification_missing"),
    ("d20", rb"\"p\", user=user\n# date", b'"p", user=user\nSECURITY_ERASE: Input/output error\n# date', "failed"),
    ("d20", rb"# date -Is\n2026-10-12T09:35:00\+02:00\n# hdparm -I(.*\n)*", b"", "truncated"),
    ("d20", rb"976773168\n", b"976771055\n", "contradictory"),
    ("d20", rb"not\tfrozen", b"\tfrozen", "contradictory"),
    ("d20", rb"# cmp", b"# mkfs.ext4 /dev/sda\n# cmp", "contradictory"),
    ("d20", rb"09:35:00", b"07:35:00", "time_inverted"),
    ("d24", rb"broyage", b"formatage", "class_insufficient"),
    ("d24", rb"\"serial\": \"KFAIL0000231\"", b'"serial": null', "serial_missing"),
]


@pytest.mark.parametrize(("name", "old", "new", "reason"), CHANGES)
def test_what_a_report_lacks_or_says_against_itself_counts(name: str, old: bytes, new: bytes, reason: str) -> None:
    labelled, files = case(name)
    ((file, data),) = files.items()
    changed = re.sub(old, new.replace(b"\\", rb"\\"), data)
    assert changed != data
    assert judged(labelled, {file: changed})["media"][0]["reason"] == reason


@pytest.mark.parametrize("name", ["d13", "d16", "d17", "d20", "d22", "d24"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_encoding_and_line_ends_change_no_verdict(name: str, encoding: str) -> None:
    labelled, files = case(name)
    ((file, data),) = files.items()
    assert judged(labelled, {file: data.decode().replace("\n", "\r\n").encode(encoding)}) == judged(labelled, files)


def test_a_report_of_the_console_says_the_same_as_the_tool() -> None:
    """The JSON of the management console: groups are lists of objects with one name each."""
    labelled, files = case("d13")
    said = [("state", "Successful"), ("erasure_standard_name", "NIST 800-88 Purge"), ("start_time", "2026-10-08T09:00:00+0200")]
    said += [("end_time", "2026-10-08T09:14:00+0200")]
    counts = {"cleaned_sectors": 976773168, "failed_sectors": 0, "total_errors": 0, "overwriting_rounds": 1, "firmware_rounds": 1}
    counts |= {"total_erasure_rounds": 2, "verification_percentage": 100}
    drive = [{"model": "Samsung SSD 860 EVO 500GB"}, {"serial": "S3Z1NB0K512233L"}, {"capacity": 500107862016}]
    erasure = [*({name: value} for name, value in (*said, *counts.items())), {"target": drive}]
    data = {
        "blancco_erasure_report": {"erasures": [{"erasure": erasure}]},
        "blancco_hardware_report": {"disks": [{"disk": drive}]},
    }
    console = json.dumps({"reports": [{"blancco_data": data, "user_data": {}}]}).encode()
    assert judged(labelled, {"report.xml": console}) == judged(labelled, files)
    plain = {**dict(said), **counts, "target": {"serial": "S3Z1NB0K512233L", "capacity": 500107862016}}
    simple = json.dumps({"blancco_data": {"blancco_erasure_report": {"erasures": [plain]}}}).encode()
    assert judged(labelled, {"report.xml": simple}) == judged(labelled, files)


def test_hardware_alone_is_no_evidence_of_an_erasure() -> None:
    labelled, files = case("d07")
    assert judged(labelled, {**files, "nwipe.log": DISKS})["media"][0]["reason"] == "not_an_erasure"


def test_what_is_too_large_is_not_looked_into() -> None:
    assert read(b"\x00" * (LARGEST + 1)) == Unreadable(reason="too_large")

"""A hardware report makes an audit: of one machine, or of the device's own line in a list. What it does not say stays unknown."""

import json

import pytest

from services.refurb.domain import audit
from services.refurb.domain.audit import Audit
from services.refurb.domain.readers.facts import Hardware, Unusable
from services.refurb.domain.readers.records import COMPUTER, FIELDS, TELEPHONE
from shared.events.base import Medium
from tests.refurb.samples import log
from tests.refurb.test_readers import DISKS, DMI, LSHW, workbook

GB = 10**9
LAPTOP = {
    "idMaterielReconditionneur": "PE-7",
    "statut": "A_TRAITER",
    "typeMateriel": "ORDINATEUR_PORTABLE",
    "numeroSerie": "PF-7",
    "idStock": "S",
    "idLot": "L",
    "marque": "LENOVO",
    "model": "X1",
    "processeur": "i5-8350U",
    "typeDisqueDur1": "SSD",
    "tailleDisqueDur1": 256,
    "typeDisqueDur2": "Optane",
    "RAM": 8,
    "systemeExploitation": "Windows",
}
TELEPHONE_RECORD = {**dict.fromkeys(FIELDS), **LAPTOP, "typeMateriel": "SMARTPHONE", "IMEI1": "490154203237518"}


def code(data: object, ref: str = "PE-7") -> str:
    with pytest.raises(Unusable) as refusal:
        audit.read(data if isinstance(data, bytes) else json.dumps(data).encode(), ref)
    return refusal.value.code


def test_a_machine_is_what_its_tool_read() -> None:
    assert audit.read(json.dumps(LSHW).encode(), "PE-7").hardware.serial == "PF-1"
    assert audit.read(DISKS, "PE-7").hardware.media[0].serial
    assert audit.read(DMI.encode(), "PE-7").hardware.maker == "LENOVO"


def test_of_a_list_the_line_of_the_device() -> None:
    right = Audit(
        hardware=Hardware(
            media=(Medium(kind="ssd", bytes=256 * GB), Medium(kind="unknown")),
            maker="LENOVO",
            model="X1",
            serial="PF-7",
            cpu="i5-8350U",
            ram_gb=8,
        ),
        os="Windows",
    )
    other = {**LAPTOP, "idMaterielReconditionneur": "PE-8"}
    assert audit.read(json.dumps([other, LAPTOP]).encode(), "pe-7") == right
    assert code([other]) == "not_this_device"
    assert code([LAPTOP, {**LAPTOP, "numeroSerie": "X"}]) == "several_devices"


def test_a_telephone_is_named_by_its_imei() -> None:
    found = audit.read(json.dumps(TELEPHONE_RECORD).encode(), "PE-7").hardware.media
    assert found == (Medium(serial="490154203237518", kind="phone", bytes=256 * GB),)


@pytest.mark.parametrize(
    ("size", "right"),
    [("256 Go", 256), ("1 To", 1_000), ("0,5 To", 500), ("64.0", 64), ("plein", None), ("", None), ("0", None), ("0,25", None)],
)
def test_sizes_as_people_write_them(size: str, right: int | None) -> None:
    assert audit.gigabytes(size) == right


def test_the_two_forms() -> None:
    computer = dict.fromkeys(COMPUTER) | {
        "Identifiant unique": "PE-7", "Constructeur": "HP", "N° Serie": "default string", "Type disque 1": "HDD",
        "Taille disque 1": "500 Go",
    }  # fmt: skip
    telephone = dict.fromkeys(TELEPHONE) | {"Identifiant unique": "PE-7", "IMEI": "490154203237518", "Taille stockage": "64"}
    above: list[list[object]] = [["Don", "DON-1"]]
    first = workbook([*above, ["Reconditionneur"], [None], list(computer), list(computer.values())])
    assert audit.read(first, "PE-7").hardware == Hardware(maker="HP", media=(Medium(kind="hdd", bytes=500 * GB),))
    second = workbook([*above, list(telephone), list(telephone.values())])
    assert audit.read(second, "PE-7").hardware.media == (Medium(serial="490154203237518", kind="phone", bytes=64 * GB),)


def test_what_is_no_hardware_says_so() -> None:
    assert code(log("d01")) == "not_hardware"
    assert code(b"\x89PNG") == "unsupported_format"

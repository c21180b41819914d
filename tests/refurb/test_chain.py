"""The chain of one medium over the devices it was in; the charity's statuses; the table to take away; labels."""

import io
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
import python_calamine

from services.refurb.app import DEVICE
from services.refurb.domain import export, labels, statuses
from services.refurb.domain.chain import Link, chain
from services.refurb.domain.device import Device
from services.refurb.domain.readers.records import FIELDS
from services.refurb.pages.labels import TEMPLATE
from shared.events.base import Event, Medium
from shared.events.refurb import DeviceHandedOver, DeviceLost, DeviceScrapped, WarrantyRepairBegun
from tests.refurb.samples import AUDITED, CONSIGNMENT, DONATION, HDD, NOW, RECEIVED
from tests.refurb.test_device import GOOD, GRADED, READY, SANITISED
from tests.refurb.test_moves import REMOVED, SOLD, TAKEN_BACK
from tests.support.given import folded

ONE, OTHER = UUID(int=1), UUID(int=2)


def after(*events: Event) -> Device:
    found: Device = folded(DEVICE, DEVICE.new, events)
    return found


def life(*events: Event) -> list[tuple[object, str, str]]:
    return [(NOW + timedelta(hours=n), event.type, event.model_dump_json()) for n, event in enumerate(events)]


def test_a_medium_that_moved_has_one_chain_over_both_devices() -> None:
    moved = REMOVED.model_copy(update={"to": "device", "to_device_ref": "PE-2"})
    first = life(RECEIVED, AUDITED, GOOD, SANITISED, moved, GRADED)
    second = [(at + timedelta(days=1), kind, text) for at, kind, text in life(RECEIVED, AUDITED, SANITISED, READY)]  # type: ignore[operator]
    serial = str(HDD.serial)
    links = chain(serial, [(ONE, "PE-1", first), (OTHER, "PE-2", second)])  # type: ignore[list-item]
    proof = {"detail": "DoD Short, nwipe 0.33", "evidence_sha256": GOOD.evidence_sha256}
    day = NOW + timedelta(days=1)
    assert links == [
        Link(at=NOW + timedelta(hours=1), device_id=ONE, device_ref="PE-1", what="seen"),
        Link(at=NOW + timedelta(hours=3), device_id=ONE, device_ref="PE-1", what="proven", **proof),
        Link(at=NOW + timedelta(hours=4), device_id=ONE, device_ref="PE-1", what="to_device", detail="PE-2"),
        Link(at=day + timedelta(hours=1), device_id=OTHER, device_ref="PE-2", what="seen"),
        Link(at=day + timedelta(hours=2), device_id=OTHER, device_ref="PE-2", what="proven", **proof),
        Link(at=day + timedelta(hours=3), device_id=OTHER, device_ref="PE-2", what="ready"),
    ]
    assert chain("ANOTHER", [(ONE, "PE-1", first)]) == []  # type: ignore[list-item]


def test_each_state_has_its_status_in_the_charitys_system() -> None:
    ready = (RECEIVED, AUDITED, GOOD, SANITISED, GRADED, READY)
    scrapped = DeviceScrapped(consignment_id=CONSIGNMENT, donation_id=DONATION, reason="broken")
    lost = DeviceLost(consignment_id=CONSIGNMENT, donation_id=DONATION, reason="not_on_the_shelf")
    begun = WarrantyRepairBegun(sale_id=UUID(int=7), fault="screen")
    said = {
        "A_TRAITER": after(RECEIVED),
        "EN_COURS_DE_TRAITEMENT": after(RECEIVED, AUDITED),
        "PRET_A_COMMANDER": after(*ready),
        "DISTRIBUE": after(*ready, SOLD),
        "SAV": after(*ready, SOLD, TAKEN_BACK),
        "NON_REEMPLOYABLE": after(RECEIVED, scrapped),
    }
    assert {name: statuses.charity_status(device) for name, device in said.items()} == {name: name for name in said}
    assert statuses.charity_status(after(*ready, SOLD, begun)) == "SAV"
    where = {"workshop": "PRET_A_COMMANDER", "shipped": "EN_COURS_DE_LIVRAISON", "delivered": "PRET_A_DISTRIBUER"}
    assert {step: statuses.charity_status(after(*ready), step) for step in where} == where  # type: ignore[arg-type]
    assert statuses.charity_status(after(*ready, SOLD), "delivered") == "DISTRIBUE"
    assert statuses.charity_status(after(RECEIVED, lost)) is None
    assert statuses.charity_status(Device()) is None
    assert set(statuses.TELL) == set(statuses.CharityStatus.__args__)  # type: ignore[attr-defined]


def test_a_device_as_the_charitys_record() -> None:
    device = replace(after(RECEIVED, AUDITED, GOOD, SANITISED, GRADED, READY), lot="L-7", maker="=cmd()", model="ProBook 14")
    device = replace(device, audit=AUDITED.model_copy(update={"os": "Windows 11 Pro"}))
    row = export.record(device, NOW)
    assert {name: value for name, value in row.items() if value is not None} == {
        "statut": "PRET_A_COMMANDER",
        "typeMateriel": "ORDINATEUR_FIXE",
        "numeroSerie": "DELL-1",
        "idMaterielReconditionneur": "PE-1",
        "model": "ProBook 14",
        "marque": "=cmd()",
        "processeur": "i5",
        "typeDisqueDur1": "HDD",
        "tailleDisqueDur1": 0,
        "RAM": 16,
        "categorie": "D",
        "idLot": "L-7",
        "systemeExploitation": "Windows",
        "updatedAt": "2026-11-23T12:00:00+00:00",
        "reconditionneur": "trira",
    }
    assert tuple(row) == FIELDS
    book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(export.workbook([row])))
    read = book.get_sheet_by_index(0).to_python()
    assert (read[0], read[1][9], read[1][15]) == (list(FIELDS), "=cmd()", 16)


@pytest.mark.parametrize(("said", "system"), [("Ubuntu 24.04", "Linux"), ("macOS 14", "MacOS"), ("BeOS", None), (None, None)])
def test_a_system_is_one_of_those_known_or_none(said: str | None, system: str | None) -> None:
    assert export.system(said) == system


def test_a_telephone_has_its_imei_and_no_disk() -> None:
    phone = Medium(serial="490154203237518", kind="phone", bytes=64 * 10**9)
    device = replace(after(RECEIVED, AUDITED.model_copy(update={"media": (phone,)})), device_type="smartphone")
    row = export.record(device, NOW)
    assert (row["IMEI1"], row["IMEI2"], row["typeDisqueDur1"]) == ("490154203237518", None, None)


def test_labels_are_the_same_bytes_and_fit_what_is_long() -> None:
    one = labels.Label(
        ref="PE-1", address="https://maillon.example/refurb/appareils?q=PE-1", lines=("Portable #let x = 1", "$a$")
    )
    first = labels.pdf([one] * 25, TEMPLATE, sheet=True)
    assert first.startswith(b"%PDF-")
    assert first == labels.pdf([one] * 25, TEMPLATE, sheet=True)
    assert labels.pdf([one], TEMPLATE, sheet=False) != first
    assert [round(labels.size("X" * n), 2) for n in (4, 20, 64)] == [11.0, 7.67, 5.0]


def test_who_sold_it_is_never_on_a_label_or_in_the_table() -> None:
    handed = DeviceHandedOver(sale_id=UUID(int=9), sold_at=NOW)
    row = export.record(after(RECEIVED, AUDITED, GOOD, SANITISED, GRADED, READY, handed), NOW)
    assert str(UUID(int=9)) not in json.dumps(row)
    assert isinstance(TEMPLATE, Path)

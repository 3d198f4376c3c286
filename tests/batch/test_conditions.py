"""Conditions of wells: tables as people write them, and what a folder of results keeps of them."""

from pathlib import Path

import pytest

from napari_unetseg.batch.conditions import keep_conditions, kept_conditions, read_conditions
from napari_unetseg.batch.folder_journal import FolderJournal
from napari_unetseg.batch.output_files import FieldPlace
from napari_unetseg.errors import UnetsegError


def test_wells_are_found_however_they_are_written(tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_text("\ufeffnote, WELL ,Condition\nx,b3, drug \n,A-01,control\n,,\n,B03,drug\n", encoding="utf-8")
    assert read_conditions(table) == {"B03": "drug", "A01": "control"}


@pytest.mark.parametrize("sign", [";", "\t"])
def test_cells_are_divided_as_spreadsheet_programs_do_it(tmp_path: Path, sign: str) -> None:
    table = tmp_path / "a.csv"
    rows = (("Well", "Dose, µM", "Condition"), ("B3", "1,5", "drug, low"), (), ("A1", "0", "control"))
    table.write_text("".join(f"{sign.join(row)}\n" for row in rows), encoding="utf-8")
    assert read_conditions(table) == {"B03": "drug, low", "A01": "control"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_letters_are_read_as_excel_writes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    monkeypatch.setattr("locale.getencoding", lambda: "UTF-8")  # as where the tests do not run on Windows
    table, mark = tmp_path / "a.csv", "\ufeff" * (encoding in ("utf-16-le", "utf-16-be"))
    table.write_bytes(f"{mark}well;condition\r\nB3;5 µM Müller\r\n".encode(encoding))
    assert read_conditions(table) == {"B03": "5 µM Müller"}


def test_letters_are_those_of_the_machine_where_it_has_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("locale.getencoding", lambda: "cp1250")
    table = tmp_path / "a.csv"
    table.write_bytes("well;condition\nB3;żółć\n".encode("cp1250"))
    assert read_conditions(table) == {"B03": "żółć"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column well"),
        ("well,condition\nA1,x\na01,y\n", "A01 has two conditions"),
        ("well,condition\nA1\n", "cannot be read as a table"),
        (None, "cannot be read as a table"),
    ],
)
def test_what_is_no_such_table_is_told(tmp_path: Path, text: str | None, message: str) -> None:
    table = tmp_path / "a.csv"
    if text is not None:
        table.write_text(text)
    with pytest.raises(UnetsegError, match=message):
        read_conditions(table)


def test_a_folder_keeps_conditions_until_others_are_named(tmp_path: Path) -> None:
    journal = FolderJournal(tmp_path / "out")
    places = [FieldPlace(plate=tmp_path / "p.zarr", well=well, field="0") for well in ("A01", "B02", "B03")]
    keep_conditions(journal, {"A01": "control", "B02": "drug", "H12": "elsewhere"}, places)
    keep_conditions(journal, {"A01": "", "B03": "dose 2"}, places)
    plate = "../p.zarr"
    assert kept_conditions(tmp_path / "out") == {(plate, "B02"): "drug", (plate, "B03"): "dose 2"}

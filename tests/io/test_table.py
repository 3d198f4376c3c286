"""Measurements as text that a spreadsheet reads, and as Parquet."""

import csv
import io
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_unetseg.errors import UnetsegError
from napari_unetseg.io import write_table
from napari_unetseg.io.table import cell_text, convert_table, unit_of, write_rows


def test_columns_become_rows(tmp_path):
    table = {"label": np.array([1, 2]), "area": np.array([10.5, np.nan]), "name": ["a, b", "c"]}
    write_table(tmp_path / "a.csv", table)
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [["label", "area", "name"], ["1", "10.5", "a, b"], ["2", "", "c"]]


@given(
    st.lists(st.tuples(st.floats(width=32), st.floats(), st.integers(-(2**63), 2**63 - 1), st.booleans()), max_size=5),
    st.sampled_from([("a", "b", "c"), ("a",), ("a", "b", "d")]),
)
@settings(deadline=None)
def test_rows_of_numbers_are_written_as_cell_by_cell(rows, names):
    types = {"a": np.float32, "b": np.float64, "c": np.int64, "d": np.bool_}
    columns = dict(zip("abcd", zip(*rows, strict=True) if rows else [()] * 4, strict=True))
    table = {name: np.array(columns[name], types[name]) for name in names}
    written, expected = io.StringIO(newline=""), io.StringIO(newline="")
    write_rows(written, table)
    csv.writer(expected).writerows(map(cell_text, row) for row in zip(*table.values(), strict=True))
    assert written.getvalue() == expected.getvalue()


def test_no_objects_leave_the_names(tmp_path):
    write_table(tmp_path / "a.csv", {"label": np.array([], int), "area": np.array([])})
    assert (tmp_path / "a.csv").read_text().split() == ["label,area"]


def test_unequal_columns_are_refused_and_leave_nothing(tmp_path):
    with pytest.raises(ValueError):
        write_table(tmp_path / "a.csv", {"label": [1, 2], "area": [1.0]})
    assert not list(tmp_path.iterdir())


def test_parquet_keeps_numbers_as_they_are_with_their_units(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    table = {"label": np.array([1, 2]), "area_um2": np.array([1 / 3, np.nan]), "class": ["a", None]}
    write_table(tmp_path / "a.parquet", table)
    read = parquet.read_table(tmp_path / "a.parquet")
    assert read.to_pydict() == {"label": [1, 2], "area_um2": [1 / 3, None], "class": ["a", None]}
    assert read.schema.field("area_um2").metadata == {b"unit": "µm²".encode()}
    assert read.schema.field("label").metadata is None
    with pytest.raises(ValueError, match="differ in length"):
        write_table(tmp_path / "b.parquet", {"label": [1, 2], "area": [1.0]})
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]


def test_a_long_table_of_text_becomes_parquet(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = 200_000  # more than are looked at before the types of columns are decided
    area = np.arange(rows, dtype=float)
    area[-1] = 0.5
    write_table(tmp_path / "a.csv", {"label": np.arange(rows), "area_um2": area, "bbox_min_y_px": np.arange(rows)})
    convert_table(tmp_path / "a.csv", tmp_path / "a.parquet")
    read = parquet.read_table(tmp_path / "a.parquet")
    assert [str(field.type) for field in read.schema] == ["int64", "double", "int64"]
    assert read["area_um2"].to_pylist()[-2:] == [rows - 2, 0.5]
    assert read["label"].to_pylist()[-1] == rows - 1


def test_what_is_no_table_is_named(tmp_path):
    pytest.importorskip("pyarrow.parquet")
    with pytest.raises(UnetsegError, match=r"none\.csv: cannot be read as a table"):
        convert_table(tmp_path / "none.csv", tmp_path / "a.parquet")
    (tmp_path / "a.csv").write_text("label,area\n1,2\n3\n")
    with pytest.raises(UnetsegError, match=r"a\.csv: cannot be read as a table"):
        convert_table(tmp_path / "a.csv", tmp_path / "a.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_without_its_library_parquet_is_refused_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UnetsegError, match=r'pip install "napari-unetseg\[parquet\]"'):
        write_table(tmp_path / "a.parquet", {"label": [1]})


@pytest.mark.parametrize(
    ("column", "unit"),
    [("area_um2", "µm²"), ("centroid_y_px", "px"), ("perimeter_nm", "nm"), ("mean_intensity_2", None), ("label", None)],
)
def test_the_unit_of_a_column_is_in_its_name(column, unit):
    assert unit_of(column) == unit

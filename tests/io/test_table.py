"""Measurements as text that a spreadsheet reads."""

import csv

import numpy as np
import pytest

from napari_unetseg.io import write_table


def test_columns_become_rows(tmp_path):
    table = {"label": np.array([1, 2]), "area": np.array([10.5, np.nan]), "name": ["a, b", "c"]}
    write_table(tmp_path / "a.csv", table)
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [["label", "area", "name"], ["1", "10.5", "a, b"], ["2", "", "c"]]


def test_no_objects_leave_the_names(tmp_path):
    write_table(tmp_path / "a.csv", {"label": np.array([], int), "area": np.array([])})
    assert (tmp_path / "a.csv").read_text().split() == ["label,area"]


def test_unequal_columns_are_refused_and_leave_nothing(tmp_path):
    with pytest.raises(ValueError):
        write_table(tmp_path / "a.csv", {"label": [1, 2], "area": [1.0]})
    assert not list(tmp_path.iterdir())

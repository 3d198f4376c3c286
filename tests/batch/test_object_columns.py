"""Tables are read as they are written, and as other programs save them again."""

import numpy as np
import pytest

from napari_unetseg.batch.object_columns import read_object_columns
from napari_unetseg.errors import UnetsegError
from napari_unetseg.io import write_table
from napari_unetseg.postprocessing.measurements import measure
from napari_unetseg.postprocessing.stacks import stack_tables


def measured(labels):
    return measure(labels, foreground=labels / 10, intensity=labels[np.newaxis], scale=None, unit=None)


@pytest.fixture
def labels():
    plane = np.zeros((20, 30), np.int32)
    plane[0:4, 5:9], plane[10:14, 10:16] = 3, 7
    return plane


def test_columns_are_those_of_the_table(labels, tmp_path):
    write_table(tmp_path / "t.csv", measured(labels))
    columns = read_object_columns(tmp_path / "t.csv", "", (20, 30))
    assert columns.label.tolist() == [3, 7]
    assert columns.area.tolist() == [16, 24]
    assert columns.bbox.tolist() == [[0, 5, 4, 9], [10, 10, 14, 16]]
    assert columns.at_border.tolist() == [True, False]
    assert columns.column("confidence") == pytest.approx([0.3, 0.7])
    assert np.isnan(columns.column("agreement")).all()
    assert columns.plane.shape == (2, 0)


def test_objects_of_a_stack_know_their_plane(labels, tmp_path):
    write_table(tmp_path / "t.csv", stack_tables({(0,): measured(labels), (1,): measured(labels)}, "Z"))
    columns = read_object_columns(tmp_path / "t.csv", "Z", (20, 30))
    assert columns.plane.tolist() == [[0], [0], [1], [1]]


def test_an_image_without_objects_has_columns_without_rows(labels, tmp_path):
    write_table(tmp_path / "t.csv", measured(np.zeros_like(labels)))
    assert len(read_object_columns(tmp_path / "t.csv", "", (20, 30))) == 0


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no column"),
        (b"label,area_px\n1,4\n", "no column bbox_max_x_px"),
        (b"label,area_px,bbox_min_y_px,bbox_min_x_px,bbox_max_y_px,bbox_max_x_px\n1,4,0,0,2\n", "shorter"),
        (b"label,area_px,bbox_min_y_px,bbox_min_x_px,bbox_max_y_px,bbox_max_x_px\n1,4,0,0,2,\n", "a cell is empty"),
        (b"label,area_px,bbox_min_y_px,bbox_min_x_px,bbox_max_y_px,bbox_max_x_px\n1,4,0,0,2,x\n", "'x'"),
        (b"\xff\xfe\x00", "utf-8"),
    ],
)
def test_what_is_no_table_of_objects_is_refused_in_words(content, reason, tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(UnetsegError, match=f"t.csv: cannot be read as a table of objects .*{reason}.*Segment"):
        read_object_columns(path, "", (20, 30))


def test_a_spreadsheet_may_have_saved_it(labels, tmp_path):
    write_table(tmp_path / "t.csv", measured(labels))
    text = (tmp_path / "t.csv").read_text(encoding="utf-8")
    (tmp_path / "t.csv").write_text("\ufeff" + text, encoding="utf-8", newline="\r\n")
    assert read_object_columns(tmp_path / "t.csv", "", (20, 30)).label.tolist() == [3, 7]

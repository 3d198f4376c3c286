"""The file of Cellpose's window: what its loader needs is in it, and nothing of a file is run."""

import io
import pickle
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from tests.io.exchange.label_images import label_images, ring_and_pieces

from napari_unetseg.errors import UnetsegError
from napari_unetseg.io.exchange.cellpose_seg import read_seg, write_seg


@given(labels=label_images)
@settings(deadline=None, max_examples=40)
def test_masks_come_back_equal(tmp_path_factory, labels):
    path = tmp_path_factory.mktemp("seg") / "a_seg.npy"
    write_seg(path, labels, "a.tif")
    np.testing.assert_array_equal(read_seg(path).labels, labels)


@pytest.mark.parametrize(("largest", "dtype"), [(300, np.uint16), (70_000, np.uint32)])
def test_what_cellpose_loads(tmp_path, largest, dtype):
    labels = ring_and_pieces()
    labels[labels == 300] = largest
    write_seg(tmp_path / "a_seg.npy", labels, "/images/a.tif")
    # As Cellpose's window does; this file is our own.
    content = np.load(tmp_path / "a_seg.npy", allow_pickle=True).item()
    assert content["filename"] == "/images/a.tif"
    assert content["masks"].dtype == content["outlines"].dtype == dtype
    np.testing.assert_array_equal(content["masks"], labels)
    assert len(content["ismanual"]) == largest
    outlines = content["outlines"]
    assert ((outlines == 0) | (outlines == labels)).all()
    assert (outlines[3:5, 6] == 7).tolist() == [True, False], "beside a hole, but not in it"
    assert outlines[2, 10] == 7
    assert outlines[7, 10] == 0
    assert read_seg(tmp_path / "a_seg.npy").name == "a.tif"


def as_cellpose_saves(path, **changes):
    masks = ring_and_pieces().astype(np.uint16)
    flows = [np.zeros((1, 20, 34, 3), np.uint8), [], np.zeros((3, 20, 34), np.float32)]
    content = {
        "outlines": masks,
        "colors": np.zeros((3, 3), np.uint8),
        "masks": masks,
        "filename": "C:\\images\\b.tif",
        "flows": flows,
        "ismanual": np.zeros(300, bool),
        "manual_changes": [["removed", (3, 4)]],
        "model_path": 0,
        "flow_threshold": np.float64(0.4),
        "normalize_params": {"lowhigh": None, "percentile": [1.0, 99.0], "invert": False},
        "restore": None,
        "ratio": 1.0,
        "diameter": np.float32(30),
    }
    np.save(path, content | changes)


def test_files_of_cellpose_are_read(tmp_path):
    as_cellpose_saves(tmp_path / "a_seg.npy")
    read = read_seg(tmp_path / "a_seg.npy")
    np.testing.assert_array_equal(read.labels, ring_and_pieces())
    assert read.name == "b.tif"
    as_cellpose_saves(tmp_path / "c_seg.npy", masks=ring_and_pieces()[np.newaxis] - 1, filename=None)
    read = read_seg(tmp_path / "c_seg.npy")
    np.testing.assert_array_equal(read.labels, ring_and_pieces())
    assert read.name == "c"


@pytest.mark.parametrize("protocol", [3, 4])
def test_all_ways_in_which_numpy_saves_objects(tmp_path, protocol):
    array = np.array({"masks": np.arange(6).reshape(2, 3), "diameter": np.float64(3)}, dtype=object)
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
    (tmp_path / "a_seg.npy").write_bytes(file.getvalue() + pickle.dumps(array, protocol=protocol))
    np.testing.assert_array_equal(read_seg(tmp_path / "a_seg.npy").labels, [[0, 1, 2], [3, 4, 5]])


@pytest.mark.parametrize("content", [{"masks": Fraction(1, 3)}, {"masks": print}, {"masks": np.zeros((2, 2)).view}])
def test_what_no_array_needs_is_not_even_looked_up(tmp_path, content):
    np.save(tmp_path / "a_seg.npy", content)
    with pytest.raises(UnetsegError, match=r"a_seg\.npy: cannot be read .* \(it asks for .*, which no array needs"):
        read_seg(tmp_path / "a_seg.npy")


@pytest.mark.parametrize(
    "content", [{}, {"masks": 3}, {"masks": np.zeros((2, 2))}, {"masks": np.zeros((3, 2, 2), int)}, [1, 2]]
)
def test_what_has_no_masks_of_a_plane_is_refused(tmp_path, content):
    np.save(tmp_path / "a_seg.npy", np.array(content, dtype=object))
    with pytest.raises(UnetsegError, match=r"a_seg\.npy: cannot be read as a file of Cellpose"):
        read_seg(tmp_path / "a_seg.npy")


def test_other_arrays_and_damaged_files_are_refused(tmp_path):
    path = tmp_path / "a_seg.npy"
    as_cellpose_saves(path)
    whole = path.read_bytes()
    plain = io.BytesIO()
    np.save(plain, np.zeros((4, 4), int))
    for content in (b"", b"text", whole[:40], whole[: len(whole) // 2], whole[:-1], plain.getvalue()):
        path.write_bytes(content)
        with pytest.raises(UnetsegError, match="cannot be read as a file of Cellpose"):
            read_seg(path)
    path.unlink()
    with pytest.raises(UnetsegError, match="cannot be read as a file of Cellpose"):
        read_seg(path)

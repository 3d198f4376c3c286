"""ROIs that ImageJ fills to the same objects."""

from zipfile import ZipFile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.path import Path as Outline
from roifile import ROI_SUBTYPE, ROI_TYPE, ImagejRoi, roiread, roiwrite

from napari_unetseg.errors import UnetsegError
from napari_unetseg.io import Position, read_rois, rois, write_rois
from napari_unetseg.io.rois import holds_rois
from napari_unetseg.postprocessing.contours import rasterise, trace_contours

label_images = arrays(
    np.int32, st.tuples(st.integers(1, 11), st.integers(1, 11)), elements=st.sampled_from([0, 0, 1, 1, 1, 2, 3, 99999])
)


def fill(rois, shape):
    """Label the pixels whose centre (x + 0.5, y + 0.5) an odd number of rings goes round, as ImageJ does."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    centres = np.column_stack([x.ravel() + 0.5, y.ravel() + 0.5])
    labels = np.zeros(shape, int)
    for roi in rois:
        inside = np.zeros(len(centres), bool)
        for ring in roi.coordinates(multi=True):
            inside ^= Outline(ring).contains_points(centres)
        labels[inside.reshape(shape)] = int(roi.name.partition("-")[0])
    return labels


@given(labels=label_images)
@settings(deadline=None)
def test_masks_come_back_equal(tmp_path_factory, labels):
    path = tmp_path_factory.mktemp("rois") / "a.zip"
    write_rois(path, trace_contours(labels))
    np.testing.assert_array_equal(fill(roiread(path), labels.shape), labels)
    read = read_rois(path)
    np.testing.assert_array_equal(rasterise(read.contours, labels.shape), labels)
    assert read.left_out == ()
    for before, after in zip(trace_contours(labels), read.contours, strict=True):
        assert (before.label, before.area, len(before.holes)) == (after.label, after.area, len(after.holes))


def test_first_pixel_spans_zero_to_one_in_x_and_y(tmp_path):
    labels = np.zeros((3, 4), int)
    labels[0, 2] = 5
    write_rois(tmp_path / "a.zip", trace_contours(labels))
    (roi,) = roiread(tmp_path / "a.zip")
    assert roi.roitype == ROI_TYPE.POLYGON
    assert roi.subpixelresolution
    assert {tuple(point) for point in roi.coordinates()} == {(2, 0), (3, 0), (3, 1), (2, 1)}
    assert (roi.left, roi.top) == (2, 0)
    assert (roi.position, roi.z_position, roi.t_position, roi.c_position) == (0, 0, 0, 0)


def test_pieces_are_numbered_and_sort_in_order(tmp_path):
    labels = np.zeros((5, 5), int)
    labels[0, 0] = labels[4, 4] = labels[2, 2] = 3
    labels[0, 4] = 12345
    write_rois(tmp_path / "a.zip", trace_contours(labels))
    with ZipFile(tmp_path / "a.zip") as archive:
        names = archive.namelist()
    assert names == ["00003.roi", "00003-2.roi", "00003-3.roi", "12345.roi"]
    assert [roi.properties for roi in roiread(tmp_path / "a.zip")] == [{"label": 3}] * 3 + [{"label": 12345}]


def test_an_object_with_holes_is_one_composite(tmp_path):
    labels = np.ones((6, 7), int)
    labels[2, 2] = labels[4, 4] = 0
    write_rois(tmp_path / "a.zip", trace_contours(labels))
    (roi,) = roiread(tmp_path / "a.zip")
    assert roi.composite
    assert roi.name == "0001"
    assert (roi.left, roi.top, roi.right, roi.bottom) == (0, 0, 7, 6)
    assert [len(ring) for ring in roi.coordinates(multi=True)] == [5, 5, 5]


def test_fractions_of_a_pixel_stay(tmp_path):
    (contour,) = trace_contours(np.ones((1, 1), int))
    contour.exterior[0] = (-0.25, -0.125)
    write_rois(tmp_path / "a.zip", [contour])
    (roi,) = roiread(tmp_path / "a.zip")
    assert [0.375, 0.25] in roi.coordinates().tolist()
    np.testing.assert_array_equal(read_rois(tmp_path / "a.zip").contours[0].exterior, contour.exterior)


@pytest.mark.parametrize(
    ("position", "stack", "hyperstack"),
    [
        (Position(), 0, (0, 0, 0)),
        (Position(z=4), 5, (0, 0, 0)),
        (Position(z=0, t=2), 0, (1, 3, 0)),
        (Position(z=1, t=2, c=0), 0, (2, 3, 1)),
    ],
)
def test_planes_count_from_one(tmp_path, position, stack, hyperstack):
    contours = trace_contours(np.ones((2, 2), int))
    write_rois(tmp_path / "a.zip", contours, positions=[position])
    (roi,) = roiread(tmp_path / "a.zip")
    assert roi.position == stack
    assert (roi.z_position, roi.t_position, roi.c_position) == hyperstack
    assert read_rois(tmp_path / "a.zip").positions == [position]


def test_large_images_go_beyond_what_short_integers_hold(tmp_path):
    (contour,) = trace_contours(np.ones((2, 2), int))
    contour.exterior[:] += (70_000, 40_000)
    write_rois(tmp_path / "a.zip", [contour])
    np.testing.assert_array_equal(read_rois(tmp_path / "a.zip").contours[0].exterior, contour.exterior)


def test_no_objects_give_an_empty_archive(tmp_path):
    write_rois(tmp_path / "a.zip", [])
    assert ZipFile(tmp_path / "a.zip").namelist() == []
    assert list(read_rois(tmp_path / "a.zip").contours) == []


def test_the_same_objects_give_the_same_file(tmp_path):
    for name in ("a.zip", "b.zip"):
        write_rois(tmp_path / name, trace_contours(np.array([[1, 0, 2]])))
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_rois_from_elsewhere_are_numbered_and_lines_are_told(tmp_path):
    rect = ImagejRoi(roitype=ROI_TYPE.RECT, left=1, top=2, right=4, bottom=4, name="rect")
    oval = ImagejRoi(roitype=ROI_TYPE.OVAL, left=0, top=0, right=20, bottom=10, name="oval")
    freehand = ImagejRoi.frompoints([(5, 5), (8, 5), (8, 9)], name="0007")
    line = ImagejRoi(roitype=ROI_TYPE.LINE, x2=4.0, name="line")
    text = ImagejRoi(roitype=ROI_TYPE.RECT, subtype=ROI_SUBTYPE.TEXT, text="A", text_name="Arial", name="text")
    roiwrite(tmp_path / "a.zip", [rect, line, oval, text, freehand], mode="w")
    read = read_rois(tmp_path / "a.zip")
    assert read.left_out == ("1 line", "1 text")
    assert [contour.label for contour in read.contours] == [1, 2, 3]
    assert [contour.area for contour in read.contours] == pytest.approx([6, np.pi * 50, 6])
    assert sorted(map(tuple, read.contours[0].exterior)) == [(1.5, 0.5), (1.5, 3.5), (3.5, 0.5), (3.5, 3.5)]
    freehand.tofile(tmp_path / "one.roi")
    assert [contour.area for contour in read_rois(tmp_path / "one.roi").contours] == [6]


def test_what_is_no_archive_of_rois(tmp_path):
    (tmp_path / "text.zip").write_text("text")
    with ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("a.txt", "text")
    with ZipFile(tmp_path / "damaged.zip", "w") as archive:
        archive.writestr("a.roi", b"Iout" + bytes(20))
    assert not holds_rois(tmp_path / "text.zip")
    assert not holds_rois(tmp_path / "other.zip")
    assert holds_rois(tmp_path / "damaged.zip")
    for name in ("text.zip", "damaged.zip", "gone.zip"):
        with pytest.raises(UnetsegError, match=rf"{name}: cannot be read as ImageJ ROIs"):
            read_rois(tmp_path / name)


def triangle(left, name="cell", props=""):
    roi = ImagejRoi.frompoints(np.array([[left, 2], [left + 20, 2], [left + 20, 22.5]]), name=name)
    roi.props = props
    return roi


def left_edges(read):
    return [float(one.exterior[:, 1].min()) + 0.5 for one in read.contours]


@pytest.mark.parametrize(
    "names", [["cell"] * 4, ["cell", "Cell", "CELL", "cell"], ["a/b", "b", "a/b", "c:\\b"], ["", "", ".roi", ""]]
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_every_entry_is_read_once_whatever_its_name(tmp_path, names):
    edges = [40, 10, 30, 20]
    with ZipFile(tmp_path / "a.zip", "w") as archive:
        for name, left in zip(names, edges, strict=True):
            archive.writestr(f"{name}.roi", triangle(left, name).tobytes())
        archive.writestr("__MACOSX/._cell.roi", b"shadow")
        archive.writestr("._cell.roi", b"shadow")
    read = read_rois(tmp_path / "a.zip")
    assert left_edges(read) == edges
    assert [one.label for one in read.contours] == [1, 2, 3, 4]


def test_many_pieces_of_one_object_in_many_planes_have_names_of_their_own(tmp_path):
    contours = [one for _ in range(300) for one in trace_contours(np.array([[7, 0, 7]]))]
    positions = [Position(z=index // 2) for index in range(600)]
    write_rois(tmp_path / "a.zip", contours, positions=positions)
    with ZipFile(tmp_path / "a.zip") as archive:
        assert len({name.casefold() for name in archive.namelist()}) == 600
    read = read_rois(tmp_path / "a.zip")
    assert ({one.label for one in read.contours}, len(read.contours)) == ({7}, 600)
    assert read.positions == positions


@pytest.mark.parametrize(
    ("props", "label"), [("label: 4\n", 4), ("label: 4.0\n", 4), ("label: 0\n", 1), ("label: -4\n", 1)]
)
def test_the_label_of_a_roi_is_above_the_background(tmp_path, props, label):
    roiwrite(tmp_path / "a.zip", [triangle(0, props=props)], mode="w")
    assert [one.label for one in read_rois(tmp_path / "a.zip").contours] == [label]


def test_an_archive_beyond_all_measure_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(rois, "MAX_BYTES", 100)
    roiwrite(tmp_path / "a.zip", [triangle(0)], mode="w")
    with pytest.raises(UnetsegError, match=r"a\.zip: cannot be read as ImageJ ROIs \(more than"):
        read_rois(tmp_path / "a.zip")

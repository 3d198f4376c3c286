"""ND2 files are read with their loops, channels and sizes; what is damaged or was never recorded is told."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from tests.io.microscope.written_nd2 import custom_loop, depth_loop, phases, position_loop, time_loop, write_nd2

from napari_unetseg.errors import ImageError
from napari_unetseg.io import read_image
from napari_unetseg.io.microscope.opening import open_microscope
from napari_unetseg.lazy_array import LazyArray

PIXELS = np.random.default_rng(0).integers(0, 60000, (2, 2, 3, 40, 50, 2), dtype=np.uint16)
"""Of two positions: time points, depth, rows, columns, channels."""
FRAMES: list[Any] = list(PIXELS.reshape(12, 40, 50, 2))
LOOPS = [position_loop(["A1", "B2"]), time_loop(2, 1500.0, 1502.0), depth_loop(3, 0.5)]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("nd2") / "stack.nd2"
    write_nd2(path, FRAMES, LOOPS, ["DAPI", "GFP"])
    return path


def test_axes_sizes_and_names_are_those_of_the_file(stack: Path) -> None:
    image = read_image(stack / "B2")
    assert image.axes == "TZCYX"
    assert image.channels == ("DAPI", "GFP")
    assert (image.scale, image.unit) == ((0.65, 0.65), "micrometer")
    assert image.steps == {"T": (1.502, "second"), "Z": (0.5, "micrometer")}
    assert (image.name, image.remarks) == ("stack.nd2/B2", ())
    np.testing.assert_array_equal(image.array, np.moveaxis(PIXELS[1], -1, -3))


def test_positions_are_scenes(stack: Path) -> None:
    with open_microscope(stack) as file:
        assert file.scene_names == ("A1", "B2")
    np.testing.assert_array_equal(read_image(stack / "0").array[0, 0, 1], PIXELS[0, 0, 0, :, :, 1])
    with pytest.raises(ImageError, match=r"has no scene 'C3'\. There are 0: A1, 1: B2"):
        read_image(stack / "C3")


def test_only_what_is_asked_for_is_read(stack: Path) -> None:
    array = read_image(stack / "A1").array
    assert isinstance(array, LazyArray)
    np.testing.assert_array_equal(array[1, ::-1, 1, 5:9, ::7], PIXELS[0, 1, ::-1, 5:9, ::7, 1])


def test_any_thread_reads_the_same_and_the_file_is_closed_between(stack: Path) -> None:
    array = read_image(stack / "B2").array
    places = list(np.ndindex(2, 3)) * 8
    with ThreadPoolExecutor(4) as pool:
        planes = list(pool.map(lambda place: np.asarray(array[place]), places))
    for place, plane in zip(places, planes, strict=True):
        np.testing.assert_array_equal(plane, np.moveaxis(PIXELS[(1, *place)], -1, 0))
    assert not [file for file in psutil.Process().open_files() if Path(file.path).name == stack.name]


def test_one_plane_needs_no_loop(tmp_path: Path) -> None:
    write_nd2(tmp_path / "a.nd2", [FRAMES[0][..., :1]])
    image = read_image(tmp_path / "a.nd2")
    assert (image.axes, image.name, image.channels) == ("YX", "a.nd2", ("DAPI",))
    np.testing.assert_array_equal(image.array, FRAMES[0][..., 0])


def test_colours_are_those_of_a_picture(tmp_path: Path) -> None:
    blue_first = np.zeros((30, 40, 3), np.uint8) + np.array([1, 2, 3], np.uint8)
    write_nd2(tmp_path / "a.nd2", [blue_first, blue_first + 3], [time_loop(2, 1000.0)], ["Brightfield"])
    image = read_image(tmp_path / "a.nd2")
    assert (image.axes, image.rgb, image.channels) == ("TYXC", True, ())
    np.testing.assert_array_equal(image.array[1], blue_first[..., ::-1] + 3)
    np.testing.assert_array_equal(image.array[0, :, :, :2], blue_first[..., :0:-1])


def test_channels_that_are_pictures_are_planes(tmp_path: Path) -> None:
    six = np.zeros((30, 40, 6), np.uint8) + np.arange(6, dtype=np.uint8)
    write_nd2(tmp_path / "a.nd2", [six], channels=["Brightfield", "Stain"])
    image = read_image(tmp_path / "a.nd2")
    assert (image.axes, image.rgb) == ("AYXC", True)
    assert np.asarray(image.array)[:, 0, 0].tolist() == [[2, 1, 0], [5, 4, 3]]


def test_rows_may_be_longer_than_the_image(tmp_path: Path) -> None:
    write_nd2(tmp_path / "a.nd2", [FRAMES[0]], channels=["DAPI", "GFP"], padding=4)
    np.testing.assert_array_equal(read_image(tmp_path / "a.nd2").array, np.moveaxis(FRAMES[0], -1, 0))


def test_frames_that_are_compressed_without_loss_are_read(tmp_path: Path) -> None:
    write_nd2(tmp_path / "a.nd2", FRAMES[:2], [depth_loop(2, 0.5)], ["DAPI", "GFP"], compression="lossless")
    np.testing.assert_array_equal(read_image(tmp_path / "a.nd2").array[1], np.moveaxis(FRAMES[1], -1, 0))


def test_loops_of_another_kind_are_an_axis_that_somebody_may_name(tmp_path: Path) -> None:
    path = tmp_path / "a.nd2"
    write_nd2(path, FRAMES[:6], [custom_loop(2), depth_loop(3, 0.5)], ["DAPI", "GFP"])
    assert read_image(path).axes == "BZCYX"
    assert read_image(path, axes="TZCYX").axes == "TZCYX"
    np.testing.assert_array_equal(read_image(path).array, np.moveaxis(PIXELS[0], -1, -3))


@pytest.mark.parametrize(
    ("loop", "step", "remarks"),
    [
        (time_loop(2, 1500.0), (1.5, "second"), ()),
        (phases((1, 2000.0), (1, 2000.0)), (2.0, "second"), ()),
        (phases((1, 2000.0), (1, 500.0)), None, ("Its time points are not the same time apart, which is left out.",)),
        (time_loop(2, 0.0), None, ()),
    ],
)
def test_the_time_between_points_is_in_seconds(tmp_path: Path, loop: Any, step: Any, remarks: Any) -> None:
    write_nd2(tmp_path / "a.nd2", FRAMES[:2], [loop], ["DAPI", "GFP"])
    image = read_image(tmp_path / "a.nd2")
    assert (image.axes, image.steps.get("T"), image.remarks) == ("TCYX", step, remarks)


def test_a_pixel_that_was_not_calibrated_has_no_size(tmp_path: Path) -> None:
    write_nd2(tmp_path / "a.nd2", FRAMES[:1], channels=["DAPI", "GFP"], micrometers=None)
    assert read_image(tmp_path / "a.nd2").scale is None


def test_positions_without_a_name_or_of_the_same_get_one(tmp_path: Path) -> None:
    write_nd2(tmp_path / "a.nd2", FRAMES[:3], [position_loop(["", "B2", "B2"])], ["DAPI", "GFP"])
    with open_microscope(tmp_path / "a.nd2") as file:
        assert file.scene_names == ("Position 0", "B2", "B2 (2)")


def test_planes_that_were_never_recorded_are_told(tmp_path: Path) -> None:
    frames = [*FRAMES[:4], None, None]
    write_nd2(tmp_path / "a.nd2", frames, [time_loop(2, 1500.0), depth_loop(3, 0.5)], ["DAPI", "GFP"])
    image = read_image(tmp_path / "a.nd2")
    assert image.remarks == ("2 of 6 planes were never recorded, and are black.",)
    assert not np.asarray(image.array[1, 1:]).any()
    np.testing.assert_array_equal(image.array[1, 0], np.moveaxis(FRAMES[3], -1, 0))


def test_pixels_that_are_compressed_with_loss_are_refused(tmp_path: Path) -> None:
    write_nd2(tmp_path / "a.nd2", FRAMES[:1], channels=["DAPI", "GFP"], compression="lossy")
    with pytest.raises(ImageError, match=r"a\.nd2: its pixels are compressed with loss, which is not read"):
        read_image(tmp_path / "a.nd2")


@pytest.mark.parametrize("share", [0.001, 0.5, 0.999])
def test_a_file_that_was_cut_short_is_refused_by_name(stack: Path, tmp_path: Path, share: float) -> None:
    data = stack.read_bytes()
    (tmp_path / "cut.nd2").write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ImageError, match=r"cut\.nd2: cannot be read as an image.*It may be damaged"):
        read_image(tmp_path / "cut.nd2")


def test_frames_outside_the_file_are_no_black_planes(stack: Path, tmp_path: Path) -> None:
    data = stack.read_bytes()
    name = b"ImageDataSeq|3!"
    at = data.rindex(name) + len(name)
    (tmp_path / "a.nd2").write_bytes(data[:at] + (10**9).to_bytes(8, "little") + data[at + 8 :])
    with pytest.raises(ImageError, match=r"a\.nd2: a part of its pixels is missing; copy the file again"):
        read_image(tmp_path / "a.nd2" / "A1")


def test_a_file_without_columns_is_refused(tmp_path: Path) -> None:
    write_nd2(tmp_path / "a.nd2", [np.zeros((40, 0, 1), np.uint16)])
    with pytest.raises(ImageError, match=r"a\.nd2: holds no pixels, as it is 1 x 40 x 0"):
        read_image(tmp_path / "a.nd2")

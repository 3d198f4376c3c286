"""CZI files are read as those meant them who wrote them, and as far as they are asked for."""

from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import numpy as np
import psutil
import pytest
from tests.io.microscope.written_czi import Tile, edit_xml, make_smaller_level, write_czi

from napari_unetseg.errors import ImageError
from napari_unetseg.io import read_image
from napari_unetseg.io.microscope.opening import open_microscope
from napari_unetseg.lazy_array import LazyArray

PIXELS = np.random.default_rng(0).integers(0, 60000, (2, 2, 3, 2, 40, 50), dtype=np.uint16)
"""Of two scenes: time points, depth, channels, rows, columns."""

TIME_AND_SCENES = (
    "<T><Positions><Interval><Start>0</Start><Increment>2.5</Increment></Interval></Positions></T>"
    '<S><Scenes><Scene Index="0" Name="P1"><Shape Name="A1"/></Scene><Scene Index="1" Name="P2"/></Scenes></S>'
)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("czi") / "stack.czi"
    tiles: list[Tile] = []
    for scene, time, depth, channel in product(range(2), range(2), range(3), range(2)):
        plane = {"T": time, "Z": depth, "C": channel}
        tiles.append((PIXELS[scene, time, depth, channel][..., None], plane, scene, (scene * 500 + 10, -20)))
    names = {0: "DAPI", 1: "GFP"}
    write_czi(path, tiles, channel_names=names, scale_x=0.25e-6, scale_y=0.3e-6, scale_z=1.1e-6)
    edit_xml(path, lambda xml: xml.replace("</Dimensions>", f"{TIME_AND_SCENES}</Dimensions>"))
    return path


def test_axes_sizes_and_names_are_those_of_the_file(stack: Path) -> None:
    image = read_image(stack / "P2")
    assert image.axes == "TZCYX"
    assert image.channels == ("DAPI", "GFP")
    assert (image.scale, image.unit) == ((0.3, 0.25), "micrometer")
    assert image.steps == {"T": (2.5, "second"), "Z": (1.1, "micrometer")}
    assert image.name == "stack.czi/P2"
    assert image.path == str(stack / "P2")
    np.testing.assert_array_equal(image.array, PIXELS[1])


def test_scenes_are_called_by_their_well_and_found_by_number(stack: Path) -> None:
    with open_microscope(stack) as file:
        assert file.scene_names == ("P1-A1", "P2")
    np.testing.assert_array_equal(read_image(stack / "0").array, PIXELS[0])
    np.testing.assert_array_equal(read_image(stack / "P1-A1").array, PIXELS[0])
    with pytest.raises(ImageError, match=r"holds 2 scenes.*stack.czi/P1-A1.*0: P1-A1, 1: P2"):
        read_image(stack)


def test_only_what_is_asked_for_is_read(stack: Path) -> None:
    array = read_image(stack / "P1-A1").array
    assert isinstance(array, LazyArray)
    np.testing.assert_array_equal(array[1, ::-1, 1, 5:9, ::7], PIXELS[0, 1, ::-1, 1, 5:9, ::7])


def test_axes_that_somebody_names_replace_those_of_the_file(stack: Path) -> None:
    assert read_image(stack / "P2", axes="ZTCYX").axes == "TZCYX", "the same axes: the file is right"
    assert read_image(stack / "P2", axes="TKCYX").axes == "TKCYX"
    with pytest.raises(ImageError, match="5 dimensions cannot be read as ZYX"):
        read_image(stack / "P2", axes="ZYX")


def test_any_thread_reads_the_same(stack: Path) -> None:
    array = read_image(stack / "P2").array
    places = list(product(range(2), range(3), range(2))) * 8
    with ThreadPoolExecutor(4) as pool:
        planes = list(pool.map(lambda place: np.asarray(array[place]), places))
    for place, plane in zip(places, planes, strict=True):
        np.testing.assert_array_equal(plane, PIXELS[(1, *place)])


def test_the_file_is_closed_once_nobody_reads_from_it(stack: Path) -> None:
    def is_open() -> bool:
        return any(Path(file.path).name == stack.name for file in psutil.Process().open_files())

    image = read_image(stack / "P2")
    plane = image.plane((0, 0))
    del image
    assert is_open(), "a plane of it is still in use"
    np.testing.assert_array_equal(plane.array, PIXELS[1, 0, 0])
    del plane
    assert not is_open()


def test_tiles_are_put_together_wherever_they_lie(tmp_path: Path) -> None:
    left, right = (np.full((60, 80, 1), value, np.uint8) for value in (3, 5))
    write_czi(tmp_path / "a.czi", [(left, {}, 0, (-50, -20)), (right, {}, 0, (20, 10))])
    image = read_image(tmp_path / "a.czi")
    expected = np.zeros((90, 150), np.uint8)
    expected[:60, :80] = 3
    expected[30:, 70:] = 5
    assert (image.axes, image.name, image.channels) == ("YX", "a.czi", ())
    np.testing.assert_array_equal(image.array, expected)
    np.testing.assert_array_equal(image.array[55:70, 60:90], expected[55:70, 60:90])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_colours_are_those_of_a_picture(tmp_path: Path, dtype: type) -> None:
    blue_first = np.zeros((30, 40, 3), dtype) + np.array([1, 2, 3], dtype)
    write_czi(tmp_path / "a.czi", [(blue_first, {}, 0, (0, 0))])
    image = read_image(tmp_path / "a.czi")
    assert (image.axes, image.rgb, image.channels, image.scale) == ("YXC", True, (), None)
    np.testing.assert_array_equal(image.array, blue_first[..., ::-1])
    np.testing.assert_array_equal(image.array[3:5, :, :1], np.full((2, 40, 1), 3))


def test_channels_of_two_types_are_read_as_the_wider_one(tmp_path: Path) -> None:
    narrow, wide = np.full((30, 40, 1), 200, np.uint8), np.full((30, 40, 1), 40000, np.uint16)
    write_czi(tmp_path / "a.czi", [(narrow, {"C": 0}, 0, (0, 0)), (wide, {"C": 1}, 0, (0, 0))])
    array = np.asarray(read_image(tmp_path / "a.czi").array)
    assert array.dtype == np.uint16
    assert (array[0].max(), array[1].min()) == (200, 40000)


def test_real_numbers_are_read(tmp_path: Path) -> None:
    pixels = np.linspace(-1, 1, 1200, dtype=np.float32).reshape(30, 40, 1)
    write_czi(tmp_path / "a.czi", [(pixels, {}, 0, (0, 0))])
    np.testing.assert_array_equal(read_image(tmp_path / "a.czi").array, pixels[..., 0])


def test_planes_that_were_never_recorded_are_told(tmp_path: Path) -> None:
    tiles: list[Tile] = [
        (np.full((30, 40, 1), 9, np.uint8), {"T": time, "Z": depth}, 0, (0, 0))
        for time, depth in [(0, 0), (0, 1), (0, 2), (1, 0)]
    ]
    write_czi(tmp_path / "a.czi", tiles)
    image = read_image(tmp_path / "a.czi")
    assert image.remarks == ("2 of 6 planes were never recorded, and are black.",)
    assert np.asarray(image.array)[:, :, 0, 0].tolist() == [[9, 9, 9], [9, 0, 0]]


def test_a_level_of_a_pyramid_is_read_where_it_is_stored(tmp_path: Path) -> None:
    whole = np.random.default_rng(0).integers(0, 200, (1024, 1024, 1), dtype=np.uint8)
    smaller = [np.full((side, side, 1), value, np.uint8) for side, value in ((512, 7), (256, 9))]
    path = tmp_path / "a.czi"
    write_czi(path, [(pixels, {}, 0, (0, 0)) for pixels in (whole, *smaller)], scale_x=1e-6, scale_y=1e-6)
    for side in (512, 256):
        make_smaller_level(path, side, 1024)
    np.testing.assert_array_equal(read_image(path).array, whole[..., 0])
    half = read_image(path, level=1)
    assert (half.shape, half.scale, np.unique(half.array).tolist()) == ((512, 512), (2.0, 2.0), [7])
    assert np.unique(read_image(path, level="4 µm").array).tolist() == [9]
    with pytest.raises(ImageError, match="level 3 does not exist; there are 0 to 2"):
        read_image(path, level=3)


@pytest.mark.parametrize("share", [0.03, 0.5, 0.95])
def test_a_file_that_was_cut_short_is_refused_by_name(stack: Path, tmp_path: Path, share: float) -> None:
    data = stack.read_bytes()
    (tmp_path / "cut.czi").write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ImageError, match=r"cut\.czi: cannot be read as an image.*It may be damaged"):
        np.asarray(read_image(tmp_path / "cut.czi" / "0").array)


def test_what_is_no_czi_file_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "text.czi").write_text("no image")
    with pytest.raises(ImageError, match=r"text\.czi: cannot be read as an image"):
        read_image(tmp_path / "text.czi")


def test_damaged_pixels_are_told_by_name(stack: Path, tmp_path: Path) -> None:
    damaged = stack.read_bytes().replace(b"ZISRAWSUBBLOCK", b"ZISRAWLOSTDATA")
    (tmp_path / "a.czi").write_bytes(damaged)
    image = read_image(tmp_path / "a.czi" / "P2")
    with pytest.raises(ImageError, match=r"a\.czi: cannot be read as an image"):
        np.asarray(image.array)

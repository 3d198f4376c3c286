"""Microscopes' files are opened by the library for their suffix, and their scenes read as images."""

import sys
from pathlib import Path

import numpy as np
import pytest

from napari_unetseg.errors import ImageError
from napari_unetseg.io import read_image, read_label_image
from napari_unetseg.io.microscope.opening import open_microscope, scene_image
from napari_unetseg.io.microscope.scene import KeptOpen, Scene
from napari_unetseg.io.suffixes import MICROSCOPE_SUFFIXES
from napari_unetseg.lazy_array import LazyArray

PIXELS = np.arange(3 * 2 * 8 * 6, dtype=np.uint16).reshape(1, 3, 2, 8, 6)


class File:
    """A file whose library is not needed."""

    scene_names = ("first", "a/b")

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def scene(self, number: int) -> Scene:
        return self._scene

    def close(self) -> None:
        """Do nothing."""

    def __enter__(self) -> "File":
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing."""


def lazy(pixels: np.ndarray) -> LazyArray:
    return LazyArray(lambda box: pixels[box], pixels.shape, pixels.dtype)


def test_a_scene_becomes_an_image_without_axes_of_one(tmp_path: Path) -> None:
    steps = {"T": (1.0, "second"), "Z": (2.0, "micrometer")}
    scene = Scene("a/b", "TZCYX", lazy(PIXELS), (0.5, 0.25), "micrometer", steps, ("DAPI", "GFP"), remarks=("Told.",))
    image = scene_image(File(scene), 1, tmp_path / "a.lif")
    assert (image.axes, image.name, image.path) == ("ZCYX", "a.lif/a_b", str(tmp_path / "a.lif" / "a_b"))
    assert (image.scale, image.unit, image.steps) == ((0.5, 0.25), "micrometer", {"Z": (2.0, "micrometer")})
    assert (image.channels, image.remarks) == (("DAPI", "GFP"), ("Told.",))
    np.testing.assert_array_equal(image.array, PIXELS[0])


def test_rows_come_before_columns() -> None:
    scene = Scene("a", "XYZCT", lazy(PIXELS.transpose(4, 3, 1, 2, 0)))
    image = scene_image(File(scene), 0, "a.lif")
    assert image.axes == "YXZC"
    np.testing.assert_array_equal(image.array, PIXELS[0].transpose(2, 3, 0, 1))


def test_a_smaller_level_has_larger_pixels() -> None:
    whole, half = np.zeros((8, 6), np.uint8), np.ones((4, 3), np.uint8)
    scene = Scene("a", "YX", lazy(whole), (0.5, 0.25), "micrometer", smaller=(lazy(half),))
    image = scene_image(File(scene), 0, "a.lif", level=-1)
    assert (image.shape, image.scale) == ((4, 3), (1.0, 0.5))
    np.testing.assert_array_equal(image.array, half)


@pytest.mark.parametrize("suffix", MICROSCOPE_SUFFIXES)
def test_a_missing_library_is_a_sentence_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    for library, module in {
        "pylibCZIrw": "czi",
        "nd2": "nd2_files",
        "liffile": "lif",
        "oiffile": "olympus",
        "mrcfile": "mrc",
        "pydicom": "dicom",
        "bioio": "bioio_files",
    }.items():
        monkeypatch.setitem(sys.modules, library, None)
        monkeypatch.delitem(sys.modules, f"napari_unetseg.io.microscope.{module}", raising=False)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"x")
    with pytest.raises(ImageError, match=r'files need one more package\. Install it: pip install ("napari-|bioio)'):
        open_microscope(path)


def test_files_that_cannot_be_opened_are_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "empty.czi").touch()
    (tmp_path / "folder.czi").mkdir()
    (tmp_path / "a.png").write_bytes(b"x")
    for name, reason in {
        "none.czi": "there is no such file",
        "empty.czi": "the file is empty",
        "folder.czi": "is a folder, not an image",
    }.items():
        with pytest.raises(ImageError, match=f"{name}: {reason}"):
            read_image(tmp_path / name)
    with pytest.raises(ImageError, match=r"a\.png: is no file of a microscope"):
        open_microscope(tmp_path / "a.png")
    with pytest.raises(ImageError, match="there is no such file"):
        read_image(tmp_path / "none.czi" / "2")


def test_labels_are_read_from_them_too(tmp_path: Path) -> None:
    from tests.io.microscope.written_nd2 import write_nd2

    numbers = np.arange(12, dtype=np.uint16).reshape(3, 4, 1)
    write_nd2(tmp_path / "a.nd2", [numbers])
    np.testing.assert_array_equal(read_label_image(tmp_path / "a.nd2").array, numbers[..., 0])


def test_what_is_kept_open_is_closed_with_its_last_user() -> None:
    closed: list[bool] = []
    kept = KeptOpen(lambda: closed.append(True))
    array = LazyArray(lambda box, kept=kept: PIXELS[box], PIXELS.shape, PIXELS.dtype)  # type: ignore[misc]
    part = array[0, 1]
    del kept, array
    assert not closed
    np.testing.assert_array_equal(part, PIXELS[0, 1])
    del part
    assert closed


@pytest.mark.parametrize("shape", [(0, 8, 6), (3, 0, 6), (3, 8, 0)])
def test_a_scene_without_pixels_is_refused(shape: tuple[int, ...]) -> None:
    file = File(Scene("a", "ZYX", lazy(np.zeros(shape, np.uint8))))
    with pytest.raises(ImageError, match=r"a\.lif/a_b: holds no pixels, as it is [038] x [08] x [06]\."):
        scene_image(file, 1, "a.lif")

"""Microscopes' files of requests: read as on a desk, within the limits, and gone from the disk afterwards."""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_unetseg.api.image_headers import MICROSCOPE_KINDS, kind_of
from napari_unetseg.api.images import ImageLimits, decode_image
from napari_unetseg.errors import ImageError, MissingPackage
from napari_unetseg.image import Image
from napari_unetseg.io import read_image

LIMITS = ImageLimits(max_values=1_000_000, max_compression=1000)
PLANE = np.arange(40 * 48, dtype=np.uint16).reshape(40, 48)


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def cells(tmp_path: Path, write_czi: Callable[..., Path]) -> Path:
    return write_czi(tmp_path / "cells.czi", PLANE, np.stack([PLANE, PLANE + 1]))


def decode(data: bytes, limits: ImageLimits = LIMITS, **options: str | int) -> Image:
    return decode_image(data, limits, media_type=None, name="/home/anna/cells.czi", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("scene", [1, "1", "Scene 1"])
def test_a_scene_is_what_it_is_on_a_desk(cells: Path, disk: Path, scene: str | int) -> None:
    sent, own = decode(cells.read_bytes(), scene=scene), read_image(cells / "Scene 1")
    assert (sent.name, sent.path) == ("cells.czi", None)
    for fact in ("axes", "scale", "unit", "steps", "channels", "remarks"):
        assert getattr(sent, fact) == getattr(own, fact)
    assert isinstance(sent.array, np.ndarray)
    np.testing.assert_array_equal(sent.array, np.asarray(own.array))
    assert list(disk.iterdir()) == []


def test_which_scene_has_to_be_said_where_there_are_several(cells: Path, disk: Path) -> None:
    data = cells.read_bytes()
    with pytest.raises(ImageError, match=r"^cells.czi: holds 2 scenes; .* field scene, .*0: Scene 0, 1: Scene 1"):
        decode(data)
    with pytest.raises(ImageError, match=r"^cells.czi: has no scene 'Scene 7'. There are 0: Scene 0, 1: Scene 1"):
        decode(data, scene="Scene 7")
    with pytest.raises(ImageError, match=r"^cells.czi: is no file with scenes; leave the field scene out"):
        decode(b"\x89PNG\r\n\x1a\n", scene=0)
    assert list(disk.iterdir()) == []


def test_the_limits_hold_before_a_pixel_is_read(cells: Path, disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_unetseg.lazy_array.LazyArray._pixels", None)
    with pytest.raises(ImageError, match=r"^cells.czi: has 0.00384 million values"):
        decode(cells.read_bytes(), ImageLimits(max_values=2000, max_compression=1000), scene=1)
    assert list(disk.iterdir()) == []


@pytest.mark.parametrize("kept", [32, 300, 1000, 3000])
def test_a_file_cut_short_is_refused_without_a_path(cells: Path, disk: Path, kept: int) -> None:
    with pytest.raises(ImageError, match=r"^cells.czi: cannot be read as an image") as refused:
        decode(cells.read_bytes()[:kept], scene=0)
    assert str(disk) not in str(refused.value)
    assert "image.czi" not in str(refused.value)
    assert list(disk.iterdir()) == []


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"ZISRAWFILE\0\0", "CZI"),
        (b"\xda\xce\xbe\x0a", "ND2"),
        (b"\x70\0\0\0\x10", "LIF"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "OIB"),
        (bytes(208) + b"MAP ", "MRC"),
        (bytes(128) + b"DICM", "DICOM"),
        (b"II*\0".ljust(128, b"\0") + b"DICM", "DICOM"),
        (bytes(300), None),
    ],
)
def test_kinds_are_told_by_their_content(data: bytes, kind: str | None, disk: Path) -> None:
    assert kind_of(data) == kind
    with pytest.raises(ImageError, match=r"^cells.czi: "):
        decode(data)
    assert kind is None or kind in MICROSCOPE_KINDS
    assert list(disk.iterdir()) == []


def test_a_package_that_is_not_installed_is_named(cells: Path, disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "napari_unetseg.io.microscope.czi", raising=False)
    monkeypatch.setitem(sys.modules, "pylibCZIrw", None)
    with pytest.raises(MissingPackage, match=r"^cells.czi: is a CZI file, and the package that reads those is not"):
        decode(cells.read_bytes(), scene=0)
    assert list(disk.iterdir()) == []

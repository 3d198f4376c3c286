"""A file of a batch and its labels lie where the file says."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from tests.io.ome_zarr.foreign_writers import axes_of, multiscale, write_image

from napari_unetseg.batch.output_files import Target
from napari_unetseg.io import write_ome_labels
from napari_unetseg.plugin.layers import file_layers
from napari_unetseg.plugin.layers.file_layers import read_layers


def test_a_stack_and_its_labels_have_the_steps_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    pixels = np.arange(2 * 3 * 2 * 20 * 30, dtype=np.uint16).reshape(2, 3, 2, 20, 30)
    metadata = {"axes": "TZCYX", "unit": "um", "spacing": 2.5, "finterval": 30.0}
    tifffile.imwrite(path, pixels, imagej=True, resolution=(4, 2), metadata=metadata)
    labels = np.zeros((2, 3, 20, 30), int)
    labels[1, 2, 3:5, 4:9] = 7
    write_ome_labels(tmp_path / "a_labels.tif", labels, axes="TZYX")
    image, objects = read_layers(path, Target(tmp_path, "a"))
    np.testing.assert_array_equal(image.data, np.moveaxis(pixels, 2, 0))
    np.testing.assert_array_equal(image.scale, (1, 30, 2.5, 0.5, 0.25))
    np.testing.assert_array_equal(objects.data, labels)
    np.testing.assert_array_equal(objects.scale, (30, 2.5, 0.5, 0.25))
    assert [str(unit) for unit in objects.units] == ["second", "micrometer", "micrometer", "micrometer"]


def test_what_is_too_large_to_be_read_is_shown_by_its_levels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.arange(2 * 64 * 48, dtype=np.uint16).reshape(2, 64, 48)
    write_image(tmp_path / "a.zarr", pixels, multiscale(axes_of("cyx"), 2, [1.0, 0.5, 0.25]))
    labels = (pixels[0] // 100).astype(np.int32)
    write_image(tmp_path / "a_labels.ome.zarr", labels, multiscale(axes_of("yx"), 2, [0.5, 0.25]))
    target = Target(tmp_path, "a")
    for limit, levels in ((None, 1), (1000, 2)):
        if limit is not None:
            monkeypatch.setattr(file_layers, "READ_AT_ONCE", limit)
        for layer, expected in zip(read_layers(tmp_path / "a.zarr", target), (pixels, labels), strict=True):
            assert layer.multiscale == (levels == 2)
            assert tuple(layer.scale[-2:]) == (0.5, 0.25)
            for at, data in enumerate(layer.data if layer.multiscale else [layer.data]):
                np.testing.assert_array_equal(data, expected[..., :: 2**at, :: 2**at])

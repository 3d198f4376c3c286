"""Images and plates that ome-zarr-py and ngff-zarr write are read as they meant them."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from napari_unetseg.io import read_image, read_label_image
from napari_unetseg.io.ome_zarr.images import open_image
from napari_unetseg.io.ome_zarr.plate_layout import open_plate

PIXELS = np.arange(2 * 3 * 64 * 96, dtype=np.uint16).reshape(2, 3, 64, 96)
LABELS = PIXELS[0, 0].astype(np.int32) // 100

# Both make smaller levels in their own way, so that their pixels are not compared.
PROGRAM = """
import sys
import numpy as np, zarr
import ngff_zarr
from ome_zarr import format, writer
from ome_zarr.io import parse_url

folder = sys.argv[1]
pixels = np.arange(2 * 3 * 64 * 96, dtype=np.uint16).reshape(2, 3, 64, 96)
labels = pixels[0, 0].astype(np.int32) // 100
units = dict.fromkeys("zyx", "micrometer")
for version in ("0.4", "0.5"):
    form = format.format_from_version(version)
    kinds = {"c": "channel"}
    axes = [
        {"name": name, "type": kinds.get(name, "space")} | ({"unit": units[name]} if name in units else {})
        for name in "czyx"
    ]
    path = f"{folder}/ome_zarr_{version}.zarr"
    group = zarr.open_group(path, mode="w", zarr_format=form.zarr_format)
    steps = [[{"type": "scale", "scale": [1, 2.0, 0.5 * 2**level, 0.25 * 2**level]}] for level in range(2)]
    pyramid = [pixels, pixels[..., ::2, ::2]]
    writer.write_multiscale(pyramid, group, fmt=form, axes=axes, coordinate_transformations=steps)
    steps = [[{"type": "scale", "scale": [0.5, 0.25]}]]
    writer.write_multiscale_labels(
        [labels], group, "nuclei", fmt=form, axes=axes[2:], coordinate_transformations=steps
    )
    plate = zarr.open_group(f"{folder}/plate_{version}.zarr", mode="w", zarr_format=form.zarr_format)
    writer.write_plate_metadata(plate, ["A", "B"], ["1", "2"], ["A/1", "B/2"], fmt=form)
    for well in ("A/1", "B/2"):
        place = plate.require_group(well)
        writer.write_well_metadata(place, ["0", "1"], fmt=form)
        for field in ("0", "1"):
            image = place.require_group(field)
            writer.write_multiscale([pixels[0, 0]], image, fmt=form, axes=["y", "x"])
    image = ngff_zarr.to_ngff_image(
        pixels,
        dims=list("czyx"),
        scale={"c": 1.0, "z": 2.0, "y": 0.5, "x": 0.25},
        translation={"c": 0.0, "z": 0.0, "y": 10.0, "x": 20.0},
        axes_units=units,
    )
    scales = ngff_zarr.to_multiscales(image, scale_factors=[{"c": 1, "z": 1, "y": 2, "x": 2}], chunks=32)
    shards = {"chunks_per_shard": 2} if version == "0.5" else {}
    ngff_zarr.to_ngff_zarr(f"{folder}/ngff_zarr_{version}.zarr", scales, version=version, **shards)
"""


@pytest.mark.nightly
def test_what_both_write_is_read(foreign: Path, tmp_path: Path) -> None:
    ran = subprocess.run([foreign, "-c", PROGRAM, tmp_path], capture_output=True, text=True, timeout=600)
    assert ran.returncode == 0, ran.stderr
    for version in ("0.4", "0.5"):
        for writer in ("ome_zarr", "ngff_zarr"):
            path = tmp_path / f"{writer}_{version}.zarr"
            opened, image = open_image(path), read_image(path)
            assert (opened.version, len(opened.levels)) == (version, 2)
            assert (image.axes, image.scale, image.unit) == ("CZYX", (0.5, 0.25), "micrometer")
            assert dict(image.steps) == {"Z": (2.0, "micrometer")}
            np.testing.assert_array_equal(image.array, PIXELS)
            half = read_image(path, level=1)
            assert (half.shape, half.scale) == ((32, 48), (1.0, 0.5))
        assert open_image(tmp_path / f"ngff_zarr_{version}.zarr").levels[0].translation == (0, 0, 10, 20)
        labels = tmp_path / f"ome_zarr_{version}.zarr" / "labels" / "nuclei"
        np.testing.assert_array_equal(read_label_image(labels).array, LABELS)
        plate = open_plate(tmp_path / f"plate_{version}.zarr")
        assert [(well.name, len(well.fields)) for well in plate.wells] == [("A01", 2), ("B02", 2)]
        np.testing.assert_array_equal(read_image(plate.wells[1].fields[1].path).array, PIXELS[0, 0])

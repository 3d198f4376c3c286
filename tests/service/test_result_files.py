"""A segmentation as files; `tests/batch/test_segment_files.py` tests those of folders."""

import io
import json

import numpy as np

from napari_unetseg import SegmentationService
from napari_unetseg.image import Image
from napari_unetseg.io import Position, read_geojson, read_image
from napari_unetseg.service.result_files import contour_positions, write_contour_file, write_label_file, write_ome_file


def test_one_plane_and_a_stack(bright_model, squares, settings, tmp_path):
    with SegmentationService(bright_model, settings=settings()) as service:
        plane = service.segment(Image(squares, scale=(0.5, 0.5), unit="micrometer"))
        stack = service.segment(Image(np.stack([squares, np.zeros_like(squares), squares]), "TYX"))
    for write, result in ((write_label_file, plane), (write_ome_file, plane), (write_label_file, stack)):
        memory = io.BytesIO()
        write(memory, result)
        write(tmp_path / "a.ome.tif", result)
        (tmp_path / "b.ome.tif").write_bytes(memory.getvalue())
        for name in ("a.ome.tif", "b.ome.tif"):
            image = read_image(tmp_path / name)
            np.testing.assert_array_equal(image.array, result.labels)
            assert image.scale == result.image.scale
    assert contour_positions(stack) == [Position(t=0)] * 3 + [Position(t=2)] * 3
    write_contour_file(tmp_path / "a.geojson", stack)
    assert read_geojson(tmp_path / "a.geojson").positions == contour_positions(stack)
    document = json.loads((tmp_path / "a.geojson").read_text())
    assert {feature["properties"]["classification"]["name"] for feature in document["features"]} == {"bright"}

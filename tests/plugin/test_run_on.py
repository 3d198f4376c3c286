"""In a real window, what is shown is what is segmented, and lies and is saved where its image lies."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Image as ImageLayer
from numpy.typing import NDArray

from napari_unetseg.io import read_geojson, read_image
from napari_unetseg.plugin.run_on import RunOn, choose_planes
from napari_unetseg.plugin.widget import SegmentationWidget
from napari_unetseg.postprocessing.contours import rasterise

MakeWidget = Callable[..., SegmentationWidget]
Step = Callable[[SegmentationWidget], None]


@pytest.fixture
def stack(squares: NDArray[np.uint16]) -> ImageLayer:
    """Planes that are told apart by which of the squares they hold, flipped and in micrometres."""
    planes = np.stack([squares] * 3)
    planes[0, 20:], planes[1, :20] = 0, 0
    return ImageLayer(planes, name="stack", scale=(0.5, -0.1, 0.2), translate=(3, 1, 2), units="um")


def test_beside_a_layer_in_nanometres_the_plane_on_display_is_segmented(
    make_widget: MakeWidget, press_run: Step, stack: ImageLayer
) -> None:
    other = ImageLayer(np.zeros((3, 48, 64)), name="nm", scale=(500, 100, 100), translate=(3000, 0, 0), units="nm")
    widget = make_widget(stack, other)
    widget.inputs.choose_layer(stack)
    for step, place in enumerate(stack.data):
        widget.viewer.dims.set_current_step(0, step)
        np.testing.assert_array_equal(np.asarray(stack._slice.image.raw), place)
        press_run(widget)
        assert widget.result is not None
        labels = widget.result.layer("labels")
        assert labels is not None
        np.testing.assert_array_equal(labels.data[0] > 0, place > 0)
        assert labels.units == stack.units
        np.testing.assert_allclose(labels.data_to_world((0, 4, 5)), stack.data_to_world((step, 4, 5)))


def test_a_rectangle_in_nanometres_on_a_flipped_image_is_saved_in_its_pixels(
    make_widget: MakeWidget, press_run: Step, squares: NDArray[np.uint16], tmp_path: Path
) -> None:
    image = ImageLayer(squares, name="cells", scale=(-0.5, 0.25), units="um")
    widget = make_widget(image)
    corners = [image.data_to_world(pixel) for pixel in ((15, 25), (15, 60), (46, 60), (46, 25))]
    shapes = widget.viewer.add_shapes([1000 * np.array(corners)], shape_type="rectangle", units="nm")
    assert shapes.units != image.units
    planes = choose_planes(RunOn.RECTANGLE, image, widget.viewer, widget.inputs.readings)
    assert [plane.region for plane in planes] == [((15, 47), (25, 61))]
    widget.inputs.run_on.choose(RunOn.RECTANGLE)
    press_run(widget)
    assert widget.result is not None
    layers: dict[str, Any] = {output: widget.result.layer(output) for output in ("labels", "contours")}
    expected = squares > 0
    expected[:15] = False
    for output, layer in layers.items():
        np.testing.assert_allclose(layer.data_to_world((0, 0)), image.data_to_world((15, 25)))
        layer.save(tmp_path / f"{output}.geojson")
        found = rasterise(list(read_geojson(tmp_path / f"{output}.geojson").contours), squares.shape)
        np.testing.assert_array_equal(found > 0, expected)
    layers["labels"].save(tmp_path / "a.ome.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "a.ome.tif").array > 0, expected)
    table = layers["labels"].features
    assert table["area_um2"].tolist() == [36 * 0.125, 16 * 0.125]
    assert table["centroid_y_px"].tolist() == [22.5, 41.5]
    assert (table["equivalent_diameter_um"] > 0).all()

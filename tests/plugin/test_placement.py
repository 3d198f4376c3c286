"""Every output lies where its source lies, whatever transform that has."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from napari.components import ViewerModel
from napari.layers import Image as ImageLayer
from napari.layers import Labels, Layer, Shapes
from scipy.spatial.transform import Rotation

from napari_unetseg.plugin.layers.axes import AxisChoices
from napari_unetseg.plugin.layers.outputs import build_layers, layer_data
from napari_unetseg.plugin.layers.plane import Region, shown_plane, shown_stack
from napari_unetseg.service import SegmentationService

pytestmark = pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")

HEIGHT, WIDTH = 24, 32
LENGTHS = {"t": 2, "z": 3, "c": 2, "y": HEIGHT, "x": WIDTH}
REGION: Region = ((2, 22), (3, 30))
UNITS = ("um", "nm", "pixel", "mm")

numbers = st.floats(-20, 20, allow_nan=False).map(lambda value: round(value, 3))
sizes = st.floats(0.1, 5, allow_nan=False).flatmap(lambda value: st.sampled_from([round(value, 3), -round(value, 3)]))
slants = st.floats(-0.5, 0.5, allow_nan=False).map(lambda value: round(value, 3))


@st.composite
def transforms(draw: Any, labels: str) -> dict[str, Any]:
    """Keyword arguments of a layer with these axes: everything that places it in the world."""
    ndim = len(labels)
    rotation = np.eye(ndim)
    angle = draw(st.floats(0, 360))
    rotation[-2:, -2:] = Rotation.from_euler("z", angle, degrees=True).as_matrix()[:2, :2]
    affine = np.eye(ndim + 1)
    affine[:-1, :-1] += np.array(draw(st.lists(slants, min_size=ndim**2, max_size=ndim**2))).reshape(ndim, ndim) / ndim
    affine[:-1, -1] = draw(st.lists(numbers, min_size=ndim, max_size=ndim))
    pairs = ndim * (ndim - 1) // 2
    return {
        "scale": draw(st.lists(sizes, min_size=ndim, max_size=ndim)),
        "translate": draw(st.lists(numbers, min_size=ndim, max_size=ndim)),
        "rotate": rotation,
        "shear": draw(st.lists(slants, min_size=pairs, max_size=pairs)),
        "affine": affine,
        "units": draw(st.lists(st.sampled_from(UNITS), min_size=ndim, max_size=ndim)),
        "axis_labels": tuple(labels),
    }


@cache
def pixels(labels: str) -> np.ndarray:
    """Two bright squares in every plane."""
    data = np.zeros([LENGTHS[label] for label in labels], np.uint16)
    data[..., 5:12, 6:14] = data[..., 14:20, 18:26] = 900
    return data


@pytest.fixture(scope="module")
def service(bright_model: Path) -> SegmentationService:
    return SegmentationService(bright_model, "cpu")


@pytest.mark.parametrize("what", ["plane", "stack", "region"])
@pytest.mark.parametrize("labels", ["yx", "zyx", "tczyx"])
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_outputs_lie_where_their_source_lies(service: SegmentationService, labels: str, what: str, data: Any) -> None:
    source = ImageLayer(pixels(labels), name="cells", **data.draw(transforms(labels)))
    viewer = ViewerModel()
    viewer.add_layer(source)
    steps = [data.draw(st.integers(0, LENGTHS[label] - 1)) for label in labels]
    for axis, step in enumerate(steps[:-2]):
        viewer.dims.set_current_step(axis, step)
    layer_axes = AxisChoices().of(source, (len(labels) - 2, len(labels) - 1))
    region = REGION if what == "region" else None
    plane = (
        shown_stack(source, viewer.dims, layer_axes)
        if what == "stack"
        else shown_plane(source, viewer.dims, layer_axes, region)
    )
    made = build_layers(layer_data(service.segment(plane.read()), plane, ("labels", "contours", "confidence")))
    assert {output: type(layer) for output, layer in made.items()} == {
        "labels": Labels,
        "contours": Shapes,
        "confidence": ImageLayer,
    }
    first = first_pixel(plane, labels)
    for layer in made.values():
        assert layer.units == source.units
        assert layer.axis_labels == source.axis_labels
        same_place(layer, source, first)
    assert made["labels"].data.shape == made["confidence"].data.shape
    places = [slice(at, at + length) for at, length in zip(first, made["labels"].data.shape, strict=True)]
    np.testing.assert_array_equal(made["labels"].data > 0, source.data[tuple(places)] > 0)
    corner = made["contours"].data[0].min(axis=0)[-2:] + first[-2:]
    np.testing.assert_allclose(corner, (4.5, 5.5))


def first_pixel(plane: Any, labels: str) -> list[int]:
    """Index in the source of the first pixel of the results."""
    first = [plane.index.get(axis, 0) for axis in range(len(labels))]
    if plane.region is not None:
        first[-2:] = [start for start, _ in plane.region]
    return first


def same_place(result: Layer, source: Layer, first: list[int]) -> None:
    """Compare the world coordinates of a few points."""
    corners = [np.zeros(source.ndim), *np.eye(source.ndim), np.arange(source.ndim)]
    for point in corners:
        found, expected = result.data_to_world(point), source.data_to_world(point + np.array(first))
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-6)

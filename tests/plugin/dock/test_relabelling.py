"""Sliders on a stack or a large plane, without a window: the newest request does not wait for those before it."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from numpy.typing import NDArray

from napari_unetseg.plugin.dock import relabelling
from napari_unetseg.plugin.dock.relabelling import RelabelController, Relabelled
from napari_unetseg.plugin.layers.axes import AxisChoices
from napari_unetseg.plugin.layers.outputs import build_layers, layer_data
from napari_unetseg.plugin.layers.result_layers import ShownResult
from napari_unetseg.plugin.layers.run_areas import RunOn, choose_planes
from napari_unetseg.postprocessing import decoding
from napari_unetseg.postprocessing.decoding import decode
from napari_unetseg.service import SegmentationService

PLANES = 3


class GatedDecoder:
    """Reads objects off planes; the first plane takes until `release` is set."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.release = threading.Event()
        self.thresholds: list[float] = []

    def __call__(
        self, probability: NDArray[np.float32], heads: tuple[str, ...], parameters: Any, cancel: Any
    ) -> NDArray[np.int32]:
        self.thresholds.append(parameters.threshold)
        self.entered.set()
        assert self.release.wait(30)
        return decode(probability, heads, parameters, cancel)


@pytest.fixture
def followed(
    service: SegmentationService, squares: NDArray[np.uint16], monkeypatch: pytest.MonkeyPatch, qtbot: Any
) -> Iterator[tuple[RelabelController, GatedDecoder]]:
    """A controller that acts on the result of a stack, whose next reading stands still in its first plane."""
    yield from follow(np.stack([squares] * PLANES), RunOn.STACK, service, monkeypatch, qtbot)


@pytest.fixture
def followed_plane(
    service: SegmentationService, squares: NDArray[np.uint16], monkeypatch: pytest.MonkeyPatch, qtbot: Any
) -> Iterator[tuple[RelabelController, GatedDecoder]]:
    """The same for the plane that is shown."""
    yield from follow(squares, RunOn.PLANE, service, monkeypatch, qtbot)


def follow(
    pixels: NDArray[np.uint16], run_on: RunOn, service: SegmentationService, monkeypatch: pytest.MonkeyPatch, qtbot: Any
) -> Iterator[tuple[RelabelController, GatedDecoder]]:
    viewer = ViewerModel()
    layer = viewer.add_image(pixels, name="cells", axis_labels=("z", "y", "x")[-pixels.ndim :])
    (plane,) = choose_planes(run_on, layer, viewer, AxisChoices())
    segmentation = service.segment(plane.read())
    result = ShownResult(viewer, plane, build_layers(layer_data(segmentation, plane, ("labels",))), segmentation.labels)
    live = RelabelController()
    live.follow(segmentation, result, outlines_as_labels=True)
    decoder = GatedDecoder()
    monkeypatch.setattr(decoding, "decode", decoder)
    yield live, decoder
    decoder.release.set()
    qtbot.waitUntil(lambda: not live.busy, timeout=30_000)


@pytest.fixture
def wait(qtbot: Any) -> Callable[[Callable[[], bool]], None]:
    return lambda condition: qtbot.waitUntil(condition, timeout=30_000)


def test_a_newer_request_stops_the_reading_of_a_stack(
    followed: tuple[RelabelController, GatedDecoder], wait: Callable[[Callable[[], bool]], None]
) -> None:
    live, decoder = followed
    given: list[Relabelled] = []
    failed: list[Exception] = []
    live.relabelled.connect(given.append)
    live.failed.connect(failed.append)
    live.request({"threshold": 0.3})
    wait(decoder.entered.is_set)
    live.request({"threshold": 0.4})
    decoder.release.set()
    wait(lambda: not live.busy)
    assert decoder.thresholds == [0.3] + [0.4] * PLANES
    assert [update.segmentation.parameters.threshold for update in given] == [0.4]
    assert failed == []


def test_another_result_stops_it_too(
    followed: tuple[RelabelController, GatedDecoder], wait: Callable[[Callable[[], bool]], None]
) -> None:
    live, decoder = followed
    live.request({"threshold": 0.3})
    wait(decoder.entered.is_set)
    live.stop()
    decoder.release.set()
    wait(lambda: not live.busy)
    assert decoder.thresholds == [0.3]


@pytest.mark.parametrize(("large", "given_up"), [(0, True), (relabelling.LARGE_PLANE, False)])
def test_the_reading_of_a_plane_is_left_only_where_it_takes_long(
    followed_plane: tuple[RelabelController, GatedDecoder],
    wait: Callable[[Callable[[], bool]], None],
    monkeypatch: pytest.MonkeyPatch,
    large: int,
    given_up: bool,
) -> None:
    monkeypatch.setattr(relabelling, "LARGE_PLANE", large)
    live, decoder = followed_plane
    given: list[Relabelled] = []
    live.relabelled.connect(given.append)
    live.request({"threshold": 0.3})
    wait(decoder.entered.is_set)
    live.request({"threshold": 0.4})
    decoder.release.set()
    wait(lambda: not live.busy)
    expected = [0.4] if given_up else [0.3, 0.4]
    assert [update.segmentation.parameters.threshold for update in given] == expected

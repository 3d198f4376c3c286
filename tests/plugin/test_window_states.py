"""The window in any order of what users do: opening, running, sliding, painting, undoing, saving, removing.

Whatever happened, the record of a result reproduces its labels, a saved file lies where its layer lies, and no
headline speaks of layers that are gone.
"""

import re
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from napari.layers import Image as ImageLayer
from napari.layers import Labels, Layer, Shapes
from numpy.typing import NDArray

from napari_unetseg import Image
from napari_unetseg.io import read_geojson, read_image, read_rois
from napari_unetseg.layer_style import METADATA_KEY
from napari_unetseg.plugin.layers.run_areas import RunOn
from napari_unetseg.plugin.widget import SegmentationWidget
from napari_unetseg.service import SegmentationService
from napari_unetseg.service.run_recipe import RunRecipe
from napari_unetseg.zoo.registry import ModelPackage, read_package

HEIGHT, WIDTH = 40, 56

Where = tuple[tuple[int, ...], int]
"""Position in the stack, and label of an object."""

Box = tuple[tuple[float, float], tuple[float, float]]
"""First and last coordinate along Y and X."""


@dataclass(frozen=True)
class Desk:
    """What the machine needs of pytest."""

    make_viewer: Callable[..., Any]
    wait_until: Callable[..., None]
    packages: tuple[ModelPackage, ...]
    services: dict[str, SegmentationService]
    folder: Path


def picture(number: int, planes: int = 0) -> NDArray[np.uint16]:
    """Draw bright and half-bright rectangles that do not touch, other ones for each number and plane."""
    random = np.random.default_rng(number)
    image = np.zeros((max(planes, 1), HEIGHT, WIDTH), np.uint16)
    for plane in image:
        for top in range(2, HEIGHT - 9, 10):
            for left in range(2, WIDTH - 9, 10):
                height, width = random.integers(2, 9, 2)
                plane[top : top + height, left : left + width] = random.choice([0, 400, 700, 1000])
        plane[0, 0] = 1000
    return image if planes else image[0]


KINDS: dict[str, Callable[[int], tuple[NDArray[Any], dict[str, Any]]]] = {
    "grey": lambda number: (picture(number), {}),
    "colours": lambda number: (np.stack([(picture(number) // 4).astype(np.uint8)] * 3, axis=-1), {"rgb": True}),
    "stack": lambda number: (picture(number, 3), {"axis_labels": ("z", "y", "x"), "scale": (2, 0.5, 0.5)}),
    "channels": lambda number: (picture(number, 2), {"axis_labels": ("c", "y", "x")}),
    "flipped": lambda number: (picture(number), {"scale": (-0.5, 0.5), "translate": (30, -7), "units": "um"}),
    "nanometres": lambda number: (picture(number), {"scale": (500, 500), "units": "nm"}),
    "gaps": lambda number: (np.where(picture(number) == 400, np.nan, picture(number)).astype(np.float32), {}),
}


CHOICES = [RunOn.PLANE, RunOn.STACK, RunOn.RECTANGLE]


class Window(RuleBasedStateMachine):
    """A viewer with the dock, and what its users may do."""

    desk: Desk

    def __init__(self) -> None:
        super().__init__()
        self.viewer = self.desk.make_viewer()
        self.widget = SegmentationWidget(
            self.viewer,
            services=lambda model, device: self.desk.services[Path(model).name],
            models=lambda: self.desk.packages,
        )
        self.viewer.window.add_dock_widget(self.widget, name="U-Net Segmentation (napari-unetseg)")
        self.physical = False
        self.sources: dict[str, ImageLayer] = {}
        self.number = 0
        self.known: dict[str, NDArray[np.int32]] = {}

    def teardown(self) -> None:
        self._idle()
        self.viewer.close()

    # What users do

    @initialize(kind=st.sampled_from(sorted(KINDS)), choice=st.sampled_from(CHOICES), physical=st.booleans())
    def run_on_the_first_image(self, kind: str, choice: RunOn, physical: bool) -> None:
        self.physical = physical
        self.open_image(kind)
        self.choose_what_to_run_on(choice)
        self.run(augment=False)

    @rule(kind=st.sampled_from(sorted(KINDS)))
    def open_image(self, kind: str) -> None:
        self.number += 1
        pixels, arguments = KINDS[kind](self.number)
        if self.physical:
            # Else napari finds units and pixels side by side, and converts none.
            arguments = {"units": "um"} | arguments
        self._add_source(f"{kind} {self.number}", ImageLayer(pixels, name=f"{kind} {self.number}", **arguments))

    @rule(which=st.integers(0, 20), visible=st.booleans())
    def hide_or_show(self, which: int, visible: bool) -> None:
        if layer := self._pick(self.viewer.layers, which):
            layer.visible = visible

    @rule(which=st.integers(0, 20))
    def select(self, which: int) -> None:
        if layer := self._pick(self.viewer.layers, which):
            self.viewer.layers.selection = {layer}

    @rule(which=st.integers(0, 20))
    def rename(self, which: int) -> None:
        if layer := self._pick(self.viewer.layers, which):
            self.number += 1
            layer.name = f"renamed {self.number}"
            if isinstance(layer, ImageLayer) and METADATA_KEY not in layer.metadata:
                self.sources[layer.name] = layer

    @rule(which=st.integers(0, 20))
    def remove(self, which: int) -> None:
        if layer := self._pick(self.viewer.layers, which):
            self.viewer.layers.remove(layer)

    @precondition(lambda self: self._results())
    @rule(which=st.integers(0, 20))
    def duplicate_a_result(self, which: int) -> None:
        if layer := self._pick(self._results(), which):
            data, arguments, kind = layer.as_layer_data_tuple()
            self.viewer.add_layer(Layer.create(deepcopy(data), arguments, kind))  # as napari's Duplicate does

    @rule(which=st.sampled_from(["bright", "faint"]))
    def choose_model(self, which: str) -> None:
        self.widget.inputs.choose_model(which)

    @rule(which=st.integers(0, 20))
    def choose_image(self, which: int) -> None:
        box = self.widget.inputs.image
        if box.count():
            box.setCurrentIndex(which % box.count())
            box.activated.emit(box.currentIndex())

    @rule(part=st.floats(0, 1))
    def move_through_the_stack(self, part: float) -> None:
        if self.viewer.dims.ndim > 2:
            self.viewer.dims.set_current_step(0, round(part * (self.viewer.dims.nsteps[0] - 1)))

    @rule(choice=st.sampled_from(CHOICES))
    def choose_what_to_run_on(self, choice: RunOn) -> None:
        if choice is RunOn.RECTANGLE:
            self._draw_rectangle()
        self.widget.inputs.run_on.choose(choice)

    @rule(augment=st.booleans())
    def run(self, augment: bool) -> None:
        self.widget.object_size.augment.setChecked(augment)
        self.widget.runner.run.click()
        self._idle()

    @rule()
    def run_and_cancel(self) -> None:
        self.widget.runner.run.click()
        self.widget.runner.cancel.click()
        self._idle()

    @rule()
    def remove_the_image_during_the_run(self) -> None:
        layer = self.widget.inputs.layer()
        self.widget.runner.run.click()
        if layer is not None:
            self.viewer.layers.remove(layer)
        self._idle()

    @precondition(lambda self: self._results())
    @rule(value=st.sampled_from([0.3, 0.5, 0.8]))
    def slide_the_threshold(self, value: float) -> None:
        self.widget.adjust.threshold.setValue(value)
        self._idle()

    @precondition(lambda self: self._results())
    @rule(value=st.sampled_from([0, 12, 30]))
    def slide_the_minimum_size(self, value: int) -> None:
        self.widget.adjust.min_size.setValue(value)
        self._idle()

    @precondition(lambda self: self._results())
    @rule(which=st.integers(0, 20), row=st.integers(0, 7), column=st.integers(0, 7), label=st.integers(0, 40))
    def paint(self, which: int, row: int, column: int, label: int) -> None:
        if layer := self._pick(self._labels(), which):
            layer.brush_size = 3
            place = [0] * (layer.ndim - 2) + [row, column]
            layer.paint(place, label)
            self._idle()

    @precondition(lambda self: self._results())
    @rule(which=st.integers(0, 20), again=st.booleans())
    def undo(self, which: int, again: bool) -> None:
        if layer := self._pick(self._labels(), which):
            layer.redo() if again else layer.undo()
            self._idle()

    @precondition(lambda self: self._results())
    @rule()
    def update(self) -> None:
        self.widget.update_result()
        self._idle()

    @precondition(lambda self: self._results())
    @rule(output=st.sampled_from(["labels", "contours", "confidence"]))
    def tick(self, output: str) -> None:
        self.widget.adjust.outputs[output].toggle()
        self._idle()

    @precondition(lambda self: self._results())
    @rule(which=st.integers(0, 20), ending=st.sampled_from([".zip", ".geojson", ".ome.tif"]))
    def save_and_read_back(self, which: int, ending: str) -> None:
        layer = self._pick([layer for layer in self._results() if isinstance(layer, Labels | Shapes)], which)
        if layer is None or (isinstance(layer, Shapes) and ending == ".ome.tif") or self._is_empty(layer):
            return
        path = self.desk.folder / f"{self.number}{ending}"
        path.unlink(missing_ok=True)
        layer.save(str(path), plugin="napari-unetseg")
        if ending == ".ome.tif":
            self._check_pixels(layer, path)
        else:
            found = (read_geojson if ending == ".geojson" else read_rois)(path)
            boxes = self._boxes_of_labels(layer) if isinstance(layer, Labels) else self._boxes_of_shapes(layer)
            assert self._boxes_of_file(found) == boxes

    # What is always true

    @invariant()
    def records_reproduce_the_labels(self) -> None:
        for layer in self._labels():
            record = layer.metadata[METADATA_KEY]
            if record.get("edited_objects") is None:
                np.testing.assert_array_equal(np.squeeze(layer.data), np.squeeze(self._made_again(record)))

    @invariant()
    def headlines_speak_of_layers_that_are_there(self) -> None:
        headline = self.widget.runner.result.text()
        if not headline:
            return
        shown = self.widget.result
        assert shown is not None, headline
        layers = [shown.layer(output) for output in ("labels", "contours", "confidence")]
        assert any(layer is not None for layer in layers), headline
        labels, counted = shown.layer("labels"), re.match(r"(\d+|No) object", headline)
        if labels is not None and counted is not None:
            count = len(np.unique(labels.data[labels.data > 0]))
            assert counted[1] == (str(count) if count else "No"), headline

    @invariant()
    def sliders_show_the_selected_result(self) -> None:
        active = self.viewer.layers.selection.active
        shown = self.widget.result
        if shown is None or active is None or active not in [shown.layer("labels"), shown.layer("contours")]:
            return
        values = self.widget.adjust.parameters()
        recorded = active.metadata[METADATA_KEY]["parameters"]
        assert {name: recorded[name] for name in values} == pytest.approx(values)

    @invariant()
    def the_image_box_follows_the_active_image(self) -> None:
        active = self.viewer.layers.selection.active
        if active in self.sources.values():
            assert self.widget.inputs.layer() is active

    # How it is looked up

    def _idle(self) -> None:
        widget = self.widget
        self.desk.wait_until(
            lambda: (
                not (
                    widget.controller.running
                    or widget.live.busy
                    or widget.health.checking
                    or widget.object_size.estimator.busy
                    or widget.run_forecast.busy
                )
            ),
            timeout=20_000,
        )

    def _add_source(self, name: str, layer: ImageLayer) -> None:
        self.sources[name] = layer
        self.viewer.add_layer(layer)

    @staticmethod
    def _pick(layers: Any, which: int) -> Any:
        layers = list(layers)
        return layers[which % len(layers)] if layers else None

    def _results(self) -> list[Layer]:
        return [layer for layer in self.viewer.layers if METADATA_KEY in layer.metadata]

    def _labels(self) -> list[Labels]:
        """The label images of results, without contours that are shown as pixels."""
        return [layer for layer in self._results() if isinstance(layer, Labels) and "contours" not in layer.name]

    def _draw_rectangle(self) -> None:
        """Draw one over the left part of the chosen image, in a Shapes layer that lies as the image does."""
        layer = self.widget.inputs.layer()
        for shapes in [one for one in self.viewer.layers if one.name.startswith("rectangle")]:
            self.viewer.layers.remove(shapes)
        if layer is None:
            return
        corners = np.zeros((4, layer.ndim))
        corners[:, -2:] = [(5, 3), (5, 30), (33, 30), (33, 3)]
        transform = {"scale": layer.scale, "translate": layer.translate, "units": layer.units}
        drawn = Shapes([corners], shape_type="rectangle", name="rectangle", **transform)
        self.viewer.add_layer(drawn)
        self.viewer.layers.selection = {layer}

    def _made_again(self, record: dict[str, Any]) -> NDArray[np.int32]:
        key = repr({name: record[name] for name in ("image", "plane", "parameters", "model", "augmented", "link")})
        key += repr(record.get("region")) + record["axes"]
        if key not in self.known:
            recipe, source = RunRecipe.of(record), self.sources[record["image"]]
            at: list[Any] = [slice(None)] * source.ndim
            for axis, index in record["plane"].items():
                at[int(axis)] = int(index)
            for axis, span in zip((-2, -1), record.get("region") or (), strict=False):
                at[axis] = slice(*span)
            image = Image(source.data[tuple(at)], record["axes"], rgb=record["rgb"], name=record["image"])
            service = self.desk.services[record["model"]]
            self.known[key] = service.segment(image, **recipe.segment_options()).labels
        return self.known[key]

    def _origin(self, layer: Layer) -> NDArray[np.int64]:
        """Pixel of the image on which the first pixel of a result lies."""
        source = self.sources[layer.metadata[METADATA_KEY]["image"]]
        return np.rint(source.world_to_data(layer.data_to_world([0] * layer.ndim))).astype(int)

    def _is_empty(self, layer: Layer) -> bool:
        return not (layer.data.any() if isinstance(layer, Labels) else len(layer.data))

    def _boxes_of_labels(self, layer: Labels) -> dict[Where, Box]:
        origin, found = self._origin(layer), {}
        data = np.asarray(layer.data)
        for index in np.ndindex(data.shape[:-2]):
            place = tuple(int(i) for i in np.add(index, origin[:-2]))
            for label in np.unique(data[index][data[index] > 0]):
                rows, columns = np.nonzero(data[index] == label)
                spans = ((rows + origin[-2], 0), (columns + origin[-1], 0))
                low_high = tuple((float(values.min()) - 0.5, float(values.max()) + 0.5) for values, _ in spans)
                found[place, int(label)] = low_high
        return found

    def _boxes_of_shapes(self, layer: Shapes) -> dict[Where, Box]:
        origin, found = self._origin(layer), {}
        for vertices, label in zip(layer.data, layer.features["label"], strict=True):
            points = np.asarray(vertices) + origin
            place = tuple(int(i) for i in np.rint(points[0, :-2]))
            found.setdefault((place, int(label)), []).append(points[:, -2:])
        return {where: _box(np.concatenate(points)) for where, points in found.items()}

    @staticmethod
    def _boxes_of_file(file: Any) -> dict[Where, Box]:
        found: dict[Where, list[Any]] = {}
        for contour, position in zip(file.contours, file.positions, strict=True):
            places = [place for place in (position.t, position.c, position.z) if place is not None]
            found.setdefault((tuple(places), int(contour.label)), []).append(contour.exterior)
        return {where: _box(np.concatenate(points)) for where, points in found.items()}

    def _check_pixels(self, layer: Labels, path: Path) -> None:
        """A saved label image, laid over the image from its first pixel, is the layer."""
        saved = np.squeeze(read_image(path, axes=None if layer.ndim == 2 else "ZYX").array)
        source = self.sources[layer.metadata[METADATA_KEY]["image"]]
        frame = np.zeros((*layer.data.shape[:-2], *source.data.shape[source.ndim - 2 : source.ndim]), np.int64)
        row, column = self._origin(layer)[-2:]
        height, width = layer.data.shape[-2:]
        frame[..., row : row + height, column : column + width] = layer.data
        np.testing.assert_array_equal(saved, np.squeeze(frame))


def _box(points: NDArray[np.float64]) -> Box:
    (top, left), (bottom, right) = points.min(axis=0), points.max(axis=0)
    return (float(top), float(bottom)), (float(left), float(right))


@pytest.fixture(scope="session")
def two_models(bright_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelPackage, ...]:
    """A model of bright objects, and one that takes faint and tiny ones as well."""
    folder = tmp_path_factory.mktemp("faint") / "faint"
    folder.mkdir()
    (folder / "weights.safetensors").write_bytes((bright_model / "weights.safetensors").read_bytes())
    card = (bright_model / "model.yaml").read_text(encoding="utf-8")
    card = card.replace("name: bright", "name: faint", 1).replace("Bright objects", "Faint objects")
    card = card.replace("threshold: 0.5, min_size: 4", "threshold: 0.1, min_size: 0")
    (folder / "model.yaml").write_text(card, encoding="utf-8")
    return read_package(bright_model, "path"), read_package(folder, "path")


@pytest.fixture
def desk(make_napari_viewer: Any, qtbot: Any, two_models: tuple[ModelPackage, ...], tmp_path: Path) -> Desk:
    services = {package.name: SegmentationService(package.path, "cpu") for package in two_models}
    return Desk(make_napari_viewer, qtbot.waitUntil, two_models, services, tmp_path)


def explore(desk: Desk, examples: int) -> None:
    """Try so many sequences of 15 steps."""
    machine = type("Machine", (Window,), {"desk": desk})
    every = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=15,
            deadline=None,
            suppress_health_check=every,
            derandomize=examples < 100,
            database=None,
            # A real window takes seconds an example: shrinking would take longer than reading 15 steps.
            phases=[Phase.generate],
            report_multiple_bugs=False,
        ),
    )


def test_any_order_of_steps(desk: Desk) -> None:
    explore(desk, examples=30)


@pytest.mark.nightly
def test_any_order_of_steps_at_length(desk: Desk) -> None:
    explore(desk, examples=300)

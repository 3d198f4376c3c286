"""The rows for object size and averaging, in the real window."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Image as ImageLayer
from numpy.typing import NDArray

from napari_unetseg.layer_style import METADATA_KEY
from napari_unetseg.plugin.dock.object_size_row import can_rescale, comparison, is_far_off, likely_diameter, pixels
from napari_unetseg.plugin.functions import segment_layer
from napari_unetseg.plugin.widget import SegmentationWidget
from napari_unetseg.service import SegmentationService
from napari_unetseg.zoo.card import ModelCard, read_card
from napari_unetseg.zoo.registry import read_package

MakeWidget = Callable[..., SegmentationWidget]
Press = Callable[[SegmentationWidget], None]


def discs(diameter: int) -> NDArray[np.uint16]:
    pitch = 2 * diameter
    y, x = np.mgrid[: 4 * pitch, : 4 * pitch] % pitch
    return (1000 * (np.hypot(y - pitch / 2, x - pitch / 2) < diameter / 2)).astype(np.uint16)


@pytest.fixture
def estimated(qtbot: Any) -> Callable[[SegmentationWidget], None]:
    return lambda widget: qtbot.waitUntil(lambda: not widget.object_size.estimator.busy, timeout=20_000)


def test_a_guess_comes_with_the_image_and_one_click_rescales(
    make_widget: MakeWidget, press_run: Press, estimated: Press
) -> None:
    widget = make_widget(discs(40))
    rows = widget.object_size
    assert rows.text.text() == "expects objects of 12 px"
    assert not rows.rescale.isEnabled()
    estimated(widget)
    assert rows.image_diameter == pytest.approx(40, rel=0.15)
    assert rows.text.text().startswith("expects objects of 12 px, yours: ~")
    assert rows.badge.kind == "warning"
    rows.rescale.click()
    assert rows.diameter.value() == pytest.approx(rows.image_diameter, abs=0.05)
    assert rows.badge.kind == "plain"
    press_run(widget)
    record = widget.viewer.layers["cells labels"].metadata[METADATA_KEY]
    assert record["diameter"] == rows.diameter.value()
    assert record["resized_to"] is not None
    assert widget.viewer.layers["cells labels"].data.max() == 16
    assert "~" not in rows.text.text()


def test_what_a_run_found_stays_until_another_image_is_chosen(
    make_widget: MakeWidget, press_run: Press, estimated: Press
) -> None:
    widget = make_widget(discs(16))
    estimated(widget)
    press_run(widget)
    found = widget.object_size.text.text()
    assert found == "expects objects of 12 px, yours: 16 px"
    widget.viewer.add_points([[1, 1]])
    assert widget.object_size.text.text() == found
    layer = widget.viewer.add_image(np.zeros((30, 30)), name="empty")
    widget.inputs.choose_layer(layer)
    assert widget.object_size.text.text() == "expects objects of 12 px"


def test_an_image_that_is_not_in_memory_is_not_read_for_a_guess(make_widget: MakeWidget) -> None:
    class Lazy:
        shape, ndim, dtype = (48, 64), 2, np.dtype(np.uint16)

        def __getitem__(self, key: Any) -> NDArray[np.uint16]:
            return discs(40)[:48, :64][key]

        def __array__(self, *_: Any, **__: Any) -> NDArray[np.uint16]:
            return self[:]

    widget = make_widget(ImageLayer(Lazy(), contrast_limits=(0, 1000)))
    assert not widget.object_size.estimator.busy


def test_a_model_without_a_size_offers_no_rescale(make_widget: MakeWidget, estimated: Press) -> None:
    widget = make_widget(discs(40))
    estimated(widget)
    widget.object_size.rescale.click()
    package = widget.inputs.package()
    assert package is not None
    widget.object_size.use_card(package.card.model_copy(update={"object_size": None}))
    assert not widget.object_size.diameter.isEnabled()
    assert not widget.object_size.rescale.isEnabled()
    assert widget.object_size.segment_options() == {"diameter": None, "augment": False}


def test_nothing_moves_when_the_guess_comes_and_warns(make_widget: MakeWidget, estimated: Press) -> None:
    widget = make_widget()
    before = [row.geometry() for row in (widget.object_size, widget.runner, widget.message, widget.adjust)]
    widget.viewer.add_image(discs(40), name="cells")
    estimated(widget)
    assert widget.object_size.badge.kind == "warning"
    assert [row.geometry() for row in (widget.object_size, widget.runner, widget.message, widget.adjust)] == before
    assert widget.object_size.minimumSizeHint().width() <= 320


def test_window_function_command_and_service_agree(
    make_widget: MakeWidget,
    press_run: Press,
    service: SegmentationService,
    bright_model: Any,
    qtbot: Any,
    tmp_path: Any,
) -> None:
    import tifffile

    image = discs(20)
    expected = service.segment(image, diameter=17.5, augment=True)
    assert expected.provenance.resized_to == (110, 110)
    widget = make_widget(image)
    widget.object_size.diameter.setValue(17.5)
    widget.object_size.augment.setChecked(True)
    press_run(widget)
    shown = widget.viewer.layers["cells labels"]
    np.testing.assert_array_equal(shown.data, expected.labels)
    assert "agreement" in shown.features

    layer = ImageLayer(image)
    worker = segment_layer(layer, str(bright_model), "cpu", diameter=17.5, augment=True)
    with qtbot.waitSignal(worker.returned, timeout=30_000) as returned:
        pass
    np.testing.assert_array_equal(returned.args[0][0][0], expected.labels)

    tifffile.imwrite(tmp_path / "a.tif", image)
    command = [sys.executable, "-m", "napari_unetseg", "segment", str(tmp_path / "a.tif"), "--model", str(bright_model)]
    subprocess.run([*command, "--diameter", "17.5", "--tta", "--device", "cpu", "--save", "table"], check=True)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "segmented" / "a_labels.tif"), expected.labels)
    assert "agreement" in (tmp_path / "segmented" / "a_table.csv").read_text().splitlines()[0]


def test_a_model_that_rescales_by_itself_says_so_and_does_not_warn(
    make_widget: MakeWidget, estimated: Press, bright_model: Any
) -> None:
    widget = make_widget(discs(40))
    rows, card = widget.object_size, read_card(bright_model / "model.yaml")
    estimated(widget)
    assert rows.diameter.text() == "not rescaled"
    assert rows.badge.kind == "warning"
    rows.use_card(card.model_copy(update={"object_sizes": (8.0, 18.0)}))
    assert rows.diameter.text() == "automatic"
    assert rows.badge.kind == "plain"
    assert rows.segment_options()["diameter"] is None


@pytest.fixture(scope="module")
def card(bright_model: Path) -> ModelCard:
    """It expects objects of 12 pixels."""
    return read_package(bright_model, "path").card


@pytest.mark.parametrize(("diameter", "text"), [(8.46, "8.5"), (8.0, "8"), (26.7, "27"), (9.97, "10")])
def test_a_decimal_only_where_it_tells_something(diameter: float, text: str) -> None:
    assert pixels(diameter) == text


@pytest.mark.parametrize(
    ("found", "guessed", "text"),
    [
        (None, None, "expects objects of 12 px"),
        (None, 26.7, "expects objects of 12 px, yours: ~27 px"),
        (20.2, None, "expects objects of 12 px, yours: 20 px"),
        (20.2, 27.0, "expects objects of 12 px, yours: 20 px"),
        (20.2, 41.0, "expects objects of 12 px, yours: ~41 px"),
        (20.2, 5.0, "expects objects of 12 px, yours: 20 px"),
    ],
)
def test_what_was_found_goes_before_a_guess_unless_it_looks_like_pieces(
    card: ModelCard, found: float | None, guessed: float | None, text: str
) -> None:
    assert comparison(card, found, guessed) == text


def test_models_that_cannot_rescale_say_why(card: ModelCard) -> None:
    assert comparison(None, 5, 5) == ""
    unsized = card.model_copy(update={"object_size": None})
    fixed = card.model_copy(update={"image_size": (64, 32)})
    assert comparison(unsized, 5, None) == "does not say which object size it expects"
    assert comparison(fixed, 5, None) == "sees all images at 64 x 32 px"
    assert [can_rescale(each) for each in (card, unsized, fixed, None)] == [True, False, False, False]
    assert not any(is_far_off(each, 100, None) for each in (unsized, fixed, None))


@pytest.mark.parametrize(
    ("image_diameter", "diameter", "far"),
    [
        *((None, None, False), (12, None, False), (24, None, False), (25, None, True), (6, None, False)),
        *((5, None, True), (25, 25, False), (25, 12, True), (12, 30, True)),
    ],
)
def test_far_off_is_more_than_twice_what_the_model_will_see(
    card: ModelCard, image_diameter: float | None, diameter: float | None, far: bool
) -> None:
    assert is_far_off(card, image_diameter, diameter) is far


def test_nothing_known_gives_nothing() -> None:
    assert likely_diameter(None, None) is None


@pytest.mark.parametrize(
    ("image_diameter", "found", "far"),
    [
        *((30, None, False), (37, None, True), (48, None, False)),  # among the sizes it sees well, 8 to 40
        *((100, None, False), (100, 100, False), (100, 20, True)),  # it looks again, but where it found pieces
        *((5, None, False), (5, 5, False)),
    ],
)
def test_a_model_that_rescales_by_itself_is_warned_of_where_it_does_not(
    card: ModelCard, image_diameter: float, found: float | None, far: bool
) -> None:
    choosy = card.model_copy(update={"object_sizes": (8.0, 40.0)})
    assert is_far_off(choosy, image_diameter, None, found=found) is far


def test_a_model_that_was_unsure_of_what_it_saw_is_warned_of(card: ModelCard) -> None:
    fixed = card.model_copy(update={"image_size": (64, 32), "object_size": None})
    for each in (card, card.model_copy(update={"object_sizes": (8.0, 18.0)})):
        assert is_far_off(each, 12, None, found=12, unsure=True)
        assert is_far_off(each, None, None, unsure=True)
        assert not is_far_off(each, 12, None, found=12)
    assert not is_far_off(fixed, 12, None, unsure=True)


def test_the_sign_comes_with_an_unsure_result_and_goes_with_rescale(
    make_widget: MakeWidget, press_run: Press, estimated: Press
) -> None:
    faint = np.zeros((60, 90), np.float32)
    faint[5:17, 5:17] = faint[30:42, 40:52] = 0.52  # of which the model is hardly sure
    faint[50, 70] = 1
    widget = make_widget(faint)
    rows = widget.object_size
    estimated(widget)
    press_run(widget)
    assert rows.text.text() == "expects objects of 12 px, yours: 14 px"
    assert rows.badge.kind == "warning"
    assert "unsure" in rows.text.toolTip()
    rows.rescale.click()
    assert rows.diameter.value() == pytest.approx(13.5, abs=0.1)
    assert rows.badge.kind == "plain"
    widget.inputs.choose_layer(widget.viewer.add_image(discs(12), name="sure"))
    rows.diameter.setValue(0)
    estimated(widget)
    press_run(widget)
    assert rows.badge.kind == "plain"

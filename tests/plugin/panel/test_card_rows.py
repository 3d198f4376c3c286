from typing import Any

import pytest

from napari_unetseg.plugin.panel.card_rows import CardView, card_rows, parameters
from napari_unetseg.zoo.card import IMAGENET, MinMax
from napari_unetseg.zoo.cross_validated import CrossValidated, Figures, FoundOfSize
from napari_unetseg.zoo.registry import ModelPackage, find_model


def test_the_bundled_card_in_short() -> None:
    rows = card_rows(find_model("nuclei").card)
    assert rows["input"] == "RGB (grey is repeated), any size, percentiles 1 to 99.8 scaled to 0..1"
    assert rows["objects"].endswith("px wide, divided where they touch")
    assert rows["training"].startswith("660 images of BBBC038v1")
    assert "CC0" in rows["training"]
    assert "(660 images, cross-validated in 3 parts)" in rows["scores"]
    assert rows["licence"] == "BSD-3-Clause"


def test_what_a_card_leaves_open_is_said(package: ModelPackage) -> None:
    rows = card_rows(package.card)
    assert (rows["training"], rows["scores"]) == ("not stated", "none stated")
    grey = package.card.model_copy(update={"input_channels": 1, "image_size": (64, 32), "normalisation": MinMax()})
    assert card_rows(grey)["input"] == (
        "grey (colours are averaged), stretched to 64 x 32 px, smallest to largest value scaled to 0..1"
    )
    imagenet = package.card.model_copy(update={"normalisation": IMAGENET, "object_size": None, "decoder": "threshold"})
    assert "fixed mean" in card_rows(imagenet)["input"]
    assert card_rows(imagenet)["objects"] == "of any size, not divided where they touch"


def test_cross_validated_scores_come_first_by_kind_and_by_size(package: ModelPackage) -> None:
    kinds = {kind: Figures(images=5, dice=0.8, iou=0.7, ap50=ap50) for kind, ap50 in (("fluo", 0.7), ("stained", 0.5))}
    sizes = {"8 to 12 px": FoundOfSize(objects=9, found=0.444), "12 to 16 px": FoundOfSize(objects=7, found=0.9)}
    validated = CrossValidated(
        **{"images": 10, "dice": 0.8, "iou": 0.7, "ap50": 0.6, "folds": 3, "spread": {"ap50": 0.04}},
        **{"per_kind": kinds, "per_fold": {}, "by_size": sizes},
    )
    scores = {"validation": {"images": 4, "dice": 0.9}, "cross_validation": validated.model_dump(exclude_none=True)}
    assert card_rows(package.card.model_copy(update={"scores": scores}))["scores"].splitlines() == [
        "dice 0.8, ap50 0.6 ± 0.04 (10 images, cross-validated in 3 parts)",
        "ap50 by kind: fluo 0.70, stained 0.50",
        "found, by diameter: 8 to 12 px 44%, 12 to 16 px 90%",
    ]


@pytest.mark.parametrize(
    ("count", "live", "words"),
    [
        (None, None, "known once it is loaded"),
        (612, 612, "612"),
        (1_944_000, 1_944_000, "1.94 M"),
        (45_197_505, 31_037_633, "45.20 M, 31.04 M live"),
    ],
)
def test_parameters(count: int | None, live: int | None, words: str) -> None:
    class Info:
        model_parameters, live_parameters = count, live

    assert parameters(Info()) == words  # type: ignore[arg-type]


def test_the_card_is_there_before_anything_is_loaded(qtbot: Any, package: ModelPackage) -> None:
    view = CardView()
    qtbot.addWidget(view)
    assert view.title.text() == "No model"
    view.show_model(package)
    assert view.title.text() == "Bright objects (path)"
    assert view.description.text() == "Pixels above half of the normalised intensity."
    assert view.values["licence"].text() == "CC0-1.0"
    assert all(value.toolTip() for value in view.values.values())

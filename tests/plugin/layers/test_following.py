from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from napari.layers import Image as ImageLayer
from numpy.typing import NDArray

from napari_unetseg.plugin.layers.axes import guess
from napari_unetseg.plugin.layers.following import follow_edits, with_changed
from napari_unetseg.plugin.layers.plane import Plane, plane_at
from napari_unetseg.postprocessing.layer_data import label_features, outline_labels, outlines
from napari_unetseg.service import Segmentation, SegmentationService

NOBODY = np.empty(0, np.int32)


@pytest.fixture
def plane(squares: NDArray[np.uint16]) -> Plane:
    layer = ImageLayer(squares, name="cells")
    return plane_at(layer, {}, guess(layer, (0, 1)))


def edit(labels: NDArray[np.int32], kind: str) -> NDArray[np.int32]:
    edited = labels.copy()
    if kind == "removed":
        edited[edited == 2] = 0
    elif kind == "added":
        edited[30:35, 3:9] = 7
    elif kind == "moved":
        edited[edited == 1] = 0
        edited[12:16, 40:44] = 1
    elif kind == "far away":
        edited[46, 62] = 1
    return edited


@pytest.mark.parametrize("kind", ["removed", "added", "moved", "far away", "nothing"])
@pytest.mark.parametrize("as_pixels", [False, True])
def test_what_changed_is_as_if_all_had_been_measured(
    segmentation: Segmentation, plane: Plane, kind: str, as_pixels: bool
) -> None:
    before = label_features(segmentation)
    labels = edit(segmentation.labels, kind)
    followed = follow_edits(segmentation, plane, segmentation.labels, before, labels, NOBODY, as_pixels=as_pixels)
    now = with_changed(before, followed).drop(columns="edited", errors="ignore")
    whole = label_features(replace(segmentation, labels=labels))
    pd.testing.assert_frame_equal(now, whole, check_dtype=False)
    assert followed.count == len(whole)
    if as_pixels and followed.box is not None:
        drawn = outline_labels(segmentation.labels)
        drawn[followed.box] = followed.pixels
        np.testing.assert_array_equal(drawn, outline_labels(labels))
    elif followed.outlines is not None:
        compact = np.searchsorted(np.unique(labels), labels).astype(np.int32)
        every = outlines(replace(segmentation, labels=compact), plane.placement)
        assert every is not None
        polygons = {polygon.tobytes() for polygon in every.polygons}
        assert {polygon.tobytes() for polygon in followed.outlines.polygons} <= polygons
        assert set(followed.outlines.features["label"]) == set(followed.features["index"])


def test_objects_are_told_to_be_edited_for_as_long_as_they_are(segmentation: Segmentation, plane: Plane) -> None:
    before = label_features(segmentation)
    added = edit(segmentation.labels, "added")
    first = follow_edits(segmentation, plane, segmentation.labels, before, added, NOBODY, as_pixels=False)
    assert first.edited.tolist() == [7]
    table = with_changed(before, first)
    assert table.loc[table["edited"], "index"].tolist() == [7]
    undone = follow_edits(segmentation, plane, first.labels, table, segmentation.labels, NOBODY, as_pixels=False)
    pd.testing.assert_frame_equal(with_changed(table, undone), before, check_dtype=False)


def test_positions_in_a_part_of_an_image_are_those_in_the_image(
    service: SegmentationService, squares: Any, plane: Plane
) -> None:
    segmentation = service.segment(squares)
    moved = replace(segmentation, image=replace(segmentation.image, origin=(100, 200)))
    labels = edit(moved.labels, "moved")
    followed = follow_edits(moved, plane, moved.labels, label_features(moved), labels, NOBODY, as_pixels=False)
    whole = label_features(replace(moved, labels=labels))
    pd.testing.assert_frame_equal(
        with_changed(label_features(moved), followed).drop(columns="edited"), whole, check_dtype=False
    )

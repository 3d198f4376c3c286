import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_unetseg.postprocessing import pieces as module
from napari_unetseg.postprocessing.contours import trace_contours
from napari_unetseg.postprocessing.measurements import measure
from napari_unetseg.postprocessing.pieces import pieces

label_images = arrays(
    np.int32, st.tuples(st.integers(1, 20), st.integers(1, 20)), elements=st.sampled_from([0, 0, 0, 1, 2, 5, 9])
)


@given(label_images, st.integers(1, 9))
@settings(deadline=None, max_examples=80)
def test_every_object_is_in_one_piece_and_whole(labels, side):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SIDE", side)
        given_pieces = list(pieces(labels))
    together = np.zeros_like(labels)
    for piece in given_pieces:
        shown = together[piece.rows, piece.columns]
        assert not shown[piece.labels > 0].any()
        shown += piece.labels
        assert not set(np.unique(piece.labels)) - {0} & set().union(
            *(set(np.unique(other.labels)) - {0} for other in given_pieces if other is not piece)
        )
        np.testing.assert_array_equal(piece.of(labels)[piece.labels > 0], piece.labels[piece.labels > 0])
    np.testing.assert_array_equal(together, labels)


@given(label_images, st.integers(1, 9))
@settings(deadline=None, max_examples=60)
def test_contours_and_measurements_do_not_depend_on_the_pieces(labels, side):
    y, x = np.indices(labels.shape)
    planes = {"foreground": (y % 3 / 3 + x % 2 / 4).astype(np.float32), "intensity": (y * 7 + x)[None]}
    contours, table = (
        trace_contours(labels),
        measure(labels, **planes, scale=(0.5, 0.25), unit="micrometer"),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SIDE", side)
        in_pieces = trace_contours(labels)
        rows = measure(labels, **planes, scale=(0.5, 0.25), unit="micrometer")
    assert [contour.label for contour in contours] == [contour.label for contour in in_pieces]
    for one, other in zip(contours, in_pieces, strict=True):
        assert one.exterior.tolist() == other.exterior.tolist()
        assert [hole.tolist() for hole in one.holes] == [hole.tolist() for hole in other.holes]
    assert list(table) == list(rows)
    for name, column in table.items():
        np.testing.assert_allclose(rows[name], column, rtol=1e-9, atol=1e-7, err_msg=name)

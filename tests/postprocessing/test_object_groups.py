import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_unetseg.postprocessing import object_groups
from napari_unetseg.postprocessing.contours import trace_contours
from napari_unetseg.postprocessing.measurements import measure

label_images = arrays(
    np.int32, st.tuples(st.integers(1, 20), st.integers(1, 20)), elements=st.sampled_from([0, 0, 0, 1, 2, 5, 9])
)


@given(label_images, st.integers(1, 9))
@settings(deadline=None, max_examples=80)
def test_every_object_is_in_one_group_and_whole(labels, side):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(object_groups, "GROUP_SIDE", side)
        groups = list(object_groups.object_groups(labels))
    together = np.zeros_like(labels)
    for group in groups:
        shown = together[group.rows, group.columns]
        assert not shown[group.labels > 0].any()
        shown += group.labels
        assert not set(np.unique(group.labels)) - {0} & set().union(
            *(set(np.unique(other.labels)) - {0} for other in groups if other is not group)
        )
        np.testing.assert_array_equal(group.crop(labels)[group.labels > 0], group.labels[group.labels > 0])
    np.testing.assert_array_equal(together, labels)


@given(label_images, st.integers(1, 9))
@settings(deadline=None, max_examples=60)
def test_contours_and_measurements_do_not_depend_on_the_groups(labels, side):
    y, x = np.indices(labels.shape)
    planes = {"foreground": (y % 3 / 3 + x % 2 / 4).astype(np.float32), "intensity": (y * 7 + x)[None]}
    contours, table = (
        trace_contours(labels),
        measure(labels, **planes, scale=(0.5, 0.25), unit="micrometer"),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(object_groups, "GROUP_SIDE", side)
        in_groups = trace_contours(labels)
        rows = measure(labels, **planes, scale=(0.5, 0.25), unit="micrometer")
    assert [contour.label for contour in contours] == [contour.label for contour in in_groups]
    for one, other in zip(contours, in_groups, strict=True):
        assert one.exterior.tolist() == other.exterior.tolist()
        assert [hole.tolist() for hole in one.holes] == [hole.tolist() for hole in other.holes]
    assert list(table) == list(rows)
    for name, column in table.items():
        np.testing.assert_allclose(rows[name], column, rtol=1e-9, atol=1e-7, err_msg=name)

import numpy as np
from scipy import ndimage

from napari_unetseg.training.targets import crowding, distance_target, flow_target, training_targets


def test_a_bar_rises_to_its_middle_line() -> None:
    labels = np.zeros((7, 9), np.int32)
    labels[1:6, :] = 3  # from border to border, and with a gap in the numbering
    expected = np.array([0, 0, 1, 2, 1, 0, 0]) / 2
    np.testing.assert_allclose(distance_target(labels), np.repeat(expected[:, None], 9, axis=1), rtol=1e-6)


def test_touching_objects_each_have_their_own_edge() -> None:
    labels = np.zeros((5, 12), np.int32)
    labels[1:4, 1:6] = 1
    labels[1:4, 6:11] = 2
    target = distance_target(labels)
    # Alone, each half is the same.
    for label in (1, 2):
        alone = distance_target(np.where(labels == label, labels, 0).astype(np.int32))
        np.testing.assert_array_equal(target[labels == label], alone[labels == label])
    np.testing.assert_array_equal(target[2], [0, 0, 1, 1, 1, 0, 0, 1, 1, 1, 0, 0])


def test_each_object_peaks_at_one_whatever_its_size() -> None:
    labels = np.zeros((40, 60), np.int32)
    labels[2:5, 2:5] = 1
    labels[5:35, 20:50] = 2
    labels[38, 58] = 3
    target = distance_target(labels)
    np.testing.assert_array_equal(ndimage.maximum(target, labels, [1, 2, 3]), [1, 1, 1])
    assert (target[labels == 0] == 0).all()


def test_the_image_border_is_no_edge() -> None:
    labels = np.zeros((10, 10), np.int32)
    labels[:, :4] = 1
    np.testing.assert_allclose(distance_target(labels)[5, :5], [1, 2 / 3, 1 / 3, 0, 0], rtol=1e-6)


def test_an_object_that_fills_the_image_is_all_core() -> None:
    assert (distance_target(np.ones((4, 5), np.int32)) == 1).all()


def test_a_line_without_an_inside_is_all_core() -> None:
    labels = np.zeros((5, 9), np.int32)
    labels[2, 1:8] = 1
    np.testing.assert_array_equal(distance_target(labels), labels)


def test_pixels_near_two_objects_are_crowded() -> None:
    labels = np.zeros((1, 16), np.int32)
    labels[0, 1:5] = 7
    labels[0, 6:10] = 2
    labels[0, 15] = 3
    # Two pixels away from an object on either side, background included; never near one object alone.
    np.testing.assert_array_equal(crowding(labels)[0, :12], [0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0])


def test_targets_are_stacked_in_the_order_of_the_heads() -> None:
    labels = np.zeros((6, 6), np.int32)
    labels[1:4, 1:4] = 1
    labels[1:4, 4:6] = 2
    targets = training_targets(labels)
    assert targets.dtype == np.float32
    for found, expected in zip(
        targets, (labels > 0, distance_target(labels), crowding(labels), *flow_target(labels)), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


def test_no_objects_give_an_empty_target() -> None:
    target = distance_target(np.zeros((4, 5), np.int32))
    assert target.dtype == np.float32
    assert not target.any()


def test_flows_lead_away_from_a_shared_edge() -> None:
    labels = np.zeros((21, 42), np.int32)
    labels[:, :21] = 1
    labels[:, 21:] = 2
    labels[0] = labels[-1] = labels[:, 0] = labels[:, -1] = 0
    _, across = flow_target(labels)
    middle = across[10]
    np.testing.assert_allclose(middle[[1, 20, 21, 40]], [1, -1, 1, -1], atol=0.05)
    assert (np.abs(middle[1:11]) >= np.abs(middle[2:12])).all()  # shorter and shorter towards the core
    assert not flow_target(labels)[:, labels == 0].any()


def test_no_vector_is_longer_than_one() -> None:
    labels = np.random.default_rng(0).integers(0, 4, (40, 40)).astype(np.int32)
    assert np.linalg.norm(flow_target(labels), axis=0).max() <= 1 + 1e-6


def test_where_nobody_looked_nothing_is_taught_and_cut_objects_teach_no_depth() -> None:
    labels = np.full((20, 30), -1, np.int32)
    labels[:, :20] = 0
    labels[5:10, 3:8] = 1
    labels[5:10, 15:20] = 2  # goes on where nobody looked
    foreground, distance, boundary, *flows = training_targets(labels)
    known = labels >= 0
    assert np.array_equal(np.isnan(foreground), ~known)
    assert np.array_equal(np.isnan(distance), ~known | (labels == 2))
    for flow in flows:
        assert np.array_equal(np.isnan(flow), ~known | (labels == 2))
    # Whether a neighbour lies within two pixels is known only where these were looked at.
    assert np.array_equal(np.isnan(boundary), np.broadcast_to(np.arange(30) >= 18, labels.shape))
    alone = training_targets(np.where(labels == 1, 1, 0).astype(np.int32))
    near = (slice(None), slice(0, 12))
    assert np.array_equal(np.stack([foreground, distance, boundary])[:, *near], alone[:3][:, *near])


def test_an_empty_region_teaches_background() -> None:
    labels = np.full((9, 9), -1, np.int32)
    labels[2:7, 2:7] = 0
    foreground, distance, *_ = training_targets(labels)
    assert (foreground[2:7, 2:7] == 0).all()
    assert (distance[2:7, 2:7] == 0).all()

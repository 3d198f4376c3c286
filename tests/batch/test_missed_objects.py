"""Faint spots without an object are places to look at."""

import numpy as np

from napari_unetseg.batch.missed_objects import find_missed


def squares(*corners, side=6, shape=(64, 64), value=1):
    plane = np.zeros(shape)
    for y, x in corners:
        plane[y : y + side, x : x + side] = value
    return plane


def test_a_faint_spot_is_found_where_it_lies_and_how_faint_it_is():
    labels = squares((4, 4)).astype(np.int32)
    confidence = squares((4, 4), value=0.9) + squares((30, 40), value=0.4)
    (spot,) = find_missed(labels, confidence, threshold=0.5, area=36)
    assert (spot.label, spot.plane, spot.bbox) == (0, (), (30, 40, 36, 46))
    assert "confidence 0.40" in spot.reasons[0]


def test_large_objects_are_looked_for_on_fewer_pixels_and_lie_where_they_lie():
    labels = squares((0, 0), side=64, shape=(501, 503)).astype(np.int32)
    confidence = squares((401, 403), side=100, shape=(501, 503), value=0.4)
    (spot,) = find_missed(labels, confidence, threshold=0.5, area=64**2)
    assert np.abs(np.subtract(spot.bbox, (401, 403, 501, 503))).max() <= 8
    assert spot.bbox[2:] == (501, 503)


def test_rims_specks_and_haze_are_no_objects():
    labels = squares((4, 4)).astype(np.int32)
    rim = squares((3, 3), side=8, value=0.4)
    speck = squares((50, 50), side=2, value=0.4)
    haze = squares((30, 30), side=10, value=0.2)
    assert find_missed(labels, rim + speck + haze, threshold=0.5, area=36) == []


def test_the_largest_come_first_and_their_number_is_bounded():
    corners = [(y, x) for y in range(0, 400, 8) for x in range(0, 400, 8)]
    confidence = squares(*corners, side=4, shape=(400, 400), value=0.4)
    confidence[0:6, 0:6] = 0.4
    spots = find_missed(np.zeros((400, 400), np.int32), confidence, threshold=0.5, area=16)
    assert len(spots) == 200
    assert spots[0].bbox == (0, 0, 6, 6)

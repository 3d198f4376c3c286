import numpy as np
import pytest

from napari_unetseg.postprocessing.shape import Moments, Regions, ellipse_perimeters, perimeters


def test_regions_list_their_pixels_in_raster_order():
    regions = Regions.of(np.array([[0, 7], [3, 7]]))
    assert regions.labels.tolist() == [3, 7]
    assert regions.pixels.tolist() == [1, 2, 3]
    assert regions.owner.tolist() == [1, 0, 1]
    assert regions.area.tolist() == [1, 2]
    assert regions.bounding_boxes.tolist() == [[1, 0, 2, 1], [0, 1, 2, 2]]


def test_moments_are_variances_about_the_centroid():
    moments = Moments.of(Regions.of(np.ones((3, 5), dtype=np.int32)))
    assert [moments.y.item(), moments.x.item()] == [1, 2]
    assert [moments.yy.item(), moments.xx.item(), moments.xy.item()] == pytest.approx([2 / 3, 2, 0])


def test_scaled_moments_are_those_of_the_scaled_coordinates():
    moments = Moments.of(Regions.of(np.array([[1, 1, 0], [0, 1, 1], [0, 0, 1]])))
    y, x = np.array([0, 0, 1, 1, 2]) * 3.0, np.array([0, 1, 1, 2, 2]) * 0.5
    scaled = moments.scaled((3.0, 0.5))
    found = [scaled.y.item(), scaled.x.item(), scaled.yy.item(), scaled.xx.item(), scaled.xy.item()]
    assert found == pytest.approx([y.mean(), x.mean(), y.var(), x.var(), np.mean((y - y.mean()) * (x - x.mean()))])


def test_a_far_away_object_keeps_its_precision():
    near, far = np.zeros((2, 5000, 10), dtype=np.int32)
    near[:3, :4], far[-3:, -4:] = 1, 1
    one, other = (Moments.of(Regions.of(labels)) for labels in (near, far))
    assert one.principal[0] == pytest.approx(other.principal[0], rel=1e-12)


def test_the_ellipse_of_a_disc_has_its_circumference():
    y, x = np.indices((121, 121)) - 60
    moments = Moments.of(Regions.of((y**2 + x**2 <= 50**2).astype(np.int32)))
    assert ellipse_perimeters(moments).item() == pytest.approx(2 * np.pi * 50, rel=2e-3)


def test_neighbours_do_not_change_a_perimeter():
    alone = np.zeros((6, 8), dtype=np.int32)
    alone[1:5, 1:4] = 1
    beside = alone.copy()
    beside[1:5, 4:7] = 2
    assert perimeters(Regions.of(beside)).tolist() == perimeters(Regions.of(alone)).tolist() * 2

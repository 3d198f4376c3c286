import numpy as np
import pytest
from skimage.morphology import convex_hull_image

from napari_unetseg.postprocessing.hulls import convex_areas
from napari_unetseg.postprocessing.shape import Regions


@pytest.mark.parametrize("density", [0.02, 0.1, 0.5])
@pytest.mark.parametrize("seed", range(5))
def test_scattered_pixels_have_the_hull_of_scikit_image(density, seed):
    mask = np.random.default_rng(seed).random((60, 45)) < density
    (area,) = convex_areas(Regions.of(mask.astype(np.int32)))
    assert area == convex_hull_image(mask).sum()


def test_a_hull_reaches_over_empty_rows_and_other_objects():
    labels = np.zeros((9, 5), dtype=np.int32)
    labels[0], labels[8], labels[4] = 1, 1, 2
    assert convex_areas(Regions.of(labels)).tolist() == [45, 5]


def test_no_objects_have_no_hulls():
    assert convex_areas(Regions.of(np.zeros((3, 3), dtype=np.int32))).shape == (0,)

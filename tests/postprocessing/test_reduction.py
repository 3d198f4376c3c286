import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_unetseg.postprocessing.basins import find_basins, join_blocks
from napari_unetseg.postprocessing.merging import join_fragments, merge_basins
from napari_unetseg.postprocessing.reduction import open_basins, reduce_basins

levels = st.sampled_from(
    [
        lambda rng, shape: rng.integers(0, 7, shape),
        lambda rng, shape: rng.random(shape),
        lambda rng, shape: 1 + rng.integers(0, 3, shape) / 40,
        lambda rng, shape: rng.random(shape) ** 6,
    ]
)


def objects_by_block(heights, side, split, *, reduced):
    """Objects of an image in blocks of this side, numbered by their first pixel, and how many parts that took."""
    framed = np.pad(heights, 1, constant_values=-np.inf)
    numbers = np.zeros(heights.shape, np.int64)
    blocks, parts = [], []
    for top in range(0, heights.shape[0], side):
        for left in range(0, heights.shape[1], side):
            block = tuple(
                slice(start, min(start + side, length))
                for start, length in zip((top, left), heights.shape, strict=True)
            )
            around = framed[block[0].start : block[0].stop + 2, block[1].start : block[1].stop + 2]
            basins, own = find_basins(around, block, heights.shape)
            if reduced:
                is_open = open_basins(own, block, heights.shape, len(basins.peak))
                basins, group = reduce_basins(basins, is_open, split)
                own = np.append(group, -1)[own - 1] + 1
            numbers[block] = own
            blocks.append(block)
            parts.append(basins)
    basins, meaning = join_blocks(blocks, parts, heights.shape[1], lambda row, column: numbers[row, column])
    owner = np.append(join_fragments(basins, merge_basins(basins, split), split), -1)
    for block, means in zip(blocks, meaning, strict=True):
        numbers[block] = owner[means[numbers[block]]]
    _, first, inverse = np.unique(numbers, return_index=True, return_inverse=True)
    return first[inverse].reshape(heights.shape), sum(len(part.peak) for part in parts)


@given(st.integers(0, 2**32), levels, st.integers(1, 40), st.integers(1, 40), st.integers(2, 40), st.floats(0.01, 1))
@settings(deadline=None, max_examples=250)
def test_groups_of_basins_give_the_same_objects(seed, level, height, width, side, split):
    rng = np.random.default_rng(seed)
    heights = level(rng, (height, width)).astype(np.float32)
    heights[rng.random((height, width)) < rng.choice([0, 0.05, 0.3])] = -np.inf
    expected, _ = objects_by_block(heights, 64, split, reduced=False)
    objects, _ = objects_by_block(heights, side, split, reduced=True)
    np.testing.assert_array_equal(objects, expected)


def test_what_is_left_are_about_the_objects_and_what_leads_out_of_the_block():
    y, x = np.mgrid[:200, :200]
    heights = 0.9 + np.sin(y / 5) * np.sin(x / 5) + np.random.default_rng(0).normal(0, 0.02, y.shape)
    objects, parts = objects_by_block(heights.astype(np.float32), 200, 0.5, reduced=True)
    _, basins = objects_by_block(heights.astype(np.float32), 200, 0.5, reduced=False)
    assert parts < 1.1 * len(np.unique(objects)) < basins / 3

"""Windows of networks that take certain sizes alone."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_unetseg.inference.tiling.plan import TileLimits, plan_tiling
from napari_unetseg.networks.facts import network_facts
from napari_unetseg.zoo.card import ModelCard

sizes = st.integers(1, 300)


@st.composite
def foreign_cards(draw):
    """Cards of networks with and without a halo, a largest side, and steps."""
    halo = draw(st.integers(0, 20))
    step = draw(st.sampled_from([1, 4, 16]))
    smallest = draw(st.integers(1, 64))
    largest = draw(st.none() | st.integers(smallest, 150))
    if largest is not None and 2 * halo >= largest - (largest - smallest) % step:
        largest = None
    arguments = {"in_channels": 1, "out_channels": 1, "halo": halo, "step": step, "smallest": smallest}
    return card(arguments | ({"largest": largest} if largest else {}))


def card(arguments):
    return ModelCard(
        name="a",
        display_name="A",
        description="For tests.",
        architecture={"name": "onnx_graph", "arguments": {"in_channels": 1, "out_channels": 1, **arguments}},
        input_channels=1,
        outputs=[{"name": "foreground"}],
        decoder="threshold",
        weights={"file": "weights.onnx", "sha256": "0" * 64},
        licence="CC0-1.0",
    )


def planned(shape, card, window=None, largest_whole=10**9, limit=None):
    facts = network_facts(card.architecture.name, card.architecture.arguments)
    return plan_tiling(shape, card, facts, TileLimits(window, largest_whole, limit)), facts


@given(st.tuples(sizes, sizes), foreign_cards(), st.none() | st.integers(16, 200), st.sampled_from([0, 10**9]))
@settings(deadline=None, max_examples=80)
def test_every_window_has_a_size_that_the_network_takes_and_every_pixel_is_written_once(
    shape, card, window, largest_whole
):
    plan, facts = planned(shape, card, window, largest_whole)
    weight = np.zeros(shape)
    for tile in plan.tiles:
        assert facts.takes(*tile.read_shape)
        assert all(part.stop <= padded for part, padded in zip(tile.read, plan.padded, strict=True))
        kept = [part.stop - part.start for part in tile.write]
        assert kept == [part.stop - part.start for part in tile.crop]
        shares = np.ones(kept) if tile.row_weights is None else tile.row_weights[:, None] * tile.column_weights
        weight[tile.write] += shares
        # What it keeps lies where it read it.
        starts = [read.start + crop.start for read, crop in zip(tile.read, tile.crop, strict=True)]
        assert starts == [part.start for part in tile.write]
    np.testing.assert_allclose(weight, 1, rtol=1e-5)


@given(st.tuples(sizes, sizes), foreign_cards(), st.none() | st.integers(16, 200))
@settings(deadline=None, max_examples=60)
def test_what_is_kept_lies_a_halo_inside_or_where_the_image_ends(shape, card, window):
    plan, facts = planned(shape, card, window)
    if not facts.halo:
        return
    for tile in plan.tiles:
        for read, crop, length in zip(tile.read, tile.crop, shape, strict=True):
            assert crop.start >= facts.halo or read.start == 0
            assert read.stop - read.start - crop.stop >= facts.halo or read.start + crop.stop == length


@given(st.tuples(sizes, sizes), foreign_cards(), st.none() | st.integers(16, 200), st.sampled_from([0, 10**9]))
@settings(deadline=None, max_examples=40)
def test_a_plan_comes_back_from_the_side_that_it_names(shape, card, window, largest_whole):
    plan, _ = planned(shape, card, window, largest_whole)
    blended = plan.tiles[0].row_weights is not None
    again, _ = planned(shape, card, plan.largest_window, 0 if blended else 10**9)
    assert [tile.read for tile in again.tiles] == [tile.read for tile in plan.tiles]


def test_a_network_of_one_size_sees_that_alone_without_a_word_on_memory():
    fixed = card({"smallest": 64, "largest": 64})
    for shape, tiles in (((64, 64), 1), ((10, 20), 1), ((100, 100), 4)):
        plan, _ = planned(shape, fixed)
        assert {tile.read_shape for tile in plan.tiles} == {(64, 64)}
        assert (len(plan.tiles), plan.warnings, plan.smaller_window) == (tiles, (), None)


def test_a_small_image_is_seen_whole_and_a_lack_of_memory_ends_at_sizes_that_it_takes():
    any_size = card({"halo": 16, "step": 16, "smallest": 64})
    plan, _ = planned((500, 300), any_size)
    assert (len(plan.tiles), plan.padded, plan.halo) == (1, (512, 304), 0)
    sides = []
    while plan.smaller_window is not None:
        sides.append(plan.smaller_window)
        plan, _ = planned((500, 300), any_size, limit=plan.smaller_window)
        assert plan.window <= sides[-1]
        assert plan.halo == 16
    assert sides == [256, 128, 64]


def test_blending_is_told_where_the_network_would_take_the_whole_image():
    plan, _ = planned((300, 300), card({"step": 16, "smallest": 16}), window=128, largest_whole=1000)
    assert len(plan.tiles) == 9
    assert "blended where they overlap" in plan.warnings[0]

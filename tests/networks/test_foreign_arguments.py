import pytest

from napari_unetseg.networks.facts import network_facts
from napari_unetseg.networks.foreign_arguments import foreign_arguments

LEAST = {"in_channels": 1, "out_channels": 2}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"in_channels": 0}, "in_channels"),
        ({"in_channels": 1.5}, "in_channels"),
        ({"in_channels": True}, "in_channels"),
        ({"features": [8, 16]}, "features"),
        ({"input_axes": "bcy"}, "input_axes must have y and x"),
        ({"input_axes": "bcyxx"}, "input_axes"),
        ({"output_axes": "bqyx"}, "output_axes"),
        ({"output_axes": "byx"}, "output_axes 'byx' has no c, but there are 2 channels"),
        ({"channels": [0, 1, 2]}, "out_channels is 2"),
        ({"channels": [-1, 0]}, "channels"),
        ({"smallest": 64, "largest": 32}, "largest must not be below smallest"),
        ({"smallest": 64, "largest": 64, "halo": 32}, "leaves nothing between halos of 32"),
        ({"step": 0}, "step"),
        ({"largest": 10**9}, "largest"),
    ],
)
def test_what_feeds_no_network_is_refused_by_name(changes, named):
    with pytest.raises(ValueError, match=named):
        foreign_arguments(LEAST | changes)


@pytest.mark.parametrize("side", range(1, 90))
def test_sides_are_the_smallest_and_whole_steps_more(side):
    facts = network_facts("onnx_graph", LEAST | {"smallest": 20, "step": 12, "largest": 60})
    taken = (20, 32, 44, 56)
    assert facts.largest == 56
    assert facts.accepted_side(min(side, 56)) == min(one for one in taken if one >= min(side, 56))
    assert facts.side_below(side) == max((one for one in taken if one <= side), default=20)
    assert facts.takes(side, 44) == (side in taken)

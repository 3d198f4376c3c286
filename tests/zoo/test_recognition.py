import pytest
import torch

from napari_unetseg.errors import ModelError
from napari_unetseg.networks import build
from napari_unetseg.zoo.recognition import READERS, read_unet, recognise

KNOWN = [
    ("unet", {"in_channels": 1, "out_channels": 2, "features": [3, 5, 4], "norm": "batch"}),
    ("unet", {"in_channels": 3, "out_channels": 1, "features": [4, 8], "norm": "instance"}),
    ("unet", {"in_channels": 3, "out_channels": 1, "features": [64, 128, 256, 512, 1024], "norm": "instance"}),
    ("cbam_resunet", {"in_channels": 3, "out_channels": 1, "features": [64, 128, 256, 512]}),
    ("cbam_resunet", {"in_channels": 1, "out_channels": 3, "features": [6, 4]}),
    ("hrnet", {"in_channels": 3, "out_channels": 1, "widths": [18, 36, 72, 144]}),
    ("hrnet", {"in_channels": 1, "out_channels": 2, "widths": [48, 96, 192, 384]}),
    ("attention_unet", {"in_channels": 3, "out_channels": 1, "base_channels": 32, "depth": 3}),
    ("attention_unet", {"in_channels": 3, "out_channels": 1, "base_channels": 64, "depth": 4}),
    ("attention_unet", {"in_channels": 3, "out_channels": 1, "base_channels": 96, "depth": 5}),
    ("attention_unet", {"in_channels": 2, "out_channels": 2, "base_channels": 7, "depth": 1}),
]


def weights(name, arguments):
    with torch.device("meta"):
        return build(name, arguments).state_dict()


@pytest.mark.parametrize(("name", "arguments"), KNOWN)
def test_architecture_and_arguments_are_read_off_the_shapes(name, arguments):
    (found,) = recognise(weights(name, arguments))
    assert (found.name, found.arguments) == (name, arguments)


@pytest.mark.parametrize(("name", "arguments"), KNOWN[1::3])
def test_each_fault_is_listed(name, arguments):
    state = weights(name, arguments)
    keys = [key for key in state if key.endswith(("norm2.bias", "bn2.bias", ".5.bias", "block.1.bias"))]
    missing, misshapen = keys[0], keys[1]
    del state[missing]
    state[misshapen] = torch.zeros(99)
    state["extra.weight"] = torch.zeros(1)
    with pytest.raises(ModelError) as caught:
        recognise(state)
    for reported in (name, f"missing ({missing})", "unexpected (extra.weight)", f"{misshapen} is (99,) instead of"):
        assert reported in str(caught.value)


def test_more_faults_than_anyone_reads_are_counted():
    state = weights(*KNOWN[0])
    for index in range(30):
        state[f"extra.{index}"] = torch.zeros(1)
    with pytest.raises(ModelError, match=r"30 unexpected \(extra\.0, .* and 22 more\)"):
        recognise(state)


def test_two_that_fit_are_both_named():
    def twin(shapes):
        found = read_unet(shapes)
        return found.model_copy(update={"arguments": {**found.arguments, "features": (3, 5, 4)}})

    first, second = recognise(weights(*KNOWN[0]), (*READERS, twin))
    assert (first.arguments["features"], second.arguments["features"]) == ([3, 5, 4], (3, 5, 4))


def test_what_was_seen_is_told_where_nothing_fits():
    with pytest.raises(
        ModelError,
        match=r"none of unet, cbam_resunet, hrnet, attention_unet, subpixel_unet. Seen: fc\.weight \(2, 3\)\.",
    ):
        recognise({"fc.weight": torch.zeros(2, 3)})
    with pytest.raises(ModelError, match="Seen: nothing"):
        recognise({})


def test_weights_without_end_are_refused_soon():
    kernel = torch.zeros(2, 2, 3, 3)
    deep = {f"encoder_blocks.{level}.conv1.block.0.weight": kernel for level in range(10_000)}
    with pytest.raises(ModelError, match="may halve its maps 10 times at most"):
        recognise({**deep, "final_conv.weight": torch.zeros(1, 2, 1, 1)})


@pytest.mark.parametrize(("name", "arguments"), KNOWN)
def test_kernels_of_the_wrong_rank_are_told_not_stumbled_over(name, arguments):
    state = {key: torch.zeros(()) for key in weights(name, arguments)}
    with pytest.raises(ModelError, match="Seen"):
        recognise(state)

from itertools import combinations

import pytest
import torch

from napari_unetseg.networks import SubpixelUNet, build


def make(norm: str = "batch", block: int = 2) -> SubpixelUNet:
    torch.manual_seed(0)
    network = SubpixelUNet(3, 2, features=(4, 8, 8), norm=norm, block=block)  # type: ignore[arg-type]
    return network.double().eval()


@pytest.mark.parametrize("block", [2, 4])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 16), (16, 24), (33, 17)])
@torch.inference_mode()
def test_the_output_has_the_size_of_the_input(size: tuple[int, int], block: int) -> None:
    assert make(block=block)(torch.rand(2, 3, *size).double()).shape == (2, 2, *size)


@torch.inference_mode()
def test_every_pixel_of_a_block_has_an_answer_of_its_own() -> None:
    output = make()(torch.rand(1, 3, 16, 16).double())[0, 0]
    corners = [output[row::2, column::2] for row in (0, 1) for column in (0, 1)]
    for one, other in combinations(corners, 2):
        assert not torch.allclose(one, other)


@pytest.mark.parametrize("block", [2, 4])
def test_changes_reach_as_far_as_the_receptive_radius_and_no_further(block: int) -> None:
    network = make(block=block)
    radius = network.receptive_radius
    assert radius is not None
    side = 2**network.depth * -(-3 * radius // 2**network.depth)
    # Whatever the place of the output pixel in its deepest map pixel.
    farthest = 0
    for centre in range(side // 2, side // 2 + 2**network.depth):
        pixels = torch.rand(1, 3, side, side, dtype=torch.float64, requires_grad=True)
        network(pixels)[0, 0, centre, centre].backward()
        assert pixels.grad is not None
        rows = pixels.grad.abs().sum(dim=(0, 1, 3)).nonzero().flatten()
        farthest = max(farthest, int((rows - centre).abs().max()))
    assert radius - 2 * block < farthest <= radius


def test_statistics_of_the_image_have_no_radius() -> None:
    assert make("instance").receptive_radius is None


def test_it_is_built_by_name_with_one_level_more_than_its_poolings() -> None:
    network = build("subpixel_unet", {"in_channels": 1, "features": [4, 8]})
    assert isinstance(network, SubpixelUNet)
    assert network.depth == 2
    assert network.accepted_size(5, 9) == (8, 12)


def test_blocks_of_three_are_refused() -> None:
    with pytest.raises(ValueError, match="2 or 4"):
        make(block=3)

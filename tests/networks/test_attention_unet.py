import pytest
import torch

from napari_unetseg.networks import build
from napari_unetseg.networks.attention_unet import AttentionUNet

VARIANTS = {
    "attention_unet_lightweight": ({"base_channels": 32, "depth": 3}, 1_981_114),
    "attention_unet_standard": ({"base_channels": 64, "depth": 4}, 31_909_485),
    "attention_unet_deep": ({"base_channels": 96, "depth": 5}, 287_682_208),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_names_shapes_and_parameters_are_the_published_ones(golden, name):
    arguments, parameters = VARIANTS[name]
    with torch.device("meta"):
        network = build("attention_unet", arguments)
    assert {key: tuple(value.shape) for key, value in network.state_dict().items()} == golden.shapes(name)
    assert sum(value.numel() for value in network.parameters()) == parameters


# The deep variant is the same class; its vectors are checked where checkpoints are loaded.
@pytest.mark.parametrize(
    ("name", "vectors"),
    [
        ("attention_unet_lightweight", ["attention_unet_lightweight"]),
        ("attention_unet_standard", ["attention_unet_standard", "attention_unet_standard_odd"]),
    ],
)
def test_golden_vectors(golden, name, vectors):
    with torch.device("meta"):
        network = build("attention_unet", VARIANTS[name][0]).eval()
    network.load_state_dict(golden.tensors(golden.shapes(name)), strict=True, assign=True)
    for vector in vectors:
        x, y = golden.vectors(vector)
        with torch.inference_mode():
            ours = network(x)
        assert ours.shape == y.shape
        assert (ours - y).abs().max() <= 2e-4 * max(1, y.abs().max())


def positive(depth: int) -> AttentionUNet:
    """Weights above zero and no rectifier idle, so that whatever can reach an output does; the last sigmoid
    stays away from its flat ends."""
    network = AttentionUNet(1, 1, 2, depth)
    generator = torch.Generator().manual_seed(depth)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.05 + 0.1 * torch.rand(parameter.shape, generator=generator))
        network.final_conv.weight.mul_(1e-3)
    return network.double().eval()


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_receptive_radius_is_the_farthest_reach_of_any_pixel(depth):
    network = positive(depth)
    grid, radius = 2**depth, network.receptive_radius
    middle = 2 * grid * (radius // grid + 1)
    image = torch.ones(1, 1, 2 * middle, 2 * middle, dtype=torch.float64)
    reach = 0
    with torch.inference_mode():
        plain = network(image)
        for phase in range(grid):
            touched = image.clone()
            touched[..., middle + phase, middle + phase] = 1000
            rows = (network(touched) != plain).any(dim=-1).nonzero()[:, -1]
            reach = max(reach, int((rows - middle - phase).abs().max()))
    assert reach == radius


@pytest.mark.parametrize(("share", "exact"), [(1.0, True), (0.5, False)])
def test_a_tile_with_its_halo_is_the_whole_image_and_with_half_of_it_is_not(share, exact):
    network = positive(2)
    grid = 2**network.depth
    halo = -(-int(network.receptive_radius * share) // grid) * grid
    image = torch.rand(1, 1, 160, 192, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        whole = network(image)[..., 64:96, 80:112]
        tile = network(image[..., 64 - halo : 96 + halo, 80 - halo : 112 + halo])
    difference = (tile[..., halo : halo + 32, halo : halo + 32] - whole).abs().max()
    # In float64 the rest is the order in which sums are taken.
    assert (difference < 1e-14) == exact


def test_its_output_is_a_probability_of_the_size_of_the_input():
    network = AttentionUNet(2, 3, 4, 2).eval()
    assert (network.in_channels, network.out_channels, network.depth) == (2, 3, 2)
    for shape in [(4, 4), (4, 31), (17, 23)]:
        with torch.inference_mode():
            output = network(torch.full((1, 2, *shape), 50.0))
        assert output.shape == (1, 3, *shape)
        assert ((output >= 0) & (output <= 1)).all()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [({"depth": 0}, "depth"), ({"base_channels": 1}, "base_channels"), ({"out_channels": 1.5}, "out_channels")],
)
def test_wrong_arguments_are_named(arguments, named):
    with pytest.raises(ValueError, match=named):
        build("attention_unet", arguments)

import pytest
import torch

from napari_unetseg.networks import build
from napari_unetseg.networks.cbam_resunet import CBAMResUNet


def test_names_shapes_and_parameters_are_the_published_ones(golden):
    with torch.device("meta"):
        network = build("cbam_resunet", {})
    assert {key: tuple(value.shape) for key, value in network.state_dict().items()} == golden.shapes("cbam_resunet")
    assert sum(value.numel() for value in network.parameters()) == 52_072_673


def test_golden_vectors(golden):
    with torch.device("meta"):
        network = build("cbam_resunet", {}).eval()
    network.load_state_dict(golden.tensors(golden.shapes("cbam_resunet")), strict=True, assign=True)
    x, y = golden.vectors("cbam_resunet")
    with torch.inference_mode():
        ours = network(x)
    assert ours.shape == y.shape
    assert (ours - y).abs().max() <= 2e-4 * max(1, y.abs().max())


@pytest.mark.parametrize("shape", [(4, 8), (8, 4), (17, 23)])
def test_output_has_the_size_of_the_input(shape):
    network = CBAMResUNet(1, 2, (4, 6)).eval()
    assert (network.in_channels, network.out_channels, network.depth) == (1, 2, 2)
    with torch.inference_mode():
        assert network(torch.rand(1, 1, *shape)).shape == (1, 2, *shape)


def test_every_pixel_sees_the_whole_image():
    network = CBAMResUNet(1, 1, (4,)).double().eval()
    image = torch.rand(1, 1, 96, 96, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    touched = image.clone()
    touched[..., 0, 0] += 100
    with torch.inference_mode():
        assert (network(image) != network(touched))[..., -1, -1].all()
    assert network.receptive_radius is None


@pytest.mark.parametrize(
    ("arguments", "named"),
    [({"features": []}, "features"), ({"features": [8, 1]}, "features"), ({"in_channels": 0}, "in_channels")],
)
def test_wrong_arguments_are_named(arguments, named):
    with pytest.raises(ValueError, match=named):
        build("cbam_resunet", arguments)

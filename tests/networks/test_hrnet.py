import pytest
import torch

from napari_unetseg.networks import build
from napari_unetseg.networks.hrnet import HRNet


def test_names_shapes_and_parameters_are_the_published_ones(golden):
    with torch.device("meta"):
        network = build("hrnet", {})
    assert {key: tuple(value.shape) for key, value in network.state_dict().items()} == golden.shapes("hrnet")
    assert sum(value.numel() for value in network.parameters()) == 65_846_401


def test_golden_vectors(golden):
    with torch.device("meta"):
        network = build("hrnet", {}).eval()
    network.load_state_dict(golden.tensors(golden.shapes("hrnet")), strict=True, assign=True)
    x, y = golden.vectors("hrnet")
    with torch.inference_mode():
        ours = network(x)
    assert ours.shape == y.shape
    assert (ours - y).abs().max() <= 2e-4 * max(1, y.abs().max())


@pytest.fixture(scope="module")
def narrow():
    return HRNet(1, 2, (4, 5, 6, 7)).eval()


@pytest.mark.parametrize(("shape", "expected"), [((64, 36), (64, 36)), ((75, 101), (76, 104)), ((1, 33), (4, 36))])
def test_output_is_the_input_rounded_up_to_multiples_of_4(narrow, shape, expected):
    with torch.inference_mode():
        assert narrow(torch.rand(1, 1, *shape)).shape == (1, 2, *expected)


def test_a_coarsest_map_of_one_pixel_has_no_statistics(narrow):
    with torch.inference_mode(), pytest.raises(ValueError, match="spatial element"):
        narrow(torch.rand(1, 1, 32, 32))


def test_every_pixel_sees_the_whole_image(narrow):
    image = torch.rand(1, 1, 256, 256, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    touched = image.clone()
    touched[..., :8, :8] += 100
    network = HRNet(1, 1, (4, 5, 6, 7)).double().eval()
    with torch.inference_mode():
        assert (network(image) != network(touched))[..., -1, -1].all()
    assert narrow.receptive_radius is None


def test_coarsest_map_is_a_32nd_of_the_input(narrow):
    sizes = []
    hook = narrow.transition3[3].register_forward_hook(lambda _layer, _inputs, output: sizes.append(output.shape[-2:]))
    with torch.inference_mode():
        narrow(torch.rand(1, 1, 64, 96))
    hook.remove()
    assert [tuple(size) for size in sizes] == [(64 // 2**narrow.depth, 96 // 2**narrow.depth)]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [({"widths": [18, 36]}, "widths"), ({"widths": [1, 2, 3, 0]}, "positive"), ({"in_channels": 0}, "in_channels")],
)
def test_wrong_arguments_are_named(arguments, named):
    with pytest.raises(ValueError, match=named):
        build("hrnet", arguments)

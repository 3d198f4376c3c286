import pytest
import torch

from napari_unetseg.networks import ARCHITECTURES, UNet, build

PUBLISHED = (64, 128, 256, 512, 1024)
DEAD = "downs.3."


@pytest.fixture(scope="module")
def published(golden):
    """The SpheroHQ U-Net with the weights of the golden vectors."""
    live = {key: shape for key, shape in golden.shapes("unet_spherohq").items() if not key.startswith(DEAD)}
    with torch.device("meta"):
        network = UNet(3, 1, PUBLISHED, "instance")
    network.load_state_dict(golden.tensors(live), strict=True, assign=True)
    return network.eval()


def test_names_and_shapes_are_the_published_ones_less_the_dead_block(golden):
    with torch.device("meta"):
        ours = UNet(3, 1, PUBLISHED, "instance").state_dict()
    theirs = golden.shapes("unet_spherohq")
    assert {key for key in theirs if key not in ours} == {key for key in theirs if key.startswith(DEAD)}
    assert {key: tuple(value.shape) for key, value in ours.items()} == {key: theirs[key] for key in ours}
    assert sum(value.numel() for value in ours.values()) == 31_037_633


@pytest.mark.parametrize("name", ["unet_spherohq", "unet_spherohq_odd"])
def test_golden_vectors(published, golden, name):
    x, y = golden.vectors(name)
    with torch.inference_mode():
        ours = published(x)
    assert ours.shape == y.shape
    assert (ours - y).abs().max() <= 2e-4 * max(1, y.abs().max())


def positive(network: UNet) -> UNet:
    """Every weight positive and every bias zero: of a black image, just the pixels that see a light are not black."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.fill_(0 if name.endswith("bias") else 0.1)
    return network.double().eval()


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_receptive_radius_is_the_farthest_reach_of_any_pixel(depth):
    network = positive(UNet(1, 1, (1,) * (depth + 1)))
    assert network.depth == depth
    grid, radius = 2**depth, network.receptive_radius
    middle = 2 * grid * (radius // grid + 1)
    reach = 0
    with torch.inference_mode():
        for light in range(middle, middle + grid):
            image = torch.zeros(1, 1, 2 * middle, 2 * middle, dtype=torch.float64)
            image[..., light, light] = 1
            rows = network(image).any(dim=-1).nonzero()[:, -1]
            reach = max(reach, int((rows - light).abs().max()))
    assert reach == radius


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize("shape", [(16, 16), (17, 23), (8, 31)])
def test_output_has_the_size_of_the_input(norm, shape):
    network = UNet(3, 2, (2, 3, 4), norm).eval()
    with torch.inference_mode():
        assert network(torch.ones(1, 3, *shape)).shape == (1, 2, *shape)


def test_image_wide_statistics_have_no_receptive_radius():
    assert UNet(norm="batch", features=(1, 1)).receptive_radius is not None
    assert UNet(norm="instance", features=(1, 1)).receptive_radius is None


@pytest.mark.parametrize(
    ("norm", "size", "accepted"),
    [
        ("batch", (1, 1), (4, 4)),
        ("batch", (9, 30), (12, 32)),
        ("instance", (1, 1), (8, 8)),
        ("instance", (7, 7), (8, 8)),
        ("instance", (2, 9), (4, 9)),
        ("instance", (9, 30), (9, 30)),
    ],
)
def test_images_are_padded_no_further_than_they_must_be(norm, size, accepted):
    assert UNet(norm=norm, features=(1, 1, 1)).accepted_size(*size) == accepted


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"norm": "group"}, "'group'"),
        ({"features": [16]}, "features"),
        ({"features": [16, 0]}, "positive"),
        ({"features": [16, 32.5]}, "positive"),
        ({"out_channels": -1}, "positive"),
    ],
)
def test_wrong_arguments_are_named(arguments, named):
    with pytest.raises(ValueError, match=named):
        build("unet", arguments)


def test_build_makes_what_was_asked_for():
    network = build("unet", {"in_channels": 1, "out_channels": 2, "features": [4, 8, 16]})
    assert (network.in_channels, network.out_channels, network.depth) == (1, 2, 2)
    assert type(network) is ARCHITECTURES["unet"]
